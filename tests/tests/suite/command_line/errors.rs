//! Every command given nonsense: the exit code, what is wrong, and what to do next.

use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Cluster, Database, Scratch};

use super::fixture::{on, pgasync, role, server};

const READERS: [&[&str]; 4] = [&["tasks"], &["show", "1"], &["tasks", "--follow"], &["status"]];

#[tokio::test]
async fn a_server_that_is_not_reached_is_code_6_and_the_advice_fits_what_was_named() {
    for words in READERS.iter().chain([&["push", "-t", "x", "select 1"][..], &["run"], &["init"]].iter()) {
        let ran = on("host=127.0.0.1 port=1 dbname=x", words);
        ran.refused(6, "Connection refused");
        assert_eq!(ran.stderr.matches("Connection refused").count(), 1, "a cause is named once: {ran:#?}");
        assert!(ran.stderr.contains("is Postgres running there"), "{ran:#?}");
        assert!(!ran.stderr.contains("--server"), "the server was named: {ran:#?}");
    }
}

#[tokio::test]
async fn a_database_without_the_schema_is_code_7() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    for words in READERS.iter().chain([&["push", "-t", "x", "select 1"][..], &["run"]].iter()) {
        on(&scratch.conninfo(), words).refused(7, "has no schema async\n  pgasync init installs it");
    }
}

#[tokio::test]
async fn a_client_database_is_not_taken_for_an_empty_queue() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    install(&scratch.connect().await, SchemaPart::Client).await.expect("it is installed");
    for words in READERS.iter().chain([&["run"][..]].iter()) {
        on(&scratch.conninfo(), words).refused(7, "is a client database");
    }
}

#[tokio::test]
async fn an_older_schema_is_code_7_and_names_the_remedy() {
    let database = Database::create().await;
    database
        .run(
            "create or replace function async.schema_fingerprint() returns text language sql immutable
               set search_path = pg_catalog, pg_temp as $$ select '0ld'::text $$;
             drop function async.push_many(jsonb)",
        )
        .await;
    let conninfo = database.conninfo();
    on(&conninfo, &["run"]).refused(7, "of another version than this program (0ld there");
    on(&conninfo, &["push", "-t", "SELF", "select 1"]).refused(7, "of another version than this program (0ld there");
    on(&conninfo, &["tasks"]).done();
}

#[tokio::test]
async fn a_role_without_rights_reads_which_grant_it_needs() {
    let (database, _target) = server().await;
    let (role, conninfo) = role(&database, "").await;
    for words in READERS {
        on(&conninfo, words).refused(1, &format!("select async.grant_client('{role}')"));
    }
    on(&conninfo, &["run"]).refused(1, "does not own the schema async");
    database.run(&format!("select async.grant_client('{role}', '{{there}}')")).await;
    on(&conninfo, &["tasks"]).done();
    on(&conninfo, &["push", "-t", "there", "select 1"]).done();
    on(&conninfo, &["push", "-t", "down", "select 1"]).refused(1, "PA082");
    on(&conninfo, &["status"]).refused(1, &format!("select async.grant_admin('{role}')"));
    on(&conninfo, &["run"]).refused(1, "connect as \"postgres\"");
    database.run(&format!("select async.revoke_client('{role}'); drop owned by {role}; drop role {role}")).await;
}

#[test]
fn a_wrong_command_line_is_code_2() {
    for words in [
        &["tasks", "--phase", "sleeping"][..],
        &["tasks", "--limit", "0"],
        &["tasks", "--newer-than", "yesterday"],
        &["tasks", "-o", "xml"],
        &["tasks", "x"],
        &["show"],
        &["show", "0"],
        &["push", "-t", "a", "--each", "b", "select 1"],
        &["push", "-t", "a", "--run-at", "soon", "select 1"],
        &["push", "-t", "a", "--wait-timeout", "1s", "select 1"],
        &["push", "-t", "a", "--on-conflict", "skip", "select 1"],
        &["push", "-t", "a", "--data", "{", "select 1"],
        &["push", "select 1"],
        &["push", "-t", "a", " "],
        &["push", "-t", "a"],
        &["push", "-t", "a", "--file", "/no/such/file"],
        &["nonsense"],
    ] {
        let ran = pgasync(words);
        assert!(ran.code == Some(2) && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{words:?}: {ran:#?}");
    }
}

#[test]
fn a_password_in_a_broken_connection_string_is_not_printed() {
    let ran = on("host=x password=geheim nonsense", &["tasks"]);
    assert!(ran.code == Some(2) && !ran.stderr.contains("geheim"), "{ran:#?}");
}
