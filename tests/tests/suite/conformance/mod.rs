//! What every engine promises to whoever uses the schema `async`: one suite, run on each of them.
//!
//! A file is a topic, a test a promise. Each test is generic over the engine; [`conformance!`] at the end of a file
//! names them, and makes one test of each for each engine.

/// Makes the tests of a file out of their names.
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        crate::conformance::run_on!(pgasync_tests::SqlEngine => sql: $($name),+);
        crate::conformance::run_on!(pgasync_tests::RustEngine => rust: $($name),+);
    };
}

/// Makes the tests of one engine.
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

mod bed;
mod cancel_and_timeout;
mod clients;
mod configure;
mod defer_and_pause;
mod ends;
mod errors;
mod faults;
mod latch;
mod leadership;
pub(crate) mod link;
mod maintenance;
mod order_and_pools;
mod permissions;
mod pull;
mod push;
mod queries;
mod restart;
mod routines_and_triggers;
mod scripts_of_the_original;
mod sessions_are_clean;
mod sessions_at_targets;
mod strangers;
mod targets_down;
mod watching;
mod yield_and_finish;
