//! Queries: every text that the target accepts.

use pgasync_tests::Engine;

use super::fixture::{Fixture, SOON};

/// Runs queries that must all succeed.
async fn all_succeed<E: Engine>(fixture: &Fixture<E>, queries: &[&str]) {
    for query in queries {
        let end = fixture.run_task(query).await;
        assert_eq!((end.status.as_str(), end.error.as_deref()), ("FINISHED", None), "{query}");
    }
}

async fn queries_that_return_rows_of_any_shape_finish<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    all_succeed(
        &fixture,
        &[
            "select 1",
            "select",
            "select 1, 'two', 3.0, null, now()",
            "select 1 as a, 2 as a",
            "select * from ledger",
            "select where false",
            "table ledger",
            "values (1, 'a'), (2, 'b')",
            "show all",
            "explain analyze select 1",
            "with x as (select 1) select * from x, x as y",
            "(select 1) union (select 2)",
            "((select 1))",
            "select $$a;b$$, 'it''s', E'\\'', \"mark\" from ledger",
            "select 'x' /* ; */ -- ; \n;",
            "insert into ledger (mark) values ('a') returning *",
            "with w as (insert into ledger (mark) values ('b') returning mark) select * from w",
            "update ledger set mark = 'c' where mark = 'b' returning mark, pid",
            "delete from ledger returning 1",
            "select * from pg_class, pg_attribute limit 20000",
        ],
    )
    .await;
}

async fn plain_commands_finish<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    all_succeed(
        &fixture,
        &[
            "create table made (n int)",
            "insert into made select generate_series(1, 10)",
            "insert into made values (11);",
            "update made set n = n + 1",
            "delete from made where n = 3",
            "select n into made_too from made",
            "create table made_three as select * from made",
            "truncate made_too",
            "alter table made add column more text",
            "create index on made (n)",
            "analyze made",
            "set work_mem = '5MB'",
            "listen something",
            "notify something",
            "comment on table made is 'x'",
            "copy (select 1) to program 'cat > /dev/null'",
            "prepare p as select 1",
            "drop table made_three",
            "do $$ begin perform 1; end $$",
            "create function plus(a int) returns int language sql as 'select a + 1'",
            "create view seen as select * from made",
            "grant select on made to public",
        ],
    )
    .await;
    assert_eq!(fixture.number_there("select count(*) from made").await, 10);
}

async fn statements_that_cannot_run_in_a_block_run<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    all_succeed(
        &fixture,
        &[
            "vacuum",
            "vacuum (analyze) ledger",
            "create index concurrently ledger_mark on ledger (mark)",
            "-- a comment\n\n  /* another /* nested */ */ create index concurrently on ledger (pid)",
            "reindex table ledger",
            "drop index concurrently ledger_mark",
            "alter system reset work_mem",
            "checkpoint",
            "discard all",
        ],
    )
    .await;
    let name = format!("{}_made", fixture.target.name());
    all_succeed(&fixture, &[&format!("create database {name}"), &format!("drop database {name}")]).await;
}

async fn calls_finish_whatever_they_return<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run_there(
            "create procedure commits() language plpgsql as $$ begin
            insert into ledger (mark) values ('one'); commit; insert into ledger (mark) values ('two'); rollback;
            insert into ledger (mark) values ('three'); end $$;
         create procedure one(inout a int) language plpgsql as $$ begin insert into ledger (mark) values ('inout 1');
            commit; end $$;
         create procedure two(inout a int, inout b text) language plpgsql as $$ begin
            insert into ledger (mark) values ('inout 2'); commit; end $$;",
        )
        .await;
    all_succeed(
        &fixture,
        &[
            "call commits()",
            "/* c */ call commits()",
            "\n\n -- c\n call commits();",
            "call one(1)",
            "call two(1, 'x')",
            "CALL two(1, 'x');",
        ],
    )
    .await;
    assert_eq!(fixture.target.marks("one").await, 3);
    assert_eq!(fixture.target.marks("two").await, 0);
    assert_eq!(fixture.target.marks("three").await, 3);
    assert_eq!(fixture.target.marks("inout 1").await, 1);
    assert_eq!(fixture.target.marks("inout 2").await, 2);
}

async fn a_call_that_fails_after_a_commit_fails_and_keeps_what_it_committed<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run_there(
            "create procedure half(inout a int, inout b int) language plpgsql as $$ begin
            insert into ledger (mark) values ('kept'); commit; a := 1 / 0; end $$",
        )
        .await;
    let error = fixture.run_task("call half(1, 2)").await.is("FAILED").expect("an error message");
    assert!(error.starts_with("22012"), "{error}");
    assert_eq!(fixture.target.marks("kept").await, 1);
}

async fn several_statements_are_one_transaction_and_end_with_the_last<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture
        .push(
            "select 1; insert into ledger (mark) values ('a'); select pg_sleep(0.4);
             insert into ledger (mark) values ('b');",
        )
        .await;
    fixture.end_of(id).await.succeeded();
    // The task is not recorded before its commit.
    assert_eq!(fixture.number_there("select count(*) from ledger").await, 2);
    let error = fixture.run_task("insert into ledger (mark) values ('c'); select 1/0; select 2").await.is("FAILED");
    assert!(error.expect("an error message").starts_with("22012"));
    assert_eq!(fixture.target.marks("c").await, 0);
}

async fn the_result_waits_for_the_last_of_many_results<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for query in [
        "select 1; select pg_sleep(0.5); select 2; insert into ledger (mark) values ('##flow.TASK_ID##')",
        "create temp table t (n int); select pg_sleep(0.3); insert into ledger (mark) values ('##flow.TASK_ID##')",
        "begin; insert into ledger (mark) values ('##flow.TASK_ID##'); select pg_sleep(0.3); commit",
        "set work_mem = '5MB'; select 1; vacuum ledger",
    ] {
        let id = fixture.push(query).await;
        let end = fixture.end_of(id).await;
        if query.contains("vacuum") {
            // Postgres refuses these statements in a text with several statements.
            assert!(end.is("FAILED").expect("an error message").starts_with("25001"));
        } else {
            assert_eq!((end.status.as_str(), end.error), ("FINISHED", None), "{query}");
            assert_eq!(fixture.target.marks(&id.to_string()).await, 1, "{query}");
        }
    }
}

async fn an_error_behind_results_is_the_query_s_error<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for query in [
        "select 1; select 2; select 1/0",
        "begin; select 1; commit; select 1/0",
        "values (1), (2); do $$ begin perform 1/0; end $$",
        "select 1/n from generate_series(-3, 3) n",
    ] {
        let error = fixture.run_task(query).await.is("FAILED").expect("an error message");
        assert!(error.starts_with("22012"), "{query}: {error}");
    }
    all_succeed(&fixture, &["select 1"]).await;
}

async fn transaction_control_of_its_own_is_left_to_the_query<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    all_succeed(
        &fixture,
        &[
            "begin; insert into ledger (mark) values ('yes'); commit",
            "begin; insert into ledger (mark) values ('no'); rollback",
            "insert into ledger (mark) values ('first'); commit; insert into ledger (mark) values ('second')",
        ],
    )
    .await;
    assert_eq!(fixture.number_there("select count(*) from ledger where mark = 'no'").await, 0);
    assert_eq!(fixture.number_there("select count(*) from ledger").await, 3);
    let error = fixture.run_task("insert into ledger (mark) values ('kept'); commit; select 1/0").await.is("FAILED");
    assert!(error.expect("an error message").starts_with("22012"));
    assert_eq!(fixture.target.marks("kept").await, 1);
    // A transaction that is left open is rolled back, without an effect on other tasks.
    fixture.run_task("begin; insert into ledger (mark) values ('open')").await;
    all_succeed(&fixture, &["select 1", "select 2"]).await;
    fixture
        .wait_for(&format!(
            "select count(*) = 0 from pg_stat_activity where datname = '{}' and state like 'idle in transaction%'",
            fixture.target.name()
        ))
        .await;
    assert_eq!(fixture.target.marks("open").await, 0);
}

async fn any_quoting_is_fine<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    all_succeed(
        &fixture,
        &[
            "insert into ledger (mark) values ('$def$')",
            "insert into ledger (mark) select $def$ $q$ $def$",
            "do $def$ begin insert into ledger (mark) values ($x$a'b$x$); end $def$",
        ],
    )
    .await;
    assert_eq!(fixture.number_there("select count(*) from ledger").await, 3);
    all_succeed(
        &fixture,
        &[
            "do $a$ begin execute 'insert into ledger (mark) values (''$$ || $pgasync$'')'; end $a$",
            "select '\\', E'\\\\', 'é', '日本', U&'\\0041'",
            "select 1 as \"a;b\", 'x''; drop table ledger; --'",
            "select '%s %L %I %', '##flow.NOTHING##', '{}'",
            "select '\\'; select 'standard_conforming_strings'",
        ],
    )
    .await;
}

async fn nothing_at_all_is_a_query_too<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    all_succeed(&fixture, &["", " \n ", ";", ";;", "-- nothing", "/* nothing */;"]).await;
}

async fn a_query_that_does_not_parse_fails_with_the_error_of_postgres<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for query in ["selec 1", "select 'open", "select $x$ open", "/* open", "select (1", "call", "select 1; nonsense"] {
        let error = fixture.run_task(query).await.is("FAILED").expect("an error message");
        assert!(error.starts_with("42601"), "{query}: {error}");
    }
    let error = fixture.run_task("select * from nowhere").await.is("FAILED").expect("an error message");
    assert!(error.starts_with("42P01"), "{error}");
    all_succeed(&fixture, &["select 1"]).await;
}

async fn copy_from_and_to_the_client_is_refused<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for query in [
        "copy ledger from stdin",
        "copy ledger to stdout",
        "/* c */ COPY ledger (mark) FROM STDIN with (format csv)",
        "copy (select 1) to stdout",
        "select 1; copy ledger from stdin; select 2",
    ] {
        let id = fixture.push(query).await;
        let error = fixture.end_within(id, SOON).await.is("FAILED").expect("an error message");
        assert!(error.to_lowercase().contains("copy"), "{query}: {error}");
    }
    all_succeed(&fixture, &["select 1"]).await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn many_rows_are_drained_without_being_kept<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    // 200 MB of rows would occupy the leader, and other tasks would wait.
    let big = fixture.push("select repeat('x', 10000), n from generate_series(1, 20000) n").await;
    let small = fixture.push("select 1").await;
    fixture.end_of(small).await.succeeded();
    fixture.end_of(big).await.succeeded();
}

async fn notices_of_a_query_have_no_effect<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    all_succeed(
        &fixture,
        &[
            "do $$ begin for i in 1..300 loop raise notice 'notice %', i; end loop; end $$",
            "do $$ begin raise warning 'w'; raise info 'i'; raise debug 'd'; end $$",
            "drop table if exists not_there",
        ],
    )
    .await;
}

conformance!(
    queries_that_return_rows_of_any_shape_finish,
    plain_commands_finish,
    statements_that_cannot_run_in_a_block_run,
    calls_finish_whatever_they_return,
    a_call_that_fails_after_a_commit_fails_and_keeps_what_it_committed,
    several_statements_are_one_transaction_and_end_with_the_last,
    the_result_waits_for_the_last_of_many_results,
    an_error_behind_results_is_the_query_s_error,
    transaction_control_of_its_own_is_left_to_the_query,
    any_quoting_is_fine,
    nothing_at_all_is_a_query_too,
    a_query_that_does_not_parse_fails_with_the_error_of_postgres,
    copy_from_and_to_the_client_is_refused,
    many_rows_are_drained_without_being_kept,
    notices_of_a_query_have_no_effect,
);
