//! `pgasync status --watch` in a terminal.

use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Database, Engine, PrivateCluster, RustEngine, Scratch, Signal, send};

use super::fixture::server;
use super::terminal::Terminal;

/// The lines of a screen, as they were written: behind a cursor position, without colours.
fn lines(written: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for part in written.split("\u{1b}[") {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
        let text = part.get(end + 1..).unwrap_or_default();
        match part.as_bytes().get(end) {
            Some(b'H') => lines.push(text.to_owned()),
            _ => lines.last_mut().into_iter().for_each(|line: &mut String| line.push_str(text)),
        }
    }
    lines
}

async fn busy() -> (Database, pgasync_tests::Target) {
    let (database, target) = server().await;
    database
        .run(
            "select async.push_tasks((select array_agg(async.task('select ''a query that is rather long'', ' || n, 'there'))
               from generate_series(1, 20) n));
             update async.task set consumed = now() - interval '90 seconds', times_up = now() + interval '1 hour'
               where task_id <= 3;
             select async.log('WARNING', 'a warning that is longer than a line of sixty columns has room for, and so folds')",
        )
        .await;
    (database, target)
}

#[tokio::test]
async fn a_watched_status_fits_its_terminal_and_is_drawn_in_place() {
    let (database, _target) = busy().await;
    let conninfo = database.conninfo();
    for columns in [60, 200] {
        let words = ["status", "--watch=300ms", "--server", &conninfo];
        let mut terminal = Terminal::run(&words, columns, 60, &[]);
        let parts = [
            "NO LEADER",
            "0 of 4 workers busy",
            "tasks wait",
            "why it waits",
            "Running longest",
            "select 'a",
            "Last warnings",
            "q ends",
        ];
        terminal.wait_until("each part", |screen| parts.iter().all(|part| screen.contains(part)));
        let waiting = database.number("select count(*) from async.task where consumed is null").await;
        terminal.wait_for(&format!("{waiting} tasks wait"));
        terminal.forget();
        database.run("select async.push_task(async.task('select 1', 'there'))").await;
        terminal.wait_for(&format!("{} tasks wait", waiting + 1));
        let written = terminal.written();
        assert!(!written.contains("\u{1b}[2J") && !written.contains("\u{1b}[3J"), "nothing is cleared: {written:?}");
        let longest = lines(&written).iter().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(longest > 0 && longest <= usize::from(columns), "{columns}: {longest}");
        assert!(written.contains("\u{1b}[31m"), "no leader is red: {written:?}");
        if columns == 200 {
            terminal.resize(72, 20);
            let screen = terminal.wait_for("more lines below");
            assert!(screen.lines().all(|line| line.chars().count() <= 72), "{screen}");
        }
        terminal.press("q");
        let ended = terminal.end();
        assert!(ended.code == Some(0) && ended.restored, "{ended:?}");
    }
}

#[tokio::test]
async fn ctrl_c_and_sigterm_leave_the_terminal_as_it_was() {
    let (database, _target) = busy().await;
    let conninfo = database.conninfo();
    for end in ["\u{3}", "SIGTERM"] {
        let mut terminal = Terminal::run(&["status", "-w", "--server", &conninfo], 80, 24, &[("NO_COLOR", "1")]);
        terminal.wait_for("NO LEADER");
        assert!(!terminal.written().contains("\u{1b}[31m"), "NO_COLOR");
        if end == "SIGTERM" {
            assert!(send(Signal::Terminate, terminal.pid()));
        } else {
            terminal.press(end);
        }
        let ended = terminal.end();
        assert!(ended.code == Some(0) && ended.restored, "{end:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_lost_server_is_named_and_the_watcher_goes_on_when_it_is_back() {
    let cluster = PrivateCluster::start(&[]);
    let scratch = Scratch::empty(&cluster).await;
    let session = scratch.connect().await;
    install(&session, SchemaPart::All).await.expect("it installs");
    session.close().await;
    let conninfo = scratch.conninfo();
    let mut terminal = Terminal::run(&["status", "--watch=300ms", "--server", &conninfo], 100, 40, &[]);
    terminal.wait_for("0 tasks wait");
    cluster.stop();
    let screen = terminal.wait_for("The last state, of");
    assert!(screen.contains("0 tasks wait"), "{screen}");
    cluster.restart();
    let session = scratch.connect().await;
    session.batch_execute("select async.push_task(async.task('select 1', 'SELF'))").await.expect("it pushes");
    let screen = terminal.wait_for("1 tasks wait");
    assert!(!screen.contains("The last state"), "{screen}");
    terminal.press("q");
    let ended = terminal.end();
    assert!(ended.code == Some(0) && ended.restored, "{ended:?}");
}

#[tokio::test]
async fn a_takeover_is_shown_while_it_happens() {
    let (database, _target) = server().await;
    let mut first = RustEngine::attach(&database);
    first.lead().await;
    let mut terminal = Terminal::run(&["status", "--watch=300ms", "--server", &database.conninfo()], 100, 30, &[]);
    terminal.wait_for("pgasync run leads, epoch 1");
    let mut second = RustEngine::attach(&database);
    second.start_with(&["--force"]);
    terminal.wait_for("pgasync run leads, epoch 2");
    terminal.press("q");
    assert!(terminal.end().restored);
    second.stop().await;
}
