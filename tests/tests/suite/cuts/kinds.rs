//! The kinds of messages that are cut, found by their texts.

use pgasync_tests::Sent;

/// The kinds of texts that name no function of the schema, or several. The first text that matches
/// decides.
const TEXTS: [(&str, &str); 20] = [
    ("statement_timeout = 0; set lock_timeout", "prepare_upkeep"),
    ("vacuum (", "vacuum"),
    ("statement_timeout = 0", "prepare_session"),
    ("to_regprocedure('async.schema_fingerprint", "introduction"),
    ("select enabled from async.control", "is_enabled"),
    ("async.grace_ends()", "grace"),
    ("pg_terminate_backend(a.pid) from pg_stat_activity", "end_lost_backend"),
    ("pg_terminate_backend(a.pid) from pg_stat_get_activity", "end_backend"),
    ("pg_stat_get_activity($1)", "is_active"),
    ("'pgasync.mutex'", "remember_mutex"),
    ("async.election", "read_elections"),
    ("delete from async.session", "forget"),
    ("delete from async.request", "dismiss"),
    ("async.latch_number()", "poll"),
    ("async.set_asleep", "wake_up"),
    ("left join unnest", "registered_sessions"),
    ("where not exists (select from async.offer", "left_offers"),
    ("set search_path = pg_catalog, pg_temp", "pin_search_path"),
    ("set lock_timeout = ", "limit_lock_waits"),
    ("public.dblink_disconnect(c)", "close_own_connections"),
];

/// The kinds of texts on target sessions.
const AT_TARGETS: [(&str, &str); 6] = [
    ("pg_cancel_backend", "cancel"),
    ("pg_terminate_backend", "terminate"),
    ("s.backend_start at time zone", "identity"),
    ("application_name", "unknown_sessions"),
    ("discard all", "discard_all"),
    ("current_setting('server_version_num')", "server_version"),
];

/// The kinds of all messages that an engine sends. A message of another kind fails the suite: add
/// its name here, and its text above if it names no function of the schema.
pub(crate) const KNOWN: &str = "
    startup prepare cancel_request other task prepare_session introduction is_enabled grace end_lost_backend
    end_backend is_active pin_search_path limit_lock_waits remember_mutex forget dismiss poll fall_asleep writers_are_open wake_up
    registered_sessions left_offers cancel terminate identity unknown_sessions discard_all server_version
    begin wait_for_commit commit rollback check_main take_locks describe_leader leader_pid raise_epoch resume_epoch hold_epoch schema_fingerprint
    lead_stock lead_rows lead_rotate_marks write_all lead_mark lead_heads lead_arrivals lead_sweep lead_register discover_lanes take_changed_tasks run_routines serve_latch lead_publish lead_metrics unregister_sessions
    prepare_upkeep upkeep vacuum log_quiet lead_goodbye read_requests read_offers read_sessions read_configuration server_time
    arrival_lanes fire_schedules read_elections type_names close_own_connections
    ";

/// The name of the kind of a message; `unnamed: ` and its text if the kind has no name.
pub(crate) fn kind(sent: &Sent) -> String {
    match sent {
        Sent::Startup => "startup".to_owned(),
        Sent::CancelRequest => "cancel_request".to_owned(),
        Sent::Prepare(_) => "prepare".to_owned(),
        Sent::Other => "other".to_owned(),
        Sent::Run(text) => of_text(text),
    }
}

/// Whether the kind has a name.
pub(super) fn is_known(kind: &str) -> bool {
    let name = kind.split_whitespace().next().unwrap_or_default();
    KNOWN.split_whitespace().any(|known| known == name)
}

fn of_text(text: &str) -> String {
    if let Some((_, rest)) = text.split_once("/* cut:") {
        return format!("task {}", rest.split_whitespace().next().unwrap_or_default());
    }
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((_, name)) = TEXTS.iter().chain(&AT_TARGETS).find(|(part, _)| words.contains(part)) {
        return (*name).to_owned();
    }
    if let "begin" | "commit" | "rollback" = words.as_str() {
        return words;
    }
    if let Some(function) = function(&words).filter(|function| is_known(function)) {
        return function.to_owned();
    }
    let reads = [
        ("async.request", "read_requests"),
        ("async.offer", "read_offers"),
        ("async.session", "read_sessions"),
        ("async.control", "read_configuration"),
        ("async.target", "read_configuration"),
        ("async.concurrency_pool", "read_configuration"),
        ("clock_timestamp()", "server_time"),
        ("pg_catalog.pg_type", "type_names"),
        ("pg_catalog.pg_attribute", "type_names"),
        ("pg_catalog.pg_enum", "type_names"),
    ];
    match reads.iter().find(|(part, _)| words.contains(part)) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("unnamed: {}", words.chars().take(100).collect::<String>()),
    }
}

/// The first function of the schema that a text calls.
fn function(words: &str) -> Option<&str> {
    let names = words.split("async.").skip(1);
    names
        .filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
            rest[end..].starts_with('(').then_some(&rest[..end])
        })
        .next()
}
