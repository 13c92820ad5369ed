//! Results as tables, for a terminal or in Markdown. A table has a row for each case and subject,
//! and a column for each metric.

use comfy_table::{CellAlignment, Table, presets};

use super::arguments::Scenario;
use super::report::Report;
use super::results::Measured;

impl Report {
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.circumstances());
        for scenario in self.results.scenarios() {
            text += &format!("\n{}\n", scenario.title());
            let mut table = Table::new();
            table.load_style(presets::UTF8_FULL_CONDENSED);
            self.fill(scenario, &mut table);
            text += &format!("{table}\n{}", self.notes(scenario, ""));
        }
        text
    }

    pub(super) fn to_markdown(&self) -> String {
        let mut text = format!("{}\n", self.circumstances());
        for scenario in self.results.scenarios() {
            text += &format!("\n### {}\n\n", scenario.title());
            let mut table = Table::new();
            table.load_style(presets::ASCII_MARKDOWN);
            self.fill(scenario, &mut table);
            text += &format!("{table}\n{}", self.notes(scenario, "\n"));
        }
        text
    }

    fn notes(&self, scenario: Scenario, before: &str) -> String {
        let notes = self.results.skipped.iter().filter(|(of, _)| *of == scenario);
        notes.map(|(_, note)| format!("{before}{note}.\n")).collect()
    }

    fn fill(&self, scenario: Scenario, table: &mut Table) {
        let measured: Vec<&Measured> =
            self.results.measured.iter().filter(|known| known.scenario == scenario).collect();
        let (mut metrics, mut rows) = (Vec::new(), Vec::new());
        for known in &measured {
            if !metrics.contains(&known.metric) {
                metrics.push(known.metric);
            }
            let row = (known.case.to_string(), known.subject.clone());
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        let headings = metrics.iter().map(|metric| metric.replace('_', " "));
        table.set_header([String::new(), String::new()].into_iter().chain(headings));
        for (case, subject) in rows {
            let cells = metrics.iter().map(|metric| {
                let found = measured.iter().find(|known| {
                    known.metric == *metric && known.case.to_string() == case && known.subject == subject
                });
                found.map(|known| cell(known)).unwrap_or_default()
            });
            let cells: Vec<String> = [case.clone(), subject.clone()].into_iter().chain(cells).collect();
            table.add_row(cells);
        }
        table.column_iter_mut().skip(2).for_each(|column| {
            column.set_cell_alignment(CellAlignment::Right);
        });
    }
}

/// The median, and the spread of several runs.
fn cell(known: &Measured) -> String {
    let median = number(known.median());
    if known.values.len() == 1 {
        return median;
    }
    format!("{median} ({}–{})", number(known.min()), number(known.max()))
}

/// Three digits or more, with a comma after each thousand.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        ..0.1 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    if digits > 0 {
        return text;
    }
    let mut grouped = String::new();
    for (n, digit) in text.chars().enumerate() {
        if n > 0 && (text.len() - n) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_three_digits_or_more() {
        let texts = [0.0, 0.0123, 0.5, 2.3456, 23.456, 234.56, 2345.6, 23_456.0, 2_345_600.0].map(number);
        assert_eq!(texts, ["0", "0.012", "0.50", "2.35", "23.5", "235", "2,346", "23,456", "2,345,600"]);
    }
}
