//! The tasks that run while servers are killed, and their entries in the ledgers of the targets.

use std::fmt::Write;

use pgasync_tests::Target;

use super::seed::Seed;

/// Pools with their limits. `left` and `right` are targets, `shared` spans both, and the tasks of
/// `quick` are so short that they are claimed and marked ahead.
pub(super) const POOLS: [(&str, u32); 4] = [("left", 28), ("right", 28), ("shared", 16), ("quick", 6)];

/// More pools of the mixed load. `yielding` is a target whose tasks the client finishes. The tasks of
/// `pulled` have no query: the client takes and finishes them. `deferring` has the tasks that defer
/// themselves, on the server.
pub(super) const MIXED_POOLS: [(&str, u32); 3] = [("yielding", 8), ("pulled", 6), ("deferring", 3)];

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
    /// As `Effect`, and then the client finishes it.
    Yield,
    /// Has no query: the client takes and finishes it.
    Pull,
    /// Defers itself when it runs for the first time.
    Defer,
}

/// What the client pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// The percentage of tasks that take some seconds.
    pub(super) long_percent: u64,
    /// Whether there are tasks of [`MIXED_POOLS`].
    pub(super) is_mixed: bool,
}

impl TaskKind {
    fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Fail => "fail",
            Self::Effect => "effect",
            Self::Yield => "yield",
            Self::Pull => "pull",
            Self::Defer => "defer",
        }
    }

    /// The number of its launches without a fault.
    pub(super) fn launches(self) -> usize {
        if self == Self::Defer { 2 } else { 1 }
    }

    pub(super) fn named(name: &str) -> Self {
        match name {
            "run" => Self::Run,
            "fail" => Self::Fail,
            "effect" => Self::Effect,
            "yield" => Self::Yield,
            "pull" => Self::Pull,
            "defer" => Self::Defer,
            _ => panic!("no kind of task: {name}"),
        }
    }

    /// The query. The observer counts by the `pool:NAME` in it.
    fn query(self, pool: &str, seconds: f64) -> String {
        match self {
            Self::Run => format!("call run(##flow.TASK_ID##, {seconds}, 'pool:{pool}')"),
            Self::Fail => format!("call run_and_fail(##flow.TASK_ID##, {seconds}, 'pool:{pool}')"),
            Self::Effect | Self::Yield => format!(
                "insert into ledger (mark) \
                 select 'effect ##flow.TASK_ID##' from pg_sleep({seconds}) where 'pool:{pool}' <> ''"
            ),
            Self::Defer => "do $d$ begin
                 insert into visits values (##flow.TASK_ID##);
                 if (select count(*) from visits v where v.task_id = ##flow.TASK_ID##) = 1 then
                   perform async.defer(array[##flow.TASK_ID##], '0.2 s');
                 end if;
               end $d$"
                .to_owned(),
            Self::Pull => String::new(),
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
/// `push` is the number of the statement, which its tasks contain.
pub(super) fn push(seed: &mut Seed, push: u32, count: u32, long_percent: u64) -> String {
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
            "{comma}async.task({}, '{target}', '{{\"kind\": \"{}\", \"push\": {push}}}', {}, {})",
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
pub(super) fn push_quick(push: u32, count: u32) -> String {
    let query = quoted("select run_quickly(##flow.TASK_ID##, 'pool:quick')");
    format!(
        "select t.task_id from async.push_tasks((select array_agg(async.task({query}, 'left',
             '{{\"kind\": \"effect\", \"push\": {push}}}', 0, 'quick')) from generate_series(1, {count}))) t"
    )
}

/// A statement that pushes `count` tasks to each of [`MIXED_POOLS`].
pub(super) fn push_mixed(push: u32, count: u32) -> String {
    let task = |kind: TaskKind, target: &str, pool: &str| {
        let query = match kind {
            TaskKind::Pull => "null".to_owned(),
            _ => quoted(&kind.query(pool, 0.1)),
        };
        let name = kind.name();
        format!("async.task({query}, '{target}', '{{\"kind\": \"{name}\", \"push\": {push}}}', 0, '{pool}')")
    };
    format!(
        "select t.task_id from async.push_tasks((select array_agg(made) from generate_series(1, {count}),
           unnest(array[{}, {}, {}]) made)) t",
        task(TaskKind::Yield, "yielding", "yielding"),
        task(TaskKind::Pull, "pulled", "pulled"),
        task(TaskKind::Defer, "async.self", "deferring"),
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
