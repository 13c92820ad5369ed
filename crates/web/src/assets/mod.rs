//! The files of the dashboard. They are part of the program.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Name, kind and content.
const FILES: [(&str, &str, &str); 4] = [
    ("style.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("theme.js", "text/javascript; charset=utf-8", include_str!("theme.js")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("live.js")),
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
];

/// A hash of all of them, so that browsers load them once for each version of the program.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    FILES.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

/// The address of a file.
pub(crate) fn url(base: &str, name: &str) -> String {
    format!("{base}/assets/{name}?v={}", *VERSION)
}

/// Whether a path is that of a file, which needs no session.
pub(crate) fn is_path(path: &str) -> bool {
    path.strip_prefix("/assets/").is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, content)) => {
            let headers =
                [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, *content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
