//! Measured numbers: of a scenario, in a case, of a subject, by metric.

use std::fmt::{Display, Formatter, Result as FmtResult};

use serde_json::{Map, Value};

use super::arguments::Scenario;

/// The circumstances of a measurement, for example `8 workers`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Case {
    parameters: Vec<(&'static str, Value)>,
}

impl Case {
    /// A case with a number.
    pub(super) fn of(name: &'static str, value: impl Into<Value>) -> Self {
        Self { parameters: vec![(name, value.into())] }
    }

    /// A case with words.
    pub(super) fn named(name: &'static str, words: &str) -> Self {
        Self::of(name, words)
    }

    /// The case with one more number.
    pub(super) fn and(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }

    /// The number of a case that has only one.
    pub(super) fn number(&self) -> Option<f64> {
        self.parameters.first()?.1.as_f64()
    }

    pub(super) fn to_json(&self) -> Value {
        Value::Object(
            self.parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>(),
        )
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        for (n, (name, value)) in self.parameters.iter().enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            match value {
                Value::String(words) => write!(f, "{separator}{words}")?,
                number => write!(f, "{separator}{number} {name}")?,
            }
        }
        Ok(())
    }
}

/// The values of one number, one for each run.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) scenario: Scenario,
    pub(super) case: Case,
    /// An engine, or what it is compared with.
    pub(super) subject: String,
    /// The unit is part of the name.
    pub(super) metric: &'static str,
    pub(super) values: Vec<f64>,
}

impl Measured {
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
    }

    pub(super) fn min(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(super) fn max(&self) -> f64 {
        self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// All numbers, in the order in which they were first measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    pub(super) measured: Vec<Measured>,
    /// What was not measured, with the reason.
    pub(super) skipped: Vec<(Scenario, String)>,
}

impl Results {
    pub(super) fn add(&mut self, scenario: Scenario, case: &Case, subject: &str, metric: &'static str, value: f64) {
        let same = |known: &&mut Measured| {
            known.scenario == scenario && known.case == *case && known.subject == subject && known.metric == metric
        };
        match self.measured.iter_mut().find(same) {
            Some(known) => known.values.push(value),
            None => self.measured.push(Measured {
                scenario,
                case: case.clone(),
                subject: subject.to_owned(),
                metric,
                values: vec![value],
            }),
        }
    }

    pub(super) fn skip(&mut self, scenario: Scenario, what: &str, reason: &str) {
        let note = (scenario, format!("{what}: not measured, {reason}"));
        if !self.skipped.contains(&note) {
            self.skipped.push(note);
        }
    }

    /// The newest value of the first case of a scenario.
    pub(super) fn first_of(&self, scenario: Scenario, subject: &str, metric: &str) -> Option<f64> {
        let found = self
            .measured
            .iter()
            .find(|known| known.scenario == scenario && known.subject == subject && known.metric == metric)?;
        found.values.last().copied()
    }

    /// The scenarios that have numbers, in order.
    pub(super) fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for scenario in self.measured.iter().map(|known| known.scenario).chain(self.skipped.iter().map(|(s, _)| *s)) {
            if !scenarios.contains(&scenario) {
                scenarios.push(scenario);
            }
        }
        scenarios
    }
}
