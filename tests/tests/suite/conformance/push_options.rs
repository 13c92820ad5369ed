//! The times of `async.push`: `run_at` and `expires_at`; tags; and what a push refuses.

use std::time::Duration;

use pgasync_tests::Engine;
use serde_json::json;

use super::clients::client_of;
use super::fixture::{Fixture, SLOW};

async fn a_task_runs_at_its_time_and_not_before<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    // The leader sleeps, and learns of a time that it did not wait for.
    fixture.configure(&json!({ "control": { "idle_sleep": 60 } })).await;
    let id = fixture.id("select async.push('select 1', 'there', run_at => clock_timestamp() + '2 s')", &[]).await;
    let past = fixture.id("select async.push('select 1', 'there', run_at => '2000-01-01')", &[]).await;
    fixture.end_of(past).await.succeeded();
    fixture.configure(&json!({ "control": { "idle_sleep": 0.1 } })).await;
    fixture.end_of(id).await.succeeded();
    fixture
        .assert_holds(&format!(
            "select consumed between run_at and run_at + interval '10 s' and eligible_when is null
             from async.task where task_id = {id}"
        ))
        .await;
}

async fn patience_with_a_target_begins_when_a_task_may_run<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let gone = json!({ "target": "gone", "connection_string": "host=127.0.0.1 port=1 connect_timeout=2" });
    fixture.configure(&json!({ "control": { "target_patience": "2 s" }, "targets": [gone] })).await;
    let first = fixture.id("select async.push('select 1', 'gone')", &[]).await;
    let sql = "select async.push('select 1', 'gone', run_at => clock_timestamp() + '5 s')";
    let later = fixture.id(sql, &[]).await;
    fixture.end_of(first).await.is("FAILED");
    fixture.end_of(later).await.is("FAILED");
    let patient = format!("select processed >= run_at + interval '2 s' from async.task where task_id = {later}");
    fixture.assert_holds(&patient).await;
}

/// More tasks than a poll reads one by one.
async fn many_tasks_run_at_their_times<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "select count(*) from async.push_many((
               select jsonb_agg(jsonb_build_object('query', 'select 1', 'target', 'there',
                 'run_at', clock_timestamp() + '2 s'))
               from generate_series(1, 1100)))",
        )
        .await;
    fixture
        .wait_for_within("select not exists (select from async.task where processed is null)", Duration::from_secs(90))
        .await;
    fixture
        .assert_holds("select count(*) = 1100 and bool_and(consumed >= run_at and not failed) from async.task")
        .await;
    fixture.assert_holds("select min(consumed - run_at) < '10 s' from async.task").await;
}

async fn no_request_makes_a_task_run_before_its_time<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let ids: Vec<i64> = fixture
        .rows(
            "select async.push_each('select 1', array_fill('there'::text, array[4]),
               run_at => clock_timestamp() + '1 hour')",
            &[],
        )
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    let waits = |id: i64| format!("select eligible_when = run_at from async.task where task_id = {id}");
    fixture.run(&format!("select async.finish(array[{}], 'PAUSED', null)", ids[0])).await;
    fixture.run(&format!("select async.defer(array[{}], '1 s')", ids[1])).await;
    fixture.run(&format!("select async.defer(array[{}], '2 hours')", ids[2])).await;
    fixture.run(&format!("select async.cancel(array[{}])", ids[3])).await;
    fixture.end_of(ids[3]).await.is("CANCELED");
    fixture.run(&format!("select async.restart_task({})", ids[3])).await;
    fixture.wait_for("select count(*) = 0 from async.request").await;
    for id in [ids[0], ids[1], ids[3]] {
        fixture.assert_holds(&waits(id)).await;
    }
    let later = format!("select eligible_when > run_at + '30 minutes' from async.task where task_id = {}", ids[2]);
    fixture.assert_holds(&later).await;
    fixture.run("select async.wait_for_latch()").await;
    fixture.assert_holds("select bool_and(consumed is null) from async.task").await;
}

async fn a_task_expires_wherever_it_is<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let pulled = json!({ "target": "pulled", "asynchronous_finish": true });
    let yields =
        json!({ "target": "yields", "asynchronous_finish": true, "connection_string": fixture.target.conninfo() });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), pulled, yields] })).await;
    let push = async |arguments: &str| {
        let sql = format!("select async.push({arguments}, expires_at => clock_timestamp() + '3 s')");
        fixture.id(&sql, &[]).await
    };
    let running = push(&format!("$q${SLOW}$q$, 'there', timeout => '1 hour'")).await;
    let deferred = push("'select 1', 'there', run_at => clock_timestamp() + '2.9 s'").await;
    fixture.run(&format!("select async.defer(array[{deferred}], '1 hour')")).await;
    let yielded = push("'select 1', 'yields'").await;
    let offered = push("null, 'pulled'").await;
    fixture.wait_until(yielded, "YIELDED").await;
    for id in [running, deferred, yielded, offered] {
        let error = fixture.end_of(id).await.is("TIMED_OUT");
        assert_eq!(error.as_deref(), Some("the task did not finish in time"));
        let on_time = format!(
            "select times_up = expires_at and processed between expires_at and expires_at + interval '10 s'
             from async.task where task_id = {id}"
        );
        fixture.assert_holds(&on_time).await;
        assert_eq!(fixture.refused(&format!("select async.restart_task({id})")).await.0, "PA034");
    }
    fixture.wait_until_no_slot_is_taken().await;
    // An earlier timeout counts.
    let sql = "select async.push($1, 'there', timeout => '1 s', expires_at => clock_timestamp() + '1 hour')";
    let timed_out = fixture.id(sql, &[&SLOW]).await;
    fixture.end_of(timed_out).await.is("TIMED_OUT");
    fixture.run(&format!("select async.restart_task({timed_out})")).await;
    fixture.end_of(timed_out).await.is("TIMED_OUT");
}

async fn a_task_that_expired_before_its_push_never_runs<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let sql = "select async.push('insert into ledger (mark) values (''ran'')', 'there', expires_at => '2000-01-01')";
    let id = fixture.id(sql, &[]).await;
    fixture.end_of(id).await.is("TIMED_OUT");
    assert_eq!(fixture.target.marks("ran").await, 0);
}

async fn an_invalid_option_is_refused_with_its_path<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    for (given, code, path) in [
        (r#"{"prioritty": 1}"#, "PA01D", "task 2.prioritty: is no option"),
        (r#"{"query": 1}"#, "PA01D", "task 2.query: must be a string, not a number"),
        (r#"{"priority": 1.5}"#, "PA01D", "task 2.priority: "),
        (r#"{"priority": 3000000000}"#, "PA01D", "task 2.priority: "),
        (r#"{"timeout": "soon"}"#, "PA01D", "task 2.timeout: "),
        (r#"{"timeout": "-1 s"}"#, "PA016", "task 2: its timeout is negative"),
        (r#"{"track_yielded": "yes"}"#, "PA01D", "task 2.track_yielded: must be true or false, not a string"),
        (r#"{"run_at": "2026-13-01"}"#, "PA01D", "task 2.run_at: "),
        (r#"{"run_at": "infinity"}"#, "PA01E", "task 2.run_at: must be finite"),
        (r#"{"expires_at": "-infinity"}"#, "PA01E", "task 2.expires_at: must be finite"),
        (r#"{"run_at": "2030-01-01", "expires_at": "2030-01-01"}"#, "PA01E", "task 2.expires_at: 2030-01-01"),
        (r#"{"unique_while": "waiting"}"#, "PA01F", "task 2.unique_while: is given without unique_key"),
        (r#"{"on_conflict": "skip"}"#, "PA01F", "task 2.on_conflict: is given without unique_key"),
        (r#"{"unique_key": "k", "unique_while": "always"}"#, "PA01F", "task 2.unique_while: must be"),
        (r#"{"unique_key": "k", "on_conflict": "wait"}"#, "PA01F", "task 2.on_conflict: must be"),
        (r#"{"target": "nowhere"}"#, "PA011", "task 2: there is no target 'nowhere'"),
        (r#"{"target": null}"#, "PA010", "task 2 has no target"),
        (r#"{"target": ["there"]}"#, "PA01D", "task 2.target: must be a string, not an array"),
        ("4", "PA01D", "task 2 must be an object, not a number"),
    ] {
        let element = if given.starts_with('{') {
            format!(r#"'{{"query": "select 1", "target": "there"}}'::jsonb || '{given}'"#)
        } else {
            format!("'{given}'::jsonb")
        };
        let sql = format!(
            r#"select async.push_many(jsonb_build_array('{{"query": "select 1", "target": "there"}}'::jsonb, {element}))"#
        );
        let (sqlstate, message) = fixture.refused(&sql).await;
        assert_eq!(sqlstate, code, "{given}: {message}");
        assert!(message.starts_with(path), "{given}: {message}");
    }
    for document in ["null", "'{}'", "'4'"] {
        assert_eq!(fixture.refused(&format!("select async.push_many({document})")).await.0, "PA01D");
    }
    let long = "select async.push('select 1', 'there', unique_key => repeat('k', 1025))";
    assert_eq!(fixture.refused(long).await.0, "PA01F");
    let long = "select async.push('select 1', 'there', source => repeat('s', 256))";
    assert_eq!(fixture.refused(long).await.0, "PA01C");
    fixture.assert_holds("select count(*) = 0 from async.task").await;
    fixture.assert_holds("select count(*) = 0 from async.push_many('[]')").await;
}

async fn every_option_stands_in_the_row<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "select async.push('select 1', 'there', priority => 3, concurrency_pool => 'p', timeout => '5 min',
               task_data => '{\"a\": [1, null]}', track_yielded => true, source => 'test', run_at => '2100-01-01 00:00Z',
               expires_at => '2100-01-02 00:00Z', unique_key => 'k', unique_while => 'waiting')",
        )
        .await;
    fixture
        .assert_holds(
            "select query = 'select 1' and target = 'there' and priority = 3 and concurrency_pool = 'p'
               and manual_timeout = '5 min' and task_data = '{\"a\": [1, null]}' and track_yielded and source = 'test'
               and run_at = '2100-01-01 00:00Z' and eligible_when = run_at and expires_at = '2100-01-02 00:00Z'
               and times_up = expires_at and unique_key = 'k' and unique_while = 'waiting' and pushed_by = session_user
             from async.task",
        )
        .await;
    fixture.run("select async.push('select 2', 'there')").await;
    fixture
        .assert_holds(
            "select row(priority, concurrency_pool, manual_timeout, task_data, track_yielded, source, run_at,
               eligible_when, expires_at, times_up, unique_key, unique_while)
               is not distinct from row(0, 'there', null::interval, null::jsonb, false, null::text,
               null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::text, null::text)
             from async.task where query = 'select 2'",
        )
        .await;
    let rows = fixture
        .rows(
            "select task_id from async.push_many('[{\"query\": \"of 1\", \"target\": \"there\"},
               {\"query\": \"of 2\", \"target\": \"SELF\"}, {\"query\": \"of 3\", \"target\": \"there\"}]')
             where not duplicate",
            &[],
        )
        .await;
    let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let sql = "select array_agg(task_id order by query) from async.task where query like 'of %'";
    assert_eq!(fixture.rows(sql, &[]).await[0].get::<_, Vec<i64>>(0), ids);
}

async fn targets_are_found_by_their_tags<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let target = |name: &str, tags: serde_json::Value| json!({ "target": name, "connection_string": fixture.target.conninfo(), "tags": tags });
    let document = json!({ "targets": [target("b", json!(["shop", "eu"])), target("a", json!(["shop"])), target("c", json!([]))] });
    fixture.configure(&document).await;
    fixture.assert_holds("select async.targets('shop') = '{a,b}' and async.targets('none') = '{}'").await;
    let sql = "select async.push_each('select 1', async.targets('shop'), priority => 2)";
    assert_eq!(fixture.rows(sql, &[]).await.len(), 2);
    fixture.wait_until_finished().await;
    fixture
        .assert_holds("select array_agg(target order by task_id) = '{a,b}' and bool_and(not failed and priority = 2) from async.task")
        .await;
    // A list that is left out stays, and a retired target is not found.
    fixture.configure(&json!({ "targets": [{ "target": "b" }] })).await;
    fixture.assert_holds("select async.targets('shop') = '{b}' and async.targets('eu') = '{b}'").await;
    fixture.configure(&json!({ "targets": [{ "target": "b", "tags": [] }] })).await;
    fixture.assert_holds("select async.targets('shop') = '{}'").await;
}

async fn a_client_database_pushes_with_every_option<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "tags": ["shop"] }))] })).await;
    let (_scratch, client) = client_of(&fixture.database).await;
    client.batch_execute("set timezone = 'Asia/Tokyo'; set datestyle = 'ISO, DMY'").await.expect("it sets them");
    let number = async |sql: &str| -> i64 {
        client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}")).get(0)
    };
    let first = number("select async.push('select 1', 'there', run_at => '2100-01-02', unique_key => 'k')").await;
    assert_eq!(number("select async.push('select 1', 'there', unique_key => 'k')").await, first);
    fixture.assert_holds("select count(*) = 1 and min(run_at) = '2100-01-01 15:00Z' from async.task").await;
    let rows = client
        .query(
            "select task_id, duplicate from async.push_many('[
               {\"query\": \"select 1\", \"target\": \"there\", \"unique_key\": \"k\"},
               {\"query\": \"select 2\", \"target\": \"there\", \"run_at\": \"02/01/2100\"}]')",
            &[],
        )
        .await
        .expect("it pushes");
    assert_eq!((rows[0].get::<_, i64>(0), rows[0].get::<_, bool>(1), rows[1].get::<_, bool>(1)), (first, true, false));
    fixture.assert_holds("select bool_and(run_at = '2100-01-01 15:00Z') from async.task").await;
    let each = client.query("select async.push_each('select 3', async.targets('shop'))", &[]).await.expect("it pushes");
    fixture.end_of(each[0].get(0)).await.succeeded();
    let refused =
        client.batch_execute("select async.push('select 1', 'there', unique_key => 'k', on_conflict => 'error')");
    assert_eq!(refused.await.expect_err("the key is taken").sqlstate(), Some("PA01G"));
}

conformance!(
    a_task_runs_at_its_time_and_not_before,
    many_tasks_run_at_their_times,
    patience_with_a_target_begins_when_a_task_may_run,
    no_request_makes_a_task_run_before_its_time,
    a_task_expires_wherever_it_is,
    a_task_that_expired_before_its_push_never_runs,
    an_invalid_option_is_refused_with_its_path,
    every_option_stands_in_the_row,
    targets_are_found_by_their_tags,
    a_client_database_pushes_with_every_option,
);
