//! Receipts: the outcome of a lost run is known, and a task has its effect once.

use std::time::Duration;

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{End, Fixture, SOON};

/// The application names of the sessions for tasks end with a number.
const TASK_SESSIONS: &str = "application_name ~ '^pgasync/.*/[0-9]+$' and state = 'active'";

/// A query that leaves one entry in the ledger, after some time.
fn slow(seconds: f64) -> String {
    format!("insert into ledger (mark) values ('##flow.TASK_ID##'); select pg_sleep({seconds})")
}

impl<E: Engine> Fixture<E> {
    /// A fixture whose target has receipts.
    pub(crate) async fn with_receipts() -> Self {
        let fixture = Self::prepared().await;
        let setup = fixture.text("select async.target_setup('there')").await.expect("a text");
        fixture.run_there(&setup.replace("-- The connection string names no role: ", "-- ")).await;
        fixture
            .configure(&json!({
                "control": { "takeover_grace": "0.2 s" },
                "targets": [fixture.there(&json!({ "receipts": true }))],
            }))
            .await;
        fixture
    }

    pub(crate) async fn push_with_receipt(&self, query: &str) -> i64 {
        self.id("select async.push($1, 'there', receipt => true)", &[&query]).await
    }

    /// Whether the receipts of a task are voided, in the order of the runs.
    async fn receipts(&self, id: i64) -> String {
        let sql = format!(
            "select coalesce(string_agg(run || case when voided then ' voided' else ' written' end, ', ' order by run), '')
             from pgasync.receipt where task_id = {id}"
        );
        self.target.session().query_one(&sql, &[]).await.expect("the receipts are readable").get(0)
    }

    /// Terminates the backend that runs a task at the target.
    async fn terminate_run(&self, id: i64) {
        self.wait_until_it_runs(id).await;
        let sql = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()
             and pid <> pg_backend_pid() and {TASK_SESSIONS}"
        );
        assert_eq!(self.number_there(&sql).await, 1, "one backend runs a task");
    }

    /// Waits until a task is on this run, and its query runs.
    async fn wait_for_run(&self, id: i64, run: i32) {
        self.wait_for(&format!("select run = {run} and consumed is not null from async.task where task_id = {id}"))
            .await;
        self.wait_until_it_runs(id).await;
    }
}

/// Refuses that receipts are voided at the target.
const REFUSE_VOIDING: &str = "create function refuse() returns trigger language plpgsql as
    $$begin raise exception 'not now'; end$$;
    create trigger refuse before insert on pgasync.receipt for each row when (new.voided)
    execute procedure refuse()";

async fn a_receipt_is_written_with_the_effect<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.engine.lead().await;
    let id = fixture.push_with_receipt(&slow(0.0)).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.receipts(id).await, "1 written");
    assert_eq!(fixture.target.marks(&id.to_string()).await, 1);
    let kept =
        fixture.id("select async.push('select 7 as n', 'there', receipt => true, keep_result => true)", &[]).await;
    fixture.end_of(kept).await.succeeded();
    assert_eq!(fixture.receipts(kept).await, "1 written");
    assert_eq!(
        fixture.text(&format!("select rows::text from async.result where task_id = {kept}")).await.as_deref(),
        Some("[{\"n\": 7}]")
    );
    let script = "create table t (n int); insert into t select n from generate_series(1, 3) n; select * from t;
        create function f() returns int language sql as $$select 1; select 2$$; select f(); values (1), (2)";
    let id = fixture.push_with_receipt(script).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.number_there("select count(*) from t").await, 3);
    fixture.wait_until_no_slot_is_taken().await;
    fixture.assert_holds("select count(*) = 3 from async.receipt").await;
}

async fn a_lost_run_is_voided_and_runs_again<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.engine.lead().await;
    let id = fixture.push_with_receipt(&slow(2.0)).await;
    fixture.terminate_run(id).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.receipts(id).await, "1 voided, 2 written");
    assert_eq!(fixture.target.marks(&id.to_string()).await, 1);
    let error = format!("select error from async.attempt where task_id = {id} and status = 'FAILED'");
    let error = fixture.text(&error).await.expect("a noted attempt");
    assert!(error.starts_with("PA216: the session with target \"there\" was lost"), "{error}");
    fixture.wait_until_no_slot_is_taken().await;
    fixture.wait_for("select count(*) = 0 from async.v_lost_session").await;
}

async fn the_third_lost_run_fails_and_had_no_effect<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.engine.lead().await;
    let id = fixture.push_with_receipt(&slow(20.0)).await;
    for run in 1..=3 {
        fixture.wait_for_run(id, run).await;
        fixture.terminate_run(id).await;
    }
    let error = fixture.end_of(id).await.is("FAILED").expect("an error");
    assert!(error.starts_with("PA216: ") && error.ends_with("had no effect"), "{error}");
    assert_eq!(fixture.receipts(id).await, "1 voided, 2 voided, 3 voided");
    assert_eq!(fixture.target.marks(&id.to_string()).await, 0);
    fixture.assert_holds("select count(*) = 1 from async.v_dead_task").await;
}

async fn a_cancelled_task_whose_session_is_lost_is_canceled_for_certain<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.run_there(REFUSE_VOIDING).await;
    fixture.engine.lead().await;
    let id = fixture.push_with_receipt(&slow(20.0)).await;
    fixture.terminate_run(id).await;
    fixture.wait_for("select count(*) = 1 from async.v_lost_session").await;
    fixture.run(&format!("select async.cancel(array[{id}], 'not wanted')")).await;
    fixture.run_there("drop trigger refuse on pgasync.receipt").await;
    let ended = fixture.end_of(id).await;
    assert_eq!(ended.is("CANCELED").as_deref(), Some("not wanted"));
    assert_eq!(fixture.receipts(id).await, "1 voided");
    assert_eq!(fixture.target.marks(&id.to_string()).await, 0);
}

async fn an_unresolved_task_runs_past_its_deadline_until_it_is_resolved<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.run_there(REFUSE_VOIDING).await;
    fixture.engine.lead().await;
    let sql = "select async.push($1, 'there', receipt => true, timeout => '4 s')";
    let id = fixture.id(sql, &[&slow(20.0)]).await;
    fixture.terminate_run(id).await;
    fixture
        .wait_for("select error like '%its receipt cannot be resolved: P0001: not now%' from async.v_lost_session")
        .await;
    fixture.wait_for(&format!("select times_up < clock_timestamp() from async.task where task_id = {id}")).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    fixture.assert_holds(&format!("select processed is null and tracked from async.task where task_id = {id}")).await;
    // Other tasks of the target go on.
    let other = fixture.push_with_receipt("select 1").await;
    fixture.end_of(other).await.succeeded();
    fixture.run_there("drop trigger refuse on pgasync.receipt").await;
    assert_eq!(fixture.end_of(id).await.is("TIMED_OUT").as_deref(), Some("the task did not finish in time"));
    assert_eq!(fixture.target.marks(&id.to_string()).await, 0);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_written_off_session_ends_its_task_as_unknown_with_the_name_of_the_operator<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.run_there(REFUSE_VOIDING).await;
    fixture.engine.lead().await;
    let id = fixture.push_with_receipt(&slow(20.0)).await;
    fixture.terminate_run(id).await;
    fixture.wait_for("select count(*) = 1 from async.v_lost_session").await;
    fixture.run("select async.write_off_session(session_id) from async.v_lost_session").await;
    let error = fixture.end_within(id, SOON).await.is("FAILED").expect("an error");
    let user = fixture.text("select session_user::text").await.expect("a name");
    assert!(
        error.starts_with("outcome unknown: session ") && error.ends_with(&format!("written off by {user}")),
        "{error}"
    );
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_successor_resolves_the_runs_of_a_lost_leader<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.engine.lead().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(fixture.push_with_receipt(&slow(2.0)).await);
    }
    fixture.wait_until_it_runs(ids[2]).await;
    fixture.engine.terminate().await;
    let mut successor = E::attach(&fixture.database);
    successor.start_forced().await;
    successor.wait_until_leading().await;
    for id in ids {
        fixture.end_of(id).await.succeeded();
        assert_eq!(fixture.target.marks(&id.to_string()).await, 1);
    }
    fixture.wait_until_no_slot_is_taken().await;
    assert_eq!(fixture.number_there("select count(*) from pgasync.receipt where not voided").await, 3);
}

async fn the_error_of_the_query_is_that_of_its_task<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture
        .run_there(
            "create table parent (id int primary key);
             create table child (id int references parent deferrable initially deferred);
             create procedure commits() language plpgsql as $$begin insert into ledger values ('early'); commit; end$$",
        )
        .await;
    fixture.engine.lead().await;
    for (query, code) in [
        ("select 1 / 0", "22012: division by zero"),
        ("insert into ledger values ('x'); select 1 / 0", "22012: "),
        ("selec 1", "42601: "),
        ("insert into child values (1)", "23503: "),
        ("call commits()", "2D000: "),
        ("do $$begin insert into ledger values ('early'); commit; end$$", "2D000: "),
        ("select pg_terminate_backend(pid) from pg_stat_activity where false; select * from missing", "42P01: "),
    ] {
        let id = fixture.push_with_receipt(query).await;
        let End { status, error, .. } = fixture.end_of(id).await;
        let error = error.unwrap_or_default();
        assert!(status == "FAILED" && error.starts_with(code), "{query}: {status} {error}");
        assert_eq!(fixture.receipts(id).await, "", "{query}");
    }
    // The sessions are usable, and nothing of the failed queries is there.
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.number_there("select count(*) from ledger").await, 0);
    fixture.wait_until_no_slot_is_taken().await;
}

/// What the commit of the text finds is read in the same transaction, behind the text.
async fn the_commit_is_synchronous_whatever_the_session_and_the_query_say<E: Engine>() {
    let fixture = Fixture::<E>::with_receipts().await;
    fixture
        .run_there(
            "create table seen (setting text);
             create table late (n int);
             create function turn_off() returns trigger language plpgsql as
               $$begin perform set_config('synchronous_commit', 'off', true); return null; end$$;
             create constraint trigger late after insert on late deferrable initially deferred
               for each row execute procedure turn_off()",
        )
        .await;
    for (run, (session, query, found)) in [
        ("on", "select 1", "on"),
        ("off", "select 1", "on"),
        ("local", "select 1", "local"),
        ("on", "set synchronous_commit = off", "on"),
        ("on", "set local synchronous_commit = off; select 2", "on"),
        ("on", "insert into late values (1)", "on"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("select async.receipt_query({}, 's', 'e', 1, {run}, null)", quoted(query));
        let text = fixture.text(&text).await.expect("a text");
        let sql = format!("set synchronous_commit = {session}");
        fixture.run_there(&sql).await;
        fixture.run_there(&format!("{text}; insert into seen select current_setting('synchronous_commit')")).await;
        let found = format!("select count(*) from seen where setting = '{found}'");
        assert_eq!(fixture.number_there(&found).await, 1, "{session}, {query}");
        fixture.run_there("delete from seen").await;
    }
}

async fn what_is_no_transaction_is_refused_at_the_push<E: Engine>() {
    let fixture = Fixture::<E>::with_receipts().await;
    for (query, why) in [
        ("begin; select 1; commit", "controls transactions"),
        ("select 1; commit and chain", "controls transactions"),
        ("savepoint s", "controls transactions"),
        ("prepare transaction 'x'", "controls transactions"),
        ("vacuum ledger", "cannot run in a transaction block"),
        ("create index concurrently on ledger (mark)", "cannot run in a transaction block"),
        ("/* c */ create /* d */ index concurrently on ledger (mark)", "cannot run in a transaction block"),
        ("create database x", "cannot run in a transaction block"),
        ("select 1; select * into t from ledger", "is a SELECT INTO"),
        ("copy ledger to stdout", "is a COPY from or to the client"),
    ] {
        let sql = format!("select async.push({}, 'there', receipt => true)", quoted(query));
        let (code, message) = fixture.refused(&sql).await;
        assert_eq!(
            (code.as_str(), message),
            ("PA01L", format!("task 1.receipt: its query {why}, so it can have no receipt"))
        );
    }
    let (code, message) = fixture.refused("select async.push('select 1', 'SELF', receipt => true)").await;
    assert_eq!((code.as_str(), message.as_str()), ("PA01M", "task 1.receipt: the target 'async.self' has no receipts"));
    let schedule = "select async.schedule('x', '@daily', 'vacuum', 'there', receipt => true)";
    assert_eq!(fixture.refused(schedule).await.0, "PA0A1");
    let schedule = "select async.schedule('x', '@daily', 'select 1', 'SELF', receipt => true)";
    assert_eq!(fixture.refused(schedule).await.0, "PA01M");
    fixture.assert_holds("select count(*) = 0 from async.task").await;
    assert_eq!(fixture.refused("select async.target_setup('nowhere')").await.0, "PA011");
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn old_receipts_are_deleted_and_those_of_unfinished_tasks_stay<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.configure(&json!({ "control": { "receipt_keep": "0 s" } })).await;
    fixture.engine.lead().await;
    let slow = fixture.push_with_receipt(&slow(25.0)).await;
    fixture.wait_until_it_runs(slow).await;
    for _ in 0..3 {
        let id = fixture.push_with_receipt("select 1").await;
        fixture.end_of(id).await.succeeded();
    }
    fixture.wait_for_within("select count(*) = 1 from async.receipt", Duration::from_secs(40)).await;
    assert_eq!(fixture.number_there("select count(*) from pgasync.receipt").await, 0, "the slow one is open");
    fixture.assert_holds(&format!("select task_id = {slow} from async.receipt")).await;
    fixture.run(&format!("select async.cancel(array[{slow}])")).await;
    fixture.end_of(slow).await.is("CANCELED");
}

async fn a_schedule_pushes_with_receipts<E: Engine>() {
    let mut fixture = Fixture::<E>::with_receipts().await;
    fixture.engine.lead().await;
    let sql = "select async.schedule('often', 'every 1 second', 'insert into ledger values (''s'')', 'there', receipt => true)";
    fixture.run(sql).await;
    fixture.wait_for("select count(*) >= 2 and bool_and(receipt) from async.task where processed is not null").await;
    fixture.run("select async.unschedule('often')").await;
    fixture.wait_until_finished().await;
    let counts = "select count(*) - (select count(*) from ledger) from pgasync.receipt where not voided";
    assert_eq!(fixture.number_there(counts).await, 0);
}

conformance!(
    a_receipt_is_written_with_the_effect,
    a_lost_run_is_voided_and_runs_again,
    the_third_lost_run_fails_and_had_no_effect,
    a_cancelled_task_whose_session_is_lost_is_canceled_for_certain,
    an_unresolved_task_runs_past_its_deadline_until_it_is_resolved,
    a_written_off_session_ends_its_task_as_unknown_with_the_name_of_the_operator,
    a_successor_resolves_the_runs_of_a_lost_leader,
    the_error_of_the_query_is_that_of_its_task,
    the_commit_is_synchronous_whatever_the_session_and_the_query_say,
    what_is_no_transaction_is_refused_at_the_push,
    old_receipts_are_deleted_and_those_of_unfinished_tasks_stay,
    a_schedule_pushes_with_receipts,
);
