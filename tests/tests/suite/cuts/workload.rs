//! A small workload of every kind of task, the entries of each in the ledger, and the client that
//! handles it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgasync_pg::Session;
use pgasync_tests::Target;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::outcome::LATE;
use pgasync_pg::Error;

/// Pools with their limits; each task belongs to one of them. A target's pool has its name.
pub(super) const POOLS: [(&str, u32); 7] =
    [("left", 3), ("right", 2), ("calls_back", 2), ("pulled", 2), ("one", 1), ("quick", 2), ("async.self", 2)];

pub(super) const WORKERS: u32 = 6;

/// The timeout of the tasks that time out.
pub(super) const SHORT_TIMEOUT: Duration = Duration::from_millis(700);

/// The duration of a deferral.
const DEFERRED_BY: &str = "0.2 s";

/// The kind of a task, stored in its `task_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TaskKind {
    /// Commits one short statement. Its mark exists if the statement has committed. Such tasks are
    /// claimed and marked ahead.
    Quick,
    /// Commits a start mark, takes 0.2 s, commits an end mark.
    Run,
    /// As `Run`, in a pool of one.
    One,
    /// Commits a start mark and fails.
    Fail,
    /// The client cancels it while it runs or waits.
    Cancel,
    /// Takes longer than its timeout.
    Timeout,
    /// Defers itself when it runs for the first time.
    Defer,
    /// The client finishes it after its query.
    Yield,
    /// Has no query: the client takes and finishes it.
    Pull,
}

impl TaskKind {
    const ALL: [Self; 9] = [
        Self::Quick,
        Self::Run,
        Self::One,
        Self::Fail,
        Self::Cancel,
        Self::Timeout,
        Self::Defer,
        Self::Yield,
        Self::Pull,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Run => "run",
            Self::One => "one",
            Self::Fail => "fail",
            Self::Cancel => "cancel",
            Self::Timeout => "timeout",
            Self::Defer => "defer",
            Self::Yield => "yield",
            Self::Pull => "pull",
        }
    }

    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or_else(|| panic!("no kind of task: {name}"))
    }

    /// The number of its starts without a fault.
    pub(super) fn starts(self) -> usize {
        if self == Self::Defer { 2 } else { 1 }
    }
}

/// A target database for all cases of a test: its ledger distinguishes the cases by their flows.
pub(super) async fn prepare(target: &Target) {
    target.session().batch_execute(PROCEDURES).await.expect("a target takes procedures");
}

/// `together` counts the queries that run both at the beginning and at the end of a short time, so
/// they ran at the same time. A limit can be exceeded only by a start, so a count at each start
/// finds each excess.
const PROCEDURES: &str = "
    create table marks (
      flow text not null, mark text not null, task_id bigint not null, pool text, in_pool int, in_all int,
      at timestamptz not null default clock_timestamp());
    create function together(part text) returns int language plpgsql as $$
    declare
      before text[];
    begin
      before := array(
        select concat(a.pid, ' ', a.query_start) from pg_stat_activity a
        where a.state = 'active' and strpos(a.query, part) > 0);
      perform pg_stat_clear_snapshot();
      return (
        select count(*) from pg_stat_activity a
        where a.state = 'active' and strpos(a.query, part) > 0 and concat(a.pid, ' ', a.query_start) = any (before));
    end $$;
    create procedure run(flow text, task_id bigint, seconds float8, pool text) language plpgsql as $$
    begin
      insert into marks values (flow, 'start', task_id, pool, together('pool:' || pool || '.' || flow || ';'),
        together('flow:' || flow || ';'));
      commit;
      perform pg_sleep(seconds);
      insert into marks values (flow, 'end', task_id);
      commit;
    end $$;
    create procedure run_and_fail(flow text, task_id bigint, pool text) language plpgsql as $$
    begin
      insert into marks values (flow, 'start', task_id, pool, together('pool:' || pool || '.' || flow || ';'));
      commit;
      raise exception 'failed as it should';
    end $$;";

/// A batch with each kind of task in it.
const ALL_KINDS: [(TaskKind, usize); 9] = [
    (TaskKind::Quick, 10),
    (TaskKind::Run, 4),
    (TaskKind::One, 2),
    (TaskKind::Fail, 1),
    (TaskKind::Cancel, 1),
    (TaskKind::Timeout, 1),
    (TaskKind::Defer, 1),
    (TaskKind::Yield, 1),
    (TaskKind::Pull, 2),
];

/// The workload of one case. `flow` is in every text and mark.
pub(super) struct Client {
    pub(super) session: Session,
    flow: String,
    /// The number of times that `get_tasks` returned a task.
    pub(super) pulled: BTreeMap<i64, u32>,
    pub(super) pushed: Vec<i64>,
}

impl Client {
    pub(super) fn new(session: Session, flow: &str) -> Self {
        Self { session, flow: flow.to_owned(), pulled: BTreeMap::new(), pushed: Vec::new() }
    }

    /// The statements that a server database needs.
    pub(super) async fn prepare(&self) {
        self.session.batch_execute("create table visits (task_id bigint)").await.expect("a database takes a table");
    }

    /// Pushes one batch with each kind of task in it.
    pub(super) async fn push(&mut self) -> Result<(), Error> {
        self.push_kinds(&ALL_KINDS).await
    }

    /// Pushes a batch of tasks that end soon.
    pub(super) async fn push_few(&mut self) -> Result<(), Error> {
        self.push_kinds(&[(TaskKind::Quick, 3), (TaskKind::Run, 1), (TaskKind::Pull, 1)]).await
    }

    async fn push_kinds(&mut self, kinds: &[(TaskKind, usize)]) -> Result<(), Error> {
        let tasks: Vec<_> = kinds
            .iter()
            .flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count))
            .enumerate()
            .map(|(place, kind)| self.task(kind, place))
            .collect();
        let sql = "select t.task_id from async.push_tasks((
            select array_agg(async.task(p->>'query', p->>'target', jsonb_build_object('kind', p->>'kind'), 0, p->>'pool',
              (p->>'timeout')::interval)) from jsonb_array_elements($1) p)) t";
        let rows = self.session.query(sql, &[&Value::from(tasks)]).await?;
        self.pushed.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        Ok(())
    }

    fn task(&self, kind: TaskKind, place: usize) -> Value {
        let side = if place.is_multiple_of(2) { "left" } else { "right" };
        let (target, pool) = match kind {
            TaskKind::Quick => ("left", Some("quick")),
            TaskKind::One => (side, Some("one")),
            TaskKind::Run | TaskKind::Fail | TaskKind::Cancel | TaskKind::Timeout => (side, None),
            TaskKind::Defer => ("async.self", None),
            TaskKind::Yield => ("calls_back", None),
            TaskKind::Pull => ("pulled", None),
        };
        let counted = pool.unwrap_or(target);
        let flow = &self.flow;
        let query = match kind {
            TaskKind::Quick | TaskKind::Yield => Some(format!(
                "insert into marks select '{flow}', 'effect', ##flow.TASK_ID##, '{counted}',
                   together('pool:{counted}.{flow};')"
            )),
            TaskKind::Run | TaskKind::One => Some(format!("call run('{flow}', ##flow.TASK_ID##, 0.2, '{counted}')")),
            TaskKind::Cancel | TaskKind::Timeout => {
                Some(format!("call run('{flow}', ##flow.TASK_ID##, 30, '{counted}')"))
            }
            TaskKind::Fail => Some(format!("call run_and_fail('{flow}', ##flow.TASK_ID##, '{counted}')")),
            TaskKind::Defer => Some(format!(
                "do $d$ begin
                   insert into visits values (##flow.TASK_ID##);
                   if (select count(*) from visits v where v.task_id = ##flow.TASK_ID##) = 1 then
                     perform async.defer(array[##flow.TASK_ID##], '{DEFERRED_BY}');
                   end if;
                 end $d$"
            )),
            TaskKind::Pull => None,
        };
        let kind_name = kind.name();
        let query = query.map(|text| format!("{text} /* cut:{kind_name} flow:{flow}; pool:{counted}.{flow}; */"));
        let timeout = (kind == TaskKind::Timeout).then(|| format!("{} ms", SHORT_TIMEOUT.as_millis()));
        json!({ "query": query, "target": target, "kind": kind_name, "pool": pool, "timeout": timeout })
    }

    /// Cancels, finishes and pulls. Returns the number of unfinished tasks.
    pub(super) async fn take_step(&mut self) -> Result<i64, Error> {
        // Tasks that were just pushed may run for a while.
        let cancel = "select async.cancel(array_agg(t.task_id)) from async.task t
            where t.task_data->>'kind' = 'cancel' and t.processed is null and t.entered < clock_timestamp() - interval '0.5 s'
              and not exists (select from async.request r where r.task_id = t.task_id)
            having count(*) > 0";
        self.session.execute(cancel, &[]).await?;
        let finish = "select async.finish(array_agg(t.task_id), 'FINISHED', null) from async.task t
            where t.task_data->>'kind' in ('yield', 'pull') and t.processed is null
              and (t.yielded is not null or t.query is null and t.consumed is not null)
              and not exists (select from async.request r where r.task_id = t.task_id)
            having count(*) > 0";
        self.session.execute(finish, &[]).await?;
        for row in self.session.query("select task_id from async.get_tasks('pulled', 2, '1 ms')", &[]).await? {
            *self.pulled.entry(row.get(0)).or_default() += 1;
        }
        let open = "select count(*) from async.task where processed is null";
        Ok(self.session.query_one(open, &[]).await?.get(0))
    }
}

/// Published counts and requests are up to date after this time.
const SETTLED_WITHIN: Duration = Duration::from_secs(8);

const LEFTOVERS: [(&str, &str); 4] = [
    ("a pool is occupied", "select p::text from async.concurrency_pool_tracker p where p.workers <> 0"),
    ("a worker is busy", "select w::text from async.worker w where w.task_id is not null"),
    ("a request is left", "select r::text from async.request r"),
    ("an offer is left", "select o::text from async.offer o"),
];

impl Client {
    /// The leftovers after all tasks are finished, and after the time that their removal may take.
    pub(super) async fn leftovers(&self) -> Vec<String> {
        let begin = Instant::now();
        loop {
            let mut left = Vec::new();
            for (what, sql) in LEFTOVERS {
                let rows = self.session.query(sql, &[]).await.expect("the server is up");
                left.extend(rows.iter().map(|row| format!("{LATE}{what}: {}", row.get::<_, &str>(0))));
            }
            if left.is_empty() || begin.elapsed() > SETTLED_WITHIN {
                return left;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}
