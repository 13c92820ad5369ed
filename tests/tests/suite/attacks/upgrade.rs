//! The upgrade from the time when a client was granted everything, and installations beside clients.

use std::time::Duration;

use pgasync_tests::{Database, Engine};
use tokio::time::timeout;

use super::role::{Role, code, expect, messages, run};
use crate::conformance::fixture::Fixture;

/// Takes away what the migrations made, so that the schema is as it was before them.
const BEFORE: &str = "
    drop table async.role_grant, async.caller_key, async.target_at_self cascade;
    drop type async.scope_t cascade;
    alter table async.task drop column pushed_by cascade, drop column may_reach_self cascade;
    alter table async.session drop column at_self cascade;
    delete from async.migration where migration like '0009%';
    drop function async.grant_client(text, text[]), async.grant_admin(text), async.revoke_client(text),
      async.revoke_admin(text);
    create function async.grant_client(role name) returns void language sql as '';
    create function async.grant_admin(role name) returns void language sql as ''";

async fn an_upgrade_keeps_clients_without_the_server_itself_and_says_how_to_return_it<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let client = Role::client(&fixture, "client", "'{*,SELF}'").await;
    let admin = Role::create(&fixture, "admin").await;
    fixture.run(&format!("select async.grant_admin('{}')", admin.0)).await;
    let session = client.connect(&fixture).await;
    run(&session, "select async.push_task(async.task('create table queued ()', 'SELF'))").await;
    fixture.run(BEFORE).await;
    fixture
        .run(&format!("grant execute on function async.push_routine(async.routine_type_t, text) to {}", admin.0))
        .await;

    let notices = messages(&fixture, &pgasync_sql::all()).await;
    let self_again = format!("select async.grant_client('{}', '{{*,SELF}}')", client.0);
    assert!(notices.iter().any(|notice| notice.contains(&self_again)), "{notices:#?}");
    fixture
        .assert_holds(
            "select string_agg(concat_ws(' ', level, targets, reaches_self), ', ' order by level)
               = 'admin {*} f, client {*} f' from async.v_grant",
        )
        .await;
    fixture.assert_holds("select count(*) = 1 from pg_proc where proname = 'grant_client'").await;
    let push = |target: &str| format!("select async.push_task(async.task('select 1', '{target}'))");
    for (sql, expected) in [(push("there"), None), (push("SELF"), Some("PA082"))] {
        expect(&sql, code(&session, &sql).await.as_deref(), expected);
    }
    let routine = "select async.push_routine('LOOP', 'x()')";
    expect(routine, code(&admin.connect(&fixture).await, routine).await.as_deref(), Some("42501"));

    // What was queued before runs.
    fixture.engine.lead().await;
    fixture.end_of(1).await.succeeded();
    fixture.assert_holds("select to_regclass('public.queued') is not null").await;
    fixture.run(&self_again).await;
    expect("SELF", code(&session, &push("SELF")).await.as_deref(), None);
    fixture.wait_until_finished().await;
    for role in [client, admin] {
        role.drop_from(&[&fixture]).await;
    }
}

const PUSH: &str = "select async.push_task(async.task('select 1', 'SELF'))";

/// An installation needs a lock that an open push excludes, and later pushes wait behind its request.
#[tokio::test]
async fn an_installation_beside_an_open_push_gives_up_before_it_delays_other_pushes() {
    const DELAY_MAX: Duration = Duration::from_secs(8);
    let database = Database::create().await;
    let (open, other, installing) = (database.connect().await, database.connect().await, database.connect().await);
    run(&open, &format!("begin; {PUSH}")).await;
    let installation = tokio::spawn(async move {
        let refused = installing.batch_execute(&pgasync_sql::all()).await;
        (installing, refused)
    });
    let waiting = "select count(*) > 0 from pg_locks where not granted and mode = 'AccessExclusiveLock'
        and database = (select oid from pg_database where datname = current_database())";
    database.wait_for(waiting).await;
    let pushed = timeout(DELAY_MAX, run(&other, PUSH)).await;
    assert!(pushed.is_ok(), "a push waits for the push of another client");

    let (installing, refused) = timeout(DELAY_MAX, installation).await.expect("it gives up").expect("it ends");
    let refused = refused.expect_err("it needs a lock");
    assert_eq!(refused.sqlstate(), Some("55P03"));
    let server = refused.server().expect("an error of the server");
    assert!(server.hint.is_some_and(|hint| hint.contains("again")), "{refused:?}");
    run(&open, "commit").await;
    run(&installing, &pgasync_sql::all()).await;
    database.assert_holds("select count(*) = 2 from async.task").await;
}

/// Who wants to wait for longer says so.
#[tokio::test]
async fn an_installation_keeps_the_lock_timeout_of_its_session() {
    let database = Database::create().await;
    for own in ["0", "7s"] {
        let session = database.connect().await;
        run(&session, &format!("set lock_timeout = '{own}'")).await;
        run(&session, &pgasync_sql::all()).await;
        let found: String = session.query_one("show lock_timeout", &[]).await.expect("a setting").get(0);
        assert_eq!(found, own);
    }
    let (open, installing) = (database.connect().await, database.connect().await);
    run(&open, &format!("begin; {PUSH}")).await;
    run(&installing, "set lock_timeout = '60s'").await;
    let mut installation = tokio::spawn(async move { code(&installing, &pgasync_sql::all()).await });
    let waited = timeout(Duration::from_secs(4), &mut installation).await;
    assert!(waited.is_err(), "it waits for as long as its session allows: {waited:?}");
    run(&open, "commit").await;
    expect("the installation", installation.await.expect("it ends").as_deref(), None);
}

attacks!(an_upgrade_keeps_clients_without_the_server_itself_and_says_how_to_return_it);
