//! What happened to a task, in the order of time.

use maud::{Markup, html};
use pgasync_core::{RowState, Timestamp};
use pgasync_store::TaskDetails;

use super::parts::{ago, at, line, span};

struct Step {
    at: Timestamp,
    name: String,
    text: Markup,
    mood: &'static str,
}

pub(super) fn timeline(details: &TaskDetails, now: Timestamp) -> Markup {
    let (past, future): (Vec<Step>, Vec<Step>) = steps(details).into_iter().partition(|step| step.at <= now);
    html! {
        ol.timeline {
            @for step in &past { (row(step, false)) }
            @for step in &future { (row(step, true)) }
        }
    }
}

fn row(step: &Step, is_future: bool) -> Markup {
    html! {
        li class={ (step.mood) @if is_future { " future" } } {
            div.step {
                strong { (step.name) }
                span.when { (at(Some(step.at))) " · " (ago(Some(step.at))) }
            }
            div.sub { (step.text) }
        }
    }
}

fn steps(details: &TaskDetails) -> Vec<Step> {
    let task = &details.task;
    let mut steps = Vec::new();
    let mut add = |at: Option<Timestamp>, name: &str, text: Markup, mood| {
        if let Some(at) = at {
            steps.push(Step { at, name: name.to_owned(), text, mood });
        }
    };
    let pushed = html! {
        @if let Some(role) = &details.pushed_by { "by " (line(role)) }
        @if let Some(source) = &task.source { " from " (line(source)) }
        @if let Some(schedule) = &details.schedule { " by the schedule " (line(schedule)) }
    };
    add(Some(task.entered), "Pushed", pushed, "plain");
    for attempt in &details.attempts {
        let text = html! { @if let Some(error) = &attempt.error { (line(error)) } };
        add(Some(attempt.ended), &format!("Attempt {} ended: {}", attempt.attempt, name(&attempt.status)), text, "bad");
    }
    let unfinished = task.phase != RowState::Finished;
    add(details.eligible_when.filter(|_| unfinished), "May start", html! { "deferred until then" }, "plain");
    let started = html! { "run " (details.run) @if let Some(waited) = task.waited { ", after " (span(Some(waited))) } };
    add(task.consumed, "Started", started, "busy");
    add(details.yielded, "Yielded", html! { "its query has ended; a call finishes it" }, "busy");
    for request in &details.requests {
        let text = html! {
            @if let Some(duration) = request.duration { "by " (span(Some(duration))) " " }
            @if let Some(message) = &request.message { (line(message)) " " }
            @if let Some(role) = &request.requested_by { "by " (line(role)) "; " }
            "the leader applies it"
        };
        add(Some(request.requested), &format!("Requested: {}", name(&request.status)), text, "busy");
    }
    let status = task.status.as_deref().unwrap_or("FINISHED");
    let ended = html! {
        @if let Some(took) = task.took { "after " (span(Some(took))) " " }
        @if let Some(role) = &details.ended_by { "by " (line(role)) }
    };
    add(task.processed, &format!("Ended: {}", name(status)), ended, super::parts::mood(status));
    let deadline = details.times_up.filter(|_| unfinished);
    add(deadline, "Deadline", html! { "then it times out" }, "plain");
    add(details.expires_at.filter(|_| unfinished), "Expires", html! { "whether it runs or waits" }, "plain");
    steps.retain(|step| step.at != Timestamp::NEVER);
    steps.sort_by_key(|step| step.at);
    steps
}

fn name(status: &str) -> String {
    status.replace('_', " ").to_lowercase()
}
