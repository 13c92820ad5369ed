//! The routes, behind the gate.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use crate::access::gate;
use crate::app::App;
use crate::{actions, assets, live, pages};

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/assets/{name}", get(assets::asset))
        .route("/live", get(live::stream))
        .route("/login", get(pages::login_page).post(pages::login))
        .merge(actions::routes())
        .fallback(get(pages::show))
        .layer(from_fn_with_state(Arc::clone(&app), gate::check))
        .with_state(app)
}
