//! Reading a document of the configuration.

use std::path::Path;
use std::{fs, io};

use serde_json::Value;

use crate::failure::Failure;

/// The document in a file.
pub(super) fn read(path: &Path) -> Result<Value, Failure> {
    let fail = |what: &dyn std::fmt::Display| Failure::usage(format!("{}: {what}", path.display()));
    let is_stdin = path.as_os_str() == "-";
    let text = if is_stdin { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    let text = text.map_err(|error| fail(&error))?;
    let is_toml = path.extension().is_some_and(|ending| ending == "toml");
    // An error of the parser shows the line, which may hold a password; so only its place is shown.
    let document: Value = if is_toml {
        toml::from_str(&text).map_err(|error| fail(&place_in_toml(&text, &error)))?
    } else {
        serde_json::from_str(&text).map_err(|error| fail(&format!("it is no JSON: {error}")))?
    };
    if !document.is_object() {
        return Err(fail(&"it must be an object with sections such as control and targets"));
    }
    Ok(document)
}

fn place_in_toml(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
    format!("it is no TOML: line {line}: {}", error.message())
}

/// Leaves out a connection string that is masked as in the present configuration, so that it keeps its
/// password.
pub(super) fn keep_masked(document: &mut Value, present: &Value) {
    let masked = |strings: &Value| strings.as_str().is_some_and(|text| text.contains("****"));
    if let Some(control) = document.get_mut("control").and_then(Value::as_object_mut)
        && control
            .get("self_connection_string")
            .is_some_and(|string| masked(string) && *string == present["control"]["self_connection_string"])
    {
        control.remove("self_connection_string");
    }
    let known = present["targets"].as_array().cloned().unwrap_or_default();
    let targets = document.get_mut("targets").and_then(Value::as_array_mut);
    for target in targets.into_iter().flatten().filter_map(Value::as_object_mut) {
        let (Some(name), Some(string)) = (target.get("target"), target.get("connection_string")) else { continue };
        let is_present = |entry: &Value| entry["target"] == *name && entry["connection_string"] == *string;
        if masked(string) && known.iter().any(is_present) {
            target.remove("connection_string");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::keep_masked;

    #[test]
    fn a_masked_string_stays_only_where_it_is_another_one() {
        let present = json!({"control": {"self_connection_string": "host=s password=****"},
            "targets": [{"target": "a", "connection_string": "host=h password=****"}]});
        let mut document = json!({"control": {"self_connection_string": "host=s password=****"},
            "targets": [{"target": "a", "connection_string": "host=h password=****"},
                        {"target": "b", "connection_string": "host=h password=****"}, {}]});
        keep_masked(&mut document, &present);
        assert_eq!(
            document,
            json!({"control": {}, "targets": [{"target": "a"}, {"target": "b", "connection_string": "host=h password=****"}, {}]})
        );
        let mut document = json!({"retry_policies": []});
        keep_masked(&mut document, &present);
        assert_eq!(document, json!({"retry_policies": []}), "no section is added");
    }
}
