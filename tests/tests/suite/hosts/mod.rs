//! Server and targets on their own hosts, which are paused, disconnected, killed and restarted.
//!
//! Each task commits a line in the ledger of its target when it starts, and another when it ends.
//! At the end of a test, the ledgers and the task table must agree.

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
