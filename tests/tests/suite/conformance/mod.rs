//! The promises of every engine to users of the schema `async`: one suite, run on each engine.
//!
//! Each file has one topic, and each test one promise. The tests are generic over the engine.
//! [`conformance!`] at the end of a file lists them, and creates a test of each for each engine.

/// Creates the tests of a file from their names.
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        crate::conformance::run_on!(pgasync_tests::SqlEngine => sql: $($name),+);
        crate::conformance::run_on!(pgasync_tests::RustEngine => rust: $($name),+);
    };
}

/// Creates the tests of one engine.
macro_rules! run_on {
    ($engine:ty => $module:ident: $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name::<$engine>().await;
                }
            )+
        }
    };
}

pub(crate) use run_on;

mod answers;
mod cancel_and_timeout;
mod clients;
mod configuration_parts;
mod configure;
mod dead_hosts;
mod defer_and_pause;
mod ended_by;
mod ends;
mod errors;
mod faults;
pub(crate) mod fixture;
mod flows;
mod lanes;
mod latch;
mod leadership;
mod limits_on_starts;
pub(crate) mod link;
mod maintenance;
mod max_sessions;
mod order_and_pools;
mod own_tasks;
mod paused;
mod permissions;
mod pull;
mod push;
mod push_options;
mod queries;
mod receipts;
mod restart;
mod results;
mod retries;
mod routines;
mod run;
mod schedule_calls;
mod schedules;
mod scripts_of_the_original;
mod sessions_are_clean;
mod sessions_at_targets;
mod successors;
mod targets_down;
mod triggers;
mod unique_keys;
mod unregistered_sessions;
mod upgrades;
mod waiting;
mod watching;
mod yield_and_finish;
