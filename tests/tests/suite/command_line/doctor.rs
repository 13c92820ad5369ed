//! `pgasync doctor`, and what its advice about the client of `async.main()` does.

use std::process::{Command, Stdio};
use std::time::Duration;

use pgasync_tests::{Cluster, Database, Engine, RustEngine, Scratch, Target};
use serde_json::{Value, json};

use super::fixture::{on, role, server};

/// The severity, subject and text of each finding.
fn findings(conninfo: &str) -> (Option<i32>, Vec<(String, String, String)>) {
    let ran = on(conninfo, &["doctor", "-o", "json"]);
    let document = ran.json();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = document["findings"].as_array().expect("an array").iter();
    for finding in all.clone() {
        assert_eq!(finding["severity"] == "ok", finding["fix"].is_null(), "a finding has its fix: {finding}");
    }
    (ran.code, all.map(|f| (text(f, "severity"), text(f, "about"), text(f, "finding"))).collect())
}

#[track_caller]
fn has(all: &[(String, String, String)], severity: &str, about: &str, part: &str) {
    let found = all.iter().any(|(s, a, text)| s == severity && a == about && text.contains(part));
    assert!(found, "{severity} {about} {part}: {all:#?}");
}

#[tokio::test]
async fn the_doctor_finds_what_is_planted_and_nothing_on_a_healthy_server() {
    let (database, target) = server().await;
    let conninfo = database.conninfo();
    database.run("select async.retire_target('down')").await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let (code, all) = findings(&conninfo);
    assert_eq!(code, Some(0), "{all:#?}");
    assert!(all.iter().all(|(severity, _, _)| severity == "ok"), "{all:#?}");
    assert!(all.iter().any(|(_, about, text)| about == "target there" && text.contains("it is reached")), "{all:#?}");
    engine.stop().await;

    database
        .run(&format!(
            "select async.set_target('down', '{{\"max_workers\": 2}}');
             select async.set_target('there', '{{\"max_workers\": 100000}}');
             select async.set_target('secret', '{{\"connection_string\": \"host=h password=${{ENV:PGASYNC_SECRET_X}}\"}}');
             update async.control set enabled = false, paused = true, workers = 5000;
             alter database \"{}\" set statement_timeout = '1min'",
            database.name()
        ))
        .await;
    let (code, all) = findings(&conninfo);
    assert_eq!(code, Some(1));
    has(&all, "error", "leader", "none may");
    has(&all, "warning", "leader", "control.paused is true");
    has(&all, "error", "target down", "this host cannot reach it");
    has(&all, "warning", "target there", "5000 tasks may run there at once: max_connections");
    has(&all, "warning", "settings", "statement_timeout=1min");
    has(&all, "warning", "target secret", "its password is a reference");
    let text = on(&conninfo, &["doctor"]);
    assert!(text.stdout.contains("fix: pgasync start") && !text.stdout.contains("password="), "{text:#?}");
    drop(target);

    let (name, other) = role(&database, "").await;
    on(&other, &["doctor"]).refused(1, "select async.grant_client");
    database.run(&format!("select async.grant_admin('{name}')")).await;
    has(&findings(&other).1, "ok", "targets", "only the owner");
    database.run(&format!("select async.revoke_admin('{name}'); drop owned by {name}; drop role {name}")).await;
    let empty = Scratch::empty(&Cluster::shared()).await;
    for command in ["doctor", "report", "logs"] {
        on(&empty.conninfo(), &[command]).refused(7, "has no schema async");
    }
}

#[tokio::test]
async fn limits_on_connections_are_compared_with_what_may_be_opened() {
    let (database, target) = server().await;
    let conninfo = database.conninfo();
    let other = Target::create_on(database.cluster()).await;
    let (name, _) = role(&database, "alter role ROLE connection limit 3").await;
    let as_role = |target: &Target| target.conninfo().replace("user=postgres", &format!("user={name}"));
    let set = async |target: &str, conninfo: &str, sessions: i32| {
        let document = json!({ "connection_string": conninfo, "max_workers": sessions });
        database.run(&format!("select async.set_target('{target}', '{document}')")).await;
    };
    database.run("select async.retire_target('down'); update async.control set workers = 1000").await;

    set("there", &as_role(&target), 4).await;
    has(&findings(&conninfo).1, "warning", "target there", &format!("connection limit of the role {name} admits 3"));
    set("there", &as_role(&target), 3).await;
    has(&findings(&conninfo).1, "ok", "target there", "it is reached");

    database
        .run(&format!("alter role {name} connection limit -1; alter database \"{}\" connection limit 5", target.name()))
        .await;
    set("there", &as_role(&target), 6).await;
    has(&findings(&conninfo).1, "warning", "target there", "the connection limit of the database");
    set("there", &target.conninfo(), 6).await;
    has(&findings(&conninfo).1, "ok", "target there", "it is reached");

    // max_connections of the cluster of the tests is 300.
    set("there", &target.conninfo(), 149).await;
    set("other", &other.conninfo(), 149).await;
    let all = findings(&conninfo).1;
    has(&all, "ok", "target there", "it is reached");
    has(&all, "warning", "connections", "4 of the leader and 298 at the targets other, there are of one server");
    database.run("update async.control set workers = 100").await;
    let all = findings(&conninfo).1;
    assert!(!all.iter().any(|(severity, about, _)| severity == "warning" && about == "connections"), "{all:#?}");
    database.run(&format!("drop role {name}")).await;
}

/// The first version with `client_connection_check_interval`.
const CHECKS_CLIENTS: i64 = 140_000;

async fn version(database: &Database) -> i64 {
    database.number("select current_setting('server_version_num')::bigint").await
}

#[tokio::test]
async fn a_server_that_does_not_notice_lost_clients_is_found_before_the_sql_engine_leads() {
    let (database, _target) = server().await;
    if version(&database).await < CHECKS_CLIENTS {
        return;
    }
    let (conninfo, name) = (database.conninfo(), database.name());
    let setting = "client_connection_check_interval";
    has(&findings(&conninfo).1, "warning", "settings", &format!("{setting} is 0"));
    let text = on(&conninfo, &["doctor"]).stdout;
    assert!(text.contains(&format!("alter database {name} set {setting} = '5s'")), "{text}");
    database.run(&format!("alter database \"{name}\" set {setting} = '5s'")).await;
    has(&findings(&conninfo).1, "ok", "settings", "a lost client ends its call");
    database.run(&format!("alter role postgres in database \"{name}\" set {setting} = 0")).await;
    has(&findings(&conninfo).1, "warning", "settings", &format!("{setting} is 0"));
}

/// Leads with `call async.main()` in psql, and kills psql.
async fn psql_is_killed_after(setting: &str) -> Database {
    let database = Database::create().await;
    let string = database.conninfo();
    database.configure(&json!({ "control": { "idle_sleep": 0.2, "self_connection_string": string } })).await;
    if !setting.is_empty() {
        database.run(&format!("alter database \"{}\" set {setting}", database.name())).await;
    }
    let mut psql = Command::new("psql")
        .args(["-X", "-d", &string, "-c", "call async.main()"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("psql is installed");
    database.wait_for("select leads from async.v_leader").await;
    psql.kill().expect("it runs");
    psql.wait().expect("it was killed");
    database
}

#[tokio::test]
async fn a_killed_psql_leaves_no_leader_where_the_setting_of_the_doctor_holds() {
    let with = psql_is_killed_after("client_connection_check_interval = '1s'");
    let database = Database::create().await;
    if version(&database).await < CHECKS_CLIENTS {
        return;
    }
    let (with, without) = tokio::join!(with, psql_is_killed_after(""));
    with.wait_for_within("select not leads from async.v_leader", Duration::from_secs(10)).await;
    without.assert_holds("select leads from async.v_leader").await;
    without.run("select pg_terminate_backend(pid) from async.v_leader").await;
}
