//! Joins migrations and objects into the texts that psql runs.

use crate::conversion::conversion;
use crate::fingerprint::{FINGERPRINT, PLACE};
use crate::objects::{CLIENT, Part, SERVER, UI};

/// The beginning and the end of each part: they set and restore the search path of the session.
const BEGIN: &str = include_str!("../installation/begin.sql");
const END: &str = include_str!("../installation/end.sql");

/// Takes the locks of the whole installation.
const LOCK: &str = include_str!("../installation/lock.sql");

/// Raises when the schema is newer than the text.
const REFUSE_NEWER: &str = include_str!("../installation/refuse_newer.sql");

/// The table of the migrations that a database has.
const MIGRATION_TABLE: &str = include_str!("../installation/migration_table.sql");

/// The client and common part, `async.sql`. It needs the extension `dblink`.
#[must_use]
pub fn client() -> String {
    assemble(&CLIENT)
}

/// The server part, `async_server.sql`, for a database that already has [`client`].
#[must_use]
pub fn server() -> String {
    assemble(&SERVER).replace(PLACE, &FINGERPRINT)
}

/// The administrator's views, `async_ui.sql`, for a server.
#[must_use]
pub fn ui() -> String {
    assemble(&UI)
}

/// The three parts in one text.
#[must_use]
pub fn all() -> String {
    [client(), server(), ui()].join("\n")
}

/// A change of tables and types, which a database has once.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The part that it belongs to: `client`, `server` or `ui`.
    pub part: &'static str,
    /// Its name, as in `async.migration`.
    pub name: &'static str,
    /// Its statements.
    pub ddl: &'static str,
}

/// The migrations of all parts, in the order in which an installation runs them.
pub fn migrations() -> impl Iterator<Item = Migration> {
    let of = |part: &'static str, all: &Part| {
        let migrations = all.migrations;
        migrations.iter().map(move |(name, ddl)| Migration { part, name, ddl })
    };
    of("client", &CLIENT).chain(of("server", &SERVER)).chain(of("ui", &UI))
}

/// The texts that the engines depend on, with the placeholder of the fingerprint.
pub(crate) fn texts() -> String {
    assemble(&CLIENT) + &assemble(&SERVER)
}

/// A text with the migrations and the version of this crate.
fn with_versions(text: &str) -> String {
    let known: Vec<_> = migrations().map(|migration| migration.name).collect();
    let release = crate::VERSION.split(['-', '+']).next().unwrap_or_default();
    text.replace("@MIGRATIONS@", &known.join(",")).replace("@RELEASE@", release).replace("@VERSION@", crate::VERSION)
}

/// The text of a part: its guard, then the migrations, each of which runs only once in a database,
/// then all objects. The client part, which is the first, begins with the conversion of the library's schema.
fn assemble(part: &Part) -> String {
    let mut script =
        format!("-- pgasync {}: {}. Generated from crates/sql; edit the objects there.\n", crate::VERSION, part.title);
    script.push_str(BEGIN);
    script.push_str(&with_versions(REFUSE_NEWER));
    script.push_str(&with_versions(LOCK));
    script.push_str(part.guard);
    if part.title == CLIENT.title {
        script.push_str(&conversion());
        script.push_str(MIGRATION_TABLE);
    }
    for (name, ddl) in part.migrations {
        script.push_str(&migration(name, ddl));
    }
    for (name, text) in part.objects {
        script.push_str(&format!("\n-- {name}\n{}\n", with_versions(text.trim())));
    }
    script.push_str(END);
    script
}

/// Runs a migration unless the database has it. The text is a dollar-quoted literal, so that a tool
/// that splits scripts on semicolons sees one statement.
fn migration(name: &str, ddl: &str) -> String {
    debug_assert!(!ddl.contains("$ddl$") && !ddl.contains("$migrate$"));
    format!(
        "\n-- migrations/{name}.sql\ndo $migrate$\nbegin\n  \
         if not exists (select from async.migration where migration = '{name}') then\n    \
         execute $ddl$\n{ddl}$ddl$;\n    \
         insert into async.migration (migration) values ('{name}');\n  \
         end if;\nend\n$migrate$;\n"
    )
}
