//! Why tasks wait: lanes with the same reason are one row.

use std::collections::BTreeMap;

use maud::{Markup, html};
use pgasync_core::Timestamp;
use pgasync_store::WaitingLane;

use super::View;
use super::parts::{bounded, empty, line, missing, number, since};

/// The reasons that are shown.
const REASONS_MAX: usize = 10;

/// Lanes that wait for the same reason.
struct Reason<'a> {
    text: &'a str,
    lanes: i64,
    tasks: i64,
    more: bool,
    oldest: Option<Timestamp>,
    first: &'a WaitingLane,
}

fn reasons(lanes: &[WaitingLane]) -> Vec<Reason<'_>> {
    let mut reasons: BTreeMap<&str, Reason<'_>> = BTreeMap::new();
    for lane in lanes {
        let reason = reasons.entry(&lane.reason).or_insert_with(|| Reason {
            text: &lane.reason,
            lanes: 0,
            tasks: 0,
            more: false,
            oldest: None,
            first: lane,
        });
        reason.lanes += 1;
        reason.tasks += lane.waiting;
        reason.more |= lane.more;
        if lane.oldest.is_some() && (reason.oldest.is_none() || lane.oldest < reason.oldest) {
            reason.oldest = lane.oldest;
            reason.first = lane;
        }
    }
    let mut reasons: Vec<Reason<'_>> = reasons.into_values().collect();
    reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.tasks), reason.oldest));
    reasons
}

pub(super) fn card(view: View<'_>) -> Markup {
    let lanes = match &view.snapshot.waiting {
        Ok(lanes) => lanes,
        Err(why) => return html! { section.card { h2 { "Why tasks wait" } (missing(why)) } },
    };
    let reasons = reasons(lanes);
    html! {
        section.card {
            header.card-head {
                h2 { "Why tasks wait" }
                (super::overview::age(view))
            }
            @if reasons.is_empty() {
                (empty("Nothing waits", "Every pushed task has started.", None))
            } @else {
                table.stack {
                    thead { tr { th { "Reason" } th.num { "Tasks" } th.num { "Oldest" } } }
                    tbody {
                        @for reason in reasons.iter().take(REASONS_MAX) {
                            tr {
                                td data-th="Reason" {
                                    (line(reason.text))
                                    div.sub { (lanes_of(view, reason)) }
                                }
                                td.num data-th="Tasks" { (bounded(reason.tasks)) @if reason.more && reason.tasks <= pgasync_store::COUNT_MAX { "+" } }
                                td.num data-th="Oldest" { (since(reason.oldest)) }
                            }
                        }
                    }
                }
                @if reasons.len() > REASONS_MAX {
                    p.more { "and " (reasons.len() - REASONS_MAX) " more reasons; the pools have them all" }
                }
            }
        }
    }
}

fn lanes_of(view: View<'_>, reason: &Reason<'_>) -> Markup {
    let lane = reason.first;
    let tasks = view.link("/tasks", &[("phase", "ready"), ("pool", &lane.pool), ("target", &lane.target)]);
    html! {
        a href=(tasks) { (line(&lane.pool)) }
        @if lane.pool != lane.target { " at " (line(&lane.target)) }
        @if reason.lanes > 1 { " and " (number(reason.lanes - 1)) @if reason.lanes == 2 { " other lane" } @else { " other lanes" } }
        @if let Some(first) = lane.first {
            " · first " a href=(view.link(&format!("/tasks/{first}"), &[])) { "#" (first) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_with_one_reason_are_one_row_and_the_oldest_leads() {
        let lane = |pool: &str, waiting, oldest, reason: &str| WaitingLane {
            pool: pool.to_owned(),
            target: "t".to_owned(),
            kind: "query".to_owned(),
            waiting,
            more: false,
            oldest: Some(Timestamp::from_micros(oldest)),
            waiting_for: None,
            first: None,
            reason: reason.to_owned(),
        };
        let lanes = [lane("a", 2, 9, "full"), lane("b", 3, 5, "full"), lane("c", 7, 1, "lost")];
        let reasons = reasons(&lanes);
        let seen: Vec<_> = reasons.iter().map(|r| (r.text, r.lanes, r.tasks, r.first.pool.as_str())).collect();
        assert_eq!(seen, [("lost", 1, 7, "c"), ("full", 2, 5, "b")]);
    }
}
