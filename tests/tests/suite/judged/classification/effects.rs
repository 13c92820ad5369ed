//! The effects of queries inside the wrapper, compared with their effects without it.

use pgasync_core::{QueryClass, classify, statements};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::texts::{ALONE, EFFECTS, SCRIPTS};
use super::{ask, classes, database_with_table_t};

/// The rows of the table after a text, or the SQLSTATE of its error.
async fn effect(database: &Database, text: &str) -> Result<Value, String> {
    database.run("begin; insert into t values (1), (2)").await;
    let ran = database.session().batch_execute(text).await;
    let effect = match ran {
        Ok(()) => Ok(ask(database, "select coalesce(jsonb_agg(t.n order by t.n), $1) from t", &json!([])).await),
        Err(error) => Err(error.sqlstate().unwrap_or_default().to_owned()),
    };
    database.run("rollback").await;
    effect
}

/// A text as the core would wrap it; `None` if the core would not wrap it.
fn wrapped_by_the_model(text: &str) -> Option<String> {
    match classify(text) {
        QueryClass::Wrapped | QueryClass::WrappedEach => {}
        QueryClass::Raw | QueryClass::Refused => return None,
    }
    let each = statements(text).into_iter().map(|statement| {
        let piece = &text[statement.span.clone()];
        if statement.returns_rows() {
            format!("for r in execute $every${piece}$every$ loop end loop;")
        } else {
            format!("execute $every${piece}$every$;")
        }
    });
    Some(format!("do $all$ declare r record; begin {} end $all$", each.collect::<String>()))
}

/// The texts whose effects differ inside the wrapper.
pub(super) async fn effects_that_differ(database: &Database) -> Vec<String> {
    let mut differences = Vec::new();
    for text in EFFECTS {
        let wrap = "select to_jsonb(async.wrap_query($1::jsonb #>> '{}', async.classify_query($1::jsonb #>> '{}')))";
        let wrapped = ask(database, wrap, &json!(text)).await;
        let wrapped = wrapped.as_str().expect("a text");
        if wrapped == *text {
            differences.push(format!("{text} is not wrapped"));
        } else if effect(database, wrapped).await != effect(database, text).await {
            differences.push(format!("{text}\n{wrapped}"));
        }
    }
    for text in EFFECTS.iter().chain(SCRIPTS) {
        match wrapped_by_the_model(text) {
            None => differences.push(format!("{text} is not wrapped by the model")),
            Some(wrapped) if effect(database, &wrapped).await != effect(database, text).await => {
                differences.push(wrapped)
            }
            Some(_) => {}
        }
    }
    let alone: Vec<String> = ALONE.iter().map(|text| (*text).to_owned()).collect();
    for (text, sql) in ALONE.iter().zip(classes(database, &alone).await) {
        if sql != "raw" || classify(text) != QueryClass::Raw {
            differences.push(format!("{text}: core {:?}, sql {sql}", classify(text)));
        } else if let Err(code) = effect(database, text).await {
            differences.push(format!("{text} fails: {code}"));
        }
    }
    differences
}

#[tokio::test]
async fn a_wrapped_query_has_the_same_effect_as_the_query_alone() {
    let differences = effects_that_differ(&database_with_table_t().await).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
