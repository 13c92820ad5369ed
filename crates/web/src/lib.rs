//! The dashboard: pages about a server of pgasync, and actions with the rights of one role.
//!
//! [`Dashboard::open`] checks the options and the role, and listens; [`Dashboard::serve`] answers
//! requests until it is told to stop. The crate reads and changes the server through
//! [`pgasync_store::Client`] only. It knows nothing of the engines.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pgasync_pg::ConnectionSettings;
//! use pgasync_web::{Dashboard, WebOptions};
//!
//! let server = ConnectionSettings::from_env(Some("host=localhost dbname=jobs user=dashboard"))?;
//! let dashboard = Dashboard::open(WebOptions::new(server, "127.0.0.1:8432".parse()?)).await?;
//! println!("{}", dashboard.address());
//! dashboard.serve(std::future::pending()).await;
//! # Ok(()) }
//! ```

mod access;
mod actions;
mod app;
mod assets;
mod changes;
mod feed;
mod filter;
mod form;
mod live;
mod open;
mod options;
mod pages;
mod problem;
mod routes;
mod serve;

pub use open::{Dashboard, StartError};
pub use options::{BasePath, WebOptions};
