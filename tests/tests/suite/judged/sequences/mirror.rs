//! The rows, as the answers of SQL describe them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Action;

/// The rows, according to the answers of SQL so far.
#[derive(Default)]
pub(super) struct Mirror(BTreeMap<i64, Value>);

impl Mirror {
    /// Applies the changes of an action. Returns how they differ from those of the model.
    pub(super) fn disagreement(&mut self, action: &Action, played: &Value) -> Option<String> {
        for id in played["gone"].as_array().into_iter().flatten() {
            self.0.remove(&id.as_i64().expect("an id"));
        }
        for (id, row) in played["changed"].as_object().into_iter().flatten() {
            self.0.insert(id.parse().expect("an id"), row.clone());
        }
        if played["answer"] != action.answer {
            return Some(format!("{}\n  core {}\n  sql  {}", action.action, action.answer, played["answer"]));
        }
        let rows = &action.rows;
        if *rows == self.0 {
            return None;
        }
        let ids: BTreeSet<i64> = rows.keys().chain(self.0.keys()).copied().collect();
        let differ = ids.into_iter().filter(|id| rows.get(id) != self.0.get(id));
        let lines = differ.map(|id| format!("\n  task {id}\n  core {:?}\n  sql  {:?}", rows.get(&id), self.0.get(&id)));
        Some(format!("{}{}", action.action, lines.collect::<String>()))
    }
}
