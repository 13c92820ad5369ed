//! The screens and keys of `pgasync top`, without a server.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use pgasync_core::{Epoch, Span, TaskId};
use pgasync_store::{
    LeaderStatistics, Period, PoolStatistics, RunningTask, Statistics, TargetState, TargetStatistics, WaitingLane,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::draw::draw;
use super::pace::Pace;
use super::state::{Effect, Filter, Mode, Panel, Paused, Top};
use crate::failure::{Exit, Failure};

const SIZES: [(u16, u16); 3] = [(60, 20), (80, 24), (200, 50)];

fn leader() -> LeaderStatistics {
    LeaderStatistics {
        leads: true,
        engine: Some("rust".to_owned()),
        epoch: Some(Epoch(7)),
        pid: Some(4711),
        host: Some("local".to_owned()),
        application: None,
        since: None,
        quiet: None,
        enabled: true,
        paused: false,
        standbys: 0,
        takeover_grace: None,
    }
}

fn statistics() -> Statistics {
    let task = |number: i64, target: &str, seconds, query: &str| RunningTask {
        task: TaskId(number),
        target: target.to_owned(),
        pool: "nightly".to_owned(),
        running_for: Span::seconds(seconds),
        slot: Some(1),
        source: None,
        query: Some(query.to_owned()),
    };
    let target = |name: &str, state, error: Option<&str>| TargetStatistics {
        target: name.to_owned(),
        state,
        since: None,
        error: error.map(str::to_owned),
        retry_at: None,
        patience_ends: None,
        running: 1,
        paused: false,
    };
    Statistics {
        leader: leader(),
        workers: 6,
        workers_busy: 2,
        last_seconds: Period { ended_per_second: 12.5, ..Period::default() },
        last_minute: Period { ended: 700, failed: 3, ..Period::default() },
        last_hour: None,
        pools: vec![PoolStatistics {
            pool: "nightly".to_owned(),
            running: 2,
            max_workers: 2,
            waiting: 40,
            more: false,
            waiting_for: Some(Span::seconds(90)),
            retired: false,
            paused: false,
        }],
        targets: vec![
            target("shop", TargetState::Ok, None),
            target("reports", TargetState::Lost, Some("connection refused\nDETAIL: x")),
        ],
        waiting: vec![WaitingLane {
            pool: "nightly".to_owned(),
            target: "shop".to_owned(),
            kind: "query".to_owned(),
            waiting: 40,
            more: true,
            waiting_for: Some(Span::seconds(90)),
            first: Some(TaskId(5)),
            reason: "its pool is full: 2 of 2".to_owned(),
        }],
        running: vec![
            task(1, "shop", 12, "select\n  refresh_totals('\u{1b}[2J')"),
            task(2, "reports", 3_700, "vacuum analyze 名前"),
        ],
        failures: Vec::new(),
        waiting_tasks: None,
        warnings: Vec::new(),
    }
}

fn top() -> Top {
    let mut top = Top::new("db.internal/jobs".to_owned(), Filter::default());
    top.note(Ok(statistics()), &Pace::default());
    top
}

/// The screen as lines.
fn screen(top: &Top, size: (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("it draws in memory");
    terminal.draw(|frame| draw(frame, top, false)).expect("it draws in memory");
    terminal.backend().to_string()
}

fn press(top: &mut Top, key: KeyCode) -> Effect {
    top.press(KeyEvent::new(key, KeyModifiers::NONE))
}

fn type_in(top: &mut Top, text: &str) {
    for c in text.chars() {
        press(top, KeyCode::Char(c));
    }
}

#[test]
fn each_size_shows_the_leader_the_load_the_tasks_and_the_keys() {
    for size in SIZES {
        let shown = screen(&top(), size);
        for part in [
            "db.internal/jobs",
            "pgasync run leads, epoch 7",
            "2 of 6 workers busy, 12.5 tasks a second",
            "1 h 1 m",
            "vacuum",
            "refresh_totals('\\u001b[2J",
            "q quit",
            "? help",
            "1 Running 2",
            "4 Targets 2",
        ] {
            assert!(shown.contains(part), "{size:?} {part:?}:\n{shown}");
        }
        let is_wide = size.0 == 200;
        for part in ["its pool is full: 2 of 2", "connection refused", "nightly"] {
            assert_eq!(shown.contains(part), is_wide, "{size:?} {part:?}:\n{shown}");
        }
    }
}

#[test]
fn each_panel_is_drawn_in_each_size_with_its_rows() {
    for size in SIZES {
        let mut top = top();
        for (panel, part) in
            [(Panel::Waiting, "its pool is full"), (Panel::Pools, "1 m 30 s"), (Panel::Targets, "connection refused")]
        {
            press(&mut top, KeyCode::Tab);
            assert_eq!(top.panel, panel);
            let shown = screen(&top, size);
            assert!(shown.contains(part), "{size:?} {panel:?}:\n{shown}");
        }
    }
}

#[test]
fn nothing_panics_where_there_is_no_room_and_nothing_to_show() {
    let empty =
        Statistics { running: Vec::new(), waiting: Vec::new(), pools: Vec::new(), targets: Vec::new(), ..statistics() };
    for read in [None, Some(empty), Some(statistics())] {
        let mut top = Top::new("x".to_owned(), Filter::default());
        if let Some(read) = read {
            top.note(Ok(read), &Pace::default());
        }
        for key in [KeyCode::Enter, KeyCode::Char('?'), KeyCode::Char('c'), KeyCode::End, KeyCode::PageUp, KeyCode::Tab]
        {
            for size in [(1, 1), (5, 3), (20, 6), (60, 20), (300, 100)] {
                screen(&top, size);
            }
            press(&mut top, key);
        }
    }
}

#[test]
fn a_state_has_its_colour_unless_colours_are_off() {
    for colours in [true, false] {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("it draws in memory");
        terminal.draw(|frame| draw(frame, &top(), colours)).expect("it draws in memory");
        let greens = terminal.backend().buffer().content().iter().filter(|cell| cell.fg == Color::Green).count();
        assert_eq!(greens > 0, colours);
    }
}

#[test]
fn the_longest_runs_first_and_s_changes_the_order() {
    let mut top = top();
    let ids = |top: &Top| top.lines(Panel::Running).iter().map(|line| line.cells[0].0.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&top), ["2", "1"]);
    press(&mut top, KeyCode::Char('s'));
    assert_eq!(ids(&top), ["2", "1"], "reports, shop");
    press(&mut top, KeyCode::Char('s'));
    press(&mut top, KeyCode::Char('s'));
    assert_eq!(ids(&top), ["1", "2"], "by id");
    assert!(screen(&top, (80, 24)).contains("by name"));
}

#[test]
fn the_chosen_row_stays_when_the_rows_move() {
    let mut top = top();
    press(&mut top, KeyCode::Down);
    press(&mut top, KeyCode::Down);
    let chosen = |top: &Top| top.chosen_line().map(|line| line.cells[0].0.clone());
    assert_eq!(chosen(&top).as_deref(), Some("1"));
    let mut next = statistics();
    next.running[0].running_for = Span::seconds(9_999);
    top.note(Ok(next), &Pace::default());
    assert_eq!(chosen(&top).as_deref(), Some("1"));
    let gone = Statistics { running: statistics().running.split_off(1), ..statistics() };
    top.note(Ok(gone), &Pace::default());
    assert_eq!(chosen(&top).as_deref(), Some("2"), "the first one, when it is gone");
}

#[test]
fn a_cancel_names_its_task_and_wants_a_yes() {
    let mut top = top();
    assert_eq!(press(&mut top, KeyCode::Char('c')), Effect::Nothing);
    assert!(screen(&top, (60, 20)).contains("Cancel task 2? [y/N]"));
    assert_eq!(press(&mut top, KeyCode::Enter), Effect::Nothing);
    assert!(screen(&top, (60, 20)).contains("nothing was changed"));
    press(&mut top, KeyCode::Char('c'));
    assert_eq!(press(&mut top, KeyCode::Char('y')), Effect::Cancel(TaskId(2)));
    press(&mut top, KeyCode::Char('3'));
    press(&mut top, KeyCode::Char('c'));
    assert!(screen(&top, (80, 20)).contains("choose a task in the panel of running tasks first"));
}

#[test]
fn the_task_of_a_question_is_that_of_its_text() {
    let mut top = top();
    press(&mut top, KeyCode::Char('c'));
    let mut next = statistics();
    next.running[0].running_for = Span::seconds(9_999);
    top.note(Ok(next), &Pace::default());
    assert_eq!(press(&mut top, KeyCode::Char('y')), Effect::Cancel(TaskId(2)), "another task is the first row by now");
}

#[test]
fn p_holds_new_starts_and_lets_them_go_on() {
    let mut top = top();
    press(&mut top, KeyCode::Char('p'));
    assert_eq!(press(&mut top, KeyCode::Char('y')), Effect::Pause(Paused::All, true));
    let mut paused = statistics();
    paused.leader.paused = true;
    top.note(Ok(paused), &Pace::default());
    assert!(screen(&top, (80, 24)).contains("PAUSED"));
    press(&mut top, KeyCode::Char('p'));
    assert_eq!(press(&mut top, KeyCode::Char('y')), Effect::Pause(Paused::All, false));
}

#[test]
fn a_pool_or_a_target_is_paused_when_it_is_chosen() {
    let mut top = top();
    press(&mut top, KeyCode::Char('P'));
    assert!(screen(&top, (80, 24)).contains("choose a pool or a target"));
    press(&mut top, KeyCode::Char('3'));
    press(&mut top, KeyCode::Char('P'));
    assert!(screen(&top, (80, 24)).contains("Hold new starts of the tasks of pool \"nightly\"? [y/N]"));
    assert_eq!(press(&mut top, KeyCode::Char('y')), Effect::Pause(Paused::Pool("nightly".to_owned()), true));
    let mut next = statistics();
    next.targets[1].paused = true;
    next.pools[0].paused = true;
    top.note(Ok(next), &Pace::default());
    assert!(screen(&top, (80, 24)).contains("nightly (paused)"));
    press(&mut top, KeyCode::Char('4'));
    press(&mut top, KeyCode::Char('P'));
    assert_eq!(press(&mut top, KeyCode::Char('y')), Effect::Pause(Paused::Target("reports".to_owned()), false));
}

#[test]
fn filters_are_typed_shown_and_ended_by_esc() {
    let mut top = top();
    press(&mut top, KeyCode::Char('t'));
    type_in(&mut top, "SHOPq");
    press(&mut top, KeyCode::Backspace);
    assert!(screen(&top, (60, 20)).contains("only targets with: SHOP_"));
    press(&mut top, KeyCode::Enter);
    assert_eq!(top.filter.target.as_deref(), Some("SHOP"));
    assert_eq!(top.lines(Panel::Running).len(), 1);
    assert_eq!(top.lines(Panel::Targets).len(), 1);
    assert!(screen(&top, (80, 24)).contains("target \"SHOP\""));
    press(&mut top, KeyCode::Char('/'));
    type_in(&mut top, "no such text");
    press(&mut top, KeyCode::Enter);
    press(&mut top, KeyCode::Char('2'));
    assert!(screen(&top, (60, 20)).contains("no row passes the filter; Esc shows all"));
    press(&mut top, KeyCode::Esc);
    assert_eq!((top.filter.clone(), top.lines(Panel::Targets).len()), (Filter::default(), 2));
    press(&mut top, KeyCode::Char('/'));
    type_in(&mut top, "x");
    press(&mut top, KeyCode::Esc);
    assert_eq!(
        (top.filter.clone(), top.mode.clone()),
        (Filter::default(), Mode::Look),
        "a filter that was not entered"
    );
}

#[test]
fn a_row_is_shown_in_full() {
    let mut top = top();
    press(&mut top, KeyCode::Down);
    press(&mut top, KeyCode::Enter);
    let shown = screen(&top, (80, 24));
    assert!(shown.contains("pgasync show 1") && shown.contains("refresh_totals"), "{shown}");
    press(&mut top, KeyCode::Esc);
    assert_eq!(top.mode, Mode::Look);
    press(&mut top, KeyCode::Char('?'));
    assert!(screen(&top, (60, 20)).contains("another order of the rows"));
}

#[test]
fn an_error_stands_below_the_last_reading() {
    let mut top = top();
    let failure = Failure::new(Exit::Unreachable, "connection refused").hint("is Postgres running there?");
    top.note(Err(failure), &Pace::default());
    for size in SIZES {
        let shown = screen(&top, size);
        assert!(shown.contains("connection refused") && shown.contains("vacuum"), "{shown}");
    }
    top.note(Ok(statistics()), &Pace::default());
    assert!(!screen(&top, (60, 20)).contains("connection refused"));
}

#[test]
fn a_letter_that_is_typed_is_no_command() {
    let mut top = top();
    press(&mut top, KeyCode::Char('/'));
    for key in ["q", "c", "p"] {
        assert_eq!(press(&mut top, KeyCode::Char(key.chars().next().expect("a letter"))), Effect::Nothing);
    }
    assert!(matches!(&top.mode, Mode::Type(_, typed) if typed == "qcp"));
}
