//! The Rust engine, with each message that it exchanges lost, delayed or swallowed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use pgasync_tests::{Cut, Fault};

use super::fixture::{AFTER_DEADLINE, CutsFixture, LONG_ALLOWANCE, SHORT_ALLOWANCE};
use super::judge::Allowed;
use super::outcome::{Summary, Verdict, choose, try_case};
use super::restarted_engine::RestartedEngine;

/// Longer than the silence after which a leader's session is lost, and than the graces of a
/// target's session together.
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

/// Cases that run at once: most of them wait.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_message_between_leader_and_server_breaks_a_promise() {
    // The messages of a recovery are met after a record is lost, and after the old backend keeps
    // the lead for a while.
    let losses = [cut("write_all", 2, Fault::CutAfter), cut("write_all", 2, Fault::CutClient)];
    cut_every_message(Side::Server, &losses, 14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_message_between_leader_and_target_breaks_a_promise() {
    let losses = [cut("task run", 2, Fault::CutClient), cut("task run", 2, Fault::Silence)];
    cut_every_message(Side::Target, &losses, 10).await;
}

/// Where messages are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Server,
    Target,
}

/// What happens to which messages.
#[derive(Clone, Debug)]
struct Case {
    side: Side,
    cuts: Vec<Cut>,
}

impl Case {
    /// For example `server: write_all 2 CutAfter`.
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

    /// What the faults excuse.
    fn allowed(&self, starts: u32) -> Allowed {
        // Tasks of the target async.self run on sessions with the server.
        let is_on_target = |cut: &&Cut| self.side == Side::Target || cut.kind.starts_with("task ");
        let on_targets = self.cuts.iter().filter(is_on_target).count();
        Allowed {
            // A process that lives on knows how its queries ended. One that ended has left the
            // tasks that it had in hand.
            unknown: if starts > 1 { usize::MAX } else { on_targets },
            // A deadline is short there, so that a silent target can be waited for; a loaded
            // machine is slower.
            overdue: if on_targets > 0 { usize::MAX } else { 0 },
            after_deadline: AFTER_DEADLINE,
        }
    }
}

fn cut(kind: &str, occurrence: u32, fault: Fault) -> Cut {
    Cut { kind: kind.to_owned(), occurrence, fault }
}

/// Records which messages there are, without a fault and after each of the losses, then loses each
/// of them.
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
        summary.take_in(&prelude.name(), &verdict);
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
        summary.take_in(&name, &verdict);
    }
    eprintln!("the cases took {:?}", begin.elapsed());
    summary.assert_passed();
}

/// The first occurrences of a kind, with each fault. After a loss the next one of the kind counts.
fn cases_of(prelude: &Case, kind: &str, count: u32) -> Vec<Case> {
    let occurrences = if prelude.cuts.is_empty() { count.min(OCCURRENCES_MAX) } else { 1 };
    let with = |occurrence, fault| {
        let cuts = prelude.cuts.iter().cloned().chain([cut(kind, occurrence, fault)]).collect();
        Case { side: prelude.side, cuts }
    };
    (1..=occurrences).flat_map(|occurrence| FAULTS.map(|fault| with(occurrence, fault))).collect()
}
