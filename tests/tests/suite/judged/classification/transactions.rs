//! Texts that leave a transaction open.

use pgasync_core::opens_transaction;
use pgasync_tests::Database;
use serde_json::json;

use super::super::prepared_database;
use super::texts::{ALONE, EFFECTS, generated, texts};
use super::{GENERATED, ask};
use crate::seed::Seed;

/// The differences between the two sides about texts that may leave a transaction open. SQL counts
/// a text that it did not read to the end as one of these.
async fn transactions_that_differ(database: &Database, texts: &[String]) -> Vec<String> {
    let sql = "select jsonb_agg(jsonb_build_array(async.opens_transaction(q.it),
          (select coalesce(bool_and(s.complete), true) from async.scan_statements(q.it) s)) order by q.place)
        from jsonb_array_elements_text($1) with ordinality as q(it, place)";
    let answers = ask(database, sql, &json!(texts)).await;
    let answers: Vec<(bool, bool)> = serde_json::from_value(answers).expect("two answers a text");
    let differ = texts.iter().zip(answers).filter_map(|(text, (sql, complete))| {
        let core = opens_transaction(text);
        let agree = if complete { sql == core } else { sql };
        (!agree).then(|| format!("{text:?}: core {core}, sql {sql}, read to the end {complete}"))
    });
    differ.collect()
}

/// The differences for all written texts, and for some generated ones.
pub(in crate::judged) async fn disagreements_about_transactions(database: &Database) -> Vec<String> {
    let mut all = texts();
    let own = [
        "begin",
        "START transaction",
        "commit and chain",
        "abort AND CHAIN",
        "end and chain",
        "rollback and chain",
        "end",
        "rollback; select 'chain'",
        "rollback work and chain",
        "end and no chain",
        "savepoint chain",
        "release a; begin transaction read only",
        "select 1; begin",
        "-- x\nbegin",
        "/* begin */ select 1",
        "create table begin_ ()",
    ];
    all.extend(own.map(str::to_owned));
    all.extend(EFFECTS.iter().chain(ALONE).map(|text| (*text).to_owned()));
    all.extend(generated(&mut Seed::of_this_run(), GENERATED / 5));
    transactions_that_differ(database, &all).await
}

#[tokio::test]
async fn the_same_texts_leave_transactions_open() {
    let differ = disagreements_about_transactions(&prepared_database().await).await;
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
