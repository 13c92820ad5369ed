//! `pgasync cancel`, `restart` and `defer`: changes of chosen tasks.

mod chosen;
mod outcome;

use clap::Args;
use pgasync_core::Span;
use pgasync_store::Change;

use self::chosen::{ChoiceArgs, Chosen};
use self::outcome::Outcomes;
use crate::duration;
use crate::failure::{Exit, Failure};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync cancel 4711 4712
  pgasync cancel --target reports --phase ready      what waits there, and not what runs
  pgasync cancel --text 'refresh' --older-than 1h --message 'took too long'

The leader applies the request: a task whose query commits first is FINISHED. Ids are checked before the
question, so the answer counts for the tasks that were shown.")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
    /// The message in processing_error
    #[arg(long, value_name = "TEXT", default_value = "manual cancel")]
    message: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync restart 4711
  pgasync restart --failed --ended 1h --target reports
  pgasync restart --failed --text 'connection refused' --yes -o json

A restarted task has a clean slate: its outcome and its attempts are gone. Tasks that cannot be restarted
(expired, a taken unique key, a living session) are skipped and named.")]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync defer --by 30m 4711
  pgasync defer --by 2h --target reports --phase ready

A task that runs is cancelled first, and runs again from its beginning.")]
pub(crate) struct DeferArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
    /// The time after which the tasks may start: 90s, 15m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration::span)]
    by: Span,
}

pub(crate) async fn cancel(arguments: &CancelArgs) -> Result<Exit, Failure> {
    let change = Change::Cancel(arguments.message.clone());
    run(&arguments.choice, &change, "Cancel", "cancel requested").await
}

pub(crate) async fn defer(arguments: &DeferArgs) -> Result<Exit, Failure> {
    run(&arguments.choice, &Change::Defer(arguments.by), "Defer", "deferral requested").await
}

pub(crate) async fn restart(arguments: &RestartArgs) -> Result<Exit, Failure> {
    run(&arguments.choice, &Change::Restart, "Restart", "restarted").await
}

async fn run(choice: &ChoiceArgs, change: &Change, verb: &str, done: &str) -> Result<Exit, Failure> {
    let server = choice.server.open()?;
    let changed = async {
        let chosen = Chosen::read(&server, choice, change.phases()).await?;
        let Some(mut outcomes) = begin(choice, chosen, verb)? else { return Ok(Exit::Done) };
        for part in outcomes.open() {
            let skipped = server.client.change(change, &part).await?;
            outcomes.note(&part, skipped);
        }
        outcomes.write(choice, done)
    };
    let changed: Result<Exit, Failure> = changed.await;
    server.explained(changed).await
}

/// Says how many, and asks. `None` if there is nothing to do.
fn begin(choice: &ChoiceArgs, chosen: Chosen, verb: &str) -> Result<Option<Outcomes>, Failure> {
    if chosen.tasks.is_empty() {
        let outcomes = Outcomes::of(chosen);
        if outcomes.has_skipped() {
            return Ok(Some(outcomes));
        }
        eprintln!("pgasync: no task is so; nothing was changed");
        return Ok(None);
    }
    choice.confirm.ask(&format!("{verb} {}?", chosen.describe()))?;
    Ok(Some(Outcomes::of(chosen)))
}
