//! Listings as tables that fit a width.

use std::borrow::Cow;

use comfy_table::{Cell as TableCell, CellAlignment, ContentArrangement, Table, presets};

use super::cell::{Cell, Mood};
use super::width::{columns, cut};
use super::{Listing, Shown, terminal};
use crate::visible;

/// The width of a table, and whether it is coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) width: u16,
    pub(crate) colours: bool,
}

/// The least width of a cut column.
const CUT_MIN: usize = 12;

/// A wide column gives way if a cut or folded column would be narrower.
const CUT_WANTED: usize = 30;

impl Style {
    pub(crate) fn of_stdout() -> Self {
        Self { width: terminal::width(), colours: terminal::has_colours() }
    }

    /// Of a screen that is drawn again: its terminal may have changed its size.
    pub(crate) fn of_screen() -> Self {
        Self { width: terminal::present_width(), colours: terminal::has_colours() }
    }

    pub(crate) fn heading(&self, text: &str) -> String {
        self.paint(text, "1")
    }

    /// The text of a state in its colour.
    pub(crate) fn state(&self, text: &str, mood: Mood) -> String {
        match mood {
            Mood::Good => self.paint(text, "32"),
            Mood::Busy => self.paint(text, "33"),
            Mood::Bad => self.paint(text, "31"),
            Mood::Plain => text.to_owned(),
        }
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

pub(super) fn text(listing: &Listing, style: &Style) -> String {
    let shown = shown_columns(listing, style.width);
    let cut_to = cut_width(listing, &shown, style.width);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(style.width).set_header(shown.iter().map(|at| listing.columns[*at].title));
    if style.colours {
        table.enforce_styling();
    }
    for row in &listing.rows {
        table.add_row(shown.iter().map(|at| {
            let is_cut = listing.columns[*at].shown == Shown::Cut;
            cell(&row[*at], is_cut.then_some(cut_to), style)
        }));
    }
    for (position, at) in shown.iter().enumerate() {
        if listing.rows.iter().any(|row| row[*at].is_number()) {
            table.column_mut(position).into_iter().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        }
    }
    format!("{table}\n")
}

/// The columns that a table of this width has: the wide ones only if they fit. A cut column without a
/// text is left out.
fn shown_columns(listing: &Listing, width: u16) -> Vec<usize> {
    let has_text = |at: &usize| listing.rows.iter().any(|row| !row[*at].to_text().is_empty());
    let mut shown: Vec<usize> = (0..listing.columns.len())
        .filter(|at| match listing.columns[*at].shown {
            Shown::Never => false,
            Shown::Cut | Shown::Folded => has_text(at),
            Shown::Always | Shown::Wide | Shown::Only => true,
        })
        .collect();
    while wanted_width(listing, &shown) > usize::from(width) {
        let Some(first) = shown.iter().position(|at| listing.columns[*at].shown == Shown::Wide) else { break };
        shown.remove(first);
    }
    shown
}

/// The number of columns that take what the others leave.
fn cuts(listing: &Listing, shown: &[usize]) -> usize {
    shown.iter().filter(|at| matches!(listing.columns[**at].shown, Shown::Cut | Shown::Folded)).count()
}

/// The width of the columns that are neither cut nor folded, and of all borders.
fn fixed_width(listing: &Listing, shown: &[usize]) -> usize {
    let is_fixed = |at: &&usize| !matches!(listing.columns[**at].shown, Shown::Cut | Shown::Folded);
    let fixed = shown.iter().filter(is_fixed).map(|at| {
        let cells = listing.rows.iter().map(|row| columns(&visible::line(&row[*at].to_text())));
        cells.chain([columns(listing.columns[*at].title)]).max().unwrap_or(0)
    });
    fixed.sum::<usize>() + 3 * shown.len() + 1
}

fn wanted_width(listing: &Listing, shown: &[usize]) -> usize {
    fixed_width(listing, shown) + cuts(listing, shown) * CUT_WANTED
}

/// The width of each cut column: an equal part of what the others leave.
fn cut_width(listing: &Listing, shown: &[usize], width: u16) -> usize {
    let left = usize::from(width).saturating_sub(fixed_width(listing, shown));
    (left / cuts(listing, shown).max(1)).max(CUT_MIN)
}

fn cell(cell: &Cell, width: Option<usize>, style: &Style) -> TableCell {
    let text = cell.to_text();
    let text = visible::line(&text);
    let text = width.map_or_else(|| text.clone(), |width| Cow::Owned(cut(&text, width)));
    let cell_of_table = TableCell::new(&text);
    match cell {
        Cell::State(_, mood) if style.colours => match mood {
            Mood::Good => cell_of_table.fg(comfy_table::Color::Green),
            Mood::Busy => cell_of_table.fg(comfy_table::Color::Yellow),
            Mood::Bad => cell_of_table.fg(comfy_table::Color::Red),
            Mood::Plain => cell_of_table,
        },
        _ => cell_of_table,
    }
}

/// The first line of a text, without leading white space.
pub(crate) fn first_line(text: &str) -> String {
    text.trim_start().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;

    fn listing() -> Listing {
        let mut listing = Listing::new("tasks", &[Column::new("task_id", "task"), Column::cut("query", "query")]);
        listing.add(vec![Cell::from(7_i64), Cell::from(format!("select '{}'", "x".repeat(300)))]);
        listing
    }

    #[test]
    fn a_table_fits_its_width() {
        for width in [60, 80, 200] {
            let text = listing().to_table(&Style { width, colours: false });
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(longest <= usize::from(width), "{width}: {text}");
            assert_eq!(text.lines().count(), 5, "the query stays on one line: {text}");
        }
    }

    #[test]
    fn escape_sequences_of_others_do_not_reach_the_terminal() {
        let mut listing = Listing::new("tasks", &[Column::cut("query", "query")]);
        listing.add(vec![Cell::from("\u{1b}[2Jselect\n1")]);
        assert!(listing.to_table(&Style { width: 80, colours: false }).contains("\\u001b[2Jselect\\n1"));
    }
}
