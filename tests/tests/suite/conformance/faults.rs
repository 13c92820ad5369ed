//! Interference by clients, triggers, routines and administrators. It affects only its own row, and
//! no other row, the lead or the recorded outcomes.

use std::time::{Duration, Instant};

use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Database, Engine, Outcome, Scratch, SqlEngine};
use serde_json::json;

use super::fixture::{Fixture, SOON};

/// A fixture with the target `pulled`, whose tasks clients pull.
async fn with_pulled<E: Engine>() -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(&json!({ "targets": [
        fixture.there(&json!({})),
        { "target": "pulled", "asynchronous_finish": true, "max_workers": 4 },
    ], "concurrency_pools": [{ "concurrency_pool": "narrow", "max_workers": 1 }] }))
        .await;
    fixture.engine.lead().await;
    fixture
}

/// Pushes tasks that each write a mark into the ledger of the target.
async fn push_marks<E: Engine>(fixture: &Fixture<E>, count: i64) {
    let query = "insert into ledger (mark) values (''##flow.TASK_ID##'')";
    let sql = format!(
        "select async.push_tasks(array(select async.task('{query}', 'there') from generate_series(1, {count})))"
    );
    fixture.run(&sql).await;
}

/// Asserts that each task ran once. The ledger counts the runs. The run number does not, because a
/// claim that is given back uses a number too.
async fn assert_each_ran_once<E: Engine>(fixture: &Fixture<E>, count: i64) {
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert_eq!(fixture.number_there("select count(*) from ledger").await, count);
    assert_eq!(fixture.number_there("select count(distinct mark) from ledger").await, count);
}

/// A client that holds locks until its session is dropped.
async fn holding(database: &Database, lock: &str) -> pgasync_pg::Session {
    let client = database.connect().await;
    client.batch_execute(&format!("begin; {lock}")).await.unwrap_or_else(|error| panic!("{lock}\n{error:?}"));
    client
}

async fn an_offer_that_cannot_be_withdrawn_is_offered_again<E: Engine>() {
    let fixture = with_pulled::<E>().await;
    let offered = fixture.push_as("null, 'pulled', concurrency_pool => 'narrow'").await;
    fixture.wait_for("select count(*) = 1 from async.offer").await;
    let client = holding(&fixture, &format!("select from async.task where task_id = {offered} for update")).await;
    // The query needs the only slot, so the offer has to be withdrawn. That is impossible while the
    // row is locked.
    let query = fixture.push_as("'select 1', 'there', concurrency_pool => 'narrow'").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.batch_execute("rollback").await.expect("it lets go");
    fixture.end_within(query, SOON).await.succeeded();
    let pulled = format!("select count(*) from async.get_tasks('pulled', 1, '10 seconds') where task_id = {offered}");
    assert_eq!(fixture.number(&pulled).await, 1);
    fixture.run(&format!("select async.finish(array[{offered}], 'FINISHED', null)")).await;
    fixture.end_of(offered).await.succeeded();
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_reference_to_a_task_delays_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("create table public.child (task_id bigint references async.task)").await;
    let id = fixture.push("select pg_sleep(1)").await;
    fixture.wait_until(id, "RUNNING").await;
    // The check of the foreign key locks the row FOR KEY SHARE until the client commits.
    let client = holding(&fixture, &format!("insert into public.child values ({id})")).await;
    fixture.end_within(id, SOON).await.succeeded();
    client.batch_execute("rollback").await.expect("it lets go");
}

async fn locked_rows_do_not_slow_other_rows<E: Engine>() {
    const MANY: u32 = 300;
    let fixture = with_pulled::<E>().await;
    let run_many = async || {
        let begin = Instant::now();
        fixture
            .run(&format!(
                "select async.push_tasks(array(select async.task('select 1', 'there') from generate_series(1, {MANY})))"
            ))
            .await;
        fixture
            .wait_for("select not exists (select from async.task where processed is null and query = 'select 1')")
            .await;
        begin.elapsed()
    };
    let free = run_many().await;
    // One task becomes overdue while it waits, and another could be offered.
    let overdue = fixture.push_as("null, 'pulled', manual_timeout => '2 seconds'").await;
    fixture.wait_for("select count(*) = 1 from async.offer").await;
    fixture.run("select async.get_tasks('pulled')").await;
    let client = holding(&fixture, &format!("select from async.task where task_id = {overdue} for update")).await;
    let pullable = client
        .query_one("select async.push_task(async.task(null, 'pulled'))", &[])
        .await
        .expect("it pushes")
        .get::<_, i64>(0);
    client.batch_execute("commit").await.expect("it commits");
    let client = holding(
        &fixture,
        &format!("select from async.task where task_id in ({overdue}, {pullable}) order by task_id for update"),
    )
    .await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let held = run_many().await;
    client.batch_execute("rollback").await.expect("it lets go");
    // A wait for the lock in each transaction would take longer than this. The rest is the machine's.
    assert!(held < free * 3 + SOON / 2, "{free:?} without a lock, {held:?} with two rows held");
    assert_eq!(fixture.end_within(overdue, SOON).await.status, "TIMED_OUT");
}

async fn a_lock_on_a_table_costs_time_and_not_the_lead<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    push_marks(&fixture, 600).await;
    for (table, seconds) in [
        ("async.task", "0.05"),
        ("async.task", "0.5"),
        ("async.task", "3"),
        ("async.request", "0.5"),
        ("async.session", "0.5"),
        ("async.control", "0.5"),
        ("async.leader", "0.5"),
        ("async.server_log", "0.5"),
        ("async.worker", "0.5"),
    ] {
        let client = holding(&fixture, &format!("lock table {table}; select pg_sleep({seconds})")).await;
        client.batch_execute("rollback").await.expect("it lets go");
    }
    fixture.run("alter table async.task add column of_the_user text").await;
    fixture.wait_until_finished().await;
    assert_each_ran_once(&fixture, 600).await;
    fixture.run_task("select 1").await.succeeded();
    assert!(fixture.engine.is_leading().await);
    fixture.assert_holds("select epoch = 1 from async.leader").await;
    assert_eq!(fixture.engine.stop().await, Outcome::Returned);
}

async fn a_state_that_could_not_be_published_is_published_later<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
             create trigger refuse before insert on async.worker execute procedure public.refuse()",
        )
        .await;
    let id = fixture.push("select pg_sleep(60)").await;
    fixture.wait_for("select exists (select from async.server_log where message like '%not now%')").await;
    fixture.run("drop trigger refuse on async.worker").await;
    fixture.wait_for(&format!("select exists (select from async.worker where task_id = {id})")).await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_within(id, SOON).await.is("CANCELED");
}

async fn an_open_transaction_of_configure_delays_no_session<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let client = holding(&fixture, r#"select async.configure('{"control": {"idle_sleep": 0.2}}')"#).await;
    fixture.run_task("select 1").await.succeeded();
    client.batch_execute("rollback").await.expect("it lets go");
}

async fn a_deferred_constraint_costs_the_row_that_breaks_it<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table public.parent (id bigint primary key);
        create table public.child (id bigint, parent bigint references public.parent deferrable initially deferred);
        create function public.late() returns trigger language plpgsql as $$
        begin
          if new.processed is not null and new.query like '%breaks%' then raise exception 'too late'; end if;
          return null;
        end $$;
        create constraint trigger late after update on async.task deferrable initially deferred
          for each row execute procedure public.late();
        create procedure public.broken() language sql as 'insert into public.child values (0, -1)';
        create procedure public.sound() language sql as '
          insert into public.child select 1, 1 where not exists (select from public.parent);
          insert into public.parent values (1) on conflict do nothing';
        select async.push_routine('LOOP', 'public.broken()'), async.push_routine('LOOP', 'public.sound()')",
        )
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    let broken = fixture.push("select 1 /* breaks */").await;
    for n in 0..10 {
        fixture.run_task(&format!("select {n}")).await.succeeded();
    }
    fixture.wait_for("select count(*) = 1 from public.child where id = 1").await;
    fixture.assert_holds("select not exists (select from public.child where id = 0)").await;
    fixture.wait_until(broken, "RUNNING").await;
    fixture
        .wait_for("select exists (select from async.server_log where message like '%cannot be written%too late%')")
        .await;
    fixture.run("alter table async.task disable trigger late").await;
    fixture.end_within(broken, Duration::from_secs(40)).await.succeeded();
    assert_eq!(fixture.engine.stop().await, Outcome::Returned);
}

async fn a_timeout_with_an_unknown_outcome_reports_it<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let ends_itself = "do $$ begin perform pg_sleep(20); exception when query_canceled then
        perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(20); end $$";
    let id = fixture
        .id("select async.push_task(async.task($1, 'there', manual_timeout => '1 second'))", &[&ends_itself])
        .await;
    let error = fixture.end_within(id, SOON * 2).await.is("TIMED_OUT").expect("an error message");
    assert!(error.starts_with("the task did not finish in time\noutcome unknown: "), "{error}");
}

async fn a_leader_whose_epoch_has_passed_writes_nothing<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    // Every election raises the epoch in this way, after the transactions that are under way.
    fixture.run(
        "begin; lock table async.leader in share row exclusive mode; update async.leader set epoch = epoch + 1; commit",
    )
    .await;
    let id = fixture.push("select 1").await;
    assert_eq!(fixture.engine.wait_until_ended().await, Outcome::Returned);
    fixture.assert_holds(&format!("select consumed is null and run = 0 from async.task where task_id = {id}")).await;
    let mut next = E::attach(&fixture);
    next.lead().await;
    fixture.end_of(id).await.succeeded();
}

async fn a_routine_that_gives_up_every_lock_makes_no_second_leader<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create procedure public.give_up() language plpgsql as 'begin perform pg_advisory_unlock_all(); end';
        select async.push_routine('LOOP', 'public.give_up()')",
        )
        .await;
    fixture.engine.lead().await;
    let mut other = E::attach(&fixture);
    other.start().await;
    push_marks(&fixture, 200).await;
    fixture.wait_until_finished().await;
    assert_each_ran_once(&fixture, 200).await;
}

async fn the_database_s_date_style_and_time_zone_do_not_matter<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .run(&format!(
            "alter database {0} set datestyle = 'SQL, DMY'; alter database {0} set timezone = 'Asia/Kathmandu'",
            fixture.database.name()
        ))
        .await;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    // This test does not cover the fence of a successor, which passes times as texts.
    fixture.push_as("'select 2', 'there', manual_timeout => '1 minute'").await;
    let deferred = fixture.push("select 3").await;
    fixture.end_of(deferred).await.succeeded();
    fixture.wait_for("select last_heavy_maintenance is not null from async.control").await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_client_role_finishes_cancels_and_defers_from_afar<E: Engine>() {
    let fixture = with_pulled::<E>().await;
    let name = fixture.name().to_owned();
    let role = format!("{}_client", &name[name.len().saturating_sub(50)..]);
    fixture.run(&format!("create role {role}; select async.grant_client('{role}')")).await;
    let scratch = Scratch::empty(fixture.cluster()).await;
    let client = scratch.connect().await;
    install(&client, SchemaPart::Client).await.expect("it installs");
    let server = format!("{} options='-c role={role}'", fixture.conninfo());
    client.query("select async.server($1)", &[&server]).await.expect("an administrator sets it");

    let push = "select async.push_task(async.task($1, 'there'))";
    let slow: i64 = client.query_one(push, &[&"select pg_sleep(25)"]).await.expect("it pushes").get(0);
    client.query("select async.defer(array[$1::bigint], '1 hour')", &[&slow]).await.expect("it defers");
    fixture.wait_for(&format!("select eligible_when is not null from async.task where task_id = {slow}")).await;
    client.query("select async.cancel(array[$1::bigint], 'from afar')", &[&slow]).await.expect("it cancels");
    assert_eq!(fixture.end_within(slow, SOON).await.is("CANCELED").as_deref(), Some("from afar"));
    client.batch_execute("select async.push_task(async.task(null, 'pulled'))").await.expect("it pushes");
    let pulled: i64 =
        client.query_one("select task_id from async.get_tasks('pulled')", &[]).await.expect("it pulls").get(0);
    client.query("select async.finish(array[$1::bigint], 'FINISHED', null)", &[&pulled]).await.expect("it finishes");
    fixture.end_of(pulled).await.succeeded();
    drop(client);
    fixture.run(&format!("drop owned by {role}; drop role {role}")).await;
}

conformance!(
    an_offer_that_cannot_be_withdrawn_is_offered_again,
    a_reference_to_a_task_delays_nothing,
    locked_rows_do_not_slow_other_rows,
    a_lock_on_a_table_costs_time_and_not_the_lead,
    a_state_that_could_not_be_published_is_published_later,
    an_open_transaction_of_configure_delays_no_session,
    a_deferred_constraint_costs_the_row_that_breaks_it,
    a_timeout_with_an_unknown_outcome_reports_it,
    a_leader_whose_epoch_has_passed_writes_nothing,
    a_routine_that_gives_up_every_lock_makes_no_second_leader,
    the_database_s_date_style_and_time_zone_do_not_matter,
    a_client_role_finishes_cancels_and_defers_from_afar,
    a_leader_ends_with_a_sentence_when_another_version_is_installed
);

/// The SQL engine runs in the session of its caller, so its locks and connections could outlive it.
#[tokio::test]
async fn a_main_that_raises_keeps_no_lock_and_no_connection() {
    let fixture = Fixture::<SqlEngine>::prepared().await;
    let right = fixture.text("select self_connection_string from async.control").await.expect("it is set");
    fixture.run("update async.control set self_connection_string = 'host=127.0.0.1 port=1'").await;
    assert_eq!(fixture.refused("call async.main()").await.0, "PA206");
    fixture
        .assert_holds("select not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())")
        .await;
    let restore = "update async.control set self_connection_string = $1";
    fixture.session().execute(restore, &[&right]).await.expect("it is the owner's");
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
}

#[tokio::test]
async fn a_program_of_another_version_than_the_schema_refuses_to_lead() {
    let mut fixture = Fixture::<pgasync_tests::RustEngine>::prepared().await;
    fixture.run(OTHER_VERSION).await;
    fixture.engine.start().await;
    let Outcome::Failed(message) = fixture.engine.wait_until_ended().await else { panic!("it leads") };
    for text in ["exit status: 7", "the schema async at", "of another version than", "upgrade it with pgasync init"] {
        assert!(message.contains(text), "{text}: {message}");
    }
}

const OTHER_VERSION: &str =
    "create or replace function async.schema_fingerprint() returns text language sql as 'select ''other''::text'";

async fn a_leader_ends_with_a_sentence_when_another_version_is_installed<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    fixture.run(OTHER_VERSION).await;
    assert_eq!(fixture.engine.wait_until_ended().await, Outcome::Returned);
    fixture
        .assert_holds("select exists (select from async.server_log where message like 'stopped leading: PA213: %')")
        .await;
}
