//! What `pgasync top` shows: the last reading, the chosen panel, row and order, the filter, a question.

use pgasync_core::{TaskId, Timestamp};
use pgasync_store::Statistics;

use super::pace::Pace;
use super::rows::{Line, lines};
use crate::failure::Failure;
use crate::output::rfc3339;

#[derive(Debug)]
pub(super) struct Top {
    pub(super) server: String,
    pub(super) reading: Option<Reading>,
    /// Why there is no later reading.
    pub(super) failure: Option<String>,
    pub(super) filter: Filter,
    pub(super) panel: Panel,
    /// The place of the order in [`Panel::orders`], for each panel.
    orders: [usize; 4],
    /// The chosen row of each panel. It keeps its row when the rows change their order.
    chosen: [Option<Key>; 4],
    pub(super) mode: Mode,
    /// The answer to the last key.
    pub(super) message: Option<String>,
}

#[derive(Debug)]
pub(super) struct Reading {
    pub(super) statistics: Statistics,
    pub(super) when: String,
    /// The seconds until the next one, if that is more than one.
    pub(super) every: u64,
}

/// Which rows are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) text: Option<String>,
    pub(super) target: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panel {
    Running,
    Waiting,
    Pools,
    Targets,
}

/// What the rows are ordered by. Ties go by name or id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The longest, or what has waited longest, first.
    Time,
    /// The most waiting tasks first.
    Waiting,
    /// The most running tasks first.
    Running,
    /// Lost targets first.
    State,
    Name,
    Target,
    Pool,
}

/// A row of a panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Task(TaskId),
    /// Pool, target and kind.
    Lane(String, String, String),
    Pool(String),
    Target(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Look,
    Help,
    /// The chosen row in full.
    Details,
    Type(Field, String),
    Ask(Question),
}

/// What is being typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Text,
    Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Cancel(TaskId),
    Pause(Paused, bool),
}

/// What is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Paused {
    All,
    Pool(String),
    Target(String),
}

/// What a key leads to, beside another screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Quit,
    Cancel(TaskId),
    Pause(Paused, bool),
}

impl Panel {
    pub(super) const ALL: [Self; 4] = [Self::Running, Self::Waiting, Self::Pools, Self::Targets];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Waiting => "Waiting",
            Self::Pools => "Pools",
            Self::Targets => "Targets",
        }
    }

    const fn orders(self) -> &'static [Order] {
        match self {
            Self::Running => &[Order::Time, Order::Target, Order::Pool, Order::Name],
            Self::Waiting => &[Order::Time, Order::Waiting, Order::Target, Order::Pool],
            Self::Pools => &[Order::Waiting, Order::Running, Order::Time, Order::Name],
            Self::Targets => &[Order::State, Order::Running, Order::Name],
        }
    }
}

impl Order {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::State => "state",
            Self::Name => "name",
            Self::Target => "target",
            Self::Pool => "pool",
        }
    }
}

impl Top {
    pub(super) const fn new(server: String, filter: Filter) -> Self {
        Self {
            server,
            reading: None,
            failure: None,
            filter,
            panel: Panel::Running,
            orders: [0; 4],
            chosen: [None, None, None, None],
            mode: Mode::Look,
            message: None,
        }
    }

    /// Takes over a reading. After an error the last one stays.
    pub(super) fn note(&mut self, read: Result<Statistics, Failure>, pace: &Pace) {
        match read {
            Ok(statistics) => {
                let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
                let when = rfc3339(now).unwrap_or_default();
                self.reading = Some(Reading { statistics, when, every: pace.pause().as_secs() });
                self.failure = None;
            }
            Err(failure) => self.failure = Some(failure.to_string()),
        }
    }

    pub(super) fn tell(&mut self, message: String) {
        self.message = Some(message);
    }

    pub(super) fn order(&self, panel: Panel) -> Order {
        panel.orders()[self.orders[panel as usize]]
    }

    pub(super) fn next_order(&mut self) {
        let place = &mut self.orders[self.panel as usize];
        *place = (*place + 1) % self.panel.orders().len();
    }

    pub(super) fn next_panel(&mut self, step: usize) {
        let place = (self.panel as usize + step) % Panel::ALL.len();
        self.panel = Panel::ALL[place];
    }

    /// The rows of a panel, filtered and in order.
    pub(super) fn lines(&self, panel: Panel) -> Vec<Line> {
        let order = self.order(panel);
        self.reading.as_ref().map_or_else(Vec::new, |read| lines(&read.statistics, panel, order, &self.filter))
    }

    /// The place of the chosen row: the first one, if the row that was chosen is gone.
    pub(super) fn chosen(&self, panel: Panel, lines: &[Line]) -> Option<usize> {
        let key = self.chosen[panel as usize].as_ref();
        let place = key.and_then(|key| lines.iter().position(|line| line.key == *key));
        place.or_else(|| (!lines.is_empty()).then_some(0))
    }

    pub(super) fn choose(&mut self, step: isize) {
        let lines = self.lines(self.panel);
        let Some(now) = self.chosen(self.panel, &lines) else { return };
        let place = now.saturating_add_signed(step).min(lines.len() - 1);
        self.chosen[self.panel as usize] = Some(lines[place].key.clone());
    }

    pub(super) fn chosen_line(&self) -> Option<Line> {
        let mut lines = self.lines(self.panel);
        let place = self.chosen(self.panel, &lines)?;
        Some(lines.swap_remove(place))
    }

    /// Whether it is paused, as far as the last reading knows.
    pub(super) fn is_paused(&self, what: &Paused) -> bool {
        let Some(read) = &self.reading else { return false };
        let Statistics { leader, pools, targets, .. } = &read.statistics;
        match what {
            Paused::All => leader.paused,
            Paused::Pool(name) => pools.iter().any(|pool| pool.pool == *name && pool.paused),
            Paused::Target(name) => targets.iter().any(|target| target.target == *name && target.paused),
        }
    }
}
