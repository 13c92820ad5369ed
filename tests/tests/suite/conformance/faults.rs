//! What a client, a trigger, a routine or an administrator does at an odd moment: it costs the row that it is done to,
//! and neither the others, nor the lead, nor the truth.

use std::time::{Duration, Instant};

use pgasync_store::{Part, install};
use pgasync_tests::{Database, Engine, Outcome, Scratch, SqlEngine};
use serde_json::json;

use super::bed::{Bed, SOON};

/// With the target `pulled`, whose tasks clients take.
async fn with_pulled<E: Engine>() -> Bed<E> {
    let mut bed = Bed::<E>::prepared().await;
    bed.configure(&json!({ "targets": [
        bed.there(&json!({})),
        { "target": "pulled", "asynchronous_finish": true, "max_workers": 4 },
    ], "concurrency_pools": [{ "concurrency_pool": "narrow", "max_workers": 1 }] }))
        .await;
    bed.engine.lead().await;
    bed
}

/// Tasks that each write a mark into the target's ledger.
async fn push_marks<E: Engine>(bed: &Bed<E>, count: i64) {
    let query = "insert into ledger (mark) values (''##flow.TASK_ID##'')";
    let sql = format!(
        "select async.push_tasks(array(select async.task('{query}', 'there') from generate_series(1, {count})))"
    );
    bed.run(&sql).await;
}

/// The ledger says it, not the run number: a claim that is returned uses up a run.
async fn assert_each_ran_once<E: Engine>(bed: &Bed<E>, count: i64) {
    bed.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert_eq!(bed.number_there("select count(*) from ledger").await, count);
    assert_eq!(bed.number_there("select count(distinct mark) from ledger").await, count);
}

/// A client that holds rows until it is dropped.
async fn holding(database: &Database, lock: &str) -> pgasync_pg::Session {
    let client = database.connect().await;
    client.batch_execute(&format!("begin; {lock}")).await.unwrap_or_else(|error| panic!("{lock}\n{error:?}"));
    client
}

async fn an_offer_whose_row_is_held_while_it_is_withdrawn_is_handed_out_again<E: Engine>() {
    let bed = with_pulled::<E>().await;
    let offered = bed.push_as("null, 'pulled', concurrency_pool => 'narrow'").await;
    bed.wait_for("select count(*) = 1 from async.offer").await;
    let client = holding(&bed, &format!("select from async.task where task_id = {offered} for update")).await;
    // It wants the only slot, so that the offer gives way; and it cannot while the row is held.
    let query = bed.push_as("'select 1', 'there', concurrency_pool => 'narrow'").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.batch_execute("rollback").await.expect("it lets go");
    bed.end_within(query, SOON).await.succeeded();
    let pulled = format!("select count(*) from async.get_tasks('pulled', 1, '10 seconds') where task_id = {offered}");
    assert_eq!(bed.number(&pulled).await, 1);
    bed.run(&format!("select async.finish(array[{offered}], 'FINISHED', null)")).await;
    bed.end_of(offered).await.succeeded();
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_reference_to_a_task_delays_nothing<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run("create table public.child (task_id bigint references async.task)").await;
    let id = bed.push("select pg_sleep(1)").await;
    bed.wait_until(id, "RUNNING").await;
    // The check of the foreign key locks the row FOR KEY SHARE until the client commits.
    let client = holding(&bed, &format!("insert into public.child values ({id})")).await;
    bed.end_within(id, SOON).await.succeeded();
    client.batch_execute("rollback").await.expect("it lets go");
}

async fn rows_that_are_held_do_not_slow_the_others<E: Engine>() {
    const MANY: u32 = 300;
    let bed = with_pulled::<E>().await;
    let run_many = async || {
        let begin = Instant::now();
        bed.run(&format!(
            "select async.push_tasks(array(select async.task('select 1', 'there') from generate_series(1, {MANY})))"
        ))
        .await;
        bed.wait_for("select not exists (select from async.task where processed is null and query = 'select 1')").await;
        begin.elapsed()
    };
    let free = run_many().await;
    // One that is overdue while it waits, and one that would be offered.
    let overdue = bed.push_as("null, 'pulled', manual_timeout => '2 seconds'").await;
    bed.wait_for("select count(*) = 1 from async.offer").await;
    bed.run("select async.get_tasks('pulled')").await;
    let client = holding(&bed, &format!("select from async.task where task_id = {overdue} for update")).await;
    let pullable = client
        .query_one("select async.push_task(async.task(null, 'pulled'))", &[])
        .await
        .expect("it pushes")
        .get::<_, i64>(0);
    client.batch_execute("commit").await.expect("it commits");
    let client = holding(
        &bed,
        &format!("select from async.task where task_id in ({overdue}, {pullable}) order by task_id for update"),
    )
    .await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let held = run_many().await;
    client.batch_execute("rollback").await.expect("it lets go");
    assert!(held < free * 3 + Duration::from_secs(1), "{free:?} without a lock, {held:?} with two rows held");
    assert_eq!(bed.end_within(overdue, SOON).await.status, "TIMED_OUT");
}

async fn a_lock_on_a_table_costs_time_and_not_the_lead<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    push_marks(&bed, 600).await;
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
        let client = holding(&bed, &format!("lock table {table}; select pg_sleep({seconds})")).await;
        client.batch_execute("rollback").await.expect("it lets go");
    }
    bed.run("alter table async.task add column of_the_user text").await;
    bed.wait_until_finished().await;
    assert_each_ran_once(&bed, 600).await;
    bed.run_task("select 1").await.succeeded();
    assert!(bed.engine.is_leading().await);
    bed.assert_holds("select epoch = 1 from async.leader").await;
    assert_eq!(bed.engine.stop().await, Outcome::Returned);
}

async fn a_deferred_constraint_costs_the_row_that_breaks_it<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
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
    let mut bed = bed;
    bed.engine.lead().await;
    let broken = bed.push("select 1 /* breaks */").await;
    for n in 0..10 {
        bed.run_task(&format!("select {n}")).await.succeeded();
    }
    bed.wait_for("select count(*) = 1 from public.child where id = 1").await;
    bed.assert_holds("select not exists (select from public.child where id = 0)").await;
    bed.wait_until(broken, "RUNNING").await;
    bed.wait_for("select exists (select from async.server_log where message like '%cannot be written%too late%')")
        .await;
    bed.run("alter table async.task disable trigger late").await;
    bed.end_within(broken, Duration::from_secs(40)).await.succeeded();
    assert_eq!(bed.engine.stop().await, Outcome::Returned);
}

async fn a_timeout_with_an_unknown_outcome_says_so<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let ends_itself = "do $$ begin perform pg_sleep(20); exception when query_canceled then
        perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(20); end $$";
    let id =
        bed.id("select async.push_task(async.task($1, 'there', manual_timeout => '1 second'))", &[&ends_itself]).await;
    let error = bed.end_within(id, SOON * 2).await.is("TIMED_OUT").expect("it says why");
    assert!(error.starts_with("the task did not finish in time\noutcome unknown: "), "{error}");
}

async fn a_leader_whose_epoch_has_passed_writes_nothing<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    bed.run_task("select 1").await.succeeded();
    // As every election does: behind the transactions that are under way.
    bed.run(
        "begin; lock table async.leader in share row exclusive mode; update async.leader set epoch = epoch + 1; commit",
    )
    .await;
    let id = bed.push("select 1").await;
    assert_eq!(bed.engine.wait_until_ended().await, Outcome::Returned);
    bed.assert_holds(&format!("select consumed is null and run = 0 from async.task where task_id = {id}")).await;
    let mut next = E::attach(&bed);
    next.lead().await;
    bed.end_of(id).await.succeeded();
}

async fn a_routine_that_gives_up_every_lock_makes_no_second_leader<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.run(
        "create procedure public.give_up() language plpgsql as 'begin perform pg_advisory_unlock_all(); end';
        select async.push_routine('LOOP', 'public.give_up()')",
    )
    .await;
    bed.engine.lead().await;
    let mut other = E::attach(&bed);
    other.start().await;
    push_marks(&bed, 200).await;
    bed.wait_until_finished().await;
    assert_each_ran_once(&bed, 200).await;
}

async fn the_database_s_date_style_and_time_zone_do_not_matter<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.run(&format!(
        "alter database {0} set datestyle = 'SQL, DMY'; alter database {0} set timezone = 'Asia/Kathmandu'",
        bed.database.name()
    ))
    .await;
    bed.engine.lead().await;
    bed.run_task("select 1").await.succeeded();
    // What a successor does with sessions of this leader is the fence's: its lists of times are still texts.
    bed.push_as("'select 2', 'there', manual_timeout => '1 minute'").await;
    let deferred = bed.push("select 3").await;
    bed.end_of(deferred).await.succeeded();
    bed.wait_for("select last_heavy_maintenance is not null from async.control").await;
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_client_role_finishes_cancels_and_defers_from_afar<E: Engine>() {
    let bed = with_pulled::<E>().await;
    let name = bed.name().to_owned();
    let role = format!("{}_client", &name[name.len().saturating_sub(50)..]);
    bed.run(&format!("create role {role}; select async.grant_client('{role}')")).await;
    let scratch = Scratch::empty(bed.cluster()).await;
    let client = scratch.connect().await;
    install(&client, Part::Client).await.expect("it installs");
    let server = format!("{} options='-c role={role}'", bed.conninfo());
    client.query("select async.server($1)", &[&server]).await.expect("an administrator sets it");

    let push = "select async.push_task(async.task($1, 'there'))";
    let slow: i64 = client.query_one(push, &[&"select pg_sleep(25)"]).await.expect("it pushes").get(0);
    client.query("select async.defer(array[$1::bigint], '1 hour')", &[&slow]).await.expect("it defers");
    bed.wait_for(&format!("select eligible_when is not null from async.task where task_id = {slow}")).await;
    client.query("select async.cancel(array[$1::bigint], 'from afar')", &[&slow]).await.expect("it cancels");
    assert_eq!(bed.end_within(slow, SOON).await.is("CANCELED").as_deref(), Some("from afar"));
    client.batch_execute("select async.push_task(async.task(null, 'pulled'))").await.expect("it pushes");
    let pulled: i64 =
        client.query_one("select task_id from async.get_tasks('pulled')", &[]).await.expect("it pulls").get(0);
    client.query("select async.finish(array[$1::bigint], 'FINISHED', null)", &[&pulled]).await.expect("it finishes");
    bed.end_of(pulled).await.succeeded();
    drop(client);
    bed.run(&format!("drop owned by {role}; drop role {role}")).await;
}

conformance!(
    an_offer_whose_row_is_held_while_it_is_withdrawn_is_handed_out_again,
    a_reference_to_a_task_delays_nothing,
    rows_that_are_held_do_not_slow_the_others,
    a_lock_on_a_table_costs_time_and_not_the_lead,
    a_deferred_constraint_costs_the_row_that_breaks_it,
    a_timeout_with_an_unknown_outcome_says_so,
    a_leader_whose_epoch_has_passed_writes_nothing,
    a_routine_that_gives_up_every_lock_makes_no_second_leader,
    the_database_s_date_style_and_time_zone_do_not_matter,
    a_client_role_finishes_cancels_and_defers_from_afar,
    a_leader_ends_with_a_sentence_when_another_version_is_installed
);

/// The SQL engine is its session: what that keeps, it keeps.
#[tokio::test]
async fn a_main_that_raises_keeps_no_lock_and_no_connection() {
    let bed = Bed::<SqlEngine>::prepared().await;
    let right = bed.text("select self_connection_string from async.control").await.expect("it is set");
    bed.run("update async.control set self_connection_string = 'host=127.0.0.1 port=1'").await;
    assert_eq!(bed.refused("call async.main()").await.0, "PA206");
    bed.assert_holds("select not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())")
        .await;
    let restore = "update async.control set self_connection_string = $1";
    bed.session().execute(restore, &[&right]).await.expect("it is the owner's");
    let mut bed = bed;
    bed.engine.lead().await;
    bed.run_task("select 1").await.succeeded();
}

#[tokio::test]
async fn a_program_of_another_version_than_the_schema_refuses_to_lead() {
    let mut bed = Bed::<pgasync_tests::RustEngine>::prepared().await;
    bed.run(OTHER_VERSION).await;
    bed.engine.start().await;
    let Outcome::Failed(said) = bed.engine.wait_until_ended().await else { panic!("it leads") };
    assert!(said.contains("PA213: the schema async at"), "{said}");
}

const OTHER_VERSION: &str =
    "create or replace function async.schema_fingerprint() returns text language sql as 'select ''other''::text'";

async fn a_leader_ends_with_a_sentence_when_another_version_is_installed<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    bed.run(OTHER_VERSION).await;
    assert_eq!(bed.engine.wait_until_ended().await, Outcome::Returned);
    bed.assert_holds("select exists (select from async.server_log where message like 'stopped leading: PA213: %')")
        .await;
}
