//! The classification of queries: `classify`, `async.classify_query`, and Postgres itself with the
//! same text.

mod effects;
mod texts;
mod transactions;

use pgasync_core::{QueryClass, StatementKind, classify, statements};
use pgasync_tests::Database;
use serde_json::json;

use self::effects::effects_that_differ;
use self::texts::{READ_MAX, generated, texts};
pub(super) use self::transactions::disagreements_about_transactions;
use super::{ask, prepared_database};
use crate::seed::Seed;

const GENERATED: usize = 1_500;

/// Whether the two sides agree. SQL wraps only scripts of plain queries. It wraps an empty text,
/// because dblink reads the answer to an empty text as a lost connection. It does not wrap a text
/// that it did not read to the end.
fn agree(text: &str, sql: &str) -> bool {
    let found = statements(text);
    let plain = found.iter().any(|statement| statement.kind == StatementKind::Plain);
    match classify(text) {
        QueryClass::Refused => sql == "refused",
        QueryClass::Wrapped => sql == "loop" || sql == "execute",
        QueryClass::WrappedEach if text.len() > READ_MAX => sql == "raw",
        QueryClass::WrappedEach => sql == "script" || plain && sql == "raw",
        QueryClass::Raw => sql == if found.is_empty() { "execute" } else { "raw" },
    }
}

async fn classes(database: &Database, texts: &[String]) -> Vec<String> {
    let sql = "select jsonb_agg(async.classify_query(q.it) order by q.place)
        from jsonb_array_elements_text($1) with ordinality as q(it, place)";
    let classes = ask(database, sql, &json!(texts)).await;
    serde_json::from_value::<Vec<String>>(classes).expect("a class a text")
}

/// The parse of a text by Postgres, without its execution.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// At most one statement. It may fail when it runs.
    One,
    Several,
    Not,
}

async fn parsed(database: &Database, text: &str) -> Parsed {
    let Err(error) = database.session().prepare(text).await else { return Parsed::One };
    let Some(server_error) = error.server() else { panic!("{text}: {error}") };
    match server_error.sqlstate {
        "42601" if server_error.message.contains("multiple commands") => Parsed::Several,
        "42601" | "22025" | "42000" => Parsed::Not,
        _ => Parsed::One,
    }
}

/// The differences between the core, SQL and Postgres for these texts, and the number of texts that
/// Postgres could parse.
async fn disagreements(database: &Database, texts: &[String]) -> (Vec<String>, usize) {
    let mut differences = Vec::new();
    let mut read = 0;
    for (text, sql) in texts.iter().zip(classes(database, texts).await) {
        let found = statements(text);
        let postgres = parsed(database, text).await;
        if postgres == Parsed::Not {
            continue;
        }
        read += 1;
        if !agree(text, &sql) {
            differences.push(format!("{text:?}: core {:?}, sql {sql}", classify(text)));
        }
        if (found.len() > 1) != (postgres == Parsed::Several) {
            differences.push(format!("{text:?}: core finds {} statements, Postgres {postgres:?}", found.len()));
        }
        for statement in found {
            let piece = &text[statement.span];
            if parsed(database, piece).await != Parsed::One {
                differences.push(format!("{text:?}: {piece:?} is no single statement"));
            }
        }
    }
    (differences, read)
}

/// The differences for all written texts, and for some generated ones.
pub(super) async fn disagreements_of_all(database: &Database) -> Vec<String> {
    let mut differences = effects_that_differ(database).await;
    for (text, sql) in texts().into_iter().zip(classes(database, &texts()).await) {
        if !agree(&text, &sql) {
            differences.push(text);
        }
    }
    if differences.is_empty() {
        differences = disagreements(database, &generated(&mut Seed::of_this_run(), GENERATED / 5)).await.0;
    }
    differences
}

pub(super) async fn database_with_table_t() -> Database {
    let database = prepared_database().await;
    database.run("create table t (n int); create procedure p() language sql as 'select 1'").await;
    database
}

#[tokio::test]
async fn every_text_is_classed_alike_and_as_postgres_reads_it() {
    let database = database_with_table_t().await;
    let texts = texts();
    for (text, sql) in texts.iter().zip(classes(&database, &texts).await) {
        assert!(agree(text, &sql), "{text:?}: core {:?}, sql {sql}", classify(text));
    }
    let (differences, _) = disagreements(&database, &texts).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test]
async fn any_text_is_classed_alike_and_as_postgres_reads_it() {
    let database = database_with_table_t().await;
    let texts = generated(&mut Seed::of_this_run(), GENERATED);
    let (differences, read) = disagreements(&database, &texts).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    println!("{GENERATED} texts, of which Postgres reads {read}");
    assert!(read > GENERATED / 2, "Postgres reads only {read} of them");
}
