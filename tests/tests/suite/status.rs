//! The program `pgasync status`: exit codes and output.

use std::process::Command;

use pgasync_tests::{Cluster, Database, Engine, RustEngine, Scratch};
use serde_json::{Value, json};

/// Runs `pgasync status`. Returns the exit code, standard output and standard error.
fn status(conninfo: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let ran = Command::new("pgasync").args(["status", "--server", conninfo]).args(arguments).output();
    let ran = ran.expect("./dev puts pgasync on PATH");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
}

fn document(conninfo: &str) -> (Option<i32>, Value) {
    let (code, stdout, stderr) = status(conninfo, &["--json"]);
    (code, serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")))
}

#[tokio::test]
async fn status_is_healthy_while_a_leader_leads_and_no_target_is_lost() {
    let database = Database::create().await;
    database
        .configure(&json!({
            "control": { "idle_sleep": 0.1 },
            "targets": [{ "target": "down", "connection_string": "host=127.0.0.1 port=1 password=secret" }],
        }))
        .await;
    database.run("select async.push_task(async.task('select pg_sleep(60)', 'SELF'))").await;
    let conninfo = database.conninfo();
    let (code, screen, _) = status(&conninfo, &[]);
    assert_eq!(code, Some(1));
    assert!(screen.contains("NO LEADER") && screen.contains("async.self"), "{screen}");
    assert_eq!(document(&conninfo).1["ok"], json!(false));

    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database.wait_for("select count(*) = 1 from async.v_running_task where slot is not null").await;
    let (code, screen, _) = status(&conninfo, &[]);
    assert_eq!(code, Some(0), "{screen}");
    for word in ["pgasync run leads, epoch 1", "1 of 20 workers busy; 0 tasks wait", "Running longest"] {
        assert!(screen.contains(word), "{word}: {screen}");
    }
    let (code, document_of_well) = document(&conninfo);
    assert_eq!((code, &document_of_well["ok"]), (Some(0), &json!(true)));
    assert_eq!(document_of_well["leader"]["engine"], json!("rust"));
    assert_eq!(document_of_well["running"][0]["target"], json!("async.self"));

    database.run("select async.push_task(async.task('select 1', 'down'))").await;
    database.wait_for("select state = 'lost' from async.v_target_state where target = 'down'").await;
    let (code, screen, _) = status(&conninfo, &[]);
    assert_eq!(code, Some(1));
    assert!(screen.contains("Targets in trouble") && screen.contains("the target is lost since"), "{screen}");
    assert!(!screen.contains("secret"), "{screen}");
    let (_, lost) = document(&conninfo);
    assert_eq!(lost["targets"].as_array().map(Vec::len), Some(2));
    assert!(lost["targets"][1]["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{lost}");
    engine.stop().await;
}

#[tokio::test]
async fn ends_are_told_apart_and_failures_are_grouped() {
    let database = Database::create().await;
    database.configure(&json!({ "control": { "idle_sleep": 0.1 } })).await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database
        .run(
            "select async.push_task(async.task(format('select 1/(%s - %s)', i, i), 'SELF')) from generate_series(1, 3) i;
             select async.push_task(async.task('select pg_sleep(60)', 'SELF', manual_timeout => '10 ms'));
             select async.push_task(async.task('select pg_sleep(60)', 'SELF', concurrency_pool => 'other', priority => 1))",
        )
        .await;
    database
        .wait_for("select count(*) = 1 from async.task where concurrency_pool = 'other' and consumed is not null")
        .await;
    database.run("select async.cancel(array(select task_id from async.task where concurrency_pool = 'other'))").await;
    database.wait_for("select count(*) = 5 from async.task where processed is not null").await;
    let (_, screen, _) = status(&database.conninfo(), &[]);
    for text in ["last minute: 5 ended, 3 failed, 1 timed out, 1 canceled", "22012 division by zero"] {
        assert!(screen.contains(text), "{text}: {screen}");
    }
    let (_, document) = document(&database.conninfo());
    assert_eq!(document["failures"][0]["tasks"], json!(3));
    assert_eq!(document["failures"][0]["sqlstate"], json!("22012"));
    assert_eq!(document["last_seconds"]["ended"], document["last_minute"]["ended"]);
    engine.stop().await;
}

#[tokio::test]
async fn a_standby_is_shown_before_and_after_the_loss_of_the_leader() {
    let database = Database::create().await;
    let run = |arguments: &[&str]| {
        let conninfo = database.conninfo();
        let mut command = Command::new("pgasync");
        command.args(["run", "--log", "error", "--server", &conninfo]).args(arguments);
        command.spawn().expect("./dev puts pgasync on PATH")
    };
    let mut leader = run(&[]);
    database.wait_for("select leads from async.v_leader").await;
    let mut standby = run(&["--standby"]);
    database.wait_for("select standbys = 1 from async.v_leader").await;
    let (_, screen, _) = status(&database.conninfo(), &[]);
    assert!(screen.contains("1 on standby"), "{screen}");
    leader.kill().expect("it runs");
    leader.wait().expect("it was killed");
    database.wait_for("select not leads from async.v_leader").await;
    database.run("select async.push_task(async.task('select 1', 'SELF'))").await;
    let (code, screen, _) = status(&database.conninfo(), &[]);
    assert_eq!(code, Some(1));
    for text in ["no leader; a standby takes over within 10 s", "no orchestrator leads: a standby takes over"] {
        assert!(screen.contains(text), "{text}: {screen}");
    }
    database.wait_for("select leads and standbys = 0 from async.v_leader").await;
    standby.kill().expect("it runs");
    standby.wait().expect("it was killed");
}

/// Runs `pgasync status` and holds it up where it reads `async.offer`, in the middle. `change` happens
/// meanwhile.
async fn status_during(database: &Database, change: impl AsyncFnOnce()) -> Value {
    let holder = database.settings().connect().await.expect("it connects");
    holder.batch_execute("begin; lock table async.offer in access exclusive mode").await.expect("it locks");
    let conninfo = database.conninfo();
    let running = tokio::task::spawn_blocking(move || document(&conninfo).1);
    database
        .wait_for(
            "select exists (select from pg_locks l join pg_stat_activity a on a.pid = l.pid
               where l.relation = 'async.offer'::regclass and not l.granted and a.query ~ 'v_why_waiting')",
        )
        .await;
    change().await;
    holder.batch_execute("commit").await.expect("it commits");
    running.await.expect("it ends")
}

#[tokio::test]
async fn a_status_is_of_one_moment() {
    let database = Database::create().await;
    database
        .run(
            "select async.push_tasks(array[async.task('select 1', 'SELF'), async.task('select 2', 'SELF')]);
             update async.task set consumed = now(), times_up = now() + interval '1 hour' where task_id = 1;
             insert into async.worker (slot, name, task_id, target) values (1, 'w', 1, 'async.self')
               on conflict (slot) do update set task_id = 1, target = 'async.self'",
        )
        .await;
    let read = status_during(&database, async || {
        database
            .run(
                "update async.worker set task_id = null;
                 update async.task set processed = now(), failed = true, finish_status = 'FAILED' where task_id = 1;
                 select async.push_task(async.task('select 3', 'SELF'));
                 update async.control set enabled = false;
                 select async.log('WARNING', 'later')",
            )
            .await;
    })
    .await;
    let (waiting, running) = (&read["waiting"][0], &read["running"][0]);
    let one = json!(1);
    assert_eq!(read["workers"]["busy"], one, "{read:#}");
    assert_eq!((&read["waiting_tasks"], &waiting["waiting"], &read["pools"][0]["waiting"]), (&one, &one, &one));
    assert_eq!((&running["slot"], &running["query"]), (&one, &json!("select 1")));
    assert!(waiting["reason"].as_str().is_some_and(|reason| !reason.contains("enabled")), "{waiting}");
    let later = (&read["leader"]["enabled"], &read["failures"], &read["warnings"]);
    assert_eq!(later, (&json!(true), &json!([]), &json!([])));
    assert_eq!(document(&database.conninfo()).1["leader"]["enabled"], json!(false), "the next one has the change");
}

/// Whether a leader exists is no row of the snapshot.
#[tokio::test]
async fn a_leader_that_is_lost_during_the_reading_is_lost_in_all_of_it() {
    let database = Database::create().await;
    database
        .run("select async.push_task(async.task('select 1', 'SELF')); update async.control set paused = true")
        .await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let read = status_during(&database, async || {
        engine.crash().await;
        database.wait_for("select not leads from async.v_leader").await;
    })
    .await;
    let reason = read["waiting"][0]["reason"].as_str().expect("a reason");
    assert_eq!(
        (&read["leader"]["leads"], &read["targets"][0]["state"], reason.starts_with("no orchestrator leads")),
        (&json!(false), &json!("unknown"), true),
        "{read:#}"
    );
}

#[tokio::test]
async fn csv_is_refused_with_what_has_csv() {
    let (code, stdout, stderr) = status("host=127.0.0.1 port=1", &["-o", "csv"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("CSV has one") && stderr.contains("tasks -o csv"), "{stderr}");
}

#[tokio::test]
async fn status_without_a_schema_names_the_remedy() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    let (code, stdout, stderr) = status(&scratch.conninfo(), &[]);
    assert_eq!((code, stdout.as_str()), (Some(7), ""));
    assert!(stderr.contains("pgasync init"), "{stderr}");
    let (code, _, stderr) = status("host=127.0.0.1 port=1", &["--json"]);
    assert_eq!(code, Some(6));
    assert!(stderr.contains("is Postgres running there") && !stderr.contains("--server"), "{stderr}");
}

#[tokio::test]
async fn the_connection_string_may_stand_in_a_file() {
    let database = Database::create().await;
    let folder = std::env::temp_dir().join(database.name());
    std::fs::create_dir_all(&folder).expect("a folder");
    let (file, empty) = (folder.join("server"), folder.join("empty"));
    std::fs::write(&file, format!("{}\n", database.conninfo())).expect("it is written");
    std::fs::write(&empty, "\n").expect("it is written");
    let run = |arguments: &[&str]| {
        let ran = Command::new("pgasync").arg("status").args(arguments).output().expect("./dev puts pgasync on PATH");
        (
            ran.status.code(),
            String::from_utf8_lossy(&ran.stdout).into_owned(),
            String::from_utf8_lossy(&ran.stderr).into_owned(),
        )
    };
    let path = |file: &std::path::Path| file.to_str().expect("UTF-8").to_owned();
    assert!(run(&["--server-file", &path(&file)]).1.contains("NO LEADER"));
    let (code, _, stderr) = run(&["--server-file", &path(&empty)]);
    assert!(code == Some(2) && stderr.contains("it has no connection string"), "{code:?} {stderr}");
    let (code, _, stderr) = run(&["--server-file", &path(&folder.join("none"))]);
    assert!(code == Some(2) && stderr.contains("none"), "{code:?} {stderr}");
    let (code, _, stderr) = run(&["--server-file", "x", "--server", "y"]);
    assert!(code == Some(2) && stderr.contains("cannot be used with"), "{code:?} {stderr}");
    std::fs::remove_dir_all(&folder).expect("it is removed");
}

#[tokio::test]
async fn a_screen_fits_60_and_200_columns() {
    let database = Database::create().await;
    let name = "a target with a name that takes more than sixty columns of any terminal";
    database.configure(&json!({"targets": [{"target": name, "connection_string": "host=127.0.0.1 port=1"}]})).await;
    database.run(&format!("select async.push_task(async.task('select 1', '{name}'))")).await;
    for columns in [60, 200] {
        let ran = Command::new("pgasync")
            .args(["status", "--server", &database.conninfo()])
            .env("COLUMNS", columns.to_string())
            .output()
            .expect("./dev puts pgasync on PATH");
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let tables = text.lines().filter(|line| line.starts_with(['│', '┌', '└', '╞']));
        let longest = tables.map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(longest > 0 && longest <= columns, "{columns}: {longest}\n{text}");
    }
}

#[tokio::test]
async fn a_watched_status_goes_on_when_the_server_does_not_answer() {
    let mut process = Command::new("pgasync")
        .args(["status", "--watch=250ms", "--server", "host=127.0.0.1 port=1 dbname=x"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("./dev puts pgasync on PATH");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().expect("it is piped")));
    let refused = lines.map(|line| line.expect("UTF-8")).filter(|line| line.contains("Connection refused"));
    assert_eq!(refused.take(3).count(), 3, "it looks again");
    assert!(pgasync_tests::send(pgasync_tests::Signal::Interrupt, i32::try_from(process.id()).expect("small")));
    assert_eq!(process.wait().expect("it ends").code(), Some(0));

    let database = Database::create().await;
    let mut process = Command::new("pgasync")
        .args(["status", "-w", "--server", &database.conninfo()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("./dev puts pgasync on PATH");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().expect("it is piped")));
    let screens = lines.by_ref().map(|line| line.expect("UTF-8")).filter(|line| line.contains("NO LEADER"));
    assert_eq!(screens.take(2).count(), 2, "it draws again");
    assert!(pgasync_tests::send(pgasync_tests::Signal::Interrupt, i32::try_from(process.id()).expect("small")));
    assert_eq!(process.wait().expect("it ends").code(), Some(0));
}
