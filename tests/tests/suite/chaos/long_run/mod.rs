//! A long run: candidates of one engine or of both, a mixed load, and a schedule of faults that
//! depends on the seed alone. `./dev chaos` runs one test of this module (docs/testing.md).

mod candidates;
mod faults;
mod injection;
mod report;
mod run;
mod schedule;
mod vitals;

use std::env;
use std::time::Duration;

use super::seed::Seed;
use candidates::Mode;
use faults::Fault;
use run::LongRun;

/// The length of a run without `./dev chaos`.
const SECONDS: u64 = 40;

/// The seed of a run without `./dev chaos`.
const SEED: u64 = 11;

#[tokio::test(flavor = "multi_thread")]
async fn sql() {
    keep_promises(Mode::Sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust() {
    keep_promises(Mode::Rust).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swap() {
    keep_promises(Mode::Swap).await;
}

async fn keep_promises(mode: Mode) {
    let seconds = env::var("PGASYNC_CHAOS_SECONDS").map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let run =
        LongRun { mode, length: Duration::from_secs(seconds), changes: String::new(), faults: Fault::of_mode(mode) };
    let broken = run.execute(seed()).await;
    assert!(broken.is_empty(), "{} broken promises", broken.len());
}

fn seed() -> Seed {
    Seed::fixed(SEED)
}

/// Each entry of the schedule is the same for the same seed, and different for another seed.
#[test]
fn a_schedule_depends_on_the_seed_alone() {
    let plan = |state| {
        let mut seed = Seed::numbered(state);
        let length = Duration::from_secs(600);
        format!("{:?}", schedule::plan(&mut seed, length, &Fault::of_mode(Mode::Swap)))
    };
    assert_eq!(plan(1), plan(1));
    assert_ne!(plan(1), plan(2));
}

/// A launch that is not marked is repeated by the next leader.
async fn catch_unmarked_launches(mode: Mode, changes: &str, fault: Fault) {
    let faults = vec![(fault, 1)];
    let run = LongRun { mode, length: Duration::from_secs(SECONDS), changes: changes.to_owned(), faults };
    let broken = run.execute(seed()).await;
    let is_caught = broken.iter().any(|line| super::sabotage::RUN_TWICE.iter().any(|about| line.starts_with(about)));
    assert!(is_caught, "not caught: {broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sql_engine_that_does_not_mark_its_launches_is_caught() {
    catch_unmarked_launches(Mode::Sql, super::sabotage::SQL_WITHOUT_MARKS, Fault::LeaderTerminated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_engine_that_does_not_mark_its_launches_is_caught() {
    catch_unmarked_launches(Mode::Rust, super::sabotage::RUST_WITHOUT_MARKS, Fault::LeaderKilled).await;
}
