//! Listings as JSON.

use serde_json::{Map, Value, json};

use super::Listing;

/// The version of all documents. It grows when a key changes its meaning or goes.
const FORMAT: u32 = 1;

/// A document with these keys, below `"format": 1`.
pub(crate) fn document<'a>(parts: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let mut all = Map::from_iter([("format".to_owned(), json!(FORMAT))]);
    all.extend(parts.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Value::Object(all)
}

pub(super) fn rows(listing: &Listing) -> Value {
    let row = |cells: &Vec<super::Cell>| {
        listing.exported(cells).map(|(column, cell)| (column.name.to_owned(), cell.to_json())).collect()
    };
    Value::Array(listing.rows.iter().map(row).map(Value::Object).collect())
}
