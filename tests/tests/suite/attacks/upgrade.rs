//! The upgrade from the time when a client was granted everything.

use pgasync_tests::Engine;

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

attacks!(an_upgrade_keeps_clients_without_the_server_itself_and_says_how_to_return_it);
