//! Differential tests: the core (`pgasync-core`), here called the model, against the deciding and
//! recording functions in SQL.
//!
//! The model is the reference. Each test computes the result of the model and the result of SQL,
//! and compares them.

#![allow(clippy::print_stdout, reason = "each test prints how many cases it compared")]
#![allow(clippy::too_many_lines, reason = "tables of cases are long")]

mod answers;
mod classification;
mod configuration;
mod every_transition;
mod every_write;
mod mutants;
mod plan;
mod schedule_firings;
mod schedule_times;
mod sequences;
mod small_rules;
mod stated_rules;

use pgasync_tests::Database;
use serde_json::Value;

/// Functions of the schema `judged`, in the order in which they are created.
const DRIVER: [&str; 7] = [
    include_str!("sql/values.sql"),
    include_str!("sql/transitions.sql"),
    include_str!("sql/sequences.sql"),
    include_str!("sql/plan.sql"),
    include_str!("sql/configuration.sql"),
    include_str!("sql/answers.sql"),
    include_str!("sql/stated_rules.sql"),
];

/// A server database with the schema `judged`.
async fn prepared_database() -> Database {
    let database = Database::create().await;
    database.run("set jit = off").await;
    for part in DRIVER {
        database.run(part).await;
    }
    database
}

/// The JSON value of a query with one JSON parameter.
async fn ask(database: &Database, sql: &str, with: &Value) -> Value {
    database.rows(sql, &[with]).await[0].get(0)
}
