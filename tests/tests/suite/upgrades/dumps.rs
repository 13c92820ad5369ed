//! A fresh installation and each upgrade leave the same schema.

use std::process::Command;

use pgasync_tests::{Cluster, Scratch};

use super::released::{RELEASES, client_part, released};

const ORIGINAL_CLIENT: &str = include_str!("sql/original_client.sql");
const ORIGINAL_SERVER: &str = include_str!("sql/original_server.sql");

/// What `pg_dump --schema-only` writes after these texts were run in an empty database.
async fn dump_after(texts: &[&str]) -> String {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    let session = scratch.connect().await;
    for text in texts {
        session.batch_execute(text).await.unwrap_or_else(|error| panic!("{error:?}"));
    }
    let done = Command::new("pg_dump")
        .args(["--schema-only", "--dbname", &scratch.conninfo()])
        .output()
        .expect("pg_dump is a program of the client of Postgres");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let dump = String::from_utf8(done.stdout).expect("SQL is UTF-8");
    // The argument of these commands of psql is random.
    let lines = dump.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn assert_same(found: &str, fresh: &str, of: &str) {
    let (mut found_lines, mut fresh_lines) = (found.lines(), fresh.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (found_lines.next(), fresh_lines.next()) {
            (None, None) => break,
            (one, other) => {
                assert_eq!(one, other, "line {number} of the dump of {of}, beside that of a fresh installation")
            }
        }
    }
}

const DBLINK: &str = "create extension dblink";

#[tokio::test]
async fn an_upgraded_server_has_the_dump_of_a_fresh_one() {
    let all = pgasync_sql::all();
    let fresh = dump_after(&[DBLINK, &all]).await;
    assert!(fresh.contains("CREATE TABLE async.task ("), "the dump has the schema");
    assert_same(&dump_after(&[DBLINK, &all, &all]).await, &fresh, "two installations");
    for release in RELEASES {
        assert_same(&dump_after(&[DBLINK, &released(release), &all]).await, &fresh, release);
    }
    assert_same(&dump_after(&[DBLINK, ORIGINAL_CLIENT, ORIGINAL_SERVER, &all]).await, &fresh, "the library");
}

#[tokio::test]
async fn an_upgraded_client_database_has_the_dump_of_a_fresh_one() {
    let client = pgasync_sql::client();
    let fresh = dump_after(&[DBLINK, &client]).await;
    assert_same(&dump_after(&[DBLINK, &client, &client]).await, &fresh, "two installations");
    for release in RELEASES {
        assert_same(&dump_after(&[DBLINK, &client_part(release), &client]).await, &fresh, release);
    }
    assert_same(&dump_after(&[DBLINK, ORIGINAL_CLIENT, &client]).await, &fresh, "the library");
}
