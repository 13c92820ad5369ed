//! A worker that pulls tasks of the target `mail` and runs them itself. The server is that of
//! `PG*`.
//!
//! It ends after SIGTERM or SIGINT when the present task has ended. Run as many of them as you
//! like. `cargo run -p pgasync-store --example worker`

#![expect(clippy::print_stdout, reason = "an example speaks to a person")]

use std::error::Error;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgasync_core::{FinishStatus, Span, TargetName, TaskId};
use pgasync_pg::ConnectionSettings;
use pgasync_store::{Client, ReadError, RequestError, TakenTask};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, sleep};

/// Why a task was not done.
enum Undone {
    /// It returns to the queue for this time.
    Later(Span),
    Failed(String),
}

/// The work of a task. It is dropped at an `await` when its result is not wanted any more.
async fn handle(data: &Value) -> Result<(), Undone> {
    let to = data["to"].as_str().unwrap_or_default();
    if !to.contains('@') {
        return Err(Undone::Failed(format!("{to:?} is no address")));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    if now < data["not_before"].as_f64().unwrap_or_default() {
        return Err(Undone::Later(Span::seconds(1)));
    }
    for _ in 0..data["parts"].as_u64().unwrap_or(1) {
        sleep(Duration::from_millis(100)).await;
    }
    println!("mail to {to}");
    Ok(())
}

/// Returns when a task is over: its deadline has passed, or a client has canceled or finished it.
async fn over(client: &Client, taken: &TakenTask) -> Result<(), ReadError> {
    // The deadline is a time of the server, whose clock differs.
    let left = match taken.times_up {
        Some(deadline) => deadline - client.server_time().await?,
        None => Span::seconds(86_400),
    };
    let deadline = sleep(Duration::from_micros(left.as_micros().try_into().unwrap_or(0)));
    let ended = async {
        let mut heartbeat = interval(Duration::from_secs(1));
        loop {
            heartbeat.tick().await;
            if client.task(taken.task).await?.is_none_or(|task| task.ended.is_some()) {
                return Ok(());
            }
        }
    };
    tokio::select! { () = deadline => Ok(()), ended = ended => ended }
}

/// Runs one task and reports its outcome, unless it is over.
async fn work(client: &Client, taken: &TakenTask) -> Result<(), RequestError> {
    let data = taken.data.clone().unwrap_or_default();
    let outcome = tokio::select! {
        outcome = handle(&data) => outcome,
        ended = over(client, taken) => {
            // After the deadline the task may belong to another worker, so nothing is reported. A task that cannot
            // be watched is left to its deadline.
            if let Err(error) = ended {
                eprintln!("task {} is not watched: {error}", taken.task.0);
            }
            return Ok(());
        }
    };
    loop {
        match report(client, taken.task, &outcome).await {
            // A report that was lost is repeated: it changes nothing if it had arrived.
            Err(error) if error.may_be_tried_again() => eprintln!("trying again in a second: {error}"),
            reported => return reported,
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn report(client: &Client, task: TaskId, outcome: &Result<(), Undone>) -> Result<(), RequestError> {
    match outcome {
        Ok(()) => client.finish(&[task], FinishStatus::Finished, None).await?,
        Err(Undone::Later(span)) => client.defer(&[task], *span).await?,
        Err(Undone::Failed(message)) => client.finish(&[task], FinishStatus::Failed, Some(message)).await?,
    };
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::new(ConnectionSettings::from_env(None)?);
    let target = TargetName::new("mail")?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut stop = pin!(async move {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
    });
    loop {
        // A signal is heeded between two takes: one that is dropped may have got a task, which would wait for its
        // deadline.
        let taken = match client.take(&target, 1, Span::seconds(1)).await {
            Ok(taken) => taken,
            Err(error) if error.may_be_tried_again() => {
                eprintln!("trying again in a second: {error}");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for task in &taken {
            work(&client, task).await?;
        }
        if futures_util::FutureExt::now_or_never(&mut stop).is_some() {
            return Ok(());
        }
    }
}
