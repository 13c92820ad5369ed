//! The worker of the store: outcomes, cancels, deadlines, lost sessions, and how it ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgasync_core::{FinishStatus, RowState, Span, TargetName, TaskId};
use pgasync_pg::ConnectionSettings;
use pgasync_store::{
    Batch, Client, NewTask, TakeError, TakenTask, TaskFilter, WorkOutcome, Worker, WorkerError, push_json_in,
};
use pgasync_tests::{Database, Engine, RustEngine};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

fn pulled() -> TargetName {
    TargetName::new("pulled").expect("a name")
}

fn client(settings: ConnectionSettings) -> Client {
    Client::with_sessions(settings.with_application_name("store worker"), 4, Duration::from_secs(20))
}

/// A server with an orchestrator, and a worker of the target `pulled`. The data of a task says what the
/// work on it comes to.
struct Site {
    database: Database,
    engine: RustEngine,
    client: Client,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    worker: Option<JoinHandle<Result<(), TakeError>>>,
}

/// What the worker has done.
#[derive(Default)]
struct Seen {
    begun: Mutex<Vec<TaskId>>,
    done: Mutex<Vec<TaskId>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    errors: Mutex<Vec<String>>,
}

/// Counts the work that goes on, also when it is dropped.
struct Going(Arc<Seen>);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn handle(seen: Arc<Seen>, taken: TakenTask) -> WorkOutcome {
    let going = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_at_once.fetch_max(going, Ordering::SeqCst);
    let _going = Going(Arc::clone(&seen));
    let is_first = !seen.begun.lock().expect("not poisoned").contains(&taken.task);
    seen.begun.lock().expect("not poisoned").push(taken.task);
    let data = taken.data.unwrap_or_default();
    sleep(Duration::from_millis(data["millis"].as_u64().unwrap_or(0))).await;
    let outcome = match data["outcome"].as_str() {
        Some("failed") => WorkOutcome::Failed("no such address".to_owned()),
        Some("deferred") if is_first => WorkOutcome::Deferred(Span::millis(100)),
        _ => WorkOutcome::Finished,
    };
    seen.done.lock().expect("not poisoned").push(taken.task);
    outcome
}

impl Site {
    async fn with(tasks_max: usize) -> Self {
        let database = Database::create().await;
        database
            .configure(&json!({ "control": { "idle_sleep": 0.1 },
                "targets": [{ "target": "pulled", "asynchronous_finish": true, "max_workers": 8 }] }))
            .await;
        let mut engine = RustEngine::attach(&database);
        engine.lead().await;
        let (client, seen) = (client(database.settings()), Arc::new(Seen::default()));
        let (stop, stopped) = oneshot::channel();
        let worker = tokio::spawn({
            let (client, seen, errors) = (client.clone(), Arc::clone(&seen), Arc::clone(&seen));
            let worker = Worker::new(client, pulled())
                .tasks_max(tasks_max)
                .heartbeat(Duration::from_millis(50))
                .patience(Span::millis(200))
                .on_error(move |error| errors.errors.lock().expect("not poisoned").push(error.to_string()));
            async move { worker.run(|taken| handle(Arc::clone(&seen), taken), async { drop(stopped.await) }).await }
        });
        Self { database, engine, client, seen, stop: Some(stop), worker: Some(worker) }
    }

    async fn push(&self, data: &[Value], timeout: Span) -> Vec<TaskId> {
        let tasks = data.iter().map(|data| NewTask::pulled(pulled()).data(data.clone()).timeout(timeout));
        self.client.push(&Batch::of(tasks)).await.expect("it pushes")
    }

    fn has_begun(&self, task: TaskId) -> bool {
        self.seen.begun.lock().expect("not poisoned").contains(&task)
    }

    fn is_done(&self, task: TaskId) -> bool {
        self.seen.done.lock().expect("not poisoned").contains(&task)
    }

    async fn ended(&self, task: TaskId, condition: &str) {
        let sql = format!("select processed is not null and {condition} from async.task where task_id = {}", task.0);
        self.database.wait_for(&sql).await;
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        for _ in 0..3_000 {
            if what(self) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("that did not come true");
    }

    async fn stop(&mut self) -> Result<(), TakeError> {
        drop(self.stop.take());
        self.worker.take().expect("it runs").await.expect("no panic")
    }
}

const LONG: Span = Span::seconds(60);

#[tokio::test]
async fn a_worker_reports_what_the_work_came_to() {
    let mut site = Site::with(3).await;
    let data = [json!({}), json!({ "outcome": "failed" }), json!({ "outcome": "deferred" })];
    let tasks = site.push(&data, LONG).await;
    site.ended(tasks[0], "finish_status = 'FINISHED'").await;
    site.ended(tasks[1], "finish_status = 'FAILED' and processing_error = 'no such address'").await;
    site.ended(tasks[2], "finish_status = 'FINISHED'").await;
    assert_eq!(site.seen.begun.lock().expect("not poisoned").iter().filter(|task| **task == tasks[2]).count(), 2);
    site.stop().await.expect("it ends");
    assert_eq!(*site.seen.errors.lock().expect("not poisoned"), Vec::<String>::new());
    site.engine.stop().await;
}

#[tokio::test]
async fn a_worker_has_as_many_tasks_as_it_may_and_ends_after_them() {
    let mut site = Site::with(2).await;
    let tasks = site.push(&vec![json!({ "millis": 300 }); 40], LONG).await;
    site.until(|site| site.seen.at_once.load(Ordering::SeqCst) == 2).await;
    site.until(|site| site.seen.done.lock().expect("not poisoned").len() >= 2).await;
    site.until(|site| site.seen.at_once.load(Ordering::SeqCst) == 2).await;
    site.stop().await.expect("it ends");
    // What it had taken is reported, and the rest is left to others.
    let begun = site.seen.begun.lock().expect("not poisoned").clone();
    for task in &begun {
        site.ended(*task, "finish_status = 'FINISHED'").await;
    }
    assert_eq!(site.seen.most_at_once.load(Ordering::SeqCst), 2);
    assert!(begun.len() < tasks.len(), "it went on after it was stopped");
    site.engine.stop().await;
}

#[tokio::test]
async fn work_that_is_not_wanted_any_more_is_dropped() {
    let mut site = Site::with(2).await;
    let long = json!({ "millis": 60_000 });
    let canceled = site.push(std::slice::from_ref(&long), LONG).await[0];
    let overdue = site.push(&[long], Span::seconds(1)).await[0];
    site.until(|site| site.has_begun(canceled) && site.has_begun(overdue)).await;
    site.client.cancel(&[canceled], Some("enough")).await.expect("it asks");
    site.ended(canceled, "finish_status = 'CANCELED' and processing_error = 'enough'").await;
    site.ended(overdue, "finish_status = 'TIMED_OUT'").await;
    site.until(|site| site.seen.at_once.load(Ordering::SeqCst) == 0).await;
    // The worker is free for others.
    let next = site.push(&[json!({})], LONG).await[0];
    site.ended(next, "finish_status = 'FINISHED'").await;
    assert!(!site.is_done(canceled) && !site.is_done(overdue));
    site.stop().await.expect("it ends");
    site.engine.stop().await;
}

#[tokio::test]
async fn tasks_are_taken_and_reported_after_sessions_were_lost() {
    // So that a call waits for a second task all the time.
    let mut site = Site::with(2).await;
    let task = site.push(&[json!({ "millis": 700 })], LONG).await[0];
    site.until(|site| site.has_begun(task)).await;
    let ended = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'store worker'
        and datname = current_database()";
    while !site.is_done(task) {
        site.database.run(ended).await;
        sleep(Duration::from_millis(5)).await;
    }
    site.ended(task, "finish_status = 'FINISHED'").await;
    let next = site.push(&[json!({})], LONG).await[0];
    site.ended(next, "finish_status = 'FINISHED'").await;
    assert!(!site.seen.errors.lock().expect("not poisoned").is_empty(), "no call failed");
    site.stop().await.expect("it ends");
    site.engine.stop().await;
}

#[tokio::test]
async fn a_worker_that_may_take_nothing_ends_with_the_reason() {
    let database = Database::create().await;
    let worker = Worker::new(client(database.settings()), TargetName::new("unknown").expect("a name"));
    let ended = worker.run(|_| async { WorkOutcome::Finished }, std::future::pending()).await;
    assert!(matches!(ended, Err(TakeError::NotPullable(_))), "{ended:?}");
    let named = WorkerError::Take(ended.expect_err("it ended"));
    assert!(named.to_string().contains("unknown"), "{named}");
}

#[tokio::test]
async fn tasks_are_found_by_a_filter() {
    let site = Site::with(1).await;
    let tasks = site.push(&[json!({ "outcome": "failed" }), json!({})], LONG).await;
    site.ended(tasks[1], "true").await;
    let failed = TaskFilter { failed: Some(true), targets: vec!["pulled".to_owned()], ..TaskFilter::default() };
    let found = site.client.find(&failed, None, 10).await.expect("it reads");
    assert_eq!(found.iter().map(|task| task.task).collect::<Vec<_>>(), tasks[..1]);
    assert_eq!((found[0].phase, found[0].error.as_deref()), (RowState::Finished, Some("no such address")));
    let finished = TaskFilter { statuses: vec![FinishStatus::Finished], ..TaskFilter::default() };
    assert_eq!(site.client.find_ids(&finished, 10).await.expect("it reads"), [(tasks[1], RowState::Finished)]);
}

#[tokio::test]
async fn a_push_can_be_part_of_a_transaction_of_tokio_postgres() {
    let database = Database::create().await;
    let (mut session, connection) =
        tokio_postgres::connect(&database.conninfo(), tokio_postgres::NoTls).await.expect("it connects");
    tokio::spawn(connection);
    let batch = Batch::of([NewTask::query("select 0", TargetName::new("SELF").expect("a name"))]);
    let options = json!([{ "query": "select 1", "target": "SELF", "unique_key": "one" }]);
    for (commits, tasks) in [(false, 0), (true, 2)] {
        let transaction = session.transaction().await.expect("it begins");
        batch.push_in(&transaction).await.expect("it pushes");
        let pushed = push_json_in(&transaction, &options).await.expect("it pushes");
        assert!(pushed[0].task.is_some() && !pushed[0].duplicate);
        if commits { transaction.commit().await } else { transaction.rollback().await }.expect("it ends");
        assert_eq!(database.number("select count(*) from async.task").await, tasks);
    }
    // An error has the same type as elsewhere.
    let refused = push_json_in(&session, &json!([{ "query": "select 1", "target": "nowhere" }])).await;
    assert!(matches!(refused, Err(pgasync_store::PushError::UnknownTarget(_))), "{refused:?}");
}
