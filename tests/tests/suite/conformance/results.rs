//! `keep_result`: the rows of a task are kept, up to a limit, and its end does not depend on them.

use std::time::Duration;

use pgasync_pg::Session;
use pgasync_tests::Engine;
use serde_json::{Value, json};

use super::clients::client_of;
use super::fixture::Fixture;

/// A result, without its run.
#[derive(Debug, PartialEq)]
struct Kept {
    row_count: Option<i64>,
    rows: Option<Value>,
    truncated: bool,
    error: Option<String>,
}

impl Kept {
    fn all(rows: Value) -> Self {
        let row_count = rows.as_array().and_then(|rows| i64::try_from(rows.len()).ok());
        Self { row_count, rows: Some(rows), truncated: false, error: None }
    }
}

async fn push<E: Engine>(fixture: &Fixture<E>, query: &str) -> i64 {
    fixture.id("select async.push($1, 'there', keep_result => true)", &[&query]).await
}

async fn kept<E: Engine>(fixture: &Fixture<E>, id: i64) -> Kept {
    let rows = fixture.rows("select row_count, rows, truncated, error from async.get_result($1)", &[&id]).await;
    let row = rows.first().unwrap_or_else(|| panic!("task {id} has no result"));
    Kept { row_count: row.get(0), rows: row.get(1), truncated: row.get(2), error: row.get(3) }
}

/// The result of a query that succeeds.
async fn result_of<E: Engine>(fixture: &Fixture<E>, query: &str) -> Kept {
    let id = push(fixture, query).await;
    fixture.end_of(id).await.succeeded();
    kept(fixture, id).await
}

async fn the_rows_of_each_kind_of_statement_are_kept<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run_there(
            "create table t (n int, name text);
             insert into t values (1, 'one'), (2, 'two');
             create procedure doubled(inout n int) language plpgsql as $$ begin n := 2 * n; end $$;
             create procedure added() language plpgsql as $$ begin insert into t values (9, 'nine'); end $$;",
        )
        .await;
    for (query, rows) in [
        ("select n, name from t order by n", json!([{"n": 1, "name": "one"}, {"n": 2, "name": "two"}])),
        ("-- a comment\n table t order by n desc limit 1;", json!([{"n": 2, "name": "two"}])),
        ("values (1, null), (2, 'x')", json!([{"column1": 1, "column2": null}, {"column1": 2, "column2": "x"}])),
        ("show server_encoding", json!([{"server_encoding": "UTF8"}])),
        ("explain (costs off) select 1", json!([{"QUERY PLAN": "Result"}])),
        ("insert into t values (3, 'three') returning n", json!([{"n": 3}])),
        ("with d as (delete from t where n = 3 returning *) select name from d", json!([{"name": "three"}])),
        ("with x as (select 7 as n) update t set n = x.n from x where t.n = 2 returning t.n", json!([{"n": 7}])),
        ("call doubled(21)", json!([{"n": 42}])),
        ("(select 1 as a) union all (select 2) order by a", json!([{"a": 1}, {"a": 2}])),
        ("select where false", json!([])),
        ("select ##flow.TASK_ID## > 0 as numbered", json!([{"numbered": true}])),
        (r"select 'it''s \ $pgasync1$ $$' as quoted", json!([{"quoted": r"it's \ $pgasync1$ $$"}])),
        ("select 'ä€😀' as wide, e'\\n\\t\"' as special", json!([{"wide": "ä€😀", "special": "\n\t\""}])),
        (
            "select array[1, 2] as a, null::json as j, '{\"k\": [1]}'::jsonb as b, '1 day'::interval as i",
            json!([{"a": [1, 2], "j": null, "b": {"k": [1]}, "i": "1 day"}]),
        ),
    ] {
        assert_eq!(result_of(&fixture, query).await, Kept::all(rows), "{query}");
    }
    for (query, row_count) in [
        ("insert into t select n, null from generate_series(100, 149) n", 50),
        ("delete from t where n >= 100", 50),
        ("create table made as select generate_series(1, 7)", 7),
        ("call added()", 0),
        ("do $do$ begin insert into t values (10, 'ten'); end $do$", 0),
        ("set work_mem = '1MB'", 0),
    ] {
        let expected = Kept { row_count: Some(row_count), ..Kept::all(json!([])) };
        assert_eq!(result_of(&fixture, query).await, expected, "{query}");
    }
    // What each of them changed is committed once.
    assert_eq!(fixture.number_there("select count(*) from t where n in (9, 10)").await, 2);
    fixture.assert_holds("select bool_and(run = 1 and bytes >= 2 and error is null) from async.result").await;
    // Other tasks have none.
    fixture.run_task("select 1").await.succeeded();
    fixture
        .assert_holds("select count(*) = count(*) filter (where keep_result_for = session_user) + 1 from async.task")
        .await;
    fixture.assert_holds("select (select count(*) from async.task) = (select count(*) from async.result) + 1").await;
}

async fn whole_rows_are_kept_up_to_the_limit_and_all_are_counted<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "control": { "result_bytes_max": 1024 } })).await;
    // A row takes eleven bytes, and a comma or a bracket: 1 + 85 * 12 is 1021.
    let full = result_of(&fixture, "select n from generate_series(1001, 1085) n").await;
    assert_eq!((full.row_count, full.truncated), (Some(85), false));
    fixture.assert_holds("select bytes = 1021 and jsonb_array_length(rows) = 85 from async.result").await;
    fixture.run("delete from async.result").await;
    let one_more = result_of(&fixture, "select n from generate_series(1001, 1086) n").await;
    assert_eq!((one_more.row_count, one_more.truncated, one_more.error), (Some(86), true, None));
    fixture
        .assert_holds(
            "select bytes = 1021 and jsonb_array_length(rows) = 85 and rows -> 84 ->> 'n' = '1085' from async.result",
        )
        .await;
    // A row that does not fit ends the array, also if a later one would fit.
    let query = "select repeat('x', case n when 2 then 5000 else 1 end) as x from generate_series(1, 4) n";
    let cut = result_of(&fixture, query).await;
    assert_eq!(cut, Kept { row_count: Some(4), rows: Some(json!([{"x": "x"}])), truncated: true, error: None });
    // Characters count as in UTF-8.
    let wide = result_of(&fixture, "select repeat('€', 400) as x").await;
    assert_eq!(wide, Kept { row_count: Some(1), rows: Some(json!([])), truncated: true, error: None });
    fixture.configure(&json!({ "control": { "result_bytes_max": 16_777_216 } })).await;
    let long = result_of(&fixture, "select repeat('x', 5000000) as x from generate_series(1, 3)").await;
    assert_eq!((long.row_count, long.truncated), (Some(3), false), "{:?}", long.error);
    fixture.assert_holds("select max(bytes) between 15000000 and 15000100 from async.result").await;
}

async fn a_row_that_is_no_json_ends_the_rows_and_not_the_task<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_there("create table t (n int)").await;
    let query = r#"with w as (insert into t values (1) returning n)
        select case s.n when 2 then '"\u0000"' else '7' end::json as j from w, generate_series(1, 3) as s(n)"#;
    let kept = result_of(&fixture, query).await;
    assert_eq!((kept.row_count, kept.rows, kept.truncated), (Some(3), Some(json!([{"j": 7}])), true));
    let error = kept.error.expect("it says why");
    assert!(error.starts_with("row 2 is no JSON: 22P05: "), "{error}");
    assert_eq!(fixture.number_there("select count(*) from t").await, 1);
    let logged = "select exists (select from async.server_log
        where level = 'WARNING' and message like 'task %: not all of its rows are kept: row 2 is no JSON%')";
    fixture.assert_holds(logged).await;
}

async fn a_failed_task_has_no_result<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run_there(
            "create table t (n int, unique (n) deferrable initially deferred);
             create procedure committing() language plpgsql as $$ begin commit; end $$;",
        )
        .await;
    for (query, code) in [
        ("select 1 / (3 - n) from generate_series(1, 5) n", "22012"),
        ("select from nowhere", "42P01"),
        // It fails at the commit, after the rows were sent.
        ("insert into t values (1), (1) returning n", "23505"),
        ("call committing()", "2D000"),
        ("select pg_cancel_backend(pg_backend_pid()), pg_sleep(5)", "57014"),
    ] {
        let id = push(&fixture, query).await;
        let error = fixture.end_of(id).await.is("FAILED").unwrap_or_default();
        assert!(error.starts_with(code), "{query}: {error}");
        assert_eq!(fixture.rows("select from async.get_result($1)", &[&id]).await.len(), 0, "{query}");
    }
    assert_eq!(fixture.number_there("select count(*) from t").await, 0);
}

async fn a_query_whose_rows_cannot_be_kept_is_refused<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    for (query, why) in [
        ("select 1; select 2", "has several statements"),
        ("copy t to stdout", "is a COPY"),
        ("copy t from '/tmp/file'", "is a COPY"),
        ("/* now */ begin", "controls transactions"),
        ("commit and chain", "controls transactions"),
        ("prepare transaction 'x'", "controls transactions"),
        ("vacuum analyze", "cannot run in a transaction block"),
        ("create  index concurrently i on t (n)", "cannot run in a transaction block"),
        ("reindex database x", "cannot run in a transaction block"),
        ("alter system set work_mem = 1", "cannot run in a transaction block"),
        ("create database x", "cannot run in a transaction block"),
        ("select 1 as n into made", "is a SELECT INTO"),
    ] {
        let sql = "select async.push_many(jsonb_build_array(jsonb_build_object(
            'query', 'select 1', 'target', 'there', 'keep_result', true), jsonb_build_object(
            'query', QUERY::text, 'target', 'there', 'keep_result', true)))";
        let quoted = format!("'{}'", query.replace('\'', "''"));
        let (code, message) = fixture.refused(&sql.replace("QUERY", &quoted)).await;
        assert_eq!(code, "PA01K", "{query}: {message}");
        assert_eq!(message, format!("task 2.keep_result: its query {why}, so its rows cannot be kept"), "{query}");
        // Without the option it is a task like any other.
        fixture.run(&format!("select async.push({quoted}, 'there', keep_result => false)")).await;
    }
    fixture.configure(&json!({ "targets": [{ "target": "pulled", "asynchronous_finish": true }] })).await;
    assert_eq!(fixture.refused("select async.push(null, 'pulled', keep_result => true)").await.0, "PA01K");
    let wrong_type = r#"select async.push_many('[{"query": "select 1", "target": "there", "keep_result": 1}]')"#;
    assert_eq!(fixture.refused(wrong_type).await.0, "PA01D");
    fixture.assert_holds("select count(*) = 12 and bool_and(keep_result_for is null) from async.task").await;
}

async fn a_restart_and_a_retry_replace_the_result<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(&json!({ "retry_policies": [
            { "retry_policy": "soon", "max_attempts": 3, "delay": "0.1 s", "sqlstates": ["any"] }] }))
        .await;
    fixture.run_there("create sequence s; create table t (n int)").await;
    let id = push(&fixture, "select nextval('s') as n").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(kept(&fixture, id).await, Kept::all(json!([{"n": 1}])));
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    fixture.run(&format!("begin; select async.restart_task({id})")).await;
    fixture.assert_holds("select count(*) = 0 from async.result").await;
    fixture.run("commit").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(kept(&fixture, id).await, Kept::all(json!([{"n": 2}])));
    fixture.assert_holds("select run = 2 from async.result").await;

    // The first attempt fails after its row was made.
    let retried =
        "select case x.v when 3 then 1 / (x.v - 3) else x.v end as n from (select nextval('s') as v offset 0) x";
    let sql = "select async.push($1, 'there', keep_result => true, retry => 'soon')";
    let id = fixture.id(sql, &[&retried]).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(kept(&fixture, id).await, Kept::all(json!([{"n": 4}])));
    fixture.assert_holds(&format!("select run = 2 from async.result where task_id = {id}")).await;
    fixture.assert_holds(&format!("select count(*) = 2 from async.attempt where task_id = {id}")).await;

    // A deferral is no end, although the query succeeded.
    let deferring = push(&fixture, "select pg_sleep(0.5)").await;
    fixture.wait_until(deferring, "RUNNING").await;
    fixture.run(&format!("select async.defer(array[{deferring}], '1 hour')")).await;
    fixture.wait_for(&format!("select eligible_when is not null from async.task where task_id = {deferring}")).await;
    fixture.assert_holds(&format!("select count(*) = 0 from async.result where task_id = {deferring}")).await;
}

async fn triggers_on_the_completion_find_the_result<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table seen (task_id bigint, rows jsonb);
             create function note() returns trigger language plpgsql as $$
             begin
               insert into public.seen select r.task_id, r.rows from async.result r where r.task_id = new.task_id;
               return null;
             end $$;
             create trigger note after update on async.task for each row
               when (new.processed is not null and new.tracked is distinct from false)
               execute procedure note();
             create function refuse() returns trigger language plpgsql as $$
             begin
               if exists (select from public.refused r where r.task_id = new.task_id) then
                 raise exception 'not now';
               end if;
               return null;
             end $$;
             create table refused (task_id bigint);
             create trigger refuse after update on async.task for each row
               when (new.processed is not null) execute procedure refuse();",
        )
        .await;
    let id = push(&fixture, "select 5 as n").await;
    let late = push(&fixture, "select 6 as n").await;
    fixture.run(&format!("insert into refused values ({late})")).await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.end_of(id).await.succeeded();
    fixture.assert_holds(&format!("select rows = '[{{\"n\": 5}}]' from seen where task_id = {id}")).await;
    // The result is not written without the end.
    let failed = "select exists (select from async.server_log where message like '%not now%')";
    fixture.wait_for(failed).await;
    fixture.assert_holds(&format!("select count(*) = 0 from async.result where task_id = {late}")).await;
    fixture.run("delete from refused").await;
    fixture.end_of(late).await.succeeded();
    assert_eq!(kept(&fixture, late).await, Kept::all(json!([{"n": 6}])));
    fixture.assert_holds(&format!("select count(*) = 1 from seen where task_id = {late}")).await;
}

async fn a_yielded_task_has_its_result_when_its_query_ends<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "asynchronous_finish": true }))] })).await;
    let id = push(&fixture, "select 1 as n").await;
    fixture.wait_until(id, "YIELDED").await;
    assert_eq!(kept(&fixture, id).await, Kept::all(json!([{"n": 1}])));
    fixture.run(&format!("select async.finish(array[{id}], 'FINISHED', null)")).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(kept(&fixture, id).await, Kept::all(json!([{"n": 1}])));
}

async fn many_results_at_once_are_kept<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let push = "select async.push_each('select ##flow.TASK_ID## as id, repeat(md5(''x''), 30000) as x',
        array_fill('there'::text, array[25]), keep_result => true)";
    fixture.run(&format!("select count(*) from ({push}) p")).await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select count(*) = 25 and bool_and((rows -> 0 ->> 'id')::bigint = task_id and bytes > 960000) from async.result",
        )
        .await;
}

async fn the_upkeep_deletes_results_with_their_tasks<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let old = push(&fixture, "select 1 as n").await;
    let by_hand = push(&fixture, "select 2 as n").await;
    let new = push(&fixture, "select 3 as n").await;
    fixture.wait_until_finished().await;
    fixture.run(&format!("delete from async.task where task_id = {by_hand}")).await;
    fixture
        .run(&format!(
            "update async.task set entered = entered - interval '2 days', processed = processed - interval '2 days'
             where task_id = {old}"
        ))
        .await;
    fixture
        .configure(&json!({ "control": { "task_keep_duration": "1 day", "heavy_maintenance_sleep": "0.1 s" } }))
        .await;
    let only_new = format!("select array_agg(task_id) = array[{new}::bigint] from async.result");
    fixture.wait_for_within(&only_new, Duration::from_secs(60)).await;
    fixture.assert_holds(&format!("select array_agg(task_id) = array[{new}::bigint] from async.task")).await;
}

async fn only_the_pusher_and_administrators_read_a_result<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let name = fixture.name().to_owned();
    let name = &name[name.len().saturating_sub(40)..];
    let roles = ["pusher", "member", "other", "admin"].map(|role| format!("{role}_{name}"));
    for role in &roles {
        fixture.run(&format!("create role {role}")).await;
    }
    let [pusher, member, other, admin] = &roles;
    fixture
        .run(&format!(
            "grant {pusher} to {member}; select async.grant_client('{pusher}'), async.grant_client('{other}'),
               async.grant_client('{member}'), async.grant_admin('{admin}')"
        ))
        .await;
    let act_as = async |role: &str| -> Session {
        let session = fixture.connect().await;
        session.batch_execute(&format!("set role {role}")).await.expect("the superuser may");
        session
    };
    let pushing = act_as(pusher).await;
    let push = "select async.push('select 1 as n', 'there', keep_result => true)";
    let id: i64 = pushing.query_one(push, &[]).await.expect("it pushes").get(0);
    fixture.end_of(id).await.succeeded();
    let count = "select (select count(*) from async.get_result($1)) + (select count(*) from async.result)";
    for (role, results) in [(pusher, 2), (member, 2), (other, 0), (admin, 2)] {
        let session = act_as(role).await;
        let found: i64 = session.query_one(count, &[&id]).await.expect("it may ask").get(0);
        assert_eq!(found, results, "{role}");
        let write = session.batch_execute("update async.result set rows = '[]'").await.expect_err("it may not");
        assert_eq!(write.sqlstate(), Some("42501"), "{role}");
    }
    // The result of a deleted task is shown to none of them.
    fixture.run(&format!("delete from async.task where task_id = {id}")).await;
    let found: i64 = pushing.query_one(count, &[&id]).await.expect("it may ask").get(0);
    assert_eq!(found, 0);
    drop(pushing);
    for role in roles {
        fixture.run(&format!("drop owned by {role}; drop role {role}")).await;
    }
}

async fn a_client_database_reads_results_from_its_server<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (_scratch, client) = client_of(&fixture.database).await;
    let push = "select async.push('select 1 as n, ''ä'' as a', 'there', keep_result => true)";
    let id: i64 = client.query_one(push, &[]).await.expect("it pushes").get(0);
    fixture.end_of(id).await.succeeded();
    let sql = "select rows, row_count, run from async.get_result($1)";
    let row = client.query_one(sql, &[&id]).await.expect("it reads");
    assert_eq!(row.get::<_, Value>(0), json!([{"n": 1, "a": "ä"}]));
    assert_eq!((row.get::<_, i64>(1), row.get::<_, i32>(2)), (1, 1));
    assert_eq!(client.query(sql, &[&(id + 1)]).await.expect("it reads").len(), 0);
}

conformance!(
    the_rows_of_each_kind_of_statement_are_kept,
    whole_rows_are_kept_up_to_the_limit_and_all_are_counted,
    a_row_that_is_no_json_ends_the_rows_and_not_the_task,
    a_failed_task_has_no_result,
    a_query_whose_rows_cannot_be_kept_is_refused,
    a_restart_and_a_retry_replace_the_result,
    triggers_on_the_completion_find_the_result,
    a_yielded_task_has_its_result_when_its_query_ends,
    many_results_at_once_are_kept,
    the_upkeep_deletes_results_with_their_tasks,
    only_the_pusher_and_administrators_read_a_result,
    a_client_database_reads_results_from_its_server,
);
