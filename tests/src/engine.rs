//! The interface of an orchestrator that the conformance suite uses.

use std::future::Future;

use pgasync_pg::Notice;

use crate::database::Database;

/// How an engine's run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By itself, or on request.
    Returned,
    /// With this error.
    Failed(String),
}

/// One orchestrator process (or session) that may lead a server database.
///
/// Several may be attached to one database, to see them compete.
pub trait Engine: Send + Sized {
    /// Its name in messages.
    const NAME: &'static str;

    /// Whether it is a process of its own, which survives the loss of its session and of the
    /// server.
    const OUTLIVES_ITS_SESSION: bool;

    /// Prepares an engine for a database; nothing runs yet.
    fn attach(database: &Database) -> Self;

    /// Starts it. It may or may not come to lead.
    fn start(&mut self) -> impl Future<Output = ()> + Send;

    /// Starts it so that it takes the lead from the present leader.
    fn start_forced(&mut self) -> impl Future<Output = ()> + Send;

    /// Requests its shutdown and waits for its end.
    fn stop(&mut self) -> impl Future<Output = Outcome> + Send;

    /// Kills it (SIGKILL). The SQL engine is a backend, so its whole cluster restarts: only on a
    /// [`crate::PrivateCluster`].
    fn crash(&mut self) -> impl Future<Output = ()> + Send;

    /// Freezes its process: SIGSTOP.
    fn freeze(&self);

    /// Continues a frozen process: SIGCONT.
    fn thaw(&self);

    /// Terminates the leader session (`pg_terminate_backend`).
    fn terminate(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether this engine leads its database now.
    fn is_leading(&self) -> impl Future<Output = bool> + Send;

    /// Waits until it leads. Panics when it ends instead.
    fn wait_until_leading(&mut self) -> impl Future<Output = ()> + Send;

    /// Waits until it has ended by itself.
    fn wait_until_ended(&mut self) -> impl Future<Output = Outcome> + Send;

    /// Its messages to its caller so far.
    fn notices(&self) -> Vec<Notice>;

    /// Starts it and waits until it leads.
    fn lead(&mut self) -> impl Future<Output = ()> + Send {
        async {
            self.start().await;
            self.wait_until_leading().await;
        }
    }
}
