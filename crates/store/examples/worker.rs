//! A worker that pulls tasks of the target `mail` and runs them itself. The server is that of
//! `PG*`.
//!
//! It ends after SIGTERM or SIGINT when the present task has ended. Run as many of them as you
//! like. `cargo run -p pgasync-store --example worker`

#![expect(clippy::print_stdout, reason = "an example speaks to a person")]

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgasync_core::{Span, TargetName};
use pgasync_pg::ConnectionSettings;
use pgasync_store::{Client, TakenTask, WorkOutcome, Worker};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// The work of a task. It is dropped at an `await` when its result is not wanted any more.
async fn handle(taken: TakenTask) -> WorkOutcome {
    let data = taken.data.unwrap_or_default();
    let to = data["to"].as_str().unwrap_or_default();
    if !to.contains('@') {
        return WorkOutcome::Failed(format!("{to:?} is no address"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    if now < data["not_before"].as_f64().unwrap_or_default() {
        return WorkOutcome::Deferred(Span::seconds(1));
    }
    for _ in 0..data["parts"].as_u64().unwrap_or(1) {
        sleep(Duration::from_millis(100)).await;
    }
    println!("mail to {to}");
    WorkOutcome::Finished
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::new(ConnectionSettings::from_env(None)?);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
    };
    let worker = Worker::new(client, TargetName::new("mail")?).on_error(|error| eprintln!("{error}"));
    worker.run(handle, stop).await?;
    Ok(())
}
