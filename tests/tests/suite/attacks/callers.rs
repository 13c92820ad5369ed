//! For whom a call runs: the caller's current_user, which nobody can forge.

use pgasync_pg::Session;
use pgasync_tests::Database;
use serde_json::json;

use super::role::{Role, code, expect, run};

async fn server() -> Database {
    let database = Database::create().await;
    let target = |name: &str| json!({ "target": name, "connection_string": "host=127.0.0.1 port=1" });
    database.configure(&json!({ "targets": [target("there"), target("other")] })).await;
    database
}

fn push(target: &str) -> String {
    format!("select async.push_task(async.task('select 1', '{target}'))")
}

#[tokio::test]
async fn a_grant_counts_for_those_who_have_the_privileges_of_its_role() {
    let server = server().await;
    let there = Role::client(&server, "there", "'{there}'").await;
    let other = Role::client(&server, "other", "'{other}'").await;
    let member = Role::create(&server, "member").await;
    server.run(&format!("grant {}, {} to {}", there.0, other.0, member.0)).await;
    let session = member.connect(&server).await;
    for target in ["there", "other"] {
        expect(target, code(&session, &push(target)).await.as_deref(), None);
    }
    run(&session, &format!("set role {}", other.0)).await;
    expect("there", code(&session, &push("there")).await.as_deref(), Some("PA082"));
    expect("other", code(&session, &push("other")).await.as_deref(), None);
    run(&session, "reset role").await;

    // A role that does not inherit has nothing of its groups before it takes them on.
    let apart = Role::client(&server, "apart", "'{}'").await;
    server.run(&format!("alter role {0} noinherit; grant {1} to {0}", apart.0, there.0)).await;
    let session = apart.connect(&server).await;
    expect("there", code(&session, &push("there")).await.as_deref(), Some("PA082"));
    run(&session, &format!("set role {}", there.0)).await;
    expect("there", code(&session, &push("there")).await.as_deref(), None);
    for role in [member, apart, there, other] {
        role.drop_from(&[&server]).await;
    }
}

/// PostgREST logs in as one role and sets another for each request.
#[tokio::test]
async fn the_role_that_logged_in_gives_nothing_to_the_one_that_is_set() {
    let server = server().await;
    let web = Role::client(&server, "web", "'{there}'").await;
    let authenticator = Role::client(&server, "auth", "'{*,SELF}'").await;
    server.run(&format!("alter role {0} noinherit; grant {1} to {0}", authenticator.0, web.0)).await;
    let session = authenticator.connect(&server).await;
    expect("SELF", code(&session, &push("SELF")).await.as_deref(), None);
    run(&session, &format!("begin; set local role {}", web.0)).await;
    expect("there", code(&session, &push("there")).await.as_deref(), None);
    run(&session, "commit").await;
    for target in ["other", "SELF"] {
        let sql = format!("begin; set local role {}; {}; commit", web.0, push(target));
        expect(&sql, code(&session, &sql).await.as_deref(), Some("PA082"));
        run(&session, "rollback").await;
    }
    let pushed_by = "select string_agg(pushed_by, ', ' order by task_id) from async.task";
    let expected = format!("{0}, {0} as {1}", authenticator.0, web.0);
    assert_eq!(server.text(pushed_by).await, Some(expected));
    for role in [authenticator, web] {
        role.drop_from(&[&server]).await;
    }
}

#[tokio::test]
async fn a_wrapper_and_a_trigger_push_as_their_owners() {
    let server = server().await;
    let wrapper = Role::client(&server, "wrapper", "'{there}'").await;
    let user = Role::create(&server, "user").await;
    server
        .run(&format!(
            "create schema wrapping; grant usage on schema wrapping to public;
             create function wrapping.push(target text) returns bigint language sql security definer as
               $$ select async.push_task(async.task('select 1', target)) $$;
             alter function wrapping.push owner to {0};
             create table wrapping.events (target text); grant insert on wrapping.events to public;
             create function wrapping.on_event() returns trigger language plpgsql security definer as
               $$ begin perform async.push_task(async.task('select 2', new.target)); return new; end $$;
             alter function wrapping.on_event owner to {0};
             create trigger on_event before insert on wrapping.events
               for each row execute procedure wrapping.on_event()",
            wrapper.0
        ))
        .await;
    let session = user.connect(&server).await;
    for (sql, expected) in [
        (push("there"), Some("42501")),
        ("select wrapping.push('there')".to_owned(), None),
        ("insert into wrapping.events values ('there')".to_owned(), None),
        ("select wrapping.push('other')".to_owned(), Some("PA082")),
        ("insert into wrapping.events values ('SELF')".to_owned(), Some("PA082")),
    ] {
        expect(&sql, code(&session, &sql).await.as_deref(), expected);
    }
    server
        .assert_holds(&format!(
            "select count(*) = 2 and bool_and(pushed_by = '{} as {}') from async.task",
            user.0, wrapper.0
        ))
        .await;
    server.run("drop schema wrapping cascade").await;
    for role in [user, wrapper] {
        role.drop_from(&[&server]).await;
    }
}

/// A ticket of `async.caller`, as a literal.
async fn ticket(session: &Session) -> String {
    let row = session.query_one("select ticket::text from async.caller", &[]).await.expect("a client reads it");
    format!("'{}'::bytea", row.get::<_, &str>(0))
}

/// Calls the function behind `push_tasks` for a role, with a ticket.
fn push_as(role: &str, ticket: &str) -> String {
    format!("select async.push_as('{role}', {ticket}, array[async.task('select 1', 'SELF')], 'EXECUTE', null, null)")
}

#[tokio::test]
async fn nobody_passes_for_another_role() {
    let server = server().await;
    let client = Role::client(&server, "client", "'{there}'").await;
    let strong = Role::client(&server, "strong", "'{*,SELF}'").await;
    let (session, of_strong) = (client.connect(&server).await, strong.connect(&server).await);
    run(&of_strong, "begin").await;
    run(&session, "begin").await;
    let tickets = [
        "null".to_owned(),
        "''".to_owned(),
        "sha256('')".to_owned(),
        ticket(&session).await,
        // Of the other role, in a session and a transaction of its own.
        ticket(&of_strong).await,
        "(select c.ticket from async.caller c)".to_owned(),
    ];
    run(&session, "commit").await;
    for role in [&strong.0, "postgres"] {
        for ticket in &tickets {
            let sql = push_as(role, ticket);
            expect(&sql, code(&session, &sql).await.as_deref(), Some("42501"));
        }
    }
    // Its own tickets give it no more than it has, and only in the transaction in which it got them.
    let own = push_as(&client.0, "(select c.ticket from async.caller c)");
    expect(&own, code(&session, &own).await.as_deref(), Some("PA082"));
    let old = push_as(&client.0, &tickets[3]);
    expect(&old, code(&session, &old).await.as_deref(), Some("42501"));

    for sql in [
        "select * from async.caller_key",
        "insert into async.caller_key values ('')",
        "update async.caller_key set secret = ''",
        "insert into async.caller (caller) values ('postgres')",
        "update async.caller set caller = 'postgres'",
        "select async.scope_of('postgres', null, null)",
        "select async.forward('select 1')",
        "select async.prepare_push('postgres', null, null, null)",
        "select async.restart_now('postgres', null, array[1])",
        "select async.apply_configuration('{}', true)",
        "select async.set_grant('postgres', 'client', null)",
        "select async.revoke_level('postgres', 'client')",
        "create or replace view async.caller as select current_user as caller",
    ] {
        let refused = code(&session, sql).await;
        assert!(refused.is_some(), "{sql}");
    }
    // A client that looks at what the view computes sees neither the key nor another role's ticket.
    run(
        &session,
        "create function pg_temp.leak(anyelement) returns bool language plpgsql cost 0.0000001 as
           $$ begin raise notice '%', $1; return true; end $$",
    )
    .await;
    let rows = session
        .query("select caller::text from async.caller where pg_temp.leak(caller) and pg_temp.leak(ticket)", &[])
        .await
        .expect("a client reads it");
    assert_eq!(rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), [client.0.as_str()]);
    server.assert_holds("select count(*) = 0 from async.task").await;
    run(&of_strong, "rollback").await;
    for role in [client, strong] {
        role.drop_from(&[&server]).await;
    }
}

/// Triggers that are meant for statements of users only ask how deep they are.
#[tokio::test]
async fn a_push_is_no_trigger_to_the_triggers_of_users() {
    let server = server().await;
    server
        .run(
            "create table depths (depth int, by name);
             create function note_depth() returns trigger language plpgsql as
               $$ begin insert into public.depths values (pg_trigger_depth(), current_user); return null; end $$;
             create trigger note_depth after insert on async.task
               for each row when (pg_trigger_depth() = 0) execute procedure note_depth()",
        )
        .await;
    let client = Role::client(&server, "client", "null").await;
    run(&client.connect(&server).await, &push("there")).await;
    server.assert_holds("select array_agg(depth) = '{1}' and bool_and(by = 'postgres') from depths").await;
    client.drop_from(&[&server]).await;
}
