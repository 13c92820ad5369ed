//! Rows that cannot be written, and a table that is locked. The other tasks continue, the leader
//! keeps the lead, and the row is written soon after it is free.
//!
//! [`statement`] lists the writes of the leader, and [`disturbance`] the disturbances of a row that
//! is about to be written. A case is a pair of both, on its own [`fixture`] with steady tasks. The
//! test compares their rate during the disturbance with their rate before it. The length of the
//! tasks and the size of their pool set the rate. No absolute time is asserted except the backoff
//! in the documentation.

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
