//! Attacks by clients, by targets and by other roles, on both engines.

/// Makes the tests of a file out of their names.
macro_rules! attacks {
    ($($name:ident),+ $(,)?) => {
        crate::conformance::run_on!(pgasync_tests::SqlEngine => sql: $($name),+);
        crate::conformance::run_on!(pgasync_tests::RustEngine => rust: $($name),+);
    };
}

mod bad_input;
mod callers;
mod client_databases;
mod elections;
mod grants;
mod hostile_targets;
mod left_behind;
mod limits;
mod memory;
mod notify_lock;
mod raw_texts;
mod results;
mod role;
mod search_paths;
mod secret_references;
mod secrets;
mod session_settings;
mod targets_at_self;
mod upgrade;
mod wake_up;
