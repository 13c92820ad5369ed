//! Results as a table, as JSON or as CSV. A command builds a [`Listing`] once, for all three.

mod cell;
mod csv;
pub(crate) mod fullscreen;
mod json;
mod table;
pub(crate) mod terminal;
pub(crate) mod width;

use clap::{Args, ValueEnum};

pub(crate) use self::cell::{Cell, Mood, rfc3339, short_span};
pub(crate) use self::json::document;
pub(crate) use self::table::{Style, first_line};
use crate::failure::Failure;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// The form of the result. json is one document {"format": 1, ...}; its times are RFC 3339 in UTC,
    /// its lengths of time seconds
    #[arg(long, short = 'o', value_enum, default_value = "table", value_name = "FORM")]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: fitted to the terminal, or to COLUMNS
    Table,
    /// For programs
    Json,
    /// For spreadsheets: the same names and values as in JSON
    Csv,
}

/// A column: the name in JSON and CSV, the title in tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) shown: Shown,
}

/// The part of a column in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// In full.
    Always,
    /// On one line, cut where the terminal ends.
    Cut,
    /// In full, on several lines where the terminal ends.
    Folded,
    /// In full if the terminal is wide enough for it; the first of these goes first.
    Wide,
    /// In JSON and CSV only.
    Never,
    /// In tables only.
    Only,
}

/// Rows of typed cells. `name` is the key of the rows in JSON.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Column {
    pub(crate) const fn new(name: &'static str, title: &'static str) -> Self {
        Self { name, title, shown: Shown::Always }
    }

    pub(crate) const fn cut(name: &'static str, title: &'static str) -> Self {
        Self { name, title, shown: Shown::Cut }
    }

    pub(crate) const fn folded(name: &'static str, title: &'static str) -> Self {
        Self { name, title, shown: Shown::Folded }
    }

    pub(crate) const fn wide(name: &'static str, title: &'static str) -> Self {
        Self { name, title, shown: Shown::Wide }
    }

    pub(crate) const fn table_only(name: &'static str, title: &'static str) -> Self {
        Self { name, title, shown: Shown::Only }
    }

    pub(crate) const fn hidden(name: &'static str) -> Self {
        Self { name, title: name, shown: Shown::Never }
    }
}

impl Listing {
    pub(crate) fn new(name: &'static str, columns: &[Column]) -> Self {
        Self { name, columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a row of {} has a cell for each column", self.name);
        self.rows.push(row);
    }

    /// The columns of JSON and CSV, with the cells of a row.
    fn exported<'a>(&'a self, row: &'a [Cell]) -> impl Iterator<Item = (&'a Column, &'a Cell)> {
        self.columns.iter().zip(row).filter(|(column, _)| column.shown != Shown::Only)
    }

    /// A row as a line of CSV.
    pub(crate) fn csv_line(&self, row: usize) -> Result<String, Failure> {
        csv::line(self, &self.rows[row])
    }

    /// Writes it to standard output.
    pub(crate) fn write(&self, format: Format) -> Result<(), Failure> {
        match format {
            Format::Table if self.rows.is_empty() => Ok(()),
            Format::Table => Ok(crate::print::write_styled(&table::text(self, &Style::of_stdout()))?),
            Format::Json => write_document(&document([(self.name, json::rows(self))])),
            Format::Csv => Ok(crate::print::write_raw(&csv::text(self)?)?),
        }
    }

    /// Its text as a table.
    pub(crate) fn to_table(&self, style: &Style) -> String {
        table::text(self, style)
    }

    /// Its rows as objects.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        json::rows(self)
    }
}

/// Writes several listings: tables below each other, one JSON document with a key for each. CSV has one
/// header, so it takes the first listing only.
pub(crate) fn write_all(listings: &[(&str, &Listing)], format: Format) -> Result<(), Failure> {
    match format {
        Format::Table => Ok(crate::print::write_styled(&tables(listings, &Style::of_stdout()))?),
        Format::Json => write_document(&document(listings.iter().map(|(_, all)| (all.name, all.to_json())))),
        Format::Csv => listings.first().map_or(Ok(()), |(_, listing)| listing.write(Format::Csv)),
    }
}

/// Tables below each other, without those that are empty.
pub(crate) fn tables(listings: &[(&str, &Listing)], style: &Style) -> String {
    let shown = listings.iter().filter(|(_, listing)| !listing.rows.is_empty());
    let texts = shown.map(|(title, listing)| format!("{}\n{}", style.heading(title), listing.to_table(style)));
    texts.collect::<Vec<_>>().join("\n")
}

pub(crate) fn write_document(document: &serde_json::Value) -> Result<(), Failure> {
    Ok(crate::print::write(&format!("{document:#}\n"))?)
}
