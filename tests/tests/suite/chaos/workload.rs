//! The tasks that run while servers are killed, and their entries in the ledgers of the targets.

use std::fmt::Write;

use pgasync_tests::Target;

use super::seed::Seed;

/// Pools with their limits. `left` and `right` are targets, `shared` spans both, and the tasks of
/// `quick` are so short that they are claimed and marked ahead.
pub(super) const POOLS: [(&str, u32); 4] = [("left", 28), ("right", 28), ("shared", 16), ("quick", 6)];

/// Fewer than the pools together allow, so that both limits have an effect.
pub(super) const WORKERS: u32 = 60;

/// The least number of running tasks at a kill.
pub(super) const IN_FLIGHT_MIN: usize = 50;

/// The kind of a task, stored in its `task_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskKind {
    /// Commits a start mark, sleeps, and commits an end mark. The start mark remains for any
    /// outcome.
    Run,
    /// Commits a start mark, sleeps, and raises.
    Fail,
    /// Commits one plain statement. Its mark exists if the statement has committed.
    Effect,
}

impl TaskKind {
    fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Fail => "fail",
            Self::Effect => "effect",
        }
    }

    pub(super) fn named(name: &str) -> Self {
        match name {
            "run" => Self::Run,
            "fail" => Self::Fail,
            "effect" => Self::Effect,
            _ => panic!("no kind of task: {name}"),
        }
    }

    /// The query. The observer counts by the `pool:NAME` in it.
    fn query(self, pool: &str, seconds: f64) -> String {
        match self {
            Self::Run => format!("call run(##flow.TASK_ID##, {seconds}, 'pool:{pool}')"),
            Self::Fail => format!("call run_and_fail(##flow.TASK_ID##, {seconds}, 'pool:{pool}')"),
            Self::Effect => format!(
                "insert into ledger (mark) \
                 select 'effect ##flow.TASK_ID##' from pg_sleep({seconds}) where 'pool:{pool}' <> ''"
            ),
        }
    }
}

/// Installs the procedures that the tasks call at a target.
pub(super) async fn prepare(target: &Target) {
    target
        .session()
        .batch_execute(
            "create procedure run(task_id bigint, seconds float8, pool text) language plpgsql as $$
             begin
               insert into ledger (mark) values ('start ' || task_id);
               commit;
               perform pg_sleep(seconds);
               insert into ledger (mark) values ('end ' || task_id);
               commit;
             end $$;
             create procedure run_and_fail(task_id bigint, seconds float8, pool text) language plpgsql as $$
             begin
               insert into ledger (mark) values ('start ' || task_id);
               commit;
               perform pg_sleep(seconds);
               raise exception 'failed as it should';
             end $$;
             -- How many tasks ran at one instant, as one of them saw it: each holds a lock, and pg_locks is a snapshot.
             create table crowd (running int not null);
             create function run_quickly(task_id bigint, pool text) returns void language plpgsql as $$
             begin
               perform pg_advisory_xact_lock_shared(9, 1);
               perform pg_sleep(0.002);
               insert into crowd
               select count(*) from pg_locks l
               where l.locktype = 'advisory' and l.classid = 9 and l.granted
                 and l.database = (select d.oid from pg_database d where d.datname = current_database());
               insert into ledger (mark) values ('effect ' || task_id);
             end $$;",
        )
        .await
        .expect("a target takes procedures");
}

/// A statement that pushes some tasks, of which `long_percent` are long, and returns their ids.
pub(super) fn push(seed: &mut Seed, count: u32, long_percent: u64) -> String {
    let mut sql = String::from("select t.task_id from async.push_tasks(array[");
    for place in 0..count {
        let kind = *seed.pick(&[
            TaskKind::Run,
            TaskKind::Run,
            TaskKind::Run,
            TaskKind::Run,
            TaskKind::Run,
            TaskKind::Effect,
            TaskKind::Fail,
        ]);
        let target = *seed.pick(&["left", "right"]);
        let pool = if seed.chance(20) { "shared" } else { target };
        let longer = if seed.chance(long_percent) { 2000 } else { 0 };
        let seconds = f64::from(u32::try_from(300 + longer + seed.below(700)).expect("some seconds")) / 1000.0;
        let comma = if place == 0 { "" } else { ", " };
        let _ = write!(
            sql,
            "{comma}async.task({}, '{target}', '{{\"kind\": \"{}\"}}', {}, {})",
            quoted(&kind.query(pool, seconds)),
            kind.name(),
            seed.below(3),
            if pool == target { "null".to_owned() } else { quoted(pool) },
        );
    }
    sql + "]) t"
}

/// A statement that pushes tasks of a few milliseconds, which are too short for an
/// [`super::observer`]. Each task counts at its target how many of them run.
pub(super) fn push_quick(count: u32) -> String {
    let query = quoted("select run_quickly(##flow.TASK_ID##, 'pool:quick')");
    format!(
        "select t.task_id from async.push_tasks((select array_agg(async.task({query}, 'left',
             '{{\"kind\": \"effect\"}}', 0, 'quick')) from generate_series(1, {count}))) t"
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
