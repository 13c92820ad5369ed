//! Drawing `pgasync top`, for any size of terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span, Text};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Table, TableState, Wrap};

use super::rows::{Line, columns};
use super::state::{Field, Mode, Panel, Paused, Question, Reading, Top};
use crate::output::Mood;
use crate::output::width;
use crate::status::leader;
use crate::visible;

/// A terminal of this size shows all panels at once.
const WIDE: (u16, u16) = (140, 36);

/// The keys, the most important first: a narrow terminal shows fewer.
const KEYS: [(&str, &str); 10] = [
    ("q", "quit"),
    ("?", "help"),
    ("Tab", "panel"),
    ("/", "text"),
    ("t", "target"),
    ("s", "order"),
    ("c", "cancel"),
    ("p", "pause"),
    ("P", "pause this"),
    ("Enter", "in full"),
];

const HELP: &str = "\
Tab, 1 to 4   the next panel, or one of them
up, down      choose a row; PageUp, PageDown, Home, End
Enter         the chosen row in full
/             only rows with a text
t             only targets with a text in their name
Esc           all rows again
s             another order of the rows
c             cancel the chosen task, after a question
p             hold new starts, or let them go on
P             the same for the chosen pool or target
q, Ctrl-C     quit";

struct Pen {
    colours: bool,
}

pub(super) fn draw(frame: &mut Frame<'_>, top: &Top, colours: bool) {
    let pen = Pen { colours };
    let [head, tabs, body, message, keys] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(pen.head(top, head.width), head);
    frame.render_widget(pen.tabs(top, tabs.width), tabs);
    pen.body(frame, top, body);
    frame.render_widget(pen.message(top), message);
    frame.render_widget(pen.keys(keys.width), keys);
    match &top.mode {
        Mode::Help => pen.popup(frame, "Keys", &Text::raw(HELP)),
        Mode::Details => {
            if let Some(line) = top.chosen_line() {
                pen.popup(frame, top.panel.title(), &details(&line));
            }
        }
        Mode::Look | Mode::Type(..) | Mode::Ask(_) => {}
    }
}

impl Pen {
    fn mood(&self, mood: Mood) -> Style {
        match mood {
            _ if !self.colours => Style::new(),
            Mood::Good => Style::new().fg(Color::Green),
            Mood::Busy => Style::new().fg(Color::Yellow),
            Mood::Bad => Style::new().fg(Color::Red),
            Mood::Plain => Style::new(),
        }
    }

    /// The server, its leader, and its load; or why there is none.
    fn head(&self, top: &Top, width: u16) -> Text<'static> {
        let fit = |text: &str| width::cut(&visible::line(text), usize::from(width));
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let Some(read) = &top.reading else {
            return Text::from(vec![
                TextLine::styled(fit(&top.server), bold),
                TextLine::styled(fit(top.failure.as_deref().unwrap_or("reading")), self.mood(Mood::Bad)),
            ]);
        };
        let every = if read.every > 1 { format!(", each {} s", read.every) } else { String::new() };
        let title = format!("{}{every}  {}", read.when, top.server);
        let (leader, mood) = leader(&read.statistics.leader);
        Text::from(vec![
            TextLine::styled(fit(&title), bold),
            TextLine::styled(fit(&leader), self.mood(mood)),
            TextLine::raw(fit(&load(read))),
        ])
    }

    /// The panels with the number of their rows, the order, and the filter.
    fn tabs(&self, top: &Top, width: u16) -> TextLine<'static> {
        let mut spans = Vec::new();
        for (place, panel) in (1..).zip(Panel::ALL) {
            let style = Style::new();
            let style = if panel == top.panel { style.add_modifier(Modifier::REVERSED) } else { style };
            spans.push(Span::styled(format!(" {place} {} {} ", panel.title(), top.lines(panel).len()), style));
        }
        let mut more = format!("  by {}", top.order(top.panel).name());
        for (name, part) in [("text", &top.filter.text), ("target", &top.filter.target)] {
            if let Some(part) = part {
                more += &format!(", {name} \"{part}\"");
            }
        }
        let used: usize = spans.iter().map(Span::width).sum();
        spans.push(Span::raw(width::cut(&visible::line(&more), usize::from(width).saturating_sub(used))));
        TextLine::from(spans)
    }

    fn body(&self, frame: &mut Frame<'_>, top: &Top, area: Rect) {
        let whole = frame.area();
        if whole.width < WIDE.0 || whole.height < WIDE.1 {
            self.panel(frame, top, top.panel, area);
            return;
        }
        let [upper, lower] = Layout::vertical([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(area);
        let [left, right] = Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(upper);
        let [pools, targets] = Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(right);
        self.panel(frame, top, Panel::Waiting, left);
        self.panel(frame, top, Panel::Pools, pools);
        self.panel(frame, top, Panel::Targets, targets);
        self.panel(frame, top, Panel::Running, lower);
    }

    fn panel(&self, frame: &mut Frame<'_>, top: &Top, panel: Panel, area: Rect) {
        let is_active = panel == top.panel;
        let title = format!(" {} ", panel.title());
        let weight = if is_active { Modifier::BOLD } else { Modifier::DIM };
        let block = Block::new().borders(Borders::TOP).title(title).style(Style::new().add_modifier(weight));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let lines = top.lines(panel);
        if lines.is_empty() {
            frame.render_widget(Paragraph::new(nothing(top, panel)).wrap(Wrap { trim: true }), inner);
            return;
        }
        let chosen = top.chosen(panel, &lines).filter(|_| is_active);
        let shown: Vec<usize> = (0..columns(panel).len()).filter(|at| columns(panel)[*at].from <= area.width).collect();
        let widths = shown.iter().map(|at| match columns(panel)[*at].width_max {
            None => Constraint::Fill(1),
            Some(width_max) => Constraint::Length(wanted(&lines, *at, columns(panel)[*at].title).min(width_max)),
        });
        let header =
            shown.iter().map(|at| Cell::from(aligned(columns(panel)[*at].title, columns(panel)[*at].is_number)));
        // Rows below the end of the panel are not made.
        let last = chosen.unwrap_or(0) + usize::from(inner.height);
        let rows = lines.iter().take(last + 1).map(|line| {
            Row::new(shown.iter().map(|at| {
                let (text, mood) = &line.cells[*at];
                Cell::from(aligned(&visible::line(text), columns(panel)[*at].is_number)).style(self.mood(*mood))
            }))
        });
        let table = Table::new(rows, widths)
            .header(Row::new(header).style(Style::new().add_modifier(Modifier::DIM)))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, inner, &mut TableState::new().with_selected(chosen));
    }

    /// What is typed or asked; why there is no later reading; or the answer to the last key.
    fn message(&self, top: &Top) -> TextLine<'static> {
        let line = |text: &str| visible::line(text).into_owned();
        let first = |text: &str| line(text.lines().next().unwrap_or_default());
        match (&top.mode, &top.failure, &top.message) {
            (Mode::Type(Field::Text, typed), ..) => TextLine::raw(format!("only rows with the text: {}_", line(typed))),
            (Mode::Type(Field::Target, typed), ..) => TextLine::raw(format!("only targets with: {}_", line(typed))),
            (Mode::Ask(question), ..) => TextLine::styled(ask(question), self.mood(Mood::Busy)),
            (_, _, Some(message)) => TextLine::raw(first(message)),
            (_, Some(failure), None) => TextLine::styled(first(failure), self.mood(Mood::Bad)),
            (_, None, None) => TextLine::default(),
        }
    }

    fn keys(&self, width: u16) -> TextLine<'static> {
        let mut spans = Vec::new();
        let mut used = 0;
        for (key, does) in KEYS {
            used += key.len() + does.len() + 3;
            if used > usize::from(width) {
                break;
            }
            spans.push(Span::styled(key, Style::new().add_modifier(Modifier::BOLD)));
            spans.push(Span::styled(format!(" {does}  "), Style::new().add_modifier(Modifier::DIM)));
        }
        TextLine::from(spans)
    }

    fn popup(&self, frame: &mut Frame<'_>, title: &str, text: &Text<'_>) {
        let whole = frame.area();
        let width = whole.width.saturating_sub(4).min(100);
        let room = usize::from(width.saturating_sub(2)).max(1);
        let lines: usize = text.lines.iter().map(|line| line.width().div_ceil(room).max(1)).sum();
        let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).min(whole.height);
        let area = Rect { x: (whole.width - width) / 2, y: (whole.height - height) / 2, width, height };
        let block = Block::bordered().title(format!(" {title} ")).style(self.mood(Mood::Plain));
        frame.render_widget(Clear, area);
        frame.render_widget(Paragraph::new(text.clone()).block(block).wrap(Wrap { trim: false }), area);
    }
}

fn load(read: &Reading) -> String {
    let statistics = &read.statistics;
    let waiting: i64 = statistics.waiting.iter().map(|lane| lane.waiting).sum();
    let more = if statistics.waiting.iter().any(|lane| lane.more) { "+" } else { "" };
    let (busy, workers) = (statistics.workers_busy, statistics.workers);
    let (now, minute) = (statistics.last_seconds.ended_per_second, statistics.last_minute);
    format!(
        "{busy} of {workers} workers busy, {now:.1} tasks a second, {waiting}{more} wait; last minute: {} ended, {} failed",
        minute.ended, minute.failed
    )
}

/// An empty panel says why.
fn nothing(top: &Top, panel: Panel) -> String {
    if top.filter.text.is_some() || top.filter.target.is_some() {
        return "no row passes the filter; Esc shows all".to_owned();
    }
    match panel {
        Panel::Running => "no task runs",
        Panel::Waiting => "no task waits",
        Panel::Pools => "no pool is in use",
        Panel::Targets => "no target is configured",
    }
    .to_owned()
}

fn ask(question: &Question) -> String {
    match question {
        Question::Cancel(task) => format!("Cancel task {task}? [y/N]"),
        Question::Pause(what, true) => format!("Hold new starts of {}? [y/N]", name(what)),
        Question::Pause(what, false) => format!("Let {} start again? [y/N]", name(what)),
    }
}

fn name(what: &Paused) -> String {
    match what {
        Paused::All => "all tasks".to_owned(),
        Paused::Pool(pool) => format!("the tasks of pool \"{}\"", visible::line(pool)),
        Paused::Target(target) => format!("the tasks at target \"{}\"", visible::line(target)),
    }
}

fn details(line: &Line) -> Text<'static> {
    let mut lines = Vec::new();
    for (name, value) in line.details.iter().filter(|(_, value)| !value.is_empty()) {
        let mut parts = value.lines().map(|part| visible::line(part).into_owned());
        lines.push(TextLine::raw(format!("{name:<13} {}", parts.next().unwrap_or_default())));
        lines.extend(parts.map(|part| TextLine::raw(format!("{:<13} {part}", ""))));
    }
    Text::from(lines)
}

fn wanted(lines: &[Line], column: usize, title: &str) -> u16 {
    let widest = lines.iter().map(|line| width::columns(&visible::line(&line.cells[column].0))).max().unwrap_or(0);
    u16::try_from(widest.max(title.len())).unwrap_or(u16::MAX)
}

fn aligned(text: &str, is_number: bool) -> TextLine<'static> {
    let line = TextLine::raw(text.to_owned());
    if is_number { line.right_aligned() } else { line }
}
