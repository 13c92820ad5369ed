//! The frame of every page: head, menu, status.

use maud::{DOCTYPE, Markup, html};
use pgasync_text::rfc3339;

use super::parts::{line, since};
use super::{Block, Page, View};
use crate::access::Visitor;
use crate::assets;
use crate::feed::Snapshot;

/// The id of the fragment with the state of the server.
pub(crate) const STATUS: &str = "status";

/// Where a page is in the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Tasks,
    Pools,
    Targets,
    Schedules,
    Log,
    None,
}

impl Place {
    const ALL: [Self; 6] = [Self::Overview, Self::Tasks, Self::Pools, Self::Targets, Self::Schedules, Self::Log];

    const fn path(self) -> &'static str {
        match self {
            Self::Overview | Self::None => "/",
            Self::Tasks => "/tasks",
            Self::Pools => "/pools",
            Self::Targets => "/targets",
            Self::Schedules => "/schedules",
            Self::Log => "/log",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Tasks => "Tasks",
            Self::Pools => "Pools",
            Self::Targets => "Targets",
            Self::Schedules => "Schedules",
            Self::Log => "Log",
            Self::None => "",
        }
    }

    /// Whether the role may read something there.
    const fn is_offered(self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Pools | Self::Targets => snapshot.rights.views,
            Self::Log => snapshot.rights.log,
            Self::Schedules => snapshot.rights.schedules,
            Self::Overview | Self::Tasks | Self::None => true,
        }
    }
}

pub(crate) fn document(view: View<'_>, visitor: &Visitor, path: &str, page: &Page) -> Markup {
    let base = view.app.base.as_str();
    html! {
        (head(base, &page.title))
        body data-base=(base) data-page=(path) data-now=(rfc3339(view.now).unwrap_or_default()) {
            a.skip href="#main" { "Skip to the content" }
            (menu(view, visitor, page.place))
            main #main tabindex="-1" {
                div.live #(STATUS) data-live { (status(view)) }
                @for block in &page.blocks {
                    @match block {
                        Block::Still(markup) => (markup),
                        Block::Live(id, markup) => div.live id=(id) data-live { (markup) },
                    }
                }
            }
            form #act method="post" action=(view.link("/", &[])) hidden {
                input type="hidden" name="form_key" value=(visitor.form_key);
                input type="hidden" name="back" value=(path);
            }
        }
    }
}

pub(super) fn head(base: &str, title: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en";
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (line(title)) " · pgasync" }
            link rel="icon" type="image/svg+xml" href=(assets::url(base, "icon.svg"));
            link rel="stylesheet" href=(assets::url(base, "style.css"));
            script src=(assets::url(base, "theme.js")) {}
            script src=(assets::url(base, "live.js")) defer {}
        }
    }
}

pub(super) fn brand() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" {
            rect x="2" y="3" width="20" height="4.5" rx="2.25" {}
            rect x="2" y="9.75" width="13" height="4.5" rx="2.25" opacity=".65" {}
            rect x="2" y="16.5" width="7" height="4.5" rx="2.25" opacity=".35" {}
        }
        span { "pgasync" }
    }
}

fn menu(view: View<'_>, visitor: &Visitor, place: Place) -> Markup {
    let snapshot = view.snapshot;
    html! {
        header.side {
            a.brand href=(view.link("/", &[])) { (brand()) }
            nav aria-label="Pages" {
                @for offered in Place::ALL.into_iter().filter(|offered| offered.is_offered(snapshot)) {
                    a href=(view.link(offered.path(), &[])) aria-current=[(offered == place).then_some("page")] {
                        (offered.name())
                    }
                }
            }
            div.foot {
                p.conn.js-only { span.dot #link-dot {} span #link-text { "Connecting" } }
                p.who title=(view.app.server) {
                    @if let Some(user) = &visitor.user { (line(user)) " as " }
                    (line(&snapshot.role))
                    @let server = &view.app.server;
                    span.muted { (line(server.strip_suffix(&format!(" as {}", snapshot.role)).unwrap_or(server))) }
                }
                div.foot-buttons {
                    button.quiet.js-only #theme type="button" { "Theme" }
                    @if visitor.can_leave {
                        button.quiet form="act" formaction=(view.link("/logout", &[])) { "Sign out" }
                    }
                }
            }
        }
    }
}

/// Whether the server is reached, and whether tasks are run.
pub(super) fn status(view: View<'_>) -> Markup {
    let snapshot = view.snapshot;
    let lead = snapshot.lead.as_ref().ok();
    html! {
        @if let Some(problem) = &snapshot.problem {
            div.banner.bad role="alert" {
                strong { "The server is not reached." }
                " " (line(problem))
                @if let Some(now) = snapshot.now { " What you see was read " (super::parts::ago(Some(now))) "." }
            }
        } @else if let Some(lead) = lead {
            @if !lead.leader.leads {
                div.banner.bad role="status" {
                    strong { "No orchestrator leads, so nothing starts." }
                    " "
                    @if !lead.leader.enabled { "The orchestrator is disabled: pgasync start enables it." }
                    @else if lead.leader.standbys > 0 { "A standby takes over." }
                    @else { "Start one with pgasync run, or call async.main()." }
                }
            } @else if !lead.leader.enabled {
                div.banner.busy role="status" { strong { "The orchestrator is stopping." } " Nothing new starts." }
            } @else if lead.leader.paused {
                div.banner.busy role="status" { strong { "New starts are held." } " What runs goes on." }
            }
        }
    }
}

/// The leader in a few words.
pub(super) fn leader(view: View<'_>) -> Markup {
    let Ok(lead) = &view.snapshot.lead else { return html! {} };
    let leader = &lead.leader;
    if !leader.leads {
        return html! { p.leader { span.badge.bad { "no leader" } } };
    }
    let engine = match leader.engine.as_deref() {
        Some("rust") => "pgasync run",
        Some("sql") => "async.main()",
        _ => "an orchestrator",
    };
    html! {
        p.leader {
            span.badge.good { (engine) " leads" }
            span.muted {
                @if let Some(epoch) = leader.epoch { "epoch " (epoch) }
                @if leader.since.is_some() { " · for " (since(leader.since)) }
                @if let Some(host) = &leader.host { " · " (line(host)) }
                @if leader.standbys > 0 { " · " (super::parts::plural(leader.standbys.into(), "standby")) }
            }
        }
    }
}
