//! Cases that break a promise today, with the reason. The list is to shrink to nothing.

/// How often a listed case fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// A pass fails the test: the case has to be removed from the list.
    Always,
    /// It depends on what else was under way at that moment.
    AtTimes,
}

/// Cases that break promises.
struct Expected {
    /// Parts of a case's name; each has to be there.
    parts: &'static [&'static str],
    when: When,
    why: &'static str,
}

const LOST_CLAIMS: &str = "when the answer to a batch is lost, claims that were committed are not taken into the memory \
    of the engine: their tasks stay RUNNING for ever (issue 9, \"A lost answer loses results\")";

const UNHEARD_RESET: &str = "the result of a query that has arrived is not recorded while DISCARD ALL is not answered: \
    the task is TIMED_OUT at its deadline, and its effect is committed";

const EXPECTED: [Expected; 15] = [
    lost_claims(&["server: begin "]),
    lost_claims(&["server: commit "]),
    lost_claims(&["server: lead_write "]),
    lost_claims(&["server: lead_mark "]),
    lost_claims(&["server: lead_heads "]),
    lost_claims(&["server: lead_rows "]),
    lost_claims(&["server: lead_offer "]),
    lost_claims(&["server: lead_give_back "]),
    lost_claims(&["server: read_requests "]),
    lost_claims(&["server: register "]),
    lost_claims(&["server: forget "]),
    lost_claims(&["server: dismiss "]),
    lost_claims(&["rust: the answer to a commit"]),
    Expected { parts: &["target: discard_all 1 Silence"], when: When::Always, why: UNHEARD_RESET },
    Expected { parts: &["target: discard_all 2 Silence"], when: When::Always, why: UNHEARD_RESET },
];

const fn lost_claims(parts: &'static [&'static str]) -> Expected {
    Expected { parts, when: When::AtTimes, why: LOST_CLAIMS }
}

/// Whether, how often and why a case is expected to fail.
pub(super) fn find(name: &str) -> Option<(When, &'static str)> {
    let expected = EXPECTED.iter().find(|expected| expected.parts.iter().all(|part| name.contains(part)));
    expected.map(|expected| (expected.when, expected.why))
}
