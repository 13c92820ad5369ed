//! What an orchestrator looks like from outside: the conformance suite is written against this.

use std::future::Future;

use pgasync_pg::Notice;

use crate::database::Database;

/// How an engine's run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By itself, or because it was asked to.
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

    /// Whether it is a process of its own, which goes on when its session or the server goes, and comes back.
    const OUTLIVES_ITS_SESSION: bool;

    /// Prepares an engine for a database; nothing runs yet.
    fn attach(database: &Database) -> Self;

    /// Starts it; whether it comes to lead is another matter.
    fn start(&mut self) -> impl Future<Output = ()> + Send;

    /// Starts it so that it takes the lead from the orchestrator that has it.
    fn start_forced(&mut self) -> impl Future<Output = ()> + Send;

    /// Asks it to end, and waits until it has.
    fn stop(&mut self) -> impl Future<Output = Outcome> + Send;

    /// Ends it without a word: kill -9. The SQL engine lives in a backend, so the whole cluster restarts: only on a
    /// [`crate::PrivateCluster`].
    fn crash(&mut self) -> impl Future<Output = ()> + Send;

    /// Freezes its process: SIGSTOP.
    fn freeze(&self);

    /// Lets a frozen one go on.
    fn thaw(&self);

    /// Has an administrator end the session that leads (`pg_terminate_backend`).
    fn terminate(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether this engine leads its database now.
    fn is_leading(&self) -> impl Future<Output = bool> + Send;

    /// Waits until it leads, and panics when it ends instead.
    fn wait_until_leading(&mut self) -> impl Future<Output = ()> + Send;

    /// Waits until it has ended by itself.
    fn wait_until_ended(&mut self) -> impl Future<Output = Outcome> + Send;

    /// What it said to whoever started it, so far.
    fn notices(&self) -> Vec<Notice>;

    /// Starts it and waits until it leads.
    fn lead(&mut self) -> impl Future<Output = ()> + Send {
        async {
            self.start().await;
            self.wait_until_leading().await;
        }
    }
}
