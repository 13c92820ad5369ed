//! Every command given nonsense. The commands are those of the man pages, so a new one fails here until
//! the table has it.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pgasync_tests::{Cluster, Scratch};

use super::fixture::{Ran, pgasync, role, server, with_input};

/// What a command does with nonsense.
struct Case {
    command: &'static str,
    /// A call that makes sense. `TEMP` is a folder.
    sense: &'static [&'static str],
    /// Words that are refused as wrong usage.
    nonsense: &'static [&'static [&'static str]],
    /// The exit code of `sense` without a server, and what standard error says.
    down: Answer,
    /// In a database without the schema.
    empty: Answer,
    /// As a role without any grant.
    stranger: Answer,
    /// As a client of one target.
    client: Answer,
}

type Answer = (i32, &'static str);

const DONE: Answer = (0, "");
const DOWN: Answer = (6, "is Postgres running there");
const EMPTY: Answer = (7, "pgasync init");
const STRANGER: Answer = (1, "select async.grant_client(");
const ADMIN_ONLY: Answer = (1, "select async.grant_admin(");
const OWNER_ONLY: Answer = (1, "connect as \"postgres\"");

/// A command that reads or changes tasks, and that a client may call.
const fn task_command(
    command: &'static str,
    sense: &'static [&'static str],
    nonsense: &'static [&'static [&'static str]],
) -> Case {
    Case { command, sense, nonsense, down: DOWN, empty: EMPTY, stranger: STRANGER, client: DONE }
}

/// A command for administrators.
const fn admin_command(
    command: &'static str,
    sense: &'static [&'static str],
    nonsense: &'static [&'static [&'static str]],
) -> Case {
    Case { client: ADMIN_ONLY, ..task_command(command, sense, nonsense) }
}

/// A command that needs no server.
const fn local_command(
    command: &'static str,
    sense: &'static [&'static str],
    nonsense: &'static [&'static [&'static str]],
) -> Case {
    Case { down: DONE, empty: DONE, stranger: DONE, client: DONE, ..task_command(command, sense, nonsense) }
}

fn cases() -> Vec<Case> {
    let mut cases = cases_of_tasks();
    cases.extend(cases_of_servers());
    cases
}

/// The commands about tasks.
fn cases_of_tasks() -> Vec<Case> {
    vec![
        task_command(
            "push",
            &["-t", "there", "select 1"],
            &[
                &["select 1"],
                &["-t", "there", "--priority", "high", "select 1"],
                &["-t", "there", "--file", "/no/such"],
            ],
        ),
        task_command(
            "tasks",
            &[],
            &[
                &["x"],
                &["0"],
                &["--phase", "asleep"],
                &["--limit", "-1"],
                &["--newer-than", "yesterday"],
                &["-o", "xml"],
            ],
        ),
        task_command("show", &["1"], &[&[], &["x"], &["0"], &["99999999999999999999"], &["1", "2"]]),
        task_command("cancel", &["1", "--yes"], &[&[], &["x"], &["--phase", "asleep"], &["--ended", "soon"]]),
        task_command("defer", &["--by", "1h", "1", "--yes"], &[&["1"], &["--by", "soon", "1"], &["--by", "1h"]]),
        Case {
            client: (1, "1 skipped"),
            ..task_command("restart", &["1", "--yes"], &[&[], &["x"], &["--status", "bad"]])
        },
    ]
}

/// The commands about a server, and those that need none.
fn cases_of_servers() -> Vec<Case> {
    let terminal: Answer = (2, "needs a terminal");
    // With a token it would serve without an end; `web::start` has its other answers.
    let token: Answer = (2, "the dashboard has no token");
    vec![
        admin_command("status", &[], &[&["x"], &["-o", "csv"], &["--watch=soon"], &["--watch", "-o", "json"]]),
        Case {
            down: terminal,
            empty: terminal,
            stranger: terminal,
            client: terminal,
            ..admin_command("top", &[], &[&["x"], &["-o", "json"]])
        },
        task_command("report", &[], &[&["--since", "never"], &["--by", "moon"], &["--since", "1h", "--until", "2h"]]),
        admin_command("logs", &[], &[&["-n", "0"], &["-n", "1000"], &["--level", "loud"]]),
        admin_command("doctor", &[], &[&["x"], &["-o", "xml"]]),
        admin_command("pause", &["--all"], &[&[], &["x"]]),
        admin_command("resume", &["--all"], &[&[], &["x"]]),
        admin_command("stop", &["--timeout", "1s"], &[&["--timeout", "soon"], &["x"]]),
        admin_command("start", &[], &[&["x"]]),
        local_command("config", &["--help"], &[&["explode"]]),
        admin_command("config show", &[], &[&["x"], &["-o", "xml"]]),
        admin_command("config check", &["-"], &[&[], &["/no/such/file"]]),
        admin_command("config diff", &["-"], &[&[], &["/no/such/file"]]),
        admin_command("config apply", &["-", "--yes"], &[&[], &["/no/such/file"]]),
        Case {
            client: OWNER_ONLY,
            stranger: OWNER_ONLY,
            // `./dev` builds the program without the feature `traces` for these tests.
            ..admin_command("run", &[], &[&["--force", "--standby"], &["--traces"], &["x"]])
        },
        Case {
            empty: DONE,
            client: OWNER_ONLY,
            stranger: OWNER_ONLY,
            ..admin_command("init", &[], &[&["everything"]])
        },
        Case { client: OWNER_ONLY, stranger: OWNER_ONLY, ..admin_command("migrate", &[], &[&["x"], &["-o", "xml"]]) },
        Case { client: OWNER_ONLY, stranger: OWNER_ONLY, ..admin_command("uninstall", &["--yes"], &[&["x"]]) },
        Case {
            down: token,
            empty: token,
            stranger: token,
            client: token,
            ..admin_command(
                "web",
                &["--listen", "0.0.0.0:0"],
                &[
                    &["x"],
                    &["--listen", "nowhere"],
                    &["--base-path", "jobs"],
                    &["--trusted-proxy", "moon"],
                    &["--token-file", "/no/such"],
                ],
            )
        },
        local_command("completions", &["bash"], &[&[], &["basic"]]),
        local_command("man", &["TEMP"], &[&[], &["/no/such/folder"]]),
        local_command("sql", &["all"], &[&[], &["everything"]]),
        Case { empty: DONE, ..admin_command("demo", &[], &[&["--engine", "steam"]]) },
        Case { empty: DONE, ..admin_command("bench", &[], &[&["nothing"], &["--runs", "-1"]]) },
    ]
}

/// The words of a call, in a folder and at a server.
fn words<'a>(case: &'a Case, more: &[&'a str], folder: &'a str) -> Vec<&'a str> {
    let more = more.iter().map(|word| if *word == "TEMP" { folder } else { word });
    case.command.split(' ').chain(more).collect()
}

fn takes_server(case: &Case) -> bool {
    !["config", "completions", "man", "sql"].contains(&case.command)
}

fn call(case: &Case, more: &[&str], conninfo: &str) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("UTF-8");
    let server = ["--server", conninfo];
    with_input(&words(case, more, folder), if takes_server(case) { &server } else { &[] }, "{}")
}

/// Every failure has a sentence, and no failure is a panic.
#[track_caller]
fn judge(case: &Case, what: &str, ran: &Ran, (code, part): Answer) {
    let command = case.command;
    assert!(!ran.stderr.contains("panicked"), "{command} {what}: {ran:#?}");
    assert!(
        ran.code == Some(code) && ran.stderr.contains(part),
        "{command} {what}, code {code} and {part:?}: {ran:#?}"
    );
    if code != 0 {
        let begins = ["pgasync: ", "error: ", "restarted: "].iter().any(|begin| ran.stderr.contains(begin));
        assert!(begins, "{command} {what}: a message says which program writes it: {ran:#?}");
        assert!(part.is_empty() || ran.stderr.matches(part).count() == 1, "{command} {what}: once is enough: {ran:#?}");
    }
}

/// Runs all cases, several at a time.
fn each(cases: &[Case], judge: impl Fn(&Case) + Sync) {
    let part = cases.len().div_ceil(8);
    thread::scope(|scope| {
        let running: Vec<_> = cases.chunks(part).map(|some| scope.spawn(|| some.iter().for_each(&judge))).collect();
        for one in running {
            if let Err(panic) = one.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn the_table_has_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    pgasync(&["man", folder.path().to_str().expect("UTF-8")]).done();
    let pages = std::fs::read_dir(folder.path()).expect("it exists").map(|page| {
        let name = page.expect("it is readable").file_name();
        let name = name.to_str().expect("UTF-8").trim_end_matches(".1").trim_start_matches("pgasync");
        name.trim_start_matches('-').replace('-', " ")
    });
    let mut pages: BTreeSet<String> = pages.filter(|name| !name.is_empty()).collect();
    // It is hidden, and has no page.
    pages.insert("man".to_owned());
    let table: BTreeSet<String> = cases().iter().map(|case| case.command.to_owned()).collect();
    assert_eq!(table, pages, "the table names each command once");
    assert_eq!(table.len(), cases().len());
}

#[test]
fn wrong_usage_is_code_2_and_touches_no_server() {
    each(&cases(), |case| {
        for nonsense in case.nonsense.iter().copied().chain([&["--no-such-option"][..]]) {
            let ran = call(case, nonsense, "host=127.0.0.1 port=1 dbname=x");
            assert!(ran.code == Some(2) && ran.stdout.is_empty(), "{} {nonsense:?}: {ran:#?}", case.command);
            judge(case, "nonsense", &ran, (2, ""));
        }
        if takes_server(case) {
            let ran = call(case, case.sense, "host=x password=geheim nonsense");
            assert!(!ran.stderr.contains("geheim") && ran.code == Some(2), "{} {ran:#?}", case.command);
        }
    });
}

#[test]
fn a_server_that_is_down_is_code_6() {
    each(&cases(), |case| {
        let ran = call(case, case.sense, "host=127.0.0.1 port=1 dbname=x");
        judge(case, "without a server", &ran, case.down);
    });
}

#[tokio::test]
async fn an_empty_database_is_code_7() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    let conninfo = scratch.conninfo();
    // Those that install, or create databases of their own, are tried elsewhere.
    let cases: Vec<Case> =
        cases().into_iter().filter(|case| !["init", "demo", "bench"].contains(&case.command)).collect();
    each(&cases, |case| judge(case, "without the schema", &call(case, case.sense, &conninfo), case.empty));
}

#[tokio::test]
async fn a_role_without_rights_reads_what_it_lacks() {
    let (database, _target) = server().await;
    database.run("select async.push_task(async.task('select pg_sleep(600)', 'there'))").await;
    let rows = "select md5(string_agg(t::text, ' ' order by task_id)) from async.task t";
    let before = database.text(rows).await;
    let (role, conninfo) = role(&database, "").await;
    let cases: Vec<Case> = cases().into_iter().filter(|case| !["demo", "bench"].contains(&case.command)).collect();
    each(&cases, |case| judge(case, "as a stranger", &call(case, case.sense, &conninfo), case.stranger));
    assert_eq!(database.text(rows).await, before, "nothing was changed");
    database.run(&format!("select async.grant_client('{role}', '{{there}}')")).await;
    each(&cases, |case| judge(case, "as a client", &call(case, case.sense, &conninfo), case.client));
    database.assert_holds("select enabled and not paused from async.control").await;
    database.run(&format!("select async.revoke_client('{role}'); drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn unknown_ids_and_names_are_an_answer() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    for (words, part) in [
        (&["show", "77"][..], "there is no task 77"),
        (&["tasks", "77"], "there is no task 77"),
        (&["show", "77", "--result"], "task 77 has no result"),
        (&["cancel", "77", "--yes"], "skipped"),
        (&["restart", "77", "--yes"], "skipped"),
        (&["defer", "--by", "1h", "77", "--yes"], "skipped"),
        (&["push", "-t", "nowhere", "select 1"], "nowhere"),
        (&["push", "--each", "nowhere", "select 1"], "nowhere"),
    ] {
        let ran = super::fixture::on(&conninfo, words);
        assert!(ran.code == Some(1) && ran.stderr.contains(part), "{words:?}: {ran:#?}");
    }
    for words in [&["tasks", "-t", "nowhere"][..], &["report", "-t", "nowhere"], &["cancel", "-t", "nowhere", "--yes"]]
    {
        let ran = super::fixture::on(&conninfo, words);
        assert!(ran.code == Some(0) && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{words:?}: {ran:#?}");
    }
}

/// As `| head -1`, whose process has gone before the output is complete.
#[tokio::test]
async fn a_closed_output_ends_a_command_without_a_panic() {
    let (database, _target) = server().await;
    database
        .run(
            "select async.push_tasks((select array_agg(async.task('select ' || n, 'there')) from generate_series(1, 5000) n));
             select async.log('NOTICE', 'line ' || n) from generate_series(1, 100) n",
        )
        .await;
    let conninfo = database.conninfo();
    let endless: [&[&str]; 3] = [&["status", "--watch=200ms"], &["tasks", "--follow"], &["logs", "--follow"]];
    let listing = ["status", "report", "doctor", "config show", "logs", "show"];
    let mut calls: Vec<Vec<&str>> = endless.iter().map(|words| words.to_vec()).collect();
    let all = cases();
    calls.extend(all.iter().filter(|case| listing.contains(&case.command)).map(|case| words(case, case.sense, "")));
    calls.push(vec!["tasks", "--limit", "5000"]);
    calls.push(vec!["tasks", "--limit", "5000", "-o", "json"]);
    for words in calls {
        let mut process = Command::new("pgasync")
            .args(&words)
            .args(["--server", &conninfo])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("./dev puts pgasync on PATH");
        let mut output = process.stdout.take().expect("it is piped");
        let _ = output.read(&mut [0; 1]);
        drop(output);
        // What follows writes only when something happens.
        database
            .run("select async.push_task(async.task('select 1', 'there')); select async.log('NOTICE', 'more')")
            .await;
        let begin = Instant::now();
        while process.try_wait().expect("it can be waited for").is_none() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{words:?} goes on without a reader");
            database
                .run("select async.push_task(async.task('select 1', 'there')); select async.log('NOTICE', 'more')")
                .await;
            thread::sleep(Duration::from_millis(100));
        }
        let ran = process.wait_with_output().expect("it has ended");
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(!stderr.contains("panicked") && ran.status.code().is_some_and(|code| code <= 1), "{words:?}: {ran:?}");
    }
}

#[tokio::test]
async fn no_table_is_wider_than_60_columns() {
    let (database, _target) = server().await;
    database
        .run(
            "select async.push_tasks((select array_agg(async.task('select ''' || repeat('x', 200) || '''', 'there')) from
               generate_series(1, 4)), _source => 'a source with a long name that says where the tasks come from');
             update async.task set consumed = now(), times_up = now() + interval '1 hour' where task_id = 1;
             update async.task set consumed = now(), processed = now(), failed = true, finish_status = 'FAILED',
               processing_error = '22012: ' || repeat('a long error ', 30) where task_id = 2",
        )
        .await;
    let conninfo = database.conninfo();
    for words in [&["tasks"][..], &["status"], &["report"], &["migrate", "--plan"], &["cancel", "1", "77", "--yes"]] {
        let ran = Command::new("pgasync").args(words).args(["--server", &conninfo]).env("COLUMNS", "60").output();
        let text = String::from_utf8(ran.expect("./dev puts pgasync on PATH").stdout).expect("UTF-8");
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(longest <= 60, "{words:?}, {longest}:\n{text}");
    }
}
