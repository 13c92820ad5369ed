//! The examples of a page of the documentation run in order on one database.

use std::fs;
use std::path::Path;

use pgasync_pg::Session;
use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Cluster, Database, Engine, RustEngine, Scratch, SqlEngine, Target};

/// Each page with examples says this.
const PROMISE: &str = "executed by the tests, in this order, on one database";

/// Before a block: it is not executed. The reason follows.
const SKIPPED: &str = "<!-- not executed: ";

/// Before a block: it fails. The SQLSTATE follows.
const RAISES: &str = "<!-- raises ";

/// What the queries of the examples use at their targets.
const AT_TARGETS: &str = "
    create table orders (region text not null, amount numeric not null);
    create table averages (region text not null, amount numeric not null);
    create table days (day date primary key);
    create table loaded (night date, region text, primary key (night, region));
    create function refresh_totals() returns void language sql as 'select';
    create function notify_partner(int) returns void language sql as 'select';
    create function send_mail(int) returns void language sql as 'select';
    create procedure load_orders(date, text) language sql as 'insert into loaded values ($1, $2)'";

/// What a block of a page does.
#[derive(Debug, PartialEq)]
enum Expected<'a> {
    Succeeds,
    Raises(&'a str),
    IsSkipped,
}

/// A block of SQL, and the number of the line on which it begins.
#[derive(Debug, PartialEq)]
struct Block<'a> {
    line: usize,
    sql: String,
    expected: Expected<'a>,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "```sql" {
            let sql: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
            let sqlstate = before.strip_prefix(RAISES).and_then(|rest| rest.strip_suffix(" -->"));
            let expected = match sqlstate {
                Some(sqlstate) => Expected::Raises(sqlstate),
                None if before.starts_with(SKIPPED) => Expected::IsSkipped,
                None => Expected::Succeeds,
            };
            blocks.push(Block { line: number + 1, sql: sql.join("\n"), expected });
        }
        before = line.trim();
    }
    blocks
}

#[test]
fn blocks_of_sql_are_found_with_their_lines() {
    let page = "text\n```sql\nselect 1;\n```\n<!-- not executed: no server -->\n```sql\nselect 2\n```\n```sh\nls\n```\n\
                <!-- raises 22012 -->\n```sql\nselect 1/0\n```\n\
                \x20\x20<!-- not executed: indented -->\n  ```sql\n  select 3\n  ```\n";
    let block = |line, sql: &str, expected| Block { line, sql: sql.to_owned(), expected };
    assert_eq!(
        blocks(page),
        [
            block(2, "select 1;", Expected::Succeeds),
            block(6, "select 2", Expected::IsSkipped),
            block(13, "select 1/0", Expected::Raises("22012")),
            block(17, "  select 3", Expected::IsSkipped),
        ]
    );
}

/// Runs the examples of a page of `docs`. `addresses` are the connection strings that the page
/// shows, with the targets that stand for them.
///
/// # Panics
/// When an example does not do what the page says, or the page has not as many examples.
async fn run_page(database: &Database, name: &str, addresses: &[(&str, &Target)], examples: usize) {
    let addresses: Vec<_> = addresses.iter().map(|(shown, target)| (*shown, target.conninfo())).collect();
    run_examples(database.session(), name, &addresses, examples).await;
}

/// As [`run_page`], in a session. `texts` are parts of the page, with what stands for them.
async fn run_examples(session: &Session, name: &str, texts: &[(&str, String)], examples: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    let page = fs::read_to_string(path).unwrap_or_else(|error| panic!("docs/{name}: {error}"));
    let words: Vec<&str> = page.split_whitespace().collect();
    assert!(words.join(" ").contains(PROMISE), "docs/{name} says that its examples are executed");
    for (shown, _) in texts {
        assert!(page.contains(shown), "docs/{name} has no {shown}");
    }
    let blocks = blocks(&page);
    for Block { line, sql, expected } in &blocks {
        let sql = texts.iter().fold(sql.clone(), |sql, (shown, text)| sql.replace(shown, text));
        if *expected == Expected::IsSkipped {
            continue;
        }
        let done = session.batch_execute(&sql).await;
        let raised = done.as_ref().err().map(|error| error.sqlstate().unwrap_or_default().to_owned());
        match expected {
            Expected::Raises(sqlstate) => {
                assert_eq!(raised.as_deref(), Some(*sqlstate), "docs/{name}:{line}: {done:?}\n{sql}");
                // The example may have begun a transaction.
                session.batch_execute("rollback").await.expect("a warning at most");
            }
            Expected::Succeeds | Expected::IsSkipped => {
                done.unwrap_or_else(|error| panic!("docs/{name}:{line}: {error}\n{sql}"));
            }
        }
    }
    let executed = blocks.iter().filter(|block| block.expected != Expected::IsSkipped).count();
    assert_eq!(executed, examples, "examples of docs/{name}");
}

/// A target with what the examples use, and these orders.
async fn target_with(orders: &[(&str, u32)]) -> Target {
    let target = Target::create_on(&Cluster::shared()).await;
    let rows = orders.iter().map(|(region, amount)| format!("; insert into orders values ('{region}', {amount})"));
    let sql = AT_TARGETS.to_owned() + &rows.collect::<String>();
    target.session().batch_execute(&sql).await.expect("an empty database takes the tables");
    target
}

#[tokio::test]
async fn the_examples_of_schedules_run() {
    let database = Database::create().await;
    run_page(&database, "schedules.md", &[], 7).await;
    database.assert_holds("select count(*) = 6 and bool_and(next_time > now()) from async.v_schedule").await;
}

#[tokio::test]
async fn the_examples_of_receipts_run() {
    let database = Database::create().await;
    run_page(&database, "receipts.md", &[], 4).await;
    database.assert_holds("select count(*) = 3 and bool_and(receipt) from async.task").await;
}

#[tokio::test]
async fn the_examples_of_pushing_run() {
    let database = Database::create().await;
    let (reports, archive) = (target_with(&[]).await, target_with(&[]).await);
    let addresses = [("host=db1 dbname=reports", &reports), ("host=db2 dbname=archive", &archive)];
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    run_page(&database, "pushing.md", &addresses, 12).await;

    database.wait_for("select bool_and(processed is not null) from async.task where run_at is null").await;
    for promised in [
        "select bool_and(not failed) from async.task where run_at is null",
        "select count(*) = 2 and count(distinct target) = 2 from async.task where source = 'vacuum'",
        "select count(*) = 1000 from async.task where source = 'thousand'",
        "select count(*) = 4 from async.task where source = 'nightly load'",
        // The push that is a duplicate made no row; the third one has replaced the first.
        "select array_agg(finish_status::text order by task_id) = array['CANCELED', null] from async.task
         where unique_key = 'report'",
    ] {
        database.assert_holds(promised).await;
    }
    let sql = "select count(*) from loaded where night = '2026-11-28'";
    let loaded: i64 = archive.session().query_one(sql, &[]).await.expect("the table is readable").get(0);
    assert_eq!(loaded, 4);
    engine.stop().await;
}

async fn run_retries<E: Engine>() {
    let database = Database::create().await;
    let warehouse = target_with(&[]).await;
    let taken = "insert into days values ('2026-11-28')";
    warehouse.session().batch_execute(taken).await.expect("the table is empty");
    let mut engine = E::attach(&database);
    engine.lead().await;
    let addresses = [("host=db1 dbname=warehouse", &warehouse)];
    run_page(&database, "retries.md", &addresses, 12).await;

    database
        .wait_for("select reason like 'waits for attempt 2 of 5 at %' from async.v_why_waiting where kind = 'deferred'")
        .await;
    for promised in [
        "select count(*) = 3 and bool_and(finish_status = 'FINISHED' and attempt = 0) from async.task
         where source = 'averages'",
        // The attempts before the restart.
        "select count(*) = 9 and count(*) filter (where a.error like '22012%') = 9 from async.attempt a
         join async.task t using (task_id) where t.source = 'averages'",
        "select count(*) = 0 from async.v_dead_task",
    ] {
        database.assert_holds(promised).await;
    }
    engine.stop().await;
}

#[tokio::test]
async fn the_examples_of_retries_run() {
    run_retries::<RustEngine>().await;
}

#[tokio::test]
async fn the_examples_of_retries_run_on_the_sql_engine() {
    run_retries::<SqlEngine>().await;
}

async fn run_results<E: Engine>() {
    let database = Database::create().await;
    let (north, south) = (target_with(&[("a", 1), ("a", 2), ("b", 4)]).await, target_with(&[("a", 8)]).await);
    let addresses = [("host=db1 dbname=shop", &north), ("host=db2 dbname=shop", &south)];
    let mut engine = E::attach(&database);
    engine.lead().await;
    run_page(&database, "results.md", &addresses, 13).await;

    for promised in [
        "select array_agg(array[shop, region, orders::text, amount::text] order by shop, region)
         = array[['north', 'a', '2', '3'], ['north', 'b', '1', '4'], ['south', 'a', '1', '8']] from report",
        "select r.row_count = 2 and not r.truncated and jsonb_array_length(r.rows) = 2
         from async.task t cross join lateral async.get_result(t.task_id) r where t.source = 'sales'",
        "select count(*) = 1 from async.task where failed",
        // Nothing was pushed by the calls that were refused.
        "select count(*) = 5 from async.task",
    ] {
        database.assert_holds(promised).await;
    }
    engine.stop().await;
}

#[tokio::test]
async fn the_examples_of_results_run() {
    run_results::<RustEngine>().await;
}

#[tokio::test]
async fn the_examples_of_results_run_on_the_sql_engine() {
    run_results::<SqlEngine>().await;
}

/// The part `metrics` of the checks sees the spans of such tasks.
#[tokio::test]
async fn the_example_of_traces_runs() {
    let database = Database::create().await;
    let reports = target_with(&[]).await;
    database.configure_targets(&[("reports", &reports, 1)]).await;
    run_page(&database, "traces.md", &[], 1).await;
    let parent = "select task_data ->> 'traceparent' ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-01$' from async.task";
    database.assert_holds(parent).await;
}

#[tokio::test]
async fn the_examples_of_limits_run() {
    let database = Database::create().await;
    let (shop, archive) = (target_with(&[]).await, target_with(&[]).await);
    let addresses = [("host=db1 dbname=shop", &shop), ("host=db2 dbname=archive", &archive)];
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    run_page(&database, "limits.md", &addresses, 11).await;

    database
        .assert_holds(
            "select reason = 'its pool starts at most 10 tasks in 00:01:00, evenly spaced' from async.v_why_waiting
             where concurrency_pool = 'mail'",
        )
        .await;
    database.wait_for("select bool_and(processed is not null) from async.task where source = 'vacuum'").await;
    for promised in [
        "select count(*) = 2 and bool_and(not failed) from async.task where source = 'vacuum'",
        // The size of 0 has held it back while later tasks were pushed.
        "select h.finish_status = 'FINISHED' and h.consumed > max(m.entered) from async.task h, async.task m
         where h.source = 'held' and m.source = 'mail' group by h.finish_status, h.consumed",
        "select count(*) = 2 from async.v_schedule",
        "select max_sessions = 2 from async.target where target = 'archive'",
        "select count(*) = 0 from async.concurrency_pool where concurrency_pool = 'letters'",
    ] {
        database.assert_holds(promised).await;
    }
    engine.stop().await;
}

/// Creates roles that pages name, which other pages may have created.
async fn create_roles(session: &Session, roles: &[&str]) {
    for role in roles {
        let sql = format!(
            "do $$ begin create role {role}; exception when duplicate_object or unique_violation then null; end $$"
        );
        session.batch_execute(&sql).await.expect("a role is created, or exists");
    }
}

/// Drops roles that an example created.
async fn drop_roles(session: &Session, roles: &str) {
    session.batch_execute(&format!("drop owned by {roles}; drop role {roles}")).await.expect("a role of the page");
}

#[tokio::test]
async fn the_examples_of_the_readme_run() {
    let database = Database::create().await;
    create_roles(database.session(), &["app", "ops"]).await;
    run_page(&database, "../README.md", &[], 4).await;
    database.assert_holds("select count(*) = 4 and bool_and(processed is null) from async.task").await;
    database.assert_holds("select count(*) = 2 from async.v_grant").await;
}

#[tokio::test]
async fn the_examples_of_using_run() {
    let database = Database::create().await;
    create_roles(database.session(), &["app"]).await;
    database
        .run(
            r#"create schema app;
            select async.configure('{"targets": [{"target": "reports", "connection_string": "host=db1"},
              {"target": "archive", "connection_string": "host=db2"}]}')"#,
        )
        .await;
    run_page(&database, "using.md", &[], 3).await;
    database.assert_holds("select trigger_search_path = '{app,public}' from async.control").await;
}

async fn run_start<E: Engine>() {
    let database = Database::create().await;
    let shop = target_with(&[]).await;
    let mut engine = E::attach(&database);
    engine.lead().await;
    // The cluster of the tests has its socket elsewhere.
    let own = database.text("select self_connection_string from async.control").await.expect("it has one");
    let texts = [
        ("host=/var/run/postgresql dbname=shop", shop.conninfo()),
        (r#""self_connection_string": "host=/var/run/postgresql""#, format!(r#""self_connection_string": "{own}""#)),
    ];
    run_examples(database.session(), "start.md", &texts, 9).await;
    database.wait_for("select bool_and(processed is not null) from async.task").await;
    database.assert_holds("select count(*) = 1 from async.task where failed and processing_error like '22012%'").await;
    let said: i64 = shop.session().query_one("select count(*) from hello", &[]).await.expect("it exists").get(0);
    assert_eq!(said, 20);
    engine.stop().await;
}

#[tokio::test]
async fn the_examples_of_start_run() {
    run_start::<RustEngine>().await;
}

#[tokio::test]
async fn the_examples_of_start_run_on_the_sql_engine() {
    run_start::<SqlEngine>().await;
}

async fn run_triggers<E: Engine>() {
    let database = Database::create().await;
    let shop = target_with(&[]).await;
    let mut engine = E::attach(&database);
    engine.lead().await;
    run_page(&database, "triggers.md", &[("host=db1 dbname=shop", &shop)], 12).await;
    for promised in [
        "select array_agg(finish_status::text order by task_id) = '{FINISHED,FINISHED,FAILED}' from async.task",
        "select count(*) = 1 and bool_and(error like '22012%') from public.alert",
        "select loop_routines = '{}' and startup_routines = '{}' from async.control",
    ] {
        database.assert_holds(promised).await;
    }
    engine.stop().await;
}

#[tokio::test]
async fn the_examples_of_triggers_run() {
    run_triggers::<RustEngine>().await;
}

#[tokio::test]
async fn the_examples_of_triggers_run_on_the_sql_engine() {
    run_triggers::<SqlEngine>().await;
}

#[tokio::test]
async fn the_examples_of_recipes_run() {
    let database = Database::create().await;
    let (one, two) = (target_with(&[("north", 1)]).await, target_with(&[("north", 2), ("south", 4)]).await);
    let addresses = [("host=db1 dbname=shop", &one), ("host=db2 dbname=shop", &two)];
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    run_page(&database, "recipes.md", &addresses, 12).await;
    database.wait_for("select bool_and(processed is not null) from async.task").await;
    for promised in [
        "select count(*) = 5 and bool_and(not failed) from async.task",
        "select array_agg(r.rows -> 0 ->> 'orders' order by t.target) = '{1,2}' from async.task t
         cross join lateral async.get_result(t.task_id) r where t.source = 'report 4711'",
        "select count(*) = 3 from async.v_schedule",
    ] {
        database.assert_holds(promised).await;
    }
    engine.stop().await;
}

#[tokio::test]
async fn the_examples_of_moving_over_run() {
    let database = Database::create().await;
    let here = target_with(&[("north", 1)]).await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    run_page(&database, "moving-over.md", &[("host=db1 dbname=app", &here)], 4).await;
    database.assert_holds("select count(*) = 2 and bool_and(not failed) from async.task").await;
    engine.stop().await;
}

#[tokio::test]
async fn the_examples_of_languages_run() {
    let database = Database::create().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    run_page(&database, "languages.md", &[], 4).await;
    let taken = "select count(*) = 1 from async.get_tasks('mail', 1, '10 seconds') where task_data ? 'to'";
    database.assert_holds(taken).await;
    engine.stop().await;
    drop_roles(database.session(), "mailer").await;
}

#[tokio::test]
async fn the_examples_of_client_databases_run() {
    let cluster = Cluster::shared();
    let (server, client) = (Database::create().await, Scratch::empty(&cluster).await);
    let reports = target_with(&[]).await;
    server.configure_targets(&[("reports", &reports, 4)]).await;
    let mut engine = RustEngine::attach(&server);
    engine.lead().await;
    let session = client.connect().await;
    install(&session, SchemaPart::Client).await.expect("it installs");
    let shown = "host=db.internal dbname=jobs user=from_shop password=secret";
    run_examples(&session, "client-databases.md", &[(shown, server.conninfo())], 6).await;
    server.wait_for("select count(*) = 5 and bool_and(not failed) from async.task").await;
    server.assert_holds("select count(*) = 1 from async.task where source = 'rolled back'").await;
    engine.stop().await;
    drop_roles(&session, "shop_app").await;
}
