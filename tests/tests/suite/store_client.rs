//! The client of the store: many callers on few sessions, and typed errors.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgasync_core::{
    CatchUp, ControlEntry, Document, FinishStatus, Overlap, PoolEntry, PoolName, Priority, RowState, Run, Span,
    TargetEntry, TargetName, TaskId, Timestamp,
};
use pgasync_pg::ConnectionSettings;
use pgasync_store::{
    Batch, Client, ConfigureError, KeyUntil, LatchError, NewSchedule, NewTask, OnConflict, Push, PushError, ReadError,
    RequestError, RestartError, RunType, ScheduleError, SchemaPart, TakeError, TargetState, TaskResult, UniqueKey,
    WaitError, install,
};
use pgasync_tests::{Database, Engine, PATIENCE, PrivateCluster, RustEngine, Scratch, SqlEngine};
use serde_json::json;

const SESSIONS: u32 = 4;

fn client(settings: ConnectionSettings) -> Client {
    Client::with_sessions(settings.with_application_name("store client"), SESSIONS, Duration::from_secs(20))
}

fn own() -> TargetName {
    TargetName::new("SELF").expect("a name")
}

fn pulled() -> TargetName {
    TargetName::new("pulled").expect("a name")
}

async fn push_one(client: &Client, query: &str) -> TaskId {
    client.push(&Batch::of([NewTask::query(query, own())])).await.unwrap_or_else(|error| panic!("{error}"))[0]
}

#[tokio::test]
async fn many_callers_share_four_sessions() {
    let database = Database::create().await;
    let client = client(database.settings());
    let callers = (0..100).map(|caller| {
        let client = client.clone();
        tokio::spawn(async move {
            let batch = Batch::of((0..3).map(|at| {
                NewTask::query("select 0", own())
                    .priority(Priority(caller))
                    .data(json!({ "caller": caller, "at": at }))
                    .pool(PoolName::new("shared").expect("a name"))
                    .timeout(Span::seconds(90))
            }));
            let ids = client.push(&batch.source("callers")).await.expect("it pushes");
            let tasks = client.tasks(&ids).await.expect("it reads");
            (caller, ids, tasks)
        })
    });
    for done in join_all(callers).await {
        let (caller, ids, tasks) = done.expect("no panic");
        assert!(ids.is_sorted(), "{ids:?}");
        assert_eq!(tasks.len(), 3);
        for (at, task) in tasks.iter().enumerate() {
            assert_eq!(task.data, Some(json!({ "caller": caller, "at": at })));
            assert_eq!((task.phase, task.priority, task.pool.as_str()), (RowState::Ready, Priority(caller), "shared"));
        }
    }
    database
        .assert_holds(
            "select count(*) = 300 and bool_and(manual_timeout = '90 s' and source = 'callers') from async.task",
        )
        .await;
    let sessions = database
        .number("select count(*) from pg_stat_activity where application_name = 'store client' and datname = current_database()")
        .await;
    assert!((1..=i64::from(SESSIONS)).contains(&sessions), "{sessions}");
}

#[tokio::test]
async fn the_pool_is_as_before_after_a_restart_of_the_server() {
    let cluster = PrivateCluster::start(&[]);
    let mut database = Database::create_on(&cluster).await;
    let client = client(database.settings());
    join_all((0..16).map(|_| push_one(&client, "select 0"))).await;
    cluster.stop();
    // The sockets report the end of their sessions at the next poll.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let batch = Batch::of([NewTask::query("select 0", own())]);
    let begin = Instant::now();
    let error = client.push(&batch).await.expect_err("the server is down");
    assert!(error.may_be_tried_again(), "nothing was sent: {error}");
    assert_eq!(error.operation(), "pushing tasks");
    assert!(begin.elapsed() < Duration::from_secs(10), "the error took too long: {error}");
    cluster.restart();
    join_all((0..16).map(|_| push_one(&client, "select 0"))).await;
    database.reconnect().await;
    assert_eq!(database.number("select count(*) from async.task").await, 32);
}

#[tokio::test]
async fn a_session_that_ends_during_a_call_leaves_open_whether_it_was_done() {
    let database = Database::create().await;
    database.configure(&json!({ "targets": [{ "target": "pulled", "asynchronous_finish": true }] })).await;
    let client = client(database.settings());
    let taking = tokio::spawn({
        let client = client.clone();
        async move { client.take(&pulled(), 1, Span::seconds(50)).await }
    });
    database
        .wait_for(
            "select bool_or(pg_terminate_backend(pid)) from pg_stat_activity
            where application_name = 'store client' and state = 'active' and datname = current_database()",
        )
        .await;
    let error = taking.await.expect("no panic").expect_err("its session was ended");
    assert!(error.may_be_tried_again() && error.sqlstate() == Some("57P01"), "{error:?}");
    push_one(&client, "select 0").await;
}

#[tokio::test]
async fn an_abandoned_call_delays_no_other_call() {
    let database = Database::create().await;
    database.configure(&json!({ "targets": [{ "target": "pulled", "asynchronous_finish": true }] })).await;
    let client = Client::with_sessions(database.settings(), 1, Duration::from_secs(20));
    let given_up = tokio::time::timeout(Duration::from_millis(300), client.take(&pulled(), 1, Span::seconds(50))).await;
    assert!(given_up.is_err());
    let begin = Instant::now();
    push_one(&client, "select 0").await;
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_call_waits_for_an_open_session_when_no_other_can_be_opened() {
    let database = Database::create().await;
    database.configure(&json!({ "targets": [{ "target": "pulled", "asynchronous_finish": true }] })).await;
    let role = format!("{}_single", database.name());
    database
        .run(&format!("create role {role} login connection limit 1; select async.grant_client('{role}', '{{*,SELF}}')"))
        .await;
    let single = client(
        ConnectionSettings::resolve(&format!("{} user={role}", database.conninfo()), |_| None).expect("it parses"),
    );
    let taking = tokio::spawn({
        let single = single.clone();
        async move { single.take(&pulled(), 1, Span::seconds(2)).await }
    });
    database
        .wait_for(&format!(
            "select exists (select from pg_stat_activity where usename = '{role}' and state = 'active')"
        ))
        .await;
    push_one(&single, "select 0").await;
    assert_eq!(taking.await.expect("no panic").expect("its session is not disturbed"), []);
    drop(single);
    database.wait_for(&format!("select not exists (select from pg_stat_activity where usename = '{role}')")).await;
    database.run(&format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn a_refused_push_names_the_wrong_type() {
    let database = Database::create().await;
    database
        .configure(&json!({ "targets": [{ "target": "old", "connection_string": "dbname=x" }, { "target": "pulled", "asynchronous_finish": true }] }))
        .await;
    database.configure(&json!({ "targets": [{ "target": "pulled", "asynchronous_finish": true }] })).await;
    let client = client(database.settings());
    let push = async |name: &str| {
        let name = TargetName::new(name).expect("a name");
        let batch = Batch::of([NewTask::query("select 0", own()), NewTask::query("select 0", name)]);
        client.push(&batch).await.expect_err("it is refused")
    };

    let error = push("nowhere").await;
    assert!(!error.may_be_tried_again());
    assert_eq!((error.sqlstate(), error.operation()), (Some("PA011"), "pushing tasks"));
    let PushError::UnknownTarget(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.message, "task 2: there is no target 'nowhere'");
    assert!(matches!(push("old").await, PushError::RetiredTarget(_)));
    assert!(matches!(push("pulled").await, PushError::Impossible(_)));
    assert_eq!(database.number("select count(*) from async.task").await, 0);
    assert_eq!(client.push(&Batch::default()).await.expect("nothing to do"), []);
}

#[tokio::test]
async fn pushes_with_options_are_answered_in_order() {
    let database = Database::create().await;
    let there = |tags: &[&str]| json!({ "targets": [{ "target": "there", "connection_string": "", "tags": tags }] });
    database.configure(&there(&["shop", "eu"])).await;
    let client = client(database.settings());
    assert_eq!(client.targets("shop").await.expect("it answers"), [TargetName::new("there").expect("a name")]);
    assert_eq!(client.targets("none").await.expect("it answers"), []);
    let day = Timestamp::from_micros(4_102_444_800_000_000);
    let task = |query: &str| Push::of(NewTask::query(query, own()).priority(Priority(4)).timeout(Span::seconds(90)));
    let key = UniqueKey::new("k").until(KeyUntil::Started);
    let pushes = [
        task("select 1").run_at(day).expires_at(day + Span::seconds(1)).source("test").unique(key.clone()),
        task("select 2"),
        task("select 3").unique(key.clone()),
    ];
    let pushed = client.push_many(&pushes).await.expect("it pushes");
    assert_eq!(pushed.iter().map(|pushed| pushed.duplicate).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(pushed[0].task, pushed[2].task);
    let sql = "select count(*) from async.task where run_at = '2100-01-01 00:00Z' and expires_at = '2100-01-01 00:00:01Z'
        and source = 'test' and unique_key = 'k' and unique_while = 'waiting' and priority = 4 and manual_timeout = '90 s'";
    assert_eq!(database.number(sql).await, 1);
    let replaces = [task("select 4").unique(key.clone().on_conflict(OnConflict::Replace))];
    assert_ne!(client.push_many(&replaces).await.expect("it pushes")[0].task, pushed[0].task);
    let refused = client.push_many(&[task("select 5").unique(key.on_conflict(OnConflict::Error))]).await;
    assert!(matches!(refused, Err(PushError::KeyTaken(_))), "{refused:?}");
    let refused = client.push_many(&[task("select 6").run_at(day).expires_at(day)]).await;
    assert!(matches!(refused, Err(PushError::Impossible(_))), "{refused:?}");
    let first = pushed[0].task.expect("it was pushed");
    let refused = client.restart(first).await;
    assert!(matches!(refused, Err(RestartError::KeyTaken(_))), "{refused:?}");
    assert_eq!(client.push_many(&[]).await.expect("nothing to do"), []);
    let ended = client.wait(&[first], Duration::from_secs(20)).await.expect("it was replaced");
    assert_eq!(ended[0].status, Some(FinishStatus::Canceled));
    let second = pushed[1].task.expect("it was pushed");
    let ended = client.wait(&[first, second], Duration::from_millis(100)).await.expect("one waits");
    assert_eq!(ended.iter().map(|task| task.task).collect::<Vec<_>>(), [first]);
    let refused = client.wait(&[TaskId(4711)], Duration::from_secs(20)).await;
    assert!(matches!(refused, Err(WaitError::UnknownTask(_))), "{refused:?}");
    assert!(matches!(client.restart_all(&[first, second]).await, Err(RestartError::KeyTaken(_))));
}

#[tokio::test]
async fn the_rows_of_a_task_are_read() {
    let database = Database::create().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let client = client(database.settings());
    let query = |text: &str| Push::of(NewTask::query(text, own()));
    let pushes = [query("select 7 as n").keep_result(), query("select 7 as n")];
    let pushed = client.push_many(&pushes).await.expect("it pushes");
    let ids: Vec<TaskId> = pushed.iter().filter_map(|pushed| pushed.task).collect();
    client.wait(&ids, Duration::from_secs(20)).await.expect("they end");
    let expected = TaskResult {
        run: Run(1),
        row_count: Some(1),
        rows: Some(json!([{ "n": 7 }])),
        truncated: false,
        bytes: Some(10),
        error: None,
    };
    assert_eq!(client.result(ids[0]).await.expect("it answers"), Some(expected));
    assert_eq!(client.result(ids[1]).await.expect("it answers"), None);
}

#[tokio::test]
async fn schedules_are_made_paused_resumed_and_removed() {
    let database = Database::create().await;
    let client = client(database.settings());
    let task = || NewTask::query("select 1", own()).priority(Priority(4)).timeout(Span::seconds(90));
    let load = NewSchedule::new("load", "30 2 * * *", task())
        .time_zone("Europe/Berlin")
        .overlap(Overlap::BufferAll)
        .catch_up(CatchUp::All)
        .source("test")
        .retry("none")
        .expires_after(Span::seconds(7_200));
    let next = client.schedule(&load).await.expect("it is made");
    let sql = "select count(*) from async.schedule where schedule = 'load' and \"when\" = '30 2 * * *'
        and time_zone = 'Europe/Berlin' and target = 'SELF' and query = 'select 1' and overlap = 'buffer_all'
        and catch_up = 'all' and priority = 4 and timeout = '90 s' and source = 'test' and retry = 'none'
        and expires_after = '2 hours' and next_time > now()";
    assert_eq!(database.number(sql).await, 1);
    client.pause_schedule("load").await.expect("it is paused");
    database.assert_holds("select paused from async.schedule").await;
    assert_eq!(client.resume_schedule("load").await.expect("it goes on"), next);
    let refused = client.schedule(&NewSchedule::new("load", "61 * * * *", task())).await;
    assert!(matches!(refused, Err(ScheduleError::Impossible(_))), "{refused:?}");
    client.schedule(&NewSchedule::new("tagged", "@daily", task()).tag("shop")).await.expect("it is made");
    database.assert_holds("select target = 'tag:shop' from async.schedule where schedule = 'tagged'").await;
    client.unschedule("load").await.expect("it is removed");
    for refused in [client.unschedule("load").await, client.pause_schedule("load").await] {
        assert!(matches!(refused, Err(ScheduleError::Unknown(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_push_can_be_part_of_the_callers_transaction() {
    let database = Database::create().await;
    let batch = Batch::of([NewTask::query("select 0", own())]);
    for (end, tasks) in [("rollback", 0), ("commit", 1)] {
        database.run("begin").await;
        batch.push_in(database.session()).await.expect("it pushes");
        database.run(end).await;
        assert_eq!(database.number("select count(*) from async.task").await, tasks);
    }
}

#[tokio::test]
async fn requests_and_restarts_are_applied_or_refused_with_a_reason() {
    let database = Database::create().await;
    database.configure(&json!({ "control": { "idle_sleep": 0.1 } })).await;
    let client = client(database.settings());
    assert!(matches!(client.wait_for_latch().await, Err(LatchError::NoLeader(_))));
    let mut engine = SqlEngine::attach(&database);
    engine.lead().await;

    let ids = [push_one(&client, "select pg_sleep(60)").await, push_one(&client, "select pg_sleep(60)").await];
    assert_eq!(client.cancel(&ids[..1], Some("enough")).await.expect("it asks").warning, None);
    assert_eq!(client.finish(&ids[1..], FinishStatus::Finished, None).await.expect("it asks").warning, None);
    database.wait_until_finished().await;
    let tasks = client.tasks(&ids).await.expect("it reads");
    let ends: Vec<_> = tasks.iter().map(|task| (task.status, task.failed, task.error.as_deref())).collect();
    assert_eq!(ends[0], (Some(FinishStatus::Canceled), Some(true), Some("enough")));
    assert_eq!((ends[1].0, ends[1].1), (Some(FinishStatus::Finished), Some(false)));

    let warning = client.cancel(&[ids[0], TaskId(999)], None).await.expect("it asks").warning.expect("a warning");
    assert!(warning.contains("999 (unknown)") && warning.contains("(finished)"), "{warning}");
    assert_eq!(client.cancel(&[], None).await.expect("it asks").warning, None, "the last warning is no other call's");
    let error = client.defer(&ids, Span::seconds(-1)).await.expect_err("a negative time");
    assert!(matches!(error, RequestError::Impossible(_)) && !error.may_be_tried_again(), "{error:?}");
    assert!(matches!(client.restart(TaskId(999)).await, Err(RestartError::UnknownTask(_))));
    let waits = push_one(&client, "select pg_sleep(60)").await;
    assert!(matches!(client.restart(waits).await, Err(RestartError::Unfinished(_))));
    let doa = client.push(&Batch::of([NewTask::query("select 1", own())]).run_type(RunType::Doa)).await;
    let doa = doa.expect("it pushes")[0];
    client.restart(doa).await.expect("it has a query");
    client.wait_for_latch().await.expect("an engine leads");
    database.wait_for(&format!("select finish_status = 'FINISHED' from async.task where task_id = {doa}")).await;
    assert_eq!(client.task(TaskId(999)).await.expect("it reads"), None);
    engine.stop().await;
}

#[tokio::test]
async fn pulled_tasks_are_taken_and_finished() {
    let database = Database::create().await;
    database
        .configure(&json!({
            "control": { "idle_sleep": 0.1 }, "targets": [{ "target": "pulled", "asynchronous_finish": true }],
        }))
        .await;
    let client = client(database.settings());
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let batch = Batch::of([NewTask::pulled(pulled()).data(json!({ "n": 1 }))]);
    let pushed = client.push(&batch).await.expect("it pushes");
    let taken = client.take(&pulled(), 5, Span::seconds(20)).await.expect("it takes");
    assert_eq!(taken.iter().map(|task| task.task).collect::<Vec<_>>(), pushed);
    assert_eq!(taken[0].data, Some(json!({ "n": 1 })));
    client.finish(&pushed, FinishStatus::Finished, None).await.expect("it asks");
    database.wait_until_finished().await;
    assert!(matches!(client.take(&own(), 1, Span::ZERO).await, Err(TakeError::NotPullable(_))));
    assert!(matches!(client.take(&pulled(), 0, Span::ZERO).await, Err(TakeError::Impossible(_))));
    engine.stop().await;
}

#[tokio::test]
async fn a_document_is_applied_as_a_whole_or_refused_with_a_path() {
    let database = Database::create().await;
    let client = client(database.settings());
    let target = |max_workers| TargetEntry {
        target: "shop".to_owned(),
        connection_string: Some("dbname=shop password=secret".to_owned()),
        max_workers: Some(max_workers),
        default_timeout: Some(Span::seconds(90)),
        ..TargetEntry::default()
    };
    let document = Document {
        control: Some(ControlEntry {
            workers: Some(7),
            idle_sleep: Some(Span::millis(250)),
            takeover_grace: Some(Span::seconds(3)),
            ..ControlEntry::default()
        }),
        targets: Some(vec![target(3)]),
        concurrency_pools: Some(vec![PoolEntry {
            concurrency_pool: "reports".to_owned(),
            max_workers: Some(2),
            retired: None,
            ..PoolEntry::default()
        }]),
        retry_policies: None,
        schedules: None,
    };
    client.configure(&document).await.expect("it is taken");
    let stands = client.configuration().await.expect("it is read");
    assert_eq!(stands["control"]["idle_sleep"], json!(0.25));
    assert_eq!(stands["control"]["takeover_grace"], json!("00:00:03"));
    assert_eq!(stands["concurrency_pools"][0]["max_workers"], json!(2));
    assert!(!stands.to_string().contains("secret"), "{stands}");

    let refused = Document { targets: Some(vec![target(-1)]), ..Document::default() };
    let error = client.configure(&refused).await.expect_err("a negative size");
    let ConfigureError::Refused(refusal) = error else { panic!("{error:?}") };
    assert!(refusal.message.starts_with("targets[0].max_workers"), "{refusal}");
    database
        .assert_holds("select max_concurrency = 3 and default_timeout = '90 s' from async.target where target = 'shop'")
        .await;
}

/// Pushes tasks: two succeed, one fails, and one is cancelled.
async fn work<E: Engine>(database: &Database, client: &Client) {
    let mut engine = E::attach(database);
    engine.lead().await;
    let queries = ["select 1", "select 2", "select 1/0"].map(|query| NewTask::query(query, own()));
    client.push(&Batch::of(queries)).await.expect("it pushes");
    let slow = push_one(client, "select pg_sleep(60)").await;
    database.wait_for(&format!("select consumed is not null from async.task where task_id = {slow}")).await;
    let begin = Instant::now();
    while client
        .statistics()
        .await
        .expect("it reads")
        .running
        .iter()
        .all(|task| task.task != slow || task.slot.is_none())
    {
        assert!(begin.elapsed() < PATIENCE, "{:?}", client.statistics().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let statistics = client.statistics().await.expect("it reads");
    assert_eq!(statistics.leader.engine.as_deref(), Some(E::NAME), "{:?}", statistics.leader);
    assert!(statistics.leader.leads && statistics.leader.pid.is_some() && statistics.leader.since.is_some());
    assert!(statistics.leader.quiet.is_some_and(|quiet| quiet < Span::seconds(30)), "{:?}", statistics.leader);
    assert!(statistics.workers_busy >= 1);
    client.cancel(&[slow], None).await.expect("it asks");
    database.wait_until_finished().await;
    engine.stop().await;
}

#[tokio::test]
async fn statistics_add_up_over_both_engines() {
    let database = Database::create().await;
    database
        .configure(&json!({ "control": { "idle_sleep": 0.1, "self_connection_string": database.conninfo() } }))
        .await;
    let client = client(database.settings());
    work::<SqlEngine>(&database, &client).await;
    work::<RustEngine>(&database, &client).await;
    push_one(&client, "select 3").await;

    let statistics = client.statistics().await.expect("it reads");
    let hour = statistics.last_hour.expect("it is read");
    let counts = [hour.entered, hour.ended, hour.finished, hour.failed, hour.canceled, hour.timed_out];
    assert_eq!(counts, [9, 8, 4, 4, 2, 0]);
    assert!(!statistics.leader.leads);
    assert_eq!(statistics.leader.epoch.map(|epoch| epoch.0), Some(2));
    let [lane] = &statistics.waiting[..] else { panic!("{:?}", statistics.waiting) };
    assert_eq!((lane.waiting, lane.more, lane.pool.as_str()), (1, false, "async.self"));
    assert!(lane.reason.starts_with("no orchestrator leads"), "{}", lane.reason);
    assert!(statistics.targets.iter().all(|target| target.state == TargetState::Unknown));
    assert!(client.log(None, 100).await.expect("it reads").len() > 3);
}

#[tokio::test]
async fn a_client_role_may_not_read_statistics() {
    let database = Database::create().await;
    let role = format!("{}_pusher", database.name());
    database.run(&format!("create role {role} login; select async.grant_client('{role}', '{{SELF}}')")).await;
    let pusher = client(
        ConnectionSettings::resolve(&format!("{} user={role}", database.conninfo()), |_| None).expect("it parses"),
    );
    push_one(&pusher, "select 0").await;
    assert!(matches!(pusher.statistics().await, Err(ReadError::NotAllowed(_))));
    database.run(&format!("select async.grant_admin('{role}')")).await;
    let read_all = async |client: &Client| {
        client.statistics().await.unwrap_or_else(|error| panic!("{error}"));
        client.warnings(5).await.unwrap_or_else(|error| panic!("{error}"));
        client.log(None, 5).await.unwrap_or_else(|error| panic!("{error}"));
        client.configuration().await.unwrap_or_else(|error| panic!("{error}"));
    };
    read_all(&pusher).await;
    database.run(&format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn a_standby_serves_read_only_calls() {
    let cluster = PrivateCluster::start(&[]);
    let scratch = Scratch::empty(&cluster).await;
    let session = scratch.connect().await;
    install(&session, SchemaPart::All).await.expect("it installs");
    session.batch_execute("select async.push_task(async.task('select 0', 'SELF'))").await.expect("it pushes");
    session.close().await;
    cluster.become_standby().await;
    let statistics = client(scratch.settings()).statistics().await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!statistics.leader.leads);
    assert_eq!(statistics.waiting.len(), 1);
    let session = scratch.connect().await;
    session.batch_execute("select * from async.v_server_info").await.expect("the view is readable");
}
