//! The Rust engine, with each of its messages lost, delayed or withheld.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use pgasync_tests::{Cut, Fault};

use super::fixture::{AFTER_DEADLINE, CutsFixture, LONG_ALLOWANCE, SHORT_ALLOWANCE};
use super::judge::Allowed;
use super::outcome::{Summary, Verdict, choose, try_case};
use super::restarted_engine::RestartedEngine;

/// Longer than the silence after which a leader session is lost, and than the grace periods of a
/// target session together.
const BEYOND: Duration = Duration::from_secs(5);

const FAULTS: [Fault; 6] = [
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::CutClient,
    Fault::Silence,
    Fault::Late(Duration::from_millis(300)),
    Fault::Late(BEYOND),
];

const OCCURRENCES_MAX: u32 = 2;

/// The number of cases that run at once. Most of them wait.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_message_between_leader_and_server_breaks_a_promise() {
    // The messages of a recovery are sent after the loss of a record, and while the old backend
    // keeps the lead for some time.
    let losses = [cut("write_all", 2, Fault::CutAfter), cut("write_all", 2, Fault::CutClient)];
    cut_every_message(Side::Server, &losses, 14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_message_between_leader_and_target_breaks_a_promise() {
    let losses = [cut("task run", 2, Fault::CutClient), cut("task run", 2, Fault::Silence)];
    cut_every_message(Side::Target, &losses, 10).await;
}

/// The connections on which messages are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Server,
    Target,
}

/// The faults of a case.
#[derive(Clone, Debug)]
struct Case {
    side: Side,
    cuts: Vec<Cut>,
}

impl Case {
    /// The name of the case, for example `server: write_all 2 CutAfter`.
    fn name(&self) -> String {
        let cuts: Vec<_> =
            self.cuts.iter().map(|cut| format!("{} {} {:?}", cut.kind, cut.occurrence, cut.fault)).collect();
        let side = if self.side == Side::Server { "server" } else { "target" };
        format!("{side}: {}", cuts.join(", "))
    }

    async fn run(&self, fixture: &CutsFixture) -> Verdict {
        let allowance = if self.side == Side::Server { LONG_ALLOWANCE } else { SHORT_ALLOWANCE };
        let mut case_fixture = fixture.start_case(allowance).await;
        match self.side {
            Side::Server => case_fixture.to_server.plan(self.cuts.clone()),
            Side::Target => case_fixture.to_target.plan(self.cuts.clone()),
        }
        case_fixture.push().await;
        let mut engine = RestartedEngine::rust(&case_fixture.database, &case_fixture.to_server);
        case_fixture.attend(&mut engine).await;
        let allowed = self.allowed(engine.starts);
        case_fixture.judge(engine, allowed, self.cuts.len()).await
    }

    /// The irregular ends that the faults excuse.
    fn allowed(&self, starts: u32) -> Allowed {
        // Tasks of the target `async.self` run on sessions with the server.
        let is_on_target = |cut: &&Cut| self.side == Side::Target || cut.kind.starts_with("task ");
        let on_targets = self.cuts.iter().filter(is_on_target).count();
        Allowed {
            // A process that continues learns how its queries ended. A process that ended has left
            // its tasks with unknown outcomes.
            unknown: if starts > 1 { usize::MAX } else { on_targets },
            // The deadlines are short at targets, because a silent target is waited for. A loaded
            // machine may exceed them.
            overdue: if on_targets > 0 { usize::MAX } else { 0 },
            after_deadline: AFTER_DEADLINE,
        }
    }
}

fn cut(kind: &str, occurrence: u32, fault: Fault) -> Cut {
    Cut { kind: kind.to_owned(), occurrence, fault }
}

/// Records the messages without a fault and after each of the losses. Then applies each fault to
/// each message.
async fn cut_every_message(side: Side, losses: &[Cut], sample: usize) {
    let fixture = CutsFixture::together().await;
    let mut summary = Summary::default();
    let mut cases: Vec<Case> = Vec::new();
    let mut recorded = BTreeSet::new();
    for loss in [None].into_iter().chain(losses.iter().map(Some)) {
        let prelude = Case { side, cuts: loss.into_iter().cloned().collect() };
        let verdict = try_case(&prelude.name(), async || prelude.run(&fixture).await).await;
        for (kind, count) in &verdict.seen[side as usize] {
            if recorded.insert(kind.clone()) {
                cases.extend(cases_of(&prelude, kind, *count));
            }
        }
        summary.add(&prelude.name(), &verdict);
    }
    eprintln!("{} kinds of messages, {} cases", recorded.len(), cases.len());
    let begin = Instant::now();
    let fixture = &fixture;
    let mut verdicts = stream::iter(choose(cases, sample, Case::name))
        .map(|case| async move {
            let name = case.name();
            let verdict = try_case(&name, async || case.run(fixture).await).await;
            (name, verdict)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((name, verdict)) = verdicts.next().await {
        summary.add(&name, &verdict);
    }
    eprintln!("the cases took {:?}", begin.elapsed());
    summary.assert_passed();
}

/// The cases of a kind: its first occurrences, with each fault. After a loss, only the next
/// occurrence.
fn cases_of(prelude: &Case, kind: &str, count: u32) -> Vec<Case> {
    let occurrences = if prelude.cuts.is_empty() { count.min(OCCURRENCES_MAX) } else { 1 };
    let with = |occurrence, fault| {
        let cuts = prelude.cuts.iter().cloned().chain([cut(kind, occurrence, fault)]).collect();
        Case { side: prelude.side, cuts }
    };
    (1..=occurrences).flat_map(|occurrence| FAULTS.map(|fault| with(occurrence, fault))).collect()
}
