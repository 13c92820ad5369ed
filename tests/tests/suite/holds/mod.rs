//! Rows that cannot be written, and a table that is locked: the other tasks go on, the lead is
//! kept, and the row is recorded soon after it is free.
//!
//! [`statement`] lists the writes of the leader and [`disturbance`] what is done to a row that is
//! about to be written. A case is a pair of both, on a [`fixture`] of its own with tasks that run
//! all the time: their rate with the disturbance is compared with their rate before it. The length
//! of the tasks and the size of their pool set the rate, and no absolute time is asserted but the
//! backoff that the documentation names.

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

mod disturbance;
mod fixture;
mod judge;
mod rows;
mod statement;
mod tables;
