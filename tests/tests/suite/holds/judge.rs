//! One case: the effect of a disturbance of one statement on all other tasks.

use std::fmt;
use std::time::{Duration, Instant};

use pgasync_tests::Engine;
use tokio::time::sleep;

use super::disturbance::Disturbance;
use super::fixture::{HoldsFixture, WINDOW};
use super::statement::{Statement, Victim};

/// The least rate of the other tasks, in percent of the lower of their rates before and after.
const RATE_PERCENT_MIN: i64 = 50;

/// The time that a loaded machine may need to find and write a due row.
pub(super) const LATE_MAX: Duration = Duration::from_secs(3);

/// A promise that was broken in a case.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The rate of the other tasks was less than half.
    Slow(String),
    /// The epoch or the session of the leader changed, or the engine ended.
    LostLead(String),
    /// A foreign key delayed the write.
    Delayed,
    /// A task behind the disturbed one was not served.
    Stuck(i64),
    /// The row was not written after it was free.
    Late(String),
    /// A task had a wrong end, or ran twice.
    Damaged(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(rates) => write!(f, "the others were slow: {rates}"),
            Self::LostLead(lead) => write!(f, "the lead was lost: {lead}"),
            Self::Delayed => write!(f, "a foreign key delayed the write"),
            Self::Stuck(id) => write!(f, "task {id} behind it was not served"),
            Self::Late(row) => write!(f, "not recorded when it was free: {row}"),
            Self::Damaged(row) => write!(f, "ended as it should not: {row}"),
        }
    }
}

/// Runs a statement under each disturbance, and asserts that no promise is broken.
pub(super) async fn judge_all<E: Engine>(statement: Statement) {
    let mut failures = Vec::new();
    for disturbance in chosen(statement) {
        let begin = Instant::now();
        let faults = judge::<E>(statement, disturbance).await;
        let words: Vec<_> = faults.iter().map(ToString::to_string).collect();
        eprintln!("{} {statement:?} {disturbance:?} {:.1?}: {words:?}", E::NAME, begin.elapsed());
        if !faults.is_empty() {
            failures.push(format!("{disturbance:?}: {}", words.join("; ")));
        }
    }
    assert!(failures.is_empty(), "{} {statement:?}\n{}", E::NAME, failures.join("\n"));
}

/// The disturbances that `PGASYNC_HOLDS` names, or `all`. Without the variable a sample, without
/// the slow disturbances that others cover.
fn chosen(statement: Statement) -> Vec<Disturbance> {
    let names = std::env::var("PGASYNC_HOLDS").unwrap_or_default();
    let is_chosen = |it: &Disturbance| match names.as_str() {
        "" => statement.reaction() < LATE_MAX || !matches!(it, Disturbance::Referenced | Disturbance::Raising),
        "all" => true,
        names => names.split(' ').any(|name| name == format!("{it:?}")),
    };
    Disturbance::ALL.into_iter().filter(is_chosen).collect()
}

async fn judge<E: Engine>(statement: Statement, disturbance: Disturbance) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fixture = HoldsFixture::<E>::open(&disturbance.install()).await;
    let before = fixture.steady_completions().await;
    let victim = statement.prepare(&mut fixture).await;
    let disturbed = disturbance.begin(&fixture.database, victim.id).await;
    let begin = Instant::now();
    statement.provoke(&mut fixture, victim).await;
    let done = statement.is_done(victim);
    if disturbance.lets_write() {
        if !fixture.comes_true(&done, statement.reaction() + LATE_MAX).await {
            faults.push(Fault::Delayed);
        }
    } else {
        sleep(statement.reaction()).await;
    }
    let during = fixture.completions().await;
    eprintln!("{} {statement:?} {disturbance:?}: {during} during, {before} before", E::NAME);
    if let Some(id) = stuck(&fixture, victim).await {
        faults.push(Fault::Stuck(id));
    }
    if !disturbance.lets_write() {
        assert!(!fixture.database.holds(&done).await, "{statement:?} {disturbance:?}: written before it was disturbed");
    }
    let lasted = begin.elapsed();
    disturbed.end().await;
    if let Some(lead) = fixture.lost_lead().await {
        faults.push(Fault::LostLead(lead));
        return faults;
    }
    // The backoff doubles, so the next attempt comes at the latest after the duration of the
    // disturbance.
    if !fixture.comes_true(&done, lasted + LATE_MAX).await {
        faults.push(Fault::Late(row(&fixture, victim).await));
    }
    if let Some(lead) = fixture.lost_lead().await {
        faults.push(Fault::LostLead(lead));
    }
    if is_slow(during, before) {
        // The machine may have become slower, so the rate afterwards is measured too.
        let after = fixture.completions().await;
        if is_slow(during, after) {
            faults.push(Fault::Slow(format!("{during} in {WINDOW:?}, {before} before and {after} after")));
        }
    }
    faults.extend(damage(&fixture).await);
    faults
}

pub(super) fn is_slow(during: i64, otherwise: i64) -> bool {
    during * 100 < otherwise * RATE_PERCENT_MIN
}

async fn stuck<E: Engine>(fixture: &HoldsFixture<E>, victim: Victim) -> Option<i64> {
    let id = victim.companion?;
    let served = format!("select consumed is not null from async.task where task_id = {id}");
    (!fixture.database.holds(&served).await).then_some(id)
}

async fn row<E: Engine>(fixture: &HoldsFixture<E>, victim: Victim) -> String {
    let row = format!("select t::text from async.task t where task_id = {}", victim.id);
    fixture.database.text(&row).await.unwrap_or_default()
}

/// Steady tasks that did not succeed in their first run, except tasks of a leader that was ended on
/// purpose.
pub(super) async fn damage<E: Engine>(fixture: &HoldsFixture<E>) -> Option<Fault> {
    let odd = "select string_agg(t::text, ' ') from (select * from async.task t
        where target = 'steady' and processed is not null and (finish_status <> 'FINISHED' or run <> 1)
          and processing_error not like '%orchestrator was lost%' limit 3) t";
    fixture.database.text(odd).await.map(Fault::Damaged)
}
