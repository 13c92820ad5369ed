//! Passwords: where they must not be seen, and where they must not go.

use std::{env, fs};

use pgasync_tests::{Database, Engine};
use serde_json::json;

use crate::conformance::fixture::Fixture;

/// The table that also judges `mask_connection_string` of the core.
const MASKED: &str = include_str!("../../../../crates/core/cases/masked_connection_strings.json");

#[tokio::test]
async fn connection_strings_are_masked_as_the_table_says() {
    let database = Database::create().await;
    let cases: Vec<(String, String)> = serde_json::from_str(MASKED).expect("pairs of texts");
    for (text, masked) in cases {
        let rows = database.rows("select async.mask_connection_string($1)", &[&text]).await;
        assert_eq!(rows[0].get::<_, String>(0), masked, "{text}");
        assert_eq!(pgasync_core::mask_connection_string(&text), masked, "{text}");
    }
}

/// What `configure` takes is what views show masked, in both forms.
#[tokio::test]
async fn views_and_the_server_of_a_client_show_no_password() {
    let database = Database::create().await;
    for (text, shown) in [
        ("postgresql://u:my secret@h/db", "dbname=db host=h password=**** user=u"),
        ("postgresql://u@h/db?pass%77ord=s3cret", "dbname=db host=h password=**** user=u"),
        ("host=h password='my \\'s3cret'", "host=h password=****"),
    ] {
        database.configure(&json!({ "targets": [{ "target": "there", "connection_string": text }] })).await;
        let sql = "select connection_string from async.v_target where target = 'there'";
        assert_eq!(database.text(sql).await.as_deref(), Some(shown));
        database.rows("select async.server($1)", &[&text]).await;
        assert_eq!(database.text("select async.masked_server()").await.as_deref(), Some(shown));
    }
}

#[tokio::test]
async fn messages_show_no_password_of_a_connection_string_in_them() {
    let database = Database::create().await;
    for text in [
        "cannot reach postgresql://u:my s3cret@h/db now",
        "cannot reach postgresql://u:s3@cret@h/db now",
        "cannot reach postgresql://h/db?pass%77ord=s3cret&a=b",
        "cannot reach postgresql://h/db?password=my s3cret",
        "host=h password = 's3\\'cret' failed",
        "host=h password=s3\\ cret failed",
        "password='s3cret",
    ] {
        let rows = database.rows("select async.mask_text($1)", &[&text]).await;
        let masked: String = rows[0].get(0);
        assert!(masked.contains("****") && !masked.contains("s3") && !masked.contains("cret"), "{masked}");
    }
    assert_eq!(
        database.text("select async.mask_text('the password is needed: a=b')").await.as_deref(),
        Some("the password is needed: a=b")
    );
}

/// Postgres writes the whole row that breaks a constraint to its log.
#[tokio::test]
async fn a_refused_row_does_not_put_its_connection_string_into_the_log_of_the_server() {
    let database = Database::create().await;
    let secret = format!("s3cret_of_{}", database.name());
    let string = format!("host=127.0.0.1 password={secret}");
    database.configure(&json!({ "control": { "self_connection_string": string } })).await;
    database.configure(&json!({ "targets": [{ "target": "there", "connection_string": string }] })).await;
    database.rows("select async.server($1)", &[&string]).await;
    // Seen on purpose: that this log is the one, and that Postgres does so.
    let seen = format!("seen_{}", database.name());
    database.run("create table public.careless (secret text, n int check (n > 0))").await;
    let parameters: &[&(dyn pgasync_pg::types::ToSql + Sync)] = &[&seen];
    database.session().execute("insert into public.careless values ($1, 0)", parameters).await.expect_err("refused");
    for (sql, code) in [
        ("update async.control set workers = 0", "23514"),
        ("update async.control set self_concurrency = 0", "23514"),
        ("update async.control set workers = null", "23502"),
        ("update async.target set max_concurrency = -1 where target = 'there'", "23514"),
        ("update async.target set retired = null where target = 'there'", "23502"),
        ("update async.client_control set version = null", "23502"),
        (
            "insert into async.session (epoch, slot, target, connection_string, role, pid)
            select 1, 1, target, connection_string, 'r', 1 from async.target",
            "23502",
        ),
    ] {
        assert_eq!(database.refused(sql).await.0, code, "{sql}");
    }
    let log = env::var("PGASYNC_PG_DIR").expect("./dev says where the cluster is") + "/log";
    let log = fs::read(log).expect("the log of the cluster");
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains(&seen), "another log");
    let leaked: Vec<&str> = log.lines().filter(|line| line.contains(&secret) && !line.contains("STATEMENT")).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
}

/// The postmaster of the tests has a PGPASSWORD in its environment (`scripts/cluster.sh`).
async fn a_target_without_a_password_does_not_get_the_postmaster_s<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let role = format!("asks_{}", &fixture.name()[fixture.name().len().saturating_sub(50)..]);
    fixture
        .run(&format!(
            "do $$ begin create role with_password; exception when duplicate_object or unique_violation then null; end $$;
             create role {role} login password 'of the postmaster' in role with_password"
        ))
        .await;
    let there = fixture.target.conninfo().replace("user=postgres", &format!("user={role}"));
    fixture
        .configure(&json!({
            "control": { "target_patience": "0.5 s" },
            "targets": [
                { "target": "bare", "connection_string": there },
                { "target": "named", "connection_string": format!("{there} password='of the postmaster'") },
            ],
        }))
        .await;
    fixture.engine.lead().await;
    let named = fixture.push_as("'select 1', 'named'").await;
    let bare = fixture.push_as("'select 1', 'bare'").await;
    fixture.end_of(named).await.succeeded();
    let error = fixture.end_of(bare).await.is("FAILED").unwrap_or_default();
    assert!(error.contains("password"), "{error}");
    fixture.run(&format!("drop role {role}")).await;
}

attacks!(a_target_without_a_password_does_not_get_the_postmaster_s);
