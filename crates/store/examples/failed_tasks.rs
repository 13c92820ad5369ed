//! Prints the tasks of the target `mail` that failed within a day. The server is that of `PG*`.
//!
//! `cargo run -p pgasync-store --example failed_tasks`

#![expect(clippy::print_stdout, reason = "an example speaks to a person")]

use std::error::Error;

use pgasync_core::Span;
use pgasync_pg::ConnectionSettings;
use pgasync_store::{Client, TaskFilter};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::new(ConnectionSettings::from_env(None)?);
    let filter = TaskFilter {
        failed: Some(true),
        targets: vec!["mail".to_owned()],
        ended_within: Some(Span::seconds(86_400)),
        ..TaskFilter::default()
    };
    let mut before = None;
    loop {
        // The newest first, a hundred at a time.
        let found = client.find(&filter, before, 100).await?;
        for task in &found {
            println!("{} {}", task.task.0, task.error.as_deref().unwrap_or_default());
        }
        let Some(last) = found.last() else { return Ok(()) };
        before = Some(last.task);
    }
}
