//! The rules for search paths, over every object file. A function or an operator whose arguments
//! match better, in a schema in which another role may create objects, must never be found where one
//! of `pg_catalog` is meant, nor a temporary table of a client where one of ours is.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::{CLIENT, SERVER, UI};
use crate::search_path_lint::{looked_up, relations, without_texts};

/// The clause of a function, and what a procedure does at the start of each transaction instead,
/// since a procedure with such a clause cannot commit.
const CLAUSE: &str = "\nset search_path = pg_catalog, pg_temp\n";
const STATEMENT: &str = "perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);";

/// They have no clause so that the planner can inline them where users call them or where a leader
/// calls them for each row, and look nothing up.
const INLINED: [&str; 12] = [
    "is_pushed_by",
    "name_bytes_max",
    "pools_max",
    "push_elements_max",
    "query_bytes_max",
    "task",
    "task_data_bytes_max",
    "task_execution_state",
    "waits_for_launch",
    "waits_for_offer",
    "unique_key_bytes_max",
    "unique_key_wait_max",
];

/// They have no clause, since a clause costs a hot function several times what its call costs, or
/// keeps the planner from inlining it. They have the path of their callers.
const INHERITING: [&str; 45] = [
    "apply_requests",
    "backoff",
    "claim_tasks",
    "classify_query",
    "comment_length",
    "counting_is_due",
    "due_stages",
    "enforce_deadlines",
    "find_idle_sessions",
    "free_workers",
    "helpers_are_due",
    "intention_replaces",
    "is_due",
    "latch_number",
    "leader_write",
    "mark_launches",
    "note_blocked_time",
    "note_done",
    "note_tasks",
    "note_value",
    "poll",
    "poll_snapshot",
    "promote_deferred",
    "reap_sessions",
    "record_results",
    "refuse_query",
    "release_pools",
    "request_message",
    "resolve_orphans",
    "run_stage",
    "run_stages",
    "send_query",
    "send_short_queries",
    "serve_latch",
    "settle_lost_sessions",
    "statement_is_wrappable",
    "statement_returns_rows",
    "step_task",
    "take_plain_results",
    "token_length",
    "wait_for_commit",
    "wrap_query",
    "write_claims",
    "write_offers",
    "yield_offers",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Procedure,
}

/// A routine as a file defines it.
#[derive(Debug)]
struct Routine {
    kind: Kind,
    name: &'static str,
    head: &'static str,
    body: &'static str,
}

impl Routine {
    fn is_pinned(&self) -> bool {
        self.head.contains(CLAUSE)
    }

    fn calls(&self) -> BTreeSet<String> {
        let texts = without_texts(self.body);
        let called = |rest: &str| {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            rest[name.len()..].starts_with('(').then_some(name)
        };
        texts.split("async.").skip(1).filter_map(called).collect()
    }
}

fn files() -> Vec<(&'static str, &'static str)> {
    [&CLIENT, &SERVER, &UI].iter().flat_map(|part| part.objects.iter().copied()).collect()
}

fn routines() -> Vec<Routine> {
    let mut found = Vec::new();
    for (path, text) in files() {
        for (kind, word, quote) in
            [(Kind::Function, "function", "$function$"), (Kind::Procedure, "procedure", "$procedure$")]
        {
            for rest in text.split(&format!("create or replace {word} async.")).skip(1) {
                let mut parts = rest.splitn(3, quote);
                let (Some(head), Some(body)) = (parts.next(), parts.next()) else { panic!("{path} has no body") };
                let name = head.split('(').next().unwrap_or_default();
                found.push(Routine { kind, name, head, body });
            }
        }
    }
    assert!(found.len() > 220, "{}", found.len());
    found
}

fn named<'a>(routines: &'a [Routine], name: &str) -> impl Iterator<Item = &'a Routine> {
    routines.iter().filter(move |routine| routine.name == name)
}

fn text_of(file: &str) -> &'static str {
    files().iter().find(|(path, _)| *path == file).unwrap_or_else(|| panic!("{file} is listed")).1
}

/// The names in an array constant of a function.
fn constant(text: &'static str, name: &str) -> BTreeSet<&'static str> {
    let list = text.split(&format!("{name} constant name[] := '{{")).nth(1).and_then(|rest| rest.split('}').next());
    list.unwrap_or_else(|| panic!("{name} is an array")).split(',').map(str::trim).collect()
}

/// The functions whose path is `control.trigger_search_path`.
fn of_triggers() -> BTreeSet<&'static str> {
    constant(text_of("install/bind_trigger_path"), "c_functions")
}

#[test]
fn every_function_sets_its_path_or_is_listed_here() {
    for routine in routines().iter().filter(|routine| routine.kind == Kind::Function) {
        let listed = INLINED.contains(&routine.name) || INHERITING.contains(&routine.name);
        assert_ne!(routine.is_pinned(), listed, "{}: without the clause it belongs on a list", routine.name);
        let paths = routine.head.matches("set search_path").count();
        assert_eq!(paths, usize::from(routine.is_pinned()), "{} has another path", routine.name);
    }
}

#[test]
fn what_is_inlined_or_fires_triggers_looks_nothing_up() {
    let routines = routines();
    for name in of_triggers().into_iter().chain(INLINED) {
        let mut bodies = 0;
        for routine in named(&routines, name) {
            assert_eq!(looked_up(routine.body), Vec::<String>::new(), "in {name}");
            bodies += 1;
        }
        assert_eq!(bodies, 1, "{name}");
    }
}

/// Users' triggers and routines run in no other function than those that carry their path.
#[test]
fn only_functions_with_the_path_of_triggers_fire_them() {
    let fires = ["insert into async.task ", "update async.task ", "delete from async.task ", "execute in_"];
    let mut firing = BTreeSet::new();
    for routine in &routines() {
        if fires.iter().any(|text| routine.body.contains(text)) {
            firing.insert(routine.name);
        }
    }
    // These two write only where users have no triggers.
    for name in ["write_at_once", "write_events_at_once"] {
        assert!(firing.remove(name), "{name}");
    }
    assert_eq!(firing, of_triggers());
}

#[test]
fn functions_without_a_path_are_called_from_functions_and_procedures_that_have_it() {
    let routines = routines();
    let triggers = of_triggers();
    let granted = text_of("permissions/change_privileges");
    let granted: BTreeSet<_> =
        constant(granted, "c_client_calls").union(&constant(granted, "c_admin_calls")).copied().collect();
    for name in INHERITING {
        assert!(!granted.contains(name), "{name} is granted to clients or administrators");
        let callers = routines.iter().filter(|caller| caller.calls().contains(name));
        for caller in callers {
            let name_of_caller = caller.name;
            let has_path = caller.kind == Kind::Procedure || caller.is_pinned() || INHERITING.contains(&name_of_caller);
            assert!(has_path && !triggers.contains(name_of_caller), "{name_of_caller} calls {name}");
        }
    }
    for (path, text) in files().iter().filter(|(path, _)| path.contains("views/") || path.starts_with("v_")) {
        for name in INHERITING {
            assert!(!text.contains(&format!("async.{name}(")), "{path} calls {name}");
        }
    }
}

#[test]
fn a_procedure_sets_its_path_at_the_start_of_each_transaction() {
    let mut procedures = 0;
    for routine in routines().iter().filter(|routine| routine.kind == Kind::Procedure) {
        procedures += 1;
        let (declared, body) = routine.body.split_once("\nbegin\n").expect("it has a body");
        assert_eq!(looked_up(declared), Vec::<String>::new(), "in {}", routine.name);
        let lines: Vec<&str> = body.lines().map(str::trim).filter(|line| !line.starts_with("--")).collect();
        let first = lines.iter().find(|line| **line != "loop");
        assert_eq!(first, Some(&STATEMENT), "{} begins otherwise", routine.name);
        for (at, line) in lines.iter().enumerate() {
            if *line == "commit;" || line.starts_with("call async.") {
                let next = lines[at + 1];
                let fine = next == STATEMENT || next == "end" || looked_up(next).is_empty();
                assert!(fine, "{}: after {line} follows {next}", routine.name);
            }
        }
    }
    assert_eq!(procedures, 6);
}

/// `pg_temp` is the last on the path, so that a bare name is looked for there where `pg_catalog` has
/// none.
#[test]
fn every_table_is_qualified() {
    for routine in &routines() {
        let bare: Vec<String> = relations(routine.body).into_iter().filter(|name| !name.starts_with("pg_")).collect();
        assert_eq!(bare, Vec::<String>::new(), "in {}", routine.name);
    }
}

/// Other roles may create functions in the schema of dblink. Postgres prefers those whose argument
/// types are exactly those of the call, which no other function there can have.
#[test]
fn dblink_is_qualified_and_called_with_exact_types() {
    let mut calls = 0;
    for routine in &routines() {
        for (at, _) in routine.body.match_indices("dblink") {
            let rest = &routine.body[at..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let Some(arguments) = rest[name.len()..].strip_prefix('(') else { continue };
            // One moves the extension, and the other has the text of a query for a target.
            if ["bind_dblink", "close_connections_query"].contains(&routine.name) {
                continue;
            }
            calls += 1;
            assert!(routine.body[..at].ends_with("public."), "{name} in {} is not qualified", routine.name);
            let texts = without_texts(arguments);
            let call = texts.lines().next().unwrap_or_default();
            let own = call.split(')').next().unwrap_or_default();
            assert_eq!(
                own.matches("''").count(),
                own.matches("''::text").count(),
                "{name} in {} has a literal without a type: {call}",
                routine.name
            );
        }
    }
    assert!(calls > 40, "{calls}");
}

/// Triggers on a temporary table of a client run as the role that writes it, and the calls of
/// clients run as the owner.
#[test]
fn the_calls_of_clients_reach_no_temporary_table() {
    // They ask whether the table is there, or whose it is.
    const GUARDED: [&str; 4] = ["changed_task_rows", "note_changed_tasks", "release_pools", "write_at_once"];
    let routines = routines();
    let calls: BTreeMap<&str, BTreeSet<String>> = {
        let mut calls: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for routine in &routines {
            calls.entry(routine.name).or_default().extend(routine.calls());
        }
        calls
    };
    let granted = text_of("permissions/change_privileges");
    let mut open: Vec<&str> = constant(granted, "c_client_calls").into_iter().collect();
    open.extend(constant(granted, "c_admin_calls"));
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        // It calls the other only in the leader's own session.
        for called in calls.get(name).into_iter().flatten().filter(|called| *called != "refresh_configuration") {
            open.extend(routines.iter().map(|routine| routine.name).find(|known| known == called));
        }
    }
    assert!(seen.contains("release_pools") && seen.len() > 60, "{seen:?}");
    let mut writing: Vec<&str> = Vec::new();
    for routine in routines.iter().filter(|routine| seen.contains(routine.name)) {
        if routine.body.contains("pg_temp.") && routine.name != "reinitialize_workers" {
            writing.push(routine.name);
        }
    }
    writing.sort_unstable();
    assert_eq!(writing, GUARDED);
}

#[test]
fn each_part_sets_the_path_of_its_installation_first_and_gives_it_back() {
    let begin = include_str!("../installation/begin.sql");
    let end = include_str!("../installation/end.sql");
    let statements = without_texts(begin.split("$begin$").nth(1).expect("a block"));
    assert_eq!(looked_up(&statements), Vec::<String>::new());
    for part in [crate::client(), crate::server(), crate::ui()] {
        let first = part.split_once('\n').expect("a title").1;
        assert!(first.starts_with(begin), "{}", &first[..200]);
        assert!(part.ends_with(end));
    }
}
