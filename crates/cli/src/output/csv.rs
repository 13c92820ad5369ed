//! Listings as CSV (RFC 4180), with a header.

use super::{Cell, Listing, Shown};
use crate::failure::{Exit, Failure};

pub(super) fn text(listing: &Listing) -> Result<String, Failure> {
    let columns = listing.columns.iter().filter(|column| column.shown != Shown::Only);
    let mut text = record(columns.map(|column| column.name.to_owned()))?;
    for row in &listing.rows {
        text += &line(listing, row)?;
    }
    Ok(text)
}

pub(super) fn line(listing: &Listing, row: &[Cell]) -> Result<String, Failure> {
    record(listing.exported(row).map(|(_, cell)| cell.to_plain()))
}

fn record(cells: impl Iterator<Item = String>) -> Result<String, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::new(Exit::Negative, format!("cannot write CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells.collect::<Vec<_>>()).map_err(|error| fail(&error))?;
    let bytes = writer.into_inner().map_err(|error| fail(&error))?;
    String::from_utf8(bytes).map_err(|error| fail(&error))
}
