//! The tasks of a push, as the objects of `async.push_many`.

use std::io::IsTerminal;
use std::path::Path;
use std::{fs, io};

use serde_json::{Map, Value, json};

use super::arguments::{InputFormat, OnConflict, PushArgs, UniqueWhile};
use crate::failure::{Exit, Failure};
use crate::output::Cell;
use crate::server::Server;

/// A task to push, and where it stands in the input.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) task: Value,
    pub(super) place: String,
}

/// The columns of a CSV file that are not text.
const NUMBERS: [&str; 1] = ["priority"];
const FLAGS: [&str; 3] = ["keep_result", "receipt", "track_yielded"];
const DOCUMENTS: [&str; 1] = ["task_data"];

/// The tasks of all inputs, at each of their targets.
pub(super) async fn read(server: &Server, arguments: &PushArgs) -> Result<Vec<Element>, Failure> {
    let options = options(arguments)?;
    let mut elements = Vec::new();
    for (number, query) in arguments.queries.iter().enumerate() {
        elements.push(query_element(query, format!("query {}", number + 1), &options)?);
    }
    for path in &arguments.file {
        elements.extend(from_file(path, arguments.format, &options)?);
    }
    if arguments.queries.is_empty() && arguments.file.is_empty() {
        if io::stdin().is_terminal() {
            return Err(Failure::usage("there is nothing to push: give a query, --file, or a query on standard input"));
        }
        elements = from_file(Path::new("-"), arguments.format, &options)?;
    }
    if arguments.each.is_empty() {
        let without = elements.iter().find(|element| element.task["target"].is_null());
        return match without {
            Some(element) => {
                Err(Failure::usage(format!("{} has no target", element.place)).hint("name it with -t, or with --each"))
            }
            None => Ok(elements),
        };
    }
    at_each(elements, &targets(server, &arguments.each).await?)
}

/// The options of the command line, which hold where an element has none of its own.
fn options(arguments: &PushArgs) -> Result<Map<String, Value>, Failure> {
    let time = |time| Cell::from(time).to_json();
    let data = match arguments.data.as_deref().map(serde_json::from_str::<Value>) {
        Some(Err(error)) => return Err(Failure::usage(format!("--data is not JSON: {error}"))),
        Some(Ok(data)) => data,
        None => Value::Null,
    };
    let all = [
        ("target", json!(arguments.target)),
        ("priority", json!(arguments.priority)),
        ("concurrency_pool", json!(arguments.pool)),
        ("timeout", arguments.timeout.map_or(Value::Null, |span| json!(format!("{} us", span.as_micros())))),
        ("run_at", arguments.run_at.map_or(Value::Null, time)),
        ("expires_at", arguments.expires_at.map_or(Value::Null, time)),
        ("source", json!(arguments.source)),
        ("task_data", data),
        ("unique_key", json!(arguments.unique_key)),
        (
            "unique_while",
            json!(arguments.unique_while.map(|lasts| match lasts {
                UniqueWhile::Unfinished => "unfinished",
                UniqueWhile::Waiting => "waiting",
            })),
        ),
        (
            "on_conflict",
            json!(arguments.on_conflict.map(|action| match action {
                OnConflict::Skip => "skip",
                OnConflict::Error => "error",
                OnConflict::Replace => "replace",
            })),
        ),
        ("retry", json!(arguments.retry)),
        ("keep_result", if arguments.keep_result { json!(true) } else { Value::Null }),
        ("receipt", if arguments.receipt { json!(true) } else { Value::Null }),
    ];
    Ok(all.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect())
}

fn query_element(query: &str, place: String, options: &Map<String, Value>) -> Result<Element, Failure> {
    if query.trim().is_empty() {
        return Err(Failure::usage(format!("{place} is empty")));
    }
    let mut task = options.clone();
    task.insert("query".to_owned(), json!(query));
    Ok(Element { task: Value::Object(task), place })
}

fn from_file(path: &Path, format: Option<InputFormat>, options: &Map<String, Value>) -> Result<Vec<Element>, Failure> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let read = if is_stdin { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    let text = read.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    match format.unwrap_or_else(|| by_ending(path)) {
        InputFormat::Sql => Ok(vec![query_element(&text, name, options)?]),
        InputFormat::Csv => from_csv(&text, &name, options),
        InputFormat::Jsonl => from_jsonl(&text, &name, options),
    }
}

fn by_ending(path: &Path) -> InputFormat {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => InputFormat::Csv,
        Some("jsonl" | "ndjson") => InputFormat::Jsonl,
        _ => InputFormat::Sql,
    }
}

fn from_csv(text: &str, name: &str, options: &Map<String, Value>) -> Result<Vec<Element>, Failure> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let fail = |error: csv::Error| Failure::usage(format!("{name}: {error}"));
    let header: Vec<String> = reader.headers().map_err(fail)?.iter().map(|column| column.trim().to_owned()).collect();
    let mut elements = Vec::new();
    for record in reader.records() {
        let record = record.map_err(fail)?;
        let place = format!("{name}, line {}", record.position().map_or(0, csv::Position::line));
        let mut task = options.clone();
        for (column, field) in header.iter().zip(&record) {
            if !field.is_empty() {
                task.insert(column.clone(), csv_value(column, field, &place)?);
            }
        }
        elements.push(Element { task: Value::Object(task), place });
    }
    Ok(elements)
}

fn csv_value(column: &str, field: &str, place: &str) -> Result<Value, Failure> {
    let wrong = |expected: &str| Failure::usage(format!("{place}: {column} \"{field}\" is no {expected}"));
    if NUMBERS.contains(&column) {
        return field.trim().parse::<i32>().map(|number| json!(number)).map_err(|_| wrong("number"));
    }
    if FLAGS.contains(&column) {
        return match field.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "yes" | "on" | "1" => Ok(json!(true)),
            "f" | "false" | "no" | "off" | "0" => Ok(json!(false)),
            _ => Err(wrong("truth value: write true or false")),
        };
    }
    if DOCUMENTS.contains(&column) {
        return serde_json::from_str(field).map_err(|error| wrong(&format!("JSON ({error})")));
    }
    Ok(json!(field))
}

fn from_jsonl(text: &str, name: &str, options: &Map<String, Value>) -> Result<Vec<Element>, Failure> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let place = format!("{name}, line {}", number + 1);
            let read: Result<Map<String, Value>, _> = serde_json::from_str(line);
            let own = read.map_err(|error| Failure::usage(format!("{place} is no JSON object: {error}")))?;
            let mut task = options.clone();
            task.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
            Ok(Element { task: Value::Object(task), place })
        })
        .collect()
}

/// The names in `--each`, with those that have a tag.
async fn targets(server: &Server, each: &[String]) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for entry in each {
        let found = match entry.strip_prefix("tag:") {
            None => vec![entry.clone()],
            Some(tag) => server.client.targets(tag).await?.iter().map(|name| name.as_str().to_owned()).collect(),
        };
        if found.is_empty() {
            let text = format!("no target that you may use has the tag \"{}\"", entry.trim_start_matches("tag:"));
            return Err(Failure::new(Exit::Negative, text).hint("tags are keys of targets: see async.configure"));
        }
        names.extend(found);
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

fn at_each(elements: Vec<Element>, targets: &[String]) -> Result<Vec<Element>, Failure> {
    if let Some(element) = elements.iter().find(|element| !element.task["target"].is_null()) {
        return Err(Failure::usage(format!("{} has a target, and so has --each", element.place)));
    }
    let at = |element: &Element, target: &String| {
        let mut task = element.task.clone();
        task["target"] = json!(target);
        Element { task, place: format!("{} at {target}", element.place) }
    };
    Ok(elements.iter().flat_map(|element| targets.iter().map(move |target| at(element, target))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_overrides_the_options_and_an_empty_field_does_not() {
        let options = Map::from_iter([("priority".to_owned(), json!(1)), ("target".to_owned(), json!("there"))]);
        let text = "query,priority,task_data\n\"select 1, 2\",7,\"{\"\"a\"\": 1}\"\nselect 2,,\n";
        let read = from_csv(text, "f.csv", &options).expect("it parses");
        assert_eq!(
            read[0].task,
            json!({"query": "select 1, 2", "priority": 7, "target": "there", "task_data": {"a": 1}})
        );
        assert_eq!(read[1].task, json!({"query": "select 2", "priority": 1, "target": "there"}));
        assert_eq!(read[1].place, "f.csv, line 3");
    }

    #[test]
    fn an_error_names_its_line() {
        let none = Map::new();
        for (format, text, part) in [
            (InputFormat::Csv, "query,priority\nselect 1,high\n", "f, line 2: priority \"high\" is no number"),
            (InputFormat::Csv, "query,task_data\nselect 1,{\n", "f, line 2: task_data"),
            (InputFormat::Csv, "query,target\nselect 1\n", "f: CSV error: record 1 (line: 2"),
            (InputFormat::Jsonl, "{\"query\": \"select 1\"}\n[1]\n", "f, line 2 is no JSON object"),
        ] {
            let read = match format {
                InputFormat::Csv => from_csv(text, "f", &none),
                _ => from_jsonl(text, "f", &none),
            };
            let error = read.expect_err(text).to_string();
            assert!(error.starts_with(part), "{error}");
        }
    }
}
