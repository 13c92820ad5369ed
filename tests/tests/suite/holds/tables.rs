//! A lock on the whole table costs only the time of the lock. The leader keeps the lead, and no
//! task is lost.

use std::time::{Duration, Instant};

use pgasync_tests::Engine;
use tokio::time::sleep;

use super::fixture::{HoldsFixture, WINDOW};
use super::judge::{Fault, LATE_MAX, damage, is_slow};

/// The locks of the table. Each is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// Locked for 0.05 s.
    Brief,
    /// Locked for 0.5 s.
    Half,
    /// Locked for 5 s.
    Long,
    /// A column is added in a transaction that stays open for 0.3 s.
    AddColumn,
}

impl Lock {
    fn times(self) -> u32 {
        match self {
            Self::Brief => 10,
            Self::Half | Self::AddColumn => 4,
            Self::Long => 1,
        }
    }

    fn duration(self) -> Duration {
        Duration::from_millis(match self {
            Self::Brief => 50,
            Self::Half => 500,
            Self::Long => 5000,
            Self::AddColumn => 300,
        })
    }

    fn sql(self, time: u32) -> String {
        let statement = match self {
            Self::AddColumn => format!("alter table async.task add column of_the_users_{time} text"),
            Self::Brief | Self::Half | Self::Long => "lock table async.task in access exclusive mode".to_owned(),
        };
        format!("begin; {statement}; select pg_sleep({}); commit", self.duration().as_secs_f64())
    }
}

/// These triggers make claims slow, so that a claim is nearly always under way. A lock of the table
/// is then granted when the claim is committed, and the next statement of the leader, which marks
/// the launch, has to wait for the lock.
const SLOW_CLAIMS: &str = "
create function slow_claim() returns trigger language plpgsql as $$
begin
  perform pg_sleep(0.004);
  return new;
end $$;
create trigger slow_claim before update on async.task for each row
  when (old.consumed is null and new.consumed is not null) execute procedure slow_claim();";

async fn a_table_that_is_locked_for_a_twentieth_of_a_second_delays_little<E: Engine>() {
    judge_lock::<E>(Lock::Brief).await;
}

async fn a_table_that_is_locked_for_half_a_second_costs_half_a_second<E: Engine>() {
    judge_lock::<E>(Lock::Half).await;
}

async fn a_table_that_is_locked_for_five_seconds_costs_five_seconds<E: Engine>() {
    judge_lock::<E>(Lock::Long).await;
}

async fn a_column_may_be_added_under_load<E: Engine>() {
    judge_lock::<E>(Lock::AddColumn).await;
}

async fn judge_lock<E: Engine>(lock: Lock) {
    let fixture = HoldsFixture::<E>::open(SLOW_CLAIMS).await;
    let faults = faults_of(&fixture, lock).await;
    let words: Vec<_> = faults.iter().map(ToString::to_string).collect();
    eprintln!("{} {lock:?}: {words:?}", E::NAME);
    assert!(
        faults.is_empty(),
        "{lock:?}
{}
{}",
        words.join(
            "
"
        ),
        fixture.database.dump().await
    );
}

async fn faults_of<E: Engine>(fixture: &HoldsFixture<E>, lock: Lock) -> Vec<Fault> {
    let mut faults = Vec::new();
    let before = fixture.steady_completions().await;
    let client = fixture.database.connect().await;
    let begin = fixture.clock().await;
    for time in 0..lock.times() {
        client.batch_execute(&lock.sql(time)).await.expect("the owner may lock a table");
        // The tasks continue at the latest after the duration of the lock, because the backoff
        // doubles.
        let count = fixture.database.number("select count(*) from async.task where processed is not null").await;
        let goes_on = format!("select count(*) > {count} from async.task where processed is not null");
        let begin = Instant::now();
        if !fixture.comes_true(&goes_on, lock.duration() + LATE_MAX).await {
            faults.push(Fault::Slow(format!("nothing was recorded for {:.1?} after the lock", begin.elapsed())));
        }
        if let Some(lead) = fixture.lost_lead().await {
            faults.push(Fault::LostLead(lead));
            return faults;
        }
        sleep(4 * lock.duration().min(Duration::from_millis(100))).await;
    }
    let during = fixture.completions_between(&begin, WINDOW).await;
    let mut after = fixture.completions().await;
    if is_slow(after, before) {
        // The machine may have been slower for a moment, so the rate is measured again.
        after = after.max(fixture.completions().await);
    }
    if is_slow(after, before) || lock == Lock::Brief && is_slow(during, before.min(after)) {
        faults.push(Fault::Slow(format!("{during} in {WINDOW:?}, {before} before and {after} after")));
    }
    if let Some(lead) = fixture.lost_lead().await {
        faults.push(Fault::LostLead(lead));
    }
    faults.extend(damage(fixture).await);
    faults
}

on_both_engines!(
    a_table_that_is_locked_for_a_twentieth_of_a_second_delays_little,
    a_table_that_is_locked_for_half_a_second_costs_half_a_second,
    a_table_that_is_locked_for_five_seconds_costs_five_seconds,
    a_column_may_be_added_under_load,
);
