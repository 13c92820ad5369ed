//! The state of the server at a glance.

use std::time::Duration;

use maud::{Markup, html};
use pgasync_core::Timestamp;

use super::document::leader;
use super::parts::{ago, badge, bounded, empty, first_line, line, meter, missing, number, since};
use super::{Block, Page, Place, View, chart, waiting};

/// Parts that are older say so.
const AGE_SHOWN_MIN: Duration = Duration::from_secs(8);

const RUNNING_SHOWN_MAX: usize = 10;
const FAILURES_SHOWN_MAX: usize = 12;

pub(super) fn page(view: View<'_>) -> Page {
    let blocks = vec![
        Block::Live("head", html! { div.page-head { h1 { "Overview" } (leader(view)) (starts(view)) } }),
        Block::Live("tiles", tiles(view)),
        Block::Live("rate", rate(view)),
        Block::Live("lost", lost(view)),
        Block::Live("waiting", waiting::card(view)),
        Block::Live("failures", failures(view)),
        Block::Live("running", running(view)),
    ];
    Page { title: "Overview".to_owned(), place: Place::Overview, blocks }
}

/// When the slow parts were read, if that is not just now.
pub(super) fn age(view: View<'_>) -> Markup {
    let old = view.snapshot.slow_begun.filter(|begun| begun.elapsed() > AGE_SHOWN_MIN);
    html! {
        @if let Some(begun) = old {
            @let micros = i64::try_from(begun.elapsed().as_micros()).unwrap_or(0);
            span.sub { "as of " (ago(Some(Timestamp::from_micros(view.now.as_micros() - micros)))) }
        }
    }
}

/// The way to hold all starts.
fn starts(view: View<'_>) -> Markup {
    let Ok(lead) = &view.snapshot.lead else { return html! {} };
    html! {
        @if view.snapshot.rights.configure {
            a.button href=(view.link("/ask/starts", &[])) { @if lead.leader.paused { "Resume starts" } @else { "Hold starts" } }
        }
    }
}

struct Tile<'a> {
    name: &'a str,
    value: String,
    mood: &'a str,
    sub: Markup,
    link: Option<String>,
}

fn tiles(view: View<'_>) -> Markup {
    let snapshot = view.snapshot;
    let phases = snapshot.phases;
    let waiting = phases.ready + phases.pullable;
    let oldest = snapshot.waiting.as_ref().ok().and_then(|lanes| lanes.iter().filter_map(|lane| lane.oldest).min());
    let (_, ended, failed) = snapshot.last_hour();
    let tasks = |pairs: &[(&str, &str)]| Some(view.link("/tasks", pairs));
    let tiles = [
        Tile {
            name: "Waiting",
            value: bounded(waiting.min(pgasync_store::COUNT_MAX + 1)),
            mood: "plain",
            sub: match oldest.filter(|_| waiting > 0) {
                Some(oldest) => html! { "oldest " (since(Some(oldest))) },
                None => html! { "nothing waits" },
            },
            link: tasks(&[("phase", "ready")]),
        },
        Tile {
            name: "Running",
            value: bounded(phases.running),
            mood: if phases.running > 0 { "busy" } else { "plain" },
            sub: workers(view),
            link: tasks(&[("phase", "running")]),
        },
        Tile {
            name: "Yielded",
            value: bounded(phases.yielded),
            mood: "plain",
            sub: html! { "wait for their finish" },
            link: tasks(&[("phase", "yielded")]),
        },
        Tile {
            name: "Deferred",
            value: bounded(phases.deferred),
            mood: "plain",
            sub: html! { "start later" },
            link: tasks(&[("phase", "ready")]),
        },
        Tile {
            name: "Ended, last hour",
            value: number(ended),
            mood: "good",
            sub: html! { (per_second(view)) },
            link: tasks(&[("phase", "finished"), ("ended", "1h")]),
        },
        Tile {
            name: "Failed, last hour",
            value: number(failed),
            mood: if failed > 0 { "bad" } else { "plain" },
            sub: html! { @if ended > 0 { (share(failed, ended)) " of what ended" } @else { "nothing ended" } },
            link: tasks(&[("failed", "1"), ("ended", "1h")]),
        },
    ];
    html! {
        div.tiles {
            @for tile in tiles {
                a.tile.(tile.mood) href=[tile.link] {
                    span.tile-name { (tile.name) }
                    span.tile-value { (tile.value) }
                    span.tile-sub { (tile.sub) }
                }
            }
        }
    }
}

fn workers(view: View<'_>) -> Markup {
    match &view.snapshot.lead {
        Ok(lead) => html! { (number(lead.busy)) " of " (number(lead.workers.into())) " workers" },
        Err(_) => html! { "queries at targets" },
    }
}

/// The ends of the last whole minute, for each second.
fn per_second(view: View<'_>) -> String {
    let minutes = &view.snapshot.minutes;
    let last = minutes.len().checked_sub(2).and_then(|place| minutes.get(place)).map_or(0, |minute| minute.ended);
    match last {
        0 => "none in the last minute".to_owned(),
        1..=59 => format!("{last} in the last minute"),
        _ => format!("{}.{} a second", number(last / 60), last % 60 / 6),
    }
}

/// `1.2 %`.
fn share(part: i64, whole: i64) -> String {
    let tenths = part * 1_000 / whole.max(1);
    if part > 0 && tenths == 0 { "< 0.1 %".to_owned() } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

fn rate(view: View<'_>) -> Markup {
    let (entered, ended, failed) = view.snapshot.last_hour();
    html! {
        section.card {
            header.card-head {
                h2 { "Ends by minute" }
                ul.legend {
                    li.good { (number(ended - failed)) " succeeded" }
                    li.bad { (number(failed)) " failed" }
                    li { (number(entered)) " pushed" }
                }
            }
            (chart::ends(&view.snapshot.minutes, view.now))
        }
    }
}

fn lost(view: View<'_>) -> Markup {
    let Ok(targets) = &view.snapshot.targets else { return html! {} };
    let lost: Vec<_> = targets.iter().filter(|target| ["lost", "fencing"].contains(&target.state.as_str())).collect();
    html! {
        @if !lost.is_empty() {
            section.card.alarm {
                header.card-head { h2 { "Lost targets" } a href=(view.link("/targets", &[])) { "All targets" } }
                table.stack {
                    thead { tr { th { "Target" } th { "State" } th { "Error" } th.num { "Lost" } th.num { "Next try" } } }
                    tbody {
                        @for target in lost.iter().take(20) {
                            tr {
                                td data-th="Target" { a href=(view.link("/targets", &[("q", &target.target)])) { (line(&target.target)) } }
                                td data-th="State" { (badge(&target.state)) }
                                td data-th="Error" { (first_line(target.error.as_deref().unwrap_or("sessions of a lost orchestrator are being ended"))) }
                                td.num data-th="Lost" { (ago(target.since)) }
                                td.num data-th="Next try" { (ago(target.retry_at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn failures(view: View<'_>) -> Markup {
    let failures = match &view.snapshot.failures {
        Ok(failures) => failures,
        Err(why) => return html! { section.card { h2 { "Failures of the last day" } (missing(why)) } },
    };
    html! {
        section.card {
            header.card-head {
                h2 { "Failures of the last day" }
                a href=(view.link("/tasks", &[("failed", "1"), ("ended", "1d")])) { "All failed tasks" }
            }
            @if failures.is_empty() {
                (empty("Nothing failed", "No task failed or timed out in the last 24 hours.", None))
            } @else {
                table.stack {
                    thead { tr { th { "Error" } th { "Status" } th { "Target" } th.num { "Tasks" } th.num { "Last" } } }
                    tbody {
                        @for failure in failures.iter().take(FAILURES_SHOWN_MAX) {
                            @let status = failure.finish_status.to_lowercase();
                            @let tasks = view.link("/tasks", &[("target", &failure.target), ("status", &status), ("ended", "1d")]);
                            tr {
                                td data-th="Error" {
                                    a.clip href=(tasks) { (line(if failure.message.is_empty() { "no message" } else { &failure.message })) }
                                    div.sub {
                                        @if let Some(code) = &failure.sqlstate { code { (line(code)) } " · " }
                                        "last " a href=(view.link(&format!("/tasks/{}", failure.last_task), &[])) { "#" (failure.last_task) }
                                    }
                                }
                                td data-th="Status" { (badge(&failure.finish_status)) }
                                td data-th="Target" { (line(&failure.target)) }
                                td.num data-th="Tasks" { (number(failure.tasks)) }
                                td.num data-th="Last" { (ago(failure.last_failed)) }
                            }
                        }
                    }
                }
                @if failures.len() > FAILURES_SHOWN_MAX {
                    p.more { "and " (failures.len() - FAILURES_SHOWN_MAX) " more groups" }
                }
            }
        }
    }
}

fn running(view: View<'_>) -> Markup {
    let running = match &view.snapshot.running {
        Ok(running) => running,
        Err(why) => return html! { section.card { h2 { "Running longest" } (missing(why)) } },
    };
    html! {
        section.card {
            header.card-head {
                h2 { "Running longest" }
                a href=(view.link("/tasks", &[("phase", "running")])) { "All running tasks" }
            }
            @if running.is_empty() {
                (empty("Nothing runs", "The longest runs stand here, with their deadlines.", None))
            } @else {
                table.stack {
                    thead { tr { th { "Task" } th { "Query" } th { "Target" } th.num { "Runs for" } th.num { "Deadline" } } }
                    tbody {
                        @for task in running.iter().take(RUNNING_SHOWN_MAX) {
                            tr {
                                td data-th="Task" { a href=(view.link(&format!("/tasks/{}", task.task), &[])) { "#" (task.task) } }
                                td data-th="Query" {
                                    @if task.pulled { span.muted { "taken by a client" } }
                                    @else { code.clip { (first_line(task.query.as_deref().unwrap_or_default())) } }
                                }
                                td data-th="Target" {
                                    (line(&task.target))
                                    @if task.pool != task.target { div.sub { (line(&task.pool)) } }
                                }
                                td.num data-th="Runs for" { (since(Some(task.since))) }
                                td.num data-th="Deadline" { (ago(task.times_up)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The occupancy of the workers, for the menu of pools.
pub(super) fn busy_workers(view: View<'_>) -> Markup {
    match &view.snapshot.lead {
        Ok(lead) => html! {
            div.gauge {
                span { (number(lead.busy)) " of " (number(lead.workers.into())) " workers busy" }
                (meter(lead.busy, lead.workers.into()))
            }
        },
        Err(_) => html! {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_one_decimal() {
        let shares = [share(0, 10), share(1, 3), share(10, 10), share(1, 100_000)];
        assert_eq!(shares, ["0.0 %", "33.3 %", "100.0 %", "< 0.1 %"]);
    }
}
