//! The pure model (`pgasync-core`) and the deciding functions in SQL, held against each other.
//!
//! The model is the judge: every test works out what it says, asks SQL the same, and compares.

#![allow(clippy::print_stdout, reason = "each says how much it compared")]
#![allow(clippy::too_many_lines, reason = "a table of cases is long")]

mod answers;
mod classification;
mod configuration;
mod every_transition;
mod every_write;
mod mutants;
mod plan;
mod sequences;
mod small_rules;

use pgasync_tests::Database;
use serde_json::Value;

/// A database whose SQL side can be asked.
async fn bench() -> Database {
    let database = Database::create().await;
    database.run("set jit = off").await;
    database.run(include_str!("driver.sql")).await;
    database
}

/// The one JSON value of a query with one JSON parameter.
async fn ask(database: &Database, sql: &str, with: &Value) -> Value {
    database.rows(sql, &[with]).await[0].get(0)
}
