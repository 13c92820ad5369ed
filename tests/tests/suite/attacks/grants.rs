//! What a grant gives, and what it does not.

use pgasync_tests::{Database, Engine};
use serde_json::json;

use super::role::{Role, code, expect, messages, run};
use crate::conformance::fixture::Fixture;

/// A server with the targets `there`, `other` and `pulled`, without an engine.
async fn server() -> Database {
    let database = Database::create().await;
    let target = |name: &str| json!({ "target": name, "connection_string": "host=127.0.0.1 port=1" });
    let pulled = json!({ "target": "pulled", "asynchronous_finish": true });
    database.configure(&json!({ "targets": [target("there"), target("other"), pulled] })).await;
    database
}

fn push(target: &str) -> String {
    format!("select async.push_task(async.task('select 1', '{target}'))")
}

async fn a_client_does_not_reach_the_server_itself<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let client = Role::client(&fixture, "client", "null").await;
    let session = client.connect(&fixture).await;
    for target in ["SELF", "self", "async.self"] {
        let tasks = format!("array[async.task('select 1', 'there'), async.task('create table robbed ()', '{target}')]");
        for run_type in ["EXECUTE", "EXECUTE_NOASYNC", "EMPTY", "DOA"] {
            let sql = format!("select async.push_tasks({tasks}, '{run_type}')");
            expect(&sql, code(&session, &sql).await.as_deref(), Some("PA082"));
        }
    }
    fixture.assert_holds("select count(*) = 0 from async.task").await;
    run(&session, &push("there")).await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(not failed) from async.task").await;
    fixture.assert_holds("select to_regclass('public.robbed') is null").await;
    client.drop_from(&[&fixture]).await;
}

#[tokio::test]
async fn a_grant_names_targets_and_a_second_one_replaces_it() {
    let server = server().await;
    let client = Role::create(&server, "client").await;
    let session = client.connect(&server).await;
    for (grant, granted) in [
        ("'{there}'", vec!["there"]),
        ("'{other}'", vec!["other"]),
        ("'{}'", vec![]),
        ("'{*}'", vec!["there", "other"]),
        ("'{SELF}'", vec!["SELF"]),
        ("array['async.self', 'there']", vec!["SELF", "there"]),
        ("'{*,self}'", vec!["SELF", "there", "other"]),
        ("null", vec!["there", "other"]),
    ] {
        client.grant(&server, grant).await;
        for target in ["SELF", "there", "other"] {
            let expected = Some("PA082").filter(|_| !granted.contains(&target));
            expect(&format!("{grant}: {target}"), code(&session, &push(target)).await.as_deref(), expected);
        }
    }
    client.drop_from(&[&server]).await;
}

#[tokio::test]
async fn a_grant_of_every_target_counts_for_later_ones_and_never_for_the_server_itself() {
    let server = server().await;
    let every = Role::client(&server, "every", "null").await;
    let named = Role::client(&server, "named", "'{other}'").await;
    let (of_every, of_named) = (every.connect(&server).await, named.connect(&server).await);
    let later = json!({ "target": "later", "connection_string": "host=127.0.0.1 port=1" });
    let kept = json!({ "target": "there", "connection_string": "host=127.0.0.1 port=1" });
    server.configure(&json!({ "targets": [kept, later] })).await;
    expect("later", code(&of_every, &push("later")).await.as_deref(), None);
    expect("later", code(&of_named, &push("later")).await.as_deref(), Some("PA082"));

    // A retired target's name becomes that of the server itself: a grant of the name gives no more.
    server.configure(&json!({ "control": { "self_target": "other" } })).await;
    for target in ["SELF", "other"] {
        expect(target, code(&of_every, &push(target)).await.as_deref(), Some("PA082"));
        expect(target, code(&of_named, &push(target)).await.as_deref(), Some("PA082"));
    }
    // A target may be named like the word for the server itself, and is not it.
    let configured = json!({ "target": "SELF", "connection_string": "host=127.0.0.1 port=1" });
    server.configure(&json!({ "targets": [configured] })).await;
    named.grant(&server, "'{SELF}'").await;
    expect("SELF", code(&of_named, &push("SELF")).await.as_deref(), None);
    expect("other", code(&of_named, &push("other")).await.as_deref(), Some("PA082"));
    for role in [every, named] {
        role.drop_from(&[&server]).await;
    }
}

#[tokio::test]
async fn restarting_and_pulling_need_the_target_too() {
    let server = server().await;
    server.run("select async.push_task(async.task('select 1', 'there'), 'DOA')").await;
    server.run("select async.push_task(async.task('select 1', 'SELF'), 'DOA')").await;
    let client = Role::client(&server, "client", "'{other}'").await;
    let session = client.connect(&server).await;
    for (sql, expected) in [
        ("select async.restart_task(1)", Some("PA082")),
        ("select async.restart_task(2)", Some("PA082")),
        ("select async.restart_task(3)", Some("PA030")),
        ("select * from async.get_tasks('pulled', 1, '0')", Some("PA082")),
        ("select * from async.get_tasks('nowhere', 1, '0')", Some("PA040")),
    ] {
        expect(sql, code(&session, sql).await.as_deref(), expected);
    }
    server.assert_holds("select bool_and(processed is not null) from async.task").await;
    client.grant(&server, "'{there,pulled}'").await;
    for (sql, expected) in [
        ("select async.restart_task(1)", None),
        ("select async.restart_task(2)", Some("PA082")),
        ("select * from async.get_tasks('pulled', 1, '0')", None),
    ] {
        expect(sql, code(&session, sql).await.as_deref(), expected);
    }
    client.drop_from(&[&server]).await;
}

#[tokio::test]
async fn a_level_that_is_taken_back_leaves_the_other_one() {
    let server = server().await;
    let role = Role::client(&server, "both", "'{there,SELF}'").await;
    let session = role.connect(&server).await;
    let configure = "select async.configure('{}')";
    server.run(&format!("select async.grant_admin('{}')", role.0)).await;
    for (sql, expected) in [(push("other"), None), (push("SELF"), None), (configure.to_owned(), None)] {
        expect(&sql, code(&session, &sql).await.as_deref(), expected);
    }
    server.run(&format!("select async.revoke_admin('{}')", role.0)).await;
    for (sql, expected) in [
        (push("other"), Some("PA082")),
        (push("there"), None),
        (push("SELF"), None),
        (configure.to_owned(), Some("42501")),
        ("select * from async.v_target".to_owned(), Some("42501")),
    ] {
        expect(&sql, code(&session, &sql).await.as_deref(), expected);
    }
    server.run(&format!("select async.grant_admin('{0}'), async.revoke_client('{0}')", role.0)).await;
    for (sql, expected) in [(push("other"), None), (push("SELF"), Some("PA082")), (configure.to_owned(), None)] {
        expect(&sql, code(&session, &sql).await.as_deref(), expected);
    }
    server.run(&format!("select async.revoke_admin('{}')", role.0)).await;
    expect("push", code(&session, &push("other")).await.as_deref(), Some("42501"));
    server.assert_holds("select count(*) = 0 from async.v_grant").await;
    role.drop_from(&[&server]).await;
}

#[tokio::test]
async fn grants_follow_a_renamed_role_are_shown_and_survive_a_reinstallation() {
    let server = server().await;
    let role = Role::client(&server, "before", "'{there}'").await;
    let renamed = Role(role.0.replace("_before", "_after"));
    server.run(&format!("alter role {} rename to {}", role.0, renamed.0)).await;
    let shown = format!(
        "select string_agg(concat_ws(' ', grantee, level, targets, reaches_self), ', ') = '{} client {{there}} f'
         from async.v_grant",
        renamed.0
    );
    server.assert_holds(&shown).await;
    let session = renamed.connect(&server).await;
    pgasync_store::install(server.session(), pgasync_store::SchemaPart::All).await.expect("it installs again");
    server.assert_holds(&shown).await;
    expect("there", code(&session, &push("there")).await.as_deref(), None);
    expect("other", code(&session, &push("other")).await.as_deref(), Some("PA082"));

    // What was taken back without revoke_client does not come back.
    server.run(&format!("drop owned by {}", renamed.0)).await;
    pgasync_store::install(server.session(), pgasync_store::SchemaPart::All).await.expect("it installs again");
    expect("there", code(&session, &push("there")).await.as_deref(), Some("42501"));
    server.assert_holds("select count(*) = 0 from async.role_grant").await;
    renamed.drop_from(&[&server]).await;
}

#[tokio::test]
async fn an_impossible_grant_is_refused_and_changes_nothing() {
    let server = server().await;
    let role = Role::client(&server, "client", "'{there}'").await;
    for (arguments, expected) in [
        ("'nobody at all', '{there}'".to_owned(), "PA080"),
        ("null, '{there}'".to_owned(), "PA080"),
        (format!("'{}', array['there', null]", role.0), "PA081"),
        (format!("'{}', array['there', ' ']", role.0), "PA081"),
    ] {
        assert_eq!(server.refused(&format!("select async.grant_client({arguments})")).await.0, expected, "{arguments}");
    }
    server.assert_holds("select bool_and(targets = '{there}') from async.v_grant").await;
    let sql = format!("select async.grant_client('{}', '{{nowhere}}')", role.0);
    let warnings = messages(&server, &sql).await;
    assert!(
        warnings.iter().any(|warning| warning.contains("'nowhere' is granted, but not configured")),
        "{warnings:?}"
    );
    role.drop_from(&[&server]).await;
}

/// What would let an administrator run something as the owner.
#[tokio::test]
async fn an_administrator_is_not_the_owner() {
    let server = server().await;
    let admin = Role::create(&server, "admin").await;
    server.run(&format!("select async.grant_admin('{}')", admin.0)).await;
    let session = admin.connect(&server).await;
    let configure = |document: serde_json::Value| format!("select async.configure('{document}')");
    let before = server.text("select to_jsonb(c) from async.control c").await;
    for (sql, expected) in [
        (push("SELF"), "PA082"),
        (push("async.self"), "PA082"),
        ("select async.push_routine('LOOP', 'robbery()')".to_owned(), "42501"),
        (configure(json!({ "control": { "loop_routines": ["robbery()"] } })), "PA084"),
        (configure(json!({ "control": { "startup_routines": ["robbery()"] } })), "PA084"),
        (configure(json!({ "control": { "self_connection_string": "host=elsewhere" } })), "PA084"),
        (configure(json!({ "control": { "self_target": "there" } })), "PA084"),
        (configure(json!({ "control": { "self_target": "mine" } })), "PA084"),
        (configure(json!({ "targets": [{ "target": "async.self", "connection_string": "host=elsewhere" }] })), "PA084"),
        ("select async.grant_client('postgres', '{SELF}')".to_owned(), "42501"),
        ("insert into async.role_grant values ('postgres', 'client', '{*}', true)".to_owned(), "42501"),
        ("select secret from async.caller_key".to_owned(), "42501"),
        ("update async.control set loop_routines = '{robbery()}'".to_owned(), "42501"),
    ] {
        expect(&sql, code(&session, &sql).await.as_deref(), Some(expected));
    }
    assert_eq!(server.text("select to_jsonb(c) from async.control c").await, before);
    // What was read may be put back.
    server.run("select async.push_routine('LOOP', 'mine()')").await;
    run(&session, &configure(json!({ "control": { "loop_routines": ["mine()"], "self_target": "async.self" } }))).await;
    admin.drop_from(&[&server]).await;
}

attacks!(a_client_does_not_reach_the_server_itself);
