//! What `pgasync web` refuses at the start, and the dashboard beside an orchestrator.

use std::process::{Command, Stdio};
use std::time::Duration;

use pgasync_tests::{Database, Engine, RustEngine};

use super::fixture::{ADMIN, role, server};
use super::http::Visitor;

/// Runs the program to its end; returns the exit code and standard error.
fn refused(words: &[&str], token: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new("timeout");
    command.args(["30", "pgasync"]).args(words).env_remove("PGASYNC_WEB_TOKEN").stdin(Stdio::null());
    if let Some(token) = token {
        command.env("PGASYNC_WEB_TOKEN", token);
    }
    let ran = command.output().expect("./dev puts pgasync on PATH");
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[tokio::test]
async fn what_would_open_the_dashboard_to_strangers_is_refused() {
    let (database, _target) = server().await;
    let conninfo = role(&database, "", ADMIN).await;
    let web = |more: &[&'static str]| {
        let mut words = vec!["web", "--web-server", conninfo.as_str()];
        words.extend_from_slice(more);
        words.into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    for (more, token, code, part) in [
        (&["--listen", "0.0.0.0:0"][..], None, 2, "the dashboard has no token"),
        (&["--listen", "[::]:0"], None, 2, "the dashboard has no token"),
        (&["--listen", "0.0.0.0:0", "--trusted-proxy", "127.0.0.1"], None, 2, "the dashboard has no token"),
        (&["--listen", "127.0.0.1:0"], Some(""), 2, "shorter than 16 characters"),
        (&["--listen", "127.0.0.1:0"], Some("fifteen letters"), 2, "shorter than 16 characters"),
        (&["--token-file", "/nowhere/token"], None, 2, "--token-file /nowhere/token"),
        (&["--token-file", "/dev/null"], None, 2, "shorter than 16 characters"),
        (&["--base-path", "/a/../b"], None, 2, "is no base path"),
        (&["--user-header", "a b"], None, 2, "is no name of a header"),
        (&["--token", "on the command line"], None, 2, "unexpected argument"),
    ] {
        let words = web(more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (exit, stderr) = refused(&words, token);
        assert!(exit == Some(code) && stderr.contains(part), "{more:?}: {exit:?} {stderr}");
    }
}

#[tokio::test]
async fn the_owner_and_strangers_are_refused() {
    let (database, _target) = server().await;
    let owner = database.conninfo();
    let (code, stderr) = refused(&["web", "-d", &owner, "--listen", "127.0.0.1:0"], None);
    assert!(
        code == Some(1) && stderr.contains("has the rights of \"postgres\", the owner of the schema async"),
        "{code:?} {stderr}"
    );
    assert!(stderr.contains("async.grant_admin('dashboard')"), "{stderr}");

    let stranger = role(&database, "s", "").await;
    let (code, stderr) = refused(&["web", "-d", &stranger, "--listen", "127.0.0.1:0"], None);
    assert!(code == Some(1) && stderr.contains("may not use the schema async"), "{code:?} {stderr}");

    let (code, stderr) =
        refused(&["web", "-d", "host=127.0.0.1 port=1 user=x dbname=x", "--listen", "127.0.0.1:0"], None);
    assert_eq!(code, Some(6), "{stderr}");

    let empty = pgasync_tests::Scratch::empty(database.cluster()).await;
    let member = stranger.replace(&format!("dbname={}", database.name()), &format!("dbname={}", empty.name()));
    let (code, stderr) = refused(&["web", "-d", &member, "--listen", "127.0.0.1:0"], None);
    assert!(code == Some(7) && stderr.contains("has no schema async"), "{code:?} {stderr}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let (database, _target) = server().await;
    let conninfo = role(&database, "", ADMIN).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, stderr) = refused(&["web", "-d", &conninfo, "--listen", &address], None);
    assert!(code == Some(1) && stderr.contains(&format!("cannot listen at {address}")), "{code:?} {stderr}");
}

#[tokio::test]
async fn an_orchestrator_serves_the_dashboard_beside_its_work() {
    let (database, target) = server().await;
    let conninfo = role(&database, "", ADMIN).await;
    let (code, stderr) = refused(&["run", "--server", &database.conninfo(), "--web", "127.0.0.1:0"], None);
    assert!(code == Some(2) && stderr.contains("--web needs --web-server"), "{code:?} {stderr}");

    let mut engine = RustEngine::attach(&database);
    engine.start_with(&["--web", "127.0.0.1:0", "--web-server", &conninfo]);
    engine.wait_for_line("the dashboard is at http://").await;
    let lines = engine.lines();
    let line = lines.iter().find(|line| line.contains("the dashboard is at http://")).expect("a line");
    let (_, place) = line.split_once("http://").expect("an address");
    let address = place.split('/').next().and_then(|address| address.parse().ok()).expect("an address");
    let visitor = Visitor::new(address);
    engine.wait_until_leading().await;
    database.run("select async.push('insert into ledger values (''ran'')', 'there')").await;
    database.wait_until_finished().await;
    assert_eq!(target.marks("ran").await, 1);
    visitor.wait_for("/tasks/1", "Ended: finished");
    visitor.wait_for("/", "pgasync run leads");
    engine.stop().await;
}

#[tokio::test]
async fn the_dashboard_outlives_its_server() {
    let (database, _target) = server().await;
    let dashboard = super::fixture::dashboard(&database).await;
    let visitor = dashboard.visitor();
    visitor.page("/");
    end_sessions(&database).await;
    // A page after the loss may say so. The next ones do not.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let text = visitor.wait_for("/", "Waiting 0");
    assert!(text.contains("Nothing waits"), "{text}");
}

async fn end_sessions(database: &Database) {
    let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name like 'pgasync web%'";
    assert!(database.number(sql).await > 0, "the dashboard has sessions");
}
