//! The upgrade of each released schema while its own engine leads, and while clients push, cancel, pull and
//! finish without a pause.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgasync_pg::Session;
use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Cluster, Database, Engine, Outcome, RustEngine, SqlEngine, Target};
use serde_json::json;
use tokio::task::JoinHandle;

use super::released::released;

/// How many queries run at a time, which is how many outcomes a lost engine may leave unknown.
const SLOTS: i64 = 8;

/// An error that a client may see once: a function that it called was replaced meanwhile. The call has changed
/// nothing, and can be repeated (docs/operating.md).
const WHILE_REPLACED: &str = "42883";

/// The ids of the tasks whose push was confirmed, and the errors of clients.
#[derive(Default)]
struct Log {
    pushed: Mutex<Vec<i64>>,
    errors: Mutex<BTreeMap<String, usize>>,
    /// No client pushes or cancels any more.
    is_full: AtomicBool,
    ending: AtomicBool,
    next_mark: AtomicI64,
}

impl Log {
    /// Runs a statement of a client that returns ids, and notes its error.
    async fn ids(&self, session: &Session, sql: &str) -> Vec<i64> {
        match session.query(sql, &[]).await {
            Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
            Err(error) => {
                let code = error.sqlstate().unwrap_or("none").to_owned();
                let text = if code == WHILE_REPLACED { code } else { format!("{code} {error} in {sql}") };
                *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(text).or_default() += 1;
                Vec::new()
            }
        }
    }

    fn is_open(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }
}

/// Pushes tasks of three kinds: short ones, ones that take a while, and ones for clients.
async fn push(log: Arc<Log>, session: Session) {
    while log.is_open() {
        let mark = log.next_mark.fetch_add(1, Ordering::Relaxed);
        let task = match mark % 8 {
            0 => "null, 'hands'".to_owned(),
            1 => format!("'insert into ledger (mark) select ''{mark}'' from pg_sleep(0.3)', 'there'"),
            _ => format!("'insert into ledger (mark) values (''{mark}'')', 'there'"),
        };
        let sql = format!("select async.push_task(async.task({task}, task_data => '{{\"mark\": {mark}}}'))");
        let ids = log.ids(&session, &sql).await;
        log.pushed.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
    }
}

/// Cancels every tenth task.
async fn cancel(log: Arc<Log>, session: Session) {
    while log.is_open() {
        let sql = "select 1::bigint from (
              select coalesce(array_agg(t.task_id), '{}') as ids from async.task t
              where t.processed is null and t.task_id % 10 = 0) f, async.cancel(f.ids)";
        log.ids(&session, sql).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Takes tasks of the target `hands`, and finishes them, until the end.
async fn work(log: Arc<Log>, session: Session) {
    while !log.ending.load(Ordering::Relaxed) {
        let taken = log.ids(&session, "select task_id from async.get_tasks('hands', 5, '0.2 seconds')").await;
        let finish = format!("select 1::bigint from async.finish(array{taken:?}::bigint[], 'FINISHED', null)");
        while !taken.is_empty() && log.ids(&session, &finish).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

struct Clients {
    log: Arc<Log>,
    pushing: Vec<JoinHandle<()>>,
    working: JoinHandle<()>,
}

impl Clients {
    async fn start(database: &Database) -> Self {
        let log = Arc::<Log>::default();
        let mut pushing = vec![tokio::spawn(cancel(Arc::clone(&log), database.connect().await))];
        for _ in 0..3 {
            pushing.push(tokio::spawn(push(Arc::clone(&log), database.connect().await)));
        }
        let working = tokio::spawn(work(Arc::clone(&log), database.connect().await));
        Self { log, pushing, working }
    }

    fn pushed(&self) -> Vec<i64> {
        self.log.pushed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this number of further pushes was confirmed.
    async fn push_more(&self, count: usize) {
        let goal = self.pushed().len() + count;
        let enough = async {
            while self.pushed().len() < goal {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let pushed = tokio::time::timeout(pgasync_tests::PATIENCE, enough).await;
        assert!(pushed.is_ok(), "pushes wait: {:?}", self.log.errors);
    }

    async fn stop_pushing(&mut self) {
        self.log.is_full.store(true, Ordering::Relaxed);
        for client in self.pushing.drain(..) {
            client.await.expect("no client panics");
        }
    }

    async fn end(self) -> Vec<i64> {
        self.log.ending.store(true, Ordering::Relaxed);
        self.working.await.expect("no client panics");
        let errors = self.log.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let undocumented: Vec<_> = errors.keys().filter(|error| *error != WHILE_REPLACED).collect();
        assert!(undocumented.is_empty(), "{undocumented:#?}");
        let pushed = self.log.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("{} tasks pushed; errors of clients: {errors:?}", pushed.len());
        pushed.clone()
    }
}

/// Runs the installation as the documents say: again, when transactions of clients delay it.
async fn upgrade(database: &Database) {
    let session = database.connect().await;
    let mut attempts = 1;
    while let Err(error) = install(&session, SchemaPart::All).await {
        assert!(error.to_string().contains("Run it again"), "{error}");
        attempts += 1;
        assert!(attempts < 20, "{error}");
    }
    eprintln!("installed at attempt {attempts}");
}

/// Each task ended once, and had at most one effect.
async fn judge(database: &Database, target: &Target, mut pushed: Vec<i64>, unknown_max: i64) {
    pushed.sort_unstable();
    let ids = database.rows("select task_id from async.task order by task_id", &[]).await;
    let ids: Vec<i64> = ids.iter().map(|row| row.get(0)).collect();
    assert!(
        ids == pushed,
        "tasks that no client pushed, or that are lost: {} rows, {} pushed",
        ids.len(),
        pushed.len()
    );
    assert_eq!(target.repeated_marks().await, Vec::<String>::new(), "tasks ran twice");

    let marks = target.session().query("select mark from ledger", &[]).await.expect("a ledger");
    let marks: Vec<String> = marks.iter().map(|row| row.get(0)).collect();
    let ends = database
        .rows(
            "select t.task_data ->> 'mark' as mark, t.finish_status::text as status,
               coalesce(t.processing_error, '') as error, t.query is not null as ran
             from async.task t",
            &[],
        )
        .await;
    let mut unknown = 0;
    let mut statuses = BTreeMap::<String, usize>::new();
    let marks: std::collections::HashSet<String> = marks.into_iter().collect();
    for end in &ends {
        let (mark, status, error): (String, String, String) = (end.get("mark"), end.get("status"), end.get("error"));
        let has_effect = marks.contains(&mark);
        *statuses.entry(status.clone()).or_default() += 1;
        match status.as_str() {
            "FINISHED" if end.get("ran") => assert!(has_effect, "task {mark} is FINISHED without an effect"),
            "FINISHED" => {}
            "CANCELED" if error.contains("unknown") => unknown += 1,
            "CANCELED" => assert!(!has_effect, "task {mark} is CANCELED, and has an effect"),
            "FAILED" if error.contains("unknown") => unknown += 1,
            _ => panic!("task {mark} is {status}: {error}"),
        }
    }
    eprintln!("{statuses:?}, {unknown} unknown");
    assert!(unknown <= unknown_max, "{unknown} outcomes are unknown, {unknown_max} at most");
}

async fn configure(database: &Database, target: &Target) {
    database
        .configure(&json!({
            "control": { "idle_sleep": 0.1 },
            "targets": [
                { "target": "there", "connection_string": target.conninfo(), "max_workers": SLOTS },
                { "target": "hands", "asynchronous_finish": true, "max_workers": SLOTS },
            ]
        }))
        .await;
}

/// Releases before 0032 end with an error if a lock of the installation on `async.task` lasts longer than a statement
/// of theirs waits (docs/operating.md). Then the outcomes of what they ran are unknown.
async fn no_task_is_lost_or_runs_twice(release: &str, unknown_max: i64) {
    let target = Target::create_on(&Cluster::shared()).await;
    let database = Database::create().await;
    database.run("drop schema async cascade").await;
    database.run(&released(release)).await;
    configure(&database, &target).await;
    let mut old = SqlEngine::attach(&database);
    old.lead().await;
    let mut clients = Clients::start(&database).await;
    clients.push_more(300).await;
    database.wait_for("select count(*) > 100 from async.task where finish_status = 'FINISHED'").await;

    upgrade(&database).await;
    clients.push_more(100).await;
    let ended = old.wait_until_ended().await;
    eprintln!("the engine of the release: {ended:?}");
    let mut sql = SqlEngine::attach(&database);
    sql.lead().await;
    clients.push_more(300).await;
    let mut rust = RustEngine::attach(&database);
    rust.start_forced().await;
    rust.wait_until_leading().await;
    assert_eq!(sql.wait_until_ended().await, Outcome::Returned);
    clients.push_more(100).await;
    clients.stop_pushing().await;
    database.wait_until_finished().await;
    let pushed = clients.end().await;
    rust.stop().await;
    judge(&database, &target, pushed, unknown_max).await;
}

macro_rules! releases {
    ($($name:ident: $release:literal, $unknown_max:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            no_task_is_lost_or_runs_twice($release, $unknown_max).await;
        }
    )*};
}

releases! {
    release_0002_loses_no_task: "0002", SLOTS;
    release_0008_loses_no_task: "0008", SLOTS;
    release_0017_loses_no_task: "0017", SLOTS;
    release_0027_loses_no_task: "0027", SLOTS;
    release_0032_loses_no_task: "0032", 0;
}

const EPOCH: &str = "select epoch from async.leader";

/// Installations that keep every table of the schema locked for longer than a statement of a leader waits.
#[tokio::test]
async fn a_leader_of_this_version_outlasts_installations() {
    let target = Target::create_on(&Cluster::shared()).await;
    let database = Database::create().await;
    configure(&database, &target).await;
    let mut sql = SqlEngine::attach(&database);
    sql.lead().await;
    let mut clients = Clients::start(&database).await;
    let epoch = database.number(EPOCH).await;
    for _ in 0..4 {
        clients.push_more(100).await;
        upgrade_slowly(&database).await;
    }
    sql.wait_until_leading().await;
    assert_eq!(database.number(EPOCH).await, epoch, "{:?}", sql.notices());
    let mut rust = RustEngine::attach(&database);
    rust.start_forced().await;
    rust.wait_until_leading().await;
    assert_eq!(sql.wait_until_ended().await, Outcome::Returned);
    let epoch = database.number(EPOCH).await;
    for _ in 0..4 {
        clients.push_more(100).await;
        upgrade_slowly(&database).await;
    }
    rust.wait_until_leading().await;
    assert_eq!(database.number(EPOCH).await, epoch, "{:?}", rust.lines());
    clients.stop_pushing().await;
    database.wait_until_finished().await;
    let pushed = clients.end().await;
    rust.stop().await;
    judge(&database, &target, pushed, 0).await;
}

/// Installs with a migration, and keeps its locks for a while.
async fn upgrade_slowly(database: &Database) {
    let session = database.connect().await;
    let slowly = format!(
        "begin; delete from async.migration where migration = '0030_tail'; {}; select pg_sleep(0.7); commit",
        pgasync_sql::all()
    );
    for _ in 0..20 {
        let Err(error) = session.batch_execute(&slowly).await else { return };
        assert_eq!(error.sqlstate(), Some("55P03"), "{error}");
        session.batch_execute("rollback").await.expect("the session lives");
    }
    panic!("no installation in twenty");
}
