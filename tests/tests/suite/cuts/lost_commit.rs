//! The answer to a commit is lost: a backend that waits for a synchronous standby is terminated.
//! Its commit remains, and its client does not receive the answer. The messages of the SQL engine
//! with its server cannot be cut, so its backend is terminated or killed while one of its messages
//! is on the way to a target.

use std::time::{Duration, Instant, SystemTime};

use pgasync_tests::{Cut, Fault, Signal};
use tokio::time::sleep;

use super::fixture::{AFTER_DEADLINE, CaseFixture, CutsFixture, LONG_ALLOWANCE};
use super::judge::Allowed;
use super::outcome::{Summary, Verdict, choose, try_case};
use super::restarted_engine::RestartedEngine;

/// The limit on the time until a leader commits.
const COMMITS_WITHIN: Duration = Duration::from_secs(10);

/// The limit on the time until a message is sent.
const FIRES_WITHIN: Duration = Duration::from_secs(12);

/// The leader is idle after this time.
const IDLE_AFTER: Duration = Duration::from_millis(500);

/// The backend of the leader, whether it waits for a standby in a commit, and whether the commit
/// writes tasks.
const LEADER: &str = "select a.pid, coalesce(a.wait_event = 'SyncRep', false), a.query ~ '^commit|write_all|async.main'
    from pg_stat_activity a join async.control c on c.pid = a.pid where a.datname = current_database()";

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_loses_no_task() {
    let fixture = CutsFixture::apart().await;
    let mut summary = Summary::default();
    for when in [Moment::Claims, Moment::Records] {
        let name = format!("rust: the answer to a commit of {when:?}");
        let verdict = try_case(&name, async || lose_commit(&fixture, when).await).await;
        summary.add(&name, &verdict);
    }
    summary.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn main_that_ends_at_any_message_to_a_target_breaks_no_promise() {
    let fixture = CutsFixture::apart().await;
    let mut summary = Summary::default();
    let recorded = try_case("sql:", async || SqlCase::default().run(&fixture).await).await;
    summary.add("sql:", &recorded);
    let mut cases = Vec::new();
    for (kind, count) in &recorded.seen[1] {
        for occurrence in 1..=(*count).min(2) {
            for end in [End::Terminate, End::TerminateInSyncRep, End::Kill] {
                cases.push(SqlCase { at: Some((kind.clone(), occurrence, end)) });
            }
        }
    }
    eprintln!("{} kinds of messages, {} cases", recorded.seen[1].len(), cases.len());
    for case in choose(cases, 6, SqlCase::name) {
        let verdict = try_case(&case.name(), async || case.run(&fixture).await).await;
        summary.add(&case.name(), &verdict);
    }
    summary.assert_passed();
}

/// The commit of the Rust engine that gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Claims,
    Records,
}

async fn lose_commit(fixture: &CutsFixture, when: Moment) -> Verdict {
    let mut case_fixture = fixture.start_case(LONG_ALLOWANCE).await;
    let mut engine = RestartedEngine::rust(&case_fixture.database, &case_fixture.to_server);
    case_fixture
        .client
        .session
        .batch_execute("set synchronous_commit = local")
        .await
        .expect("a session takes a setting");
    let begin = Instant::now();
    while begin.elapsed() < IDLE_AFTER || case_fixture.database.rows(LEADER, &[]).await.is_empty() {
        case_fixture.take_step(&mut engine).await;
    }
    case_fixture.client.push_few().await.expect("the server is up");
    while case_fixture.take_step(&mut engine).await {}
    sleep(IDLE_AFTER).await;
    if when == Moment::Records {
        case_fixture.push().await;
        let running = "select count(*) > 3 from async.task where consumed is not null and processed is null";
        while !case_fixture.database.holds(running).await {
            case_fixture.take_step(&mut engine).await;
        }
    }
    want_standby(&case_fixture, true).await;
    if when == Moment::Claims {
        case_fixture.push().await;
    }
    let reached = terminate_in_sync_rep(&mut case_fixture).await;
    case_fixture.attend(&mut engine).await;
    let allowed = Allowed { unknown: 0, overdue: 0, after_deadline: AFTER_DEADLINE };
    let verdict = case_fixture.judge(engine, allowed, 0).await;
    Verdict { reached, ..verdict }
}

/// Makes commits of the server wait for a standby that does not exist.
async fn want_standby(case_fixture: &CaseFixture<'_>, wanted: bool) {
    let session = case_fixture.database.connect().await;
    let name = if wanted { "ghost" } else { "" };
    for sql in [&*format!("alter system set synchronous_standby_names = '{name}'"), "select pg_reload_conf()"] {
        session.batch_execute(sql).await.expect("a superuser may");
    }
}

/// Waits until the leader's backend waits for the standby, terminates the backend, and removes the
/// requirement of a standby. Other commits are released.
async fn terminate_in_sync_rep(case_fixture: &mut CaseFixture<'_>) -> bool {
    let begin = Instant::now();
    let mut terminated = false;
    while !terminated && begin.elapsed() < COMMITS_WITHIN {
        let leader = case_fixture.database.rows(LEADER, &[]).await;
        let Some(row) = leader.first().filter(|row| row.get(1)) else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let pid: i32 = row.get(0);
        if row.get(2) {
            case_fixture.losses.push(SystemTime::now());
            case_fixture.database.rows("select pg_terminate_backend($1)", &[&pid]).await;
            terminated = true;
        } else {
            want_standby(case_fixture, false).await;
            sleep(Duration::from_millis(30)).await;
            want_standby(case_fixture, true).await;
        }
    }
    want_standby(case_fixture, false).await;
    terminated
}

/// How the backend of `main()` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Terminate,
    TerminateInSyncRep,
    /// The backend is killed, so its server restarts.
    Kill,
}

/// The message at which `main()` ends, and how; `None` in a pass that records the messages.
#[derive(Clone, Debug, Default)]
struct SqlCase {
    at: Option<(String, u32, End)>,
}

impl SqlCase {
    fn name(&self) -> String {
        match &self.at {
            Some((kind, occurrence, end)) => format!("sql: {kind} {occurrence} {end:?}"),
            None => "sql:".to_owned(),
        }
    }

    async fn run(&self, fixture: &CutsFixture) -> Verdict {
        let mut case_fixture = fixture.start_case(LONG_ALLOWANCE).await;
        case_fixture
            .client
            .session
            .batch_execute("set synchronous_commit = local")
            .await
            .expect("a session takes a setting");
        let cut = |(kind, occurrence, _): &(String, u32, End)| Cut {
            kind: kind.clone(),
            occurrence: *occurrence,
            fault: Fault::Hold,
        };
        case_fixture.to_target.plan(self.at.iter().map(cut).collect());
        case_fixture.push().await;
        let mut engine = RestartedEngine::sql(&case_fixture.database);
        let mut reached = true;
        if let Some((_, _, end)) = &self.at {
            reached = wait_for_message(&mut case_fixture, &mut engine).await
                && end_leader(fixture, &mut case_fixture, *end).await;
        }
        case_fixture.to_target.release();
        case_fixture.attend(&mut engine).await;
        let allowed = Allowed { unknown: usize::MAX, overdue: 0, after_deadline: AFTER_DEADLINE };
        let verdict = case_fixture.judge(engine, allowed, self.at.iter().len()).await;
        Verdict { reached: reached && verdict.reached, ..verdict }
    }
}

async fn wait_for_message(case_fixture: &mut CaseFixture<'_>, engine: &mut RestartedEngine) -> bool {
    let begin = Instant::now();
    let mut pushes = 1;
    while case_fixture.to_target.fired().is_empty() && begin.elapsed() < FIRES_WITHIN {
        let goes_on = case_fixture.take_step(engine).await;
        if pushes == 1 && !goes_on {
            case_fixture.push().await;
            pushes = 2;
        } else if !goes_on {
            return false;
        }
    }
    !case_fixture.to_target.fired().is_empty()
}

async fn end_leader(fixture: &CutsFixture, case_fixture: &mut CaseFixture<'_>, end: End) -> bool {
    if end == End::TerminateInSyncRep {
        want_standby(case_fixture, true).await;
        case_fixture.to_target.release();
        return terminate_in_sync_rep(case_fixture).await;
    }
    let leader = case_fixture.database.rows(LEADER, &[]).await;
    let Some(pid) = leader.first().map(|row| row.get::<_, i32>(0)) else { return false };
    case_fixture.losses.push(SystemTime::now());
    match end {
        End::Kill => {
            let killed = fixture.server.signal_backend(Signal::Kill, pid);
            case_fixture.reconnect().await;
            killed
        }
        End::Terminate | End::TerminateInSyncRep => {
            case_fixture.database.rows("select pg_terminate_backend($1)", &[&pid]).await;
            true
        }
    }
}
