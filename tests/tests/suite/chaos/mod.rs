//! Tests that kill servers, each on its own clusters.
//!
//! A test sets up a [`fixture`], and kills processes while a [`client`] pushes tasks and an
//! [`observer`] samples the targets. Then a [`judge`] lists the broken promises. [`sabotage`]
//! proves that the judge finds them.

/// Makes one test of each name for each engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        on_both_engines!(sql: pgasync_tests::SqlEngine; $($name)+);
        on_both_engines!(rust: pgasync_tests::RustEngine; $($name)+);
    };
    ($module:ident: $engine:ty; $($name:ident)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name::<$engine>().await;
                }
            )+
        }
    };
}

mod at_random;
mod between_stages;
mod client;
mod cluster;
mod failpoint;
mod fixture;
mod frozen;
mod judge;
mod long_run;
mod losses;
mod observer;
mod receipts;
mod rows;
mod sabotage;
mod succession;
mod tally;
mod workload;

use crate::seed;
