//! Server and targets on hosts of their own, which are paused, cut off, killed and brought back.
//!
//! Each task commits a line in its target's ledger when it begins, and another when it ends. In the
//! end the ledgers and the task table must agree.

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

mod fixture;
mod orchestrators;
mod servers;
mod targets;
