//! Cases that break a promise today, with the reason. The list is to shrink to nothing.

/// How often a listed case fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "a list that shrinks to nothing needs neither")]
pub(super) enum When {
    /// A pass fails the test: the case has to be removed from the list.
    Always,
    /// It depends on the moment.
    AtTimes,
}

/// A part of the names of cases, how often they fail, and why.
const EXPECTED: [(&str, When, &str); 0] = [];

/// Whether, how often and why a case is expected to fail.
pub(super) fn find(name: &str) -> Option<(When, &'static str)> {
    let fits = |(part, _, _): &&(&str, When, &'static str)| name == *part;
    EXPECTED.iter().find(fits).map(|(_, when, why)| (*when, *why))
}
