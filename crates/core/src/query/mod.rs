//! The classification of queries: sent unchanged, sent inside a wrapper because they return rows,
//! or refused.
//!
//! The Rust engine can receive any result, so it sends every query unchanged that is not refused.
//! dblink needs to know the columns of a result beforehand, so the SQL engine sends queries that
//! return rows inside a wrapper, which drops the rows.

mod lexer;
pub(crate) mod statement;

use statement::{Statement, StatementKind, statements};

/// How a query has to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum QueryClass {
    /// It is sent unchanged.
    Raw,
    /// One statement that may return rows. It is sent inside a wrapper that drops them.
    Wrapped,
    /// Several statements that may all run inside a function, some of which return rows. Each is
    /// sent inside the wrapper, in order.
    WrappedEach,
    /// It is refused: it copies from or to a client, and a task has none.
    Refused,
}

/// The error of a refused query.
pub const COPY_REFUSED: &str =
    "COPY FROM STDIN and COPY TO STDOUT need a client that a task does not have; copy from or to a file or program";

/// How a query has to be sent.
///
/// ```
/// use pgasync_core::{QueryClass, classify};
/// assert_eq!(classify("/* hi */ select 1"), QueryClass::Wrapped);
/// assert_eq!(classify("vacuum; select 1"), QueryClass::Raw);
/// assert_eq!(classify("set x.y = 1; select 1"), QueryClass::WrappedEach);
/// assert_eq!(classify("copy t from stdin"), QueryClass::Refused);
/// assert_eq!(classify("-- nothing"), QueryClass::Raw);
/// ```
#[must_use]
pub fn classify(text: &str) -> QueryClass {
    let found = statements(text);
    if found.iter().any(|statement| statement.kind == StatementKind::CopyWithClient) {
        return QueryClass::Refused;
    }
    match found.as_slice() {
        [] => QueryClass::Raw,
        [only] => match only.kind {
            StatementKind::Rows | StatementKind::Write { .. } => QueryClass::Wrapped,
            StatementKind::Plain | StatementKind::Alone | StatementKind::CopyWithClient => QueryClass::Raw,
        },
        several => {
            if several.iter().all(runs_inside) && several.iter().any(Statement::returns_rows) {
                QueryClass::WrappedEach
            } else {
                QueryClass::Raw
            }
        }
    }
}

/// Whether a text may leave a transaction open: one of its statements begins a transaction, or ends
/// one with `AND CHAIN`.
///
/// ```
/// use pgasync_core::opens_transaction;
/// assert!(opens_transaction("/* now */ begin; insert into t values (1)"));
/// assert!(opens_transaction("commit and chain"));
/// assert!(!opens_transaction("do $$ begin null; end $$; rollback"));
/// ```
#[must_use]
pub fn opens_transaction(text: &str) -> bool {
    statements(text).iter().any(|statement| {
        let words = words(&text[statement.span.clone()]);
        match words.first().map(String::as_str) {
            Some("begin" | "start") => true,
            Some("commit" | "end" | "rollback" | "abort") => words.iter().any(|word| word == "chain"),
            _ => false,
        }
    })
}

/// The words of one statement, in lower case.
fn words(statement: &str) -> Vec<String> {
    let words = lexer::Lexer::new(statement).filter(|token| token.kind == lexer::TokenKind::Word);
    words.map(|token| statement[token.span].to_ascii_lowercase()).collect()
}

const fn runs_inside(statement: &Statement) -> bool {
    match statement.kind {
        StatementKind::Rows | StatementKind::Write { .. } | StatementKind::Plain => true,
        StatementKind::Alone | StatementKind::CopyWithClient => false,
    }
}

impl Statement {
    /// Whether the statement returns rows.
    #[must_use]
    pub const fn returns_rows(&self) -> bool {
        match self.kind {
            StatementKind::Rows => true,
            StatementKind::Write { returning } => returning,
            StatementKind::Plain | StatementKind::Alone | StatementKind::CopyWithClient => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_opened_by_its_first_word_or_by_a_chain() {
        for text in [
            "begin",
            "  BEGIN; select 1",
            "select 1; start transaction",
            "commit and chain",
            "end and chain",
            "rollback and chain",
            "abort AND CHAIN",
        ] {
            assert!(opens_transaction(text), "{text}");
        }
        for text in ["", "select 1", "commit", "rollback; end", "select 'begin'", "do $$ begin null; end $$"] {
            assert!(!opens_transaction(text), "{text}");
        }
    }

    #[track_caller]
    fn all(class: QueryClass, texts: &[&str]) {
        for text in texts {
            assert_eq!(classify(text), class, "{text}");
        }
    }

    #[test]
    fn the_query_after_the_list_of_a_with_decides_whether_it_returns_rows() {
        for (text, returns_rows) in [
            ("with a as (select 1) select * from a", true),
            ("with a as (insert into t values (1)) select 1", true),
            ("with insert as (select 1) select * from insert", true),
            ("with recursive delete as (select 1) table delete", true),
            ("with a as (select 1), update as (select 2) values (1)", true),
            ("with a as (select 1) insert into t select * from a", false),
            ("with a as (select 1) insert into t select * from a returning n", true),
            ("with recursive a as (select 1) delete from t", false),
        ] {
            let found: Vec<bool> = statements(text).iter().map(Statement::returns_rows).collect();
            assert_eq!(found, [returns_rows], "{text}");
        }
    }

    #[test]
    fn what_returns_rows_is_wrapped() {
        all(
            QueryClass::Wrapped,
            &[
                "select 1",
                "  \n-- c\n/* a /* b */ */ SeLeCt 1;",
                "values (1)",
                "table t;",
                "show all",
                "explain delete from t",
                "(select 1) union (select 2)",
                "insert into t values (1)",
                "update t set a = 1 returning a",
                "delete from t",
                "merge into t using s on true when matched then delete",
                "with a as (select 1) select * from a",
                "with recursive into_ as (select 1), b (x) as (values (1)) insert into t select * from b",
                "with insert as (select 1) select * from insert",
                "with a as (select 1) (select * from a)",
                "select (select 1 as into_), 'into', \"into\" from t",
                "select 1;;; -- done",
                "select 1 as into",
                "select t.into, t . into from t",
                "(select 1 as into)",
                "(with a as (insert into t values (1) returning n) select n from a)",
                "with a as (select 1) (select 2 as into)",
                "select E'a'\n'\\'; select 2 --'",
                "select 2 */* ; */ 3",
                "select 2 +-- ;\n 3",
                "select $😀$ ; $😀$",
                "update t set n = s.returning from s",
            ],
        );
    }

    #[test]
    fn what_is_not_known_to_be_safe_is_raw() {
        all(
            QueryClass::Raw,
            &[
                "",
                " ; -- \n",
                "/* open select 1",
                "call p()",
                "/* c */ call p()",
                "do $$ begin commit; end $$",
                "vacuum (analyze) t",
                "create index concurrently i on t (a)",
                "create table t ()",
                "select 1 into t",
                "with a as (select 1) select * into t from a",
                "begin; select 1; commit",
                "select 1; vacuum",
                "select 1; call p()",
                "select 1; drop index concurrently i",
                "insert into t values (1); insert into t values (2)",
                "copy t from '/tmp/x'",
                "selectx 1",
                "\"select\" 1",
                "prepare p as select 1; execute p",
                "select 1; alter system set x = 1",
                "select 1; reindex table concurrently t",
                "select 1into t",
                "select 1.into t",
                "(select 1 into t)",
                "((select 1 into t)) union select 2",
                "with a as (select 1) (select * into t from a)",
                "set transaction read only; select 1",
                "set local transaction read only; select 1",
                "set session transaction isolation level serializable; select 1",
            ],
        );
    }

    #[test]
    fn several_statements_are_wrapped_when_all_may_run_inside() {
        all(
            QueryClass::WrappedEach,
            &[
                "set a.b = 1; select 1",
                "create table t (); select 1; drop table t",
                "insert into t values (1); delete from t returning *",
                "copy t from '/tmp/x'; select 1",
                "create rule r as on insert to t do also (notify a; notify b); select 1",
                "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 1",
                "create database_like (a int); select 1",
                "create function begin() returns int language sql as 'select 1'; select 2",
                "create or replace procedure p() begin atomic select 1 as end; select x.case, 2; end; select 1",
                "truncate t; select 1",
                "create table tablespace_ (); select 1",
                "select E'a'\n'\\'; select 2 --'\n; select 3",
                "set session characteristics as transaction read only; select 1",
            ],
        );
        all(
            QueryClass::Raw,
            &[
                "create database d; select 1",
                "create tablespace s location '/'; select 1",
                "drop tablespace s; select 1",
            ],
        );
    }

    #[test]
    fn a_body_keeps_its_semicolons_and_nothing_else_does() {
        for (text, kinds) in [
            // Outside of the body of a routine these words are names.
            ("select begin atomic from t; select 2", 2),
            ("create table begin (atomic int); select 2", 2),
            ("create function f(begin atomic) returns int language sql as 'select 1'; select 2", 2),
            ("create function f() returns int return case when true then 1 end; select 2", 2),
            ("create function f() returns int begin atomic select 1; select 2; end; select 3", 2),
            (
                "create function f() returns int begin atomic select case 1 when 1 then 2 end; select 3; end; select 4",
                2,
            ),
            // Postgres refuses the first statement, and says so about the first one alone.
            ("create function f() returns int return case; select 2", 2),
            ("create procedure p() end; begin atomic; select 3", 3),
        ] {
            assert_eq!(statements(text).len(), kinds, "{text}");
        }
    }

    #[test]
    fn copying_from_or_to_a_client_is_refused() {
        all(
            QueryClass::Refused,
            &[
                "copy t from stdin",
                "COPY t (a, b) FROM STDIN WITH (format csv)",
                "copy (select 1) to stdout",
                "select 1; copy t to /* c */ STDOUT",
                "copy t from stdout",
            ],
        );
        all(QueryClass::Raw, &["copy stdin from '/tmp/x'", "copy t from 'stdin'", "do $$copy t from stdin$$"]);
    }

    #[test]
    fn a_transaction_that_stays_open_is_seen() {
        for text in [
            "begin",
            "/* now */ BEGIN; insert into t values (1)",
            "select 1; start transaction",
            "commit and chain",
            "end work and chain",
            "rollback and CHAIN",
            "abort and chain",
        ] {
            assert!(opens_transaction(text), "{text}");
        }
        for text in
            ["", "select 'begin'", "do $$ begin null; end $$; rollback", "commit", "select 1 as chain", "-- begin"]
        {
            assert!(!opens_transaction(text), "{text}");
        }
    }
}
