//! `pgasync top` in a terminal.

use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Database, Engine, PrivateCluster, RustEngine, Scratch, Target};

use super::fixture::{on, role, server};
use super::terminal::Terminal;

fn top(conninfo: &str, columns: u16, rows: u16) -> Terminal {
    Terminal::run(&["top", "--server", conninfo], columns, rows, &[])
}

fn quit(mut terminal: Terminal) {
    terminal.press("q");
    let ended = terminal.end();
    assert!(ended.code == Some(0) && ended.restored, "{ended:?}");
}

async fn busy() -> (Database, Target, RustEngine) {
    let (database, target) = server().await;
    database
        .run(
            "select async.set_pool('narrow', 1);
             select async.push_tasks(array[async.task('select pg_sleep(600) as first', 'there', concurrency_pool => 'narrow'),
               async.task('select pg_sleep(601)', 'there', concurrency_pool => 'narrow'),
               async.task('select pg_sleep(602) as third', 'there')])",
        )
        .await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database.wait_for("select count(*) = 2 from async.v_running_task where slot is not null").await;
    (database, target, engine)
}

#[tokio::test]
async fn what_runs_and_why_the_rest_waits_is_on_one_screen_of_200_columns() {
    let (database, _target, mut engine) = busy().await;
    let terminal = top(&database.conninfo(), 200, 50);
    let parts = [
        "pgasync run leads, epoch 1",
        "2 of 4 workers busy",
        "1 wait",
        "its pool is full: 1 of 1",
        "pg_sleep(602) as third",
        "narrow",
        "there",
    ];
    // What is drawn arrives in parts.
    terminal.wait_until("each part", |screen| parts.iter().all(|part| screen.contains(part)));
    quit(terminal);
    engine.stop().await;
}

#[tokio::test]
async fn a_task_is_chosen_by_a_filter_and_canceled_after_a_yes_in_60_columns() {
    let (database, _target, mut engine) = busy().await;
    let mut terminal = top(&database.conninfo(), 60, 20);
    let screen = terminal.wait_for("1 Running 2");
    assert!(screen.lines().all(|line| line.chars().count() <= 60), "{screen}");
    terminal.press("/");
    terminal.press("THIRD\r");
    terminal.wait_for("1 Running 1");
    terminal.press("c");
    terminal.wait_for("Cancel task 3? [y/N]");
    terminal.press("n");
    terminal.wait_for("nothing was changed");
    terminal.press("c");
    terminal.press("y");
    database.wait_for("select count(*) = 1 from async.task where task_id = 3 and finish_status = 'CANCELED'").await;
    terminal.wait_for("no row passes the filter");
    terminal.press("\u{1b}");
    terminal.wait_for("1 Running 1");
    terminal.resize(200, 50);
    terminal.wait_for("its pool is full: 1 of 1");
    quit(terminal);
    database.assert_holds("select count(*) = 2 from async.task where processed is null").await;
    engine.stop().await;
}

#[tokio::test]
async fn p_holds_new_starts() {
    let (database, _target) = server().await;
    let mut terminal = top(&database.conninfo(), 80, 24);
    terminal.wait_for("NO LEADER");
    for (question, paused) in [("Hold new starts", true), ("Let all tasks start again", false)] {
        terminal.press("p");
        terminal.wait_for(question);
        terminal.press("y");
        database.wait_for(&format!("select paused = {paused} from async.control")).await;
        // The next question is about what the screen has read.
        terminal.wait_until("the state", |screen| screen.contains("PAUSED") == paused);
    }
    terminal.press("4");
    // The first target is the server itself.
    terminal.press("\u{1b}[B");
    terminal.press("P");
    terminal.wait_for("the tasks at target \"down\"");
    terminal.press("y");
    database.wait_for("select paused from async.target where target = 'down'").await;
    terminal.press("\u{3}");
    let ended = terminal.end();
    assert!(ended.code == Some(0) && ended.restored, "Ctrl-C: {ended:?}");
}

#[tokio::test]
async fn a_role_without_rights_and_a_pipe_read_a_sentence() {
    let (database, _target) = server().await;
    let (role, conninfo) = role(&database, "select async.grant_client('ROLE', '{there}')").await;
    let ended = top(&conninfo, 80, 24).end();
    let text = String::from_utf8_lossy(&ended.bytes).into_owned();
    assert!(ended.code == Some(1) && ended.restored && !text.contains("panicked"), "{text}");
    assert!(text.contains(&format!("select async.grant_admin('{role}')")), "{text}");
    let text = String::from_utf8_lossy(&top("host=127.0.0.1 port=1", 80, 24).end().bytes).into_owned();
    assert!(text.contains("is Postgres running there"), "{text}");
    on(&conninfo, &["top"]).refused(2, "top needs a terminal");
    database.run(&format!("select async.revoke_client('{role}'); drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn a_lost_server_is_named_and_read_again_when_it_is_back() {
    let cluster = PrivateCluster::start(&[]);
    let scratch = Scratch::empty(&cluster).await;
    let session = scratch.connect().await;
    install(&session, SchemaPart::All).await.expect("it installs");
    session.close().await;
    let terminal = top(&scratch.conninfo(), 100, 24);
    terminal.wait_for("0 wait");
    cluster.stop();
    let screen = terminal.wait_until("an error", |screen| screen.contains("cannot connect") || screen.contains("lost"));
    assert!(screen.contains("0 wait"), "the last reading stays: {screen}");
    cluster.restart();
    let session = scratch.connect().await;
    session.batch_execute("select async.push_task(async.task('select 1', 'SELF'))").await.expect("it pushes");
    terminal.wait_for("1 wait");
    quit(terminal);
}
