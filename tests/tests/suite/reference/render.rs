//! The pages of the reference.

use std::fmt::Write as _;

use super::catalog::{Call, Catalog, Column, Kind, Place, Relation, Roles};

const WIDTH: usize = 100;

/// The key of a document that is not named as its column.
const OTHER_NAMES: [(&str, &str, &str); 1] = [("target", "max_workers", "max_concurrency")];

/// The pages: the names of the files in `docs/reference`, with their texts.
pub(super) fn pages(catalog: &Catalog) -> Vec<(&'static str, String)> {
    vec![
        ("calls.md", calls(catalog)),
        ("views.md", relations(catalog, Kind::View, VIEWS)),
        ("tables.md", relations(catalog, Kind::Table, TABLES)),
        ("types.md", types(catalog)),
        ("configuration.md", configuration(catalog)),
    ]
}

const GENERATED: &str =
    "<!-- Written by ./dev reference, from the comments in the catalog: change those in crates/sql/objects. -->\n";

const CALLS: &str = "\
# Calls

Every call of the schema `async` that is part of the [contract](../versions.md). An argument with a default
may be left out, and may be given by name (`priority => 5`). Calls of a client database are [forwarded to its
server](../client-databases.md). An error has an SQLSTATE of [Errors](../errors.md), and leaves everything as
it was.
";

const VIEWS: &str = "\
# Views

The views of the schema `async`. Clients and administrators read them; see [Operating](../operating.md) for
what to look for. A later version may add columns at the end.
";

const TABLES: &str = "\
# Tables

The tables of the schema `async` that may be read. `async.task` may have triggers, indexes and foreign keys of
users. The other tables are changed by calls alone. A later version may add columns at the end.
";

const TYPES: &str = "\
# Types

The types of arguments, columns and results.
";

const CONFIGURATION: &str = "\
# Configuration

The keys of a document of [`async.configure`](calls.md#asyncconfigure), `pgasync config apply`,
`async.set_control`, `async.set_target` and `async.set_pool`. [Using pgasync](../using.md#configuration) says
what a document is and what a missing key, a null and a list mean.

Behind each key stand the kind of its value, whose limits are [below](#values), and the default. A value that
is refused raises PA060 with the path of the value in the document, such as `targets[0].max_workers`, and
changes nothing. PA084 is raised for a key that only the owner of the schema may set.

The columns that the leader writes are accepted and ignored, so that `to_jsonb` of a row can be given back.
";

/// A section of a document: its heading, what it is, its table, and its name in the catalog.
const SECTIONS: [(&str, &str, &str); 5] = [
    ("control", "The object `control` is one row of [`async.control`](tables.md#asynccontrol).", "control"),
    ("targets", "Each element is one row of [`async.target`](tables.md#asynctarget).", "target"),
    (
        "concurrency_pools",
        "Each element is one row of [`async.concurrency_pool`](tables.md#asyncconcurrency_pool).",
        "concurrency_pool",
    ),
    (
        "retry_policies",
        "Each element is one row of [`async.retry_policy`](tables.md#asyncretry_policy). See [Retries](../retries.md).",
        "retry_policy",
    ),
    (
        "schedules",
        "Each element is one row of [`async.schedule`](tables.md#asyncschedule). See [Schedules](../schedules.md).",
        "schedule",
    ),
];

fn calls(catalog: &Catalog) -> String {
    let mut page = opening(CALLS);
    for (roles, title, text) in [
        (Roles::Clients, "For clients", "Roles with `async.grant_client`, and all that follow."),
        (Roles::Administrators, "For administrators", "Roles with `async.grant_admin`, and the owner."),
        (Roles::Owner, "For the owner of the schema", "No grant gives these calls."),
    ] {
        write_section(&mut page, title, text);
        let calls: Vec<&Call> = catalog.calls.iter().filter(|call| call.roles == roles).collect();
        for overloads in calls.chunk_by(|one, other| one.name == other.name) {
            write_line(&mut page, &format!("\n### async.{}\n", overloads[0].name));
            page.push_str("```text\n");
            for call in overloads {
                page.push_str(&signature(call));
            }
            page.push_str("```\n");
            for call in overloads {
                write_paragraph(&mut page, &prose(&call.comment));
            }
            write_paragraph(&mut page, &format!("Place: {}.", place(overloads[0].place)));
        }
    }
    page
}

fn signature(call: &Call) -> String {
    let verb = if call.is_procedure { "call " } else { "" };
    let tail = call.returns.as_deref().map_or(String::new(), |of_type| format!(" returns {}", result(of_type)));
    let arguments: Vec<String> = call.arguments.iter().map(|argument| expression(argument)).collect();
    let line = format!("{verb}async.{}({}){tail}\n", call.name, arguments.join(", "));
    if line.len() <= WIDTH {
        return line;
    }
    format!("{verb}async.{}(\n  {}\n){tail}\n", call.name, arguments.join(",\n  "))
}

/// The type of a result, in lower case as the rest.
fn result(of_type: &str) -> String {
    of_type.replace("SETOF ", "setof ").replace("TABLE(", "table (")
}

fn relations(catalog: &Catalog, kind: Kind, text: &str) -> String {
    let mut page = opening(text);
    for relation in catalog.relations.iter().filter(|relation| relation.kind == kind) {
        write_line(&mut page, &format!("\n## async.{}", relation.name));
        write_paragraph(&mut page, &prose(&relation.comment));
        let may_read = match relation.roles {
            Roles::Clients => "clients and administrators",
            Roles::Administrators => "administrators",
            Roles::Owner => "the owner of the schema",
        };
        write_paragraph(&mut page, &format!("Place: {}. Read by {may_read}.", place(relation.place)));
        write_columns(&mut page, relation);
    }
    page
}

fn write_columns(page: &mut String, relation: &Relation) {
    page.push('\n');
    for column in &relation.columns {
        let default = default_of(column).map_or(String::new(), |text| format!(", default {text}"));
        let only = match column.roles {
            roles if roles == relation.roles => "",
            Roles::Owner => " (the owner alone)",
            _ => " (administrators alone)",
        };
        let item = format!("`{}` {}{default}{only}: {}", column.name, column.of_type, prose(&column.comment));
        write_item(page, &item);
    }
}

/// The default of a column, unless it is null or a sequence.
fn default_of(column: &Column) -> Option<String> {
    let text = expression(column.default.as_deref()?);
    if text.contains("nextval") { None } else { Some(format!("`{text}`")) }
}

fn types(catalog: &Catalog) -> String {
    let mut page = opening(TYPES);
    for enumeration in &catalog.enumerations {
        write_line(&mut page, &format!("\n## async.{}", enumeration.name));
        let labels: Vec<String> = enumeration.labels.iter().map(|label| format!("`{label}`")).collect();
        write_paragraph(&mut page, &format!("An enumeration: {}.", labels.join(", ")));
        write_paragraph(&mut page, &prose(&enumeration.comment));
    }
    for relation in catalog.relations.iter().filter(|relation| relation.kind == Kind::Composite) {
        write_line(&mut page, &format!("\n## async.{}", relation.name));
        write_paragraph(&mut page, &prose(&relation.comment));
        write_columns(&mut page, &Relation { roles: relation.columns[0].roles, ..copy(relation) });
    }
    page
}

fn copy(relation: &Relation) -> Relation {
    Relation {
        name: relation.name.clone(),
        kind: relation.kind,
        comment: relation.comment.clone(),
        place: relation.place,
        roles: relation.roles,
        columns: relation.columns.clone(),
    }
}

fn configuration(catalog: &Catalog) -> String {
    let mut page = opening(CONFIGURATION);
    for (title, text, section) in SECTIONS {
        write_section(&mut page, title, text);
        page.push('\n');
        let relation = catalog.relation(section);
        for key in catalog.keys.iter().filter(|key| key.section == section && key.kind != "ignored") {
            let other = OTHER_NAMES.iter().find(|(of, name, _)| *of == section && *name == key.name);
            let item = if let Some((_, _, column)) = other {
                format!("`{}` ({}): another name of `{column}`.", key.name, key.kind)
            } else {
                let column = relation.columns.iter().find(|column| column.name == key.name);
                let column = column.unwrap_or_else(|| panic!("async.{section} has no column {}", key.name));
                let default = default_of(column).map_or(String::new(), |text| format!(", default {text}"));
                format!("`{}` ({}{default}): {}", key.name, key.kind, prose(&column.comment))
            };
            write_item(&mut page, &item);
        }
    }
    write_section(
        &mut page,
        "Values",
        "Each kind of value, with what `async.configure` says of values that it refuses:",
    );
    page.push('\n');
    for refusals in &catalog.refusals {
        let messages = match refusals.messages.as_slice() {
            [] => "any JSON".to_owned(),
            messages => messages.iter().map(|message| format!("`{message}`")).collect::<Vec<_>>().join(", "),
        };
        write_item(&mut page, &format!("{}: {messages}", refusals.kind));
    }
    page
}

const fn place(place: Place) -> &'static str {
    match place {
        Place::Everywhere => "servers and client databases",
        Place::Server => "servers",
        Place::Ui => "servers with `async_ui.sql`",
    }
}

/// An argument or a default without the casts that Postgres adds, and in lower case.
fn expression(text: &str) -> String {
    let mut plain = text.replace("NULL::", "null::");
    while let Some(start) = plain.find("::") {
        let rest = &plain[start + 2..];
        let end = rest.find([',', ')']).unwrap_or(rest.len());
        plain.replace_range(start..start + 2 + end, "");
    }
    plain.replace("CURRENT_USER", "current_user").replace("SESSION_USER", "session_user")
}

/// A comment as Markdown: names and codes in a font of their own, nothing that reads as markup.
fn prose(comment: &str) -> String {
    comment.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    if word.starts_with("##") {
        return format!("`{word}`");
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let start = word.find(|c: char| c.is_ascii_alphanumeric() || c == '_').unwrap_or(word.len());
    let (before, rest) = word.split_at(start);
    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    let name = rest[..end].trim_end_matches('.');
    let after = &rest[name.len()..];
    if name.starts_with("async.") || (name.contains('_') && name.contains(|c: char| c.is_ascii_lowercase())) {
        let (call, after) = after.strip_prefix("(...)").map_or(("", after), |after| ("(...)", after));
        return format!("{before}`{name}{call}`{after}");
    }
    word.replace('*', "\\*").replace('<', "\\<")
}

fn opening(text: &str) -> String {
    let (title, rest) = text.split_once('\n').expect("a title and a text");
    let mut page = format!("{title}\n\n{GENERATED}");
    for paragraph in rest.trim().split("\n\n") {
        write_paragraph(&mut page, &paragraph.replace('\n', " "));
    }
    page
}

fn write_section(page: &mut String, title: &str, text: &str) {
    write_line(page, &format!("\n## {title}"));
    write_paragraph(page, text);
}

fn write_line(page: &mut String, line: &str) {
    writeln!(page, "{line}").expect("a string takes it");
}

fn write_paragraph(page: &mut String, text: &str) {
    page.push('\n');
    wrap(page, text, "", "");
}

fn write_item(page: &mut String, text: &str) {
    wrap(page, text, "- ", "  ");
}

/// Writes a text in lines of [`WIDTH`].
fn wrap(page: &mut String, text: &str, first: &str, next: &str) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            write_line(page, &line);
            next.clone_into(&mut line);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    write_line(page, &line);
}
