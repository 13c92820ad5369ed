//! The interface of an orchestrator that the conformance suite uses.

use std::future::Future;

use pgasync_pg::Notice;

use crate::database::Database;

/// How the run of an engine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The run ended without an error, by itself or on request.
    Returned,
    /// The run ended with this error.
    Failed(String),
}

/// One orchestrator process (or session) that may lead a server database.
///
/// Several engines may be attached to one database, so that they compete for the lead.
pub trait Engine: Send + Sized {
    /// Its name in messages.
    const NAME: &'static str;

    /// Whether the engine is a separate process, which survives the loss of its leader session and
    /// of the server.
    const OUTLIVES_ITS_SESSION: bool;

    /// Prepares an engine for a database, and does not start it.
    fn attach(database: &Database) -> Self;

    /// Starts the engine. It leads only if it wins the election.
    fn start(&mut self) -> impl Future<Output = ()> + Send;

    /// Starts the engine so that it takes the lead from the present leader.
    fn start_forced(&mut self) -> impl Future<Output = ()> + Send;

    /// Requests the shutdown of the engine, and waits for its end.
    fn stop(&mut self) -> impl Future<Output = Outcome> + Send;

    /// Kills the engine (SIGKILL). The SQL engine is a backend, so the whole cluster restarts. A
    /// test may do this only on a [`crate::PrivateCluster`].
    fn crash(&mut self) -> impl Future<Output = ()> + Send;

    /// Freezes the process of the engine (SIGSTOP).
    fn freeze(&self);

    /// Continues a frozen process (SIGCONT).
    fn thaw(&self);

    /// Terminates the leader session (`pg_terminate_backend`).
    fn terminate(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether this engine leads its database now.
    fn is_leading(&self) -> impl Future<Output = bool> + Send;

    /// Waits until the engine leads. Panics when it ends instead.
    fn wait_until_leading(&mut self) -> impl Future<Output = ()> + Send;

    /// Waits until the engine has ended by itself.
    fn wait_until_ended(&mut self) -> impl Future<Output = Outcome> + Send;

    /// The messages of the engine to its caller so far.
    fn notices(&self) -> Vec<Notice>;

    /// Starts the engine, and waits until it leads.
    fn lead(&mut self) -> impl Future<Output = ()> + Send {
        async {
            self.start().await;
            self.wait_until_leading().await;
        }
    }
}
