//! The SQL engine: a session that runs `CALL async.main()`.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgasync_pg::types::ToSql;
use pgasync_pg::{ConnectionSettings, Notice, Session};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::database::{Database, in_words};
use crate::engine::{Engine, Outcome};
use crate::signal::{Signal, send};
use crate::wait::PATIENCE;

/// The limit on waiting for the engine to sleep before a cancel.
const CANCELS_WITHIN: Duration = Duration::from_secs(2);

/// The limit on an answer of the server about a frozen backend. The answer is blocked if the frozen
/// backend holds a lock that every session needs.
const FROZEN_AT_MOST: Duration = Duration::from_millis(200);

/// A session that runs `CALL async.main()`.
#[derive(Debug)]
pub struct SqlEngine {
    settings: ConnectionSettings,
    notices: Arc<Mutex<Vec<Notice>>>,
    call: Option<Call>,
}

#[derive(Debug)]
struct Call {
    pid: i32,
    ended: JoinHandle<Outcome>,
}

impl SqlEngine {
    /// The process id of its backend.
    ///
    /// # Panics
    /// When it was not started.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.call.as_ref().expect("the engine was started").pid
    }

    /// Whether the call has ended, or was never started.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.call.as_ref().is_none_or(|call| call.ended.is_finished())
    }

    /// Starts a call that leads, for example `call async.main(_manual_mode => true)`.
    ///
    /// # Panics
    /// When the database cannot be reached, or the engine runs already.
    pub async fn start_with(&mut self, call: &str) {
        self.try_start_with(call).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts a call, unless the server cannot be reached.
    ///
    /// # Errors
    /// When there is no new session; the text of the error.
    ///
    /// # Panics
    /// When the engine runs already.
    pub async fn try_start_with(&mut self, call: &str) -> Result<(), String> {
        assert!(self.call.is_none(), "the engine runs already");
        let notices = Arc::clone(&self.notices);
        let keep = move |notice| notices.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
        let session = self.settings.connect_with(keep).await.map_err(|error| error.to_string())?;
        let asked = session.query_one("select pg_backend_pid()", &[]).await;
        let pid = asked.map_err(|error| in_words(&error))?.get(0);
        let call = call.to_owned();
        let ended = tokio::spawn(async move {
            let outcome = match session.batch_execute(&call).await {
                Ok(()) => Outcome::Returned,
                Err(error) => Outcome::Failed(in_words(&error)),
            };
            session.close().await;
            outcome
        });
        self.call = Some(Call { pid, ended });
        Ok(())
    }

    async fn administrator(&self) -> Session {
        self.settings.connect().await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn leads(&self, administrator: &Session) -> bool {
        let Some(call) = &self.call else { return false };
        let sql = "select coalesce((select pid from async.control) = $1, false)";
        let published = administrator.query_one(sql, &[&call.pid]).await.expect("control is readable");
        published.get(0) && !call.ended.is_finished()
    }

    async fn signal_backend(&self, function: &str) {
        let sql = format!("select {function}($1)");
        self.administrator().await.query(&sql, &[&self.pid()]).await.expect("a superuser may signal");
    }
}

impl SqlEngine {
    /// Cancels the call while it sleeps inside a block that catches the cancel. A cancel during a
    /// commit ends `main()` with an error (docs/operating.md), so tests must not depend on the
    /// moment of its arrival. After [`CANCELS_WITHIN`] the cancel is sent in any case.
    async fn cancel_while_it_waits(&self) {
        let administrator = self.administrator().await;
        let waits = "select coalesce(wait_event = 'PgSleep', false) from pg_stat_activity where pid = $1";
        let begin = Instant::now();
        let mut cancelled = false;
        while !cancelled {
            let frozen = send(Signal::Stop, self.pid());
            let asked = [&self.pid() as &(dyn ToSql + Sync)];
            let mut rows = pin!(administrator.query(waits, &asked));
            let answer = timeout(FROZEN_AT_MOST, &mut rows).await;
            let sleeps = matches!(&answer, Ok(Ok(rows)) if rows.first().is_none_or(|row| row.get(0)));
            cancelled = sleeps || !frozen || begin.elapsed() > CANCELS_WITHIN;
            if cancelled {
                send(Signal::Interrupt, self.pid());
            }
            send(Signal::Continue, self.pid());
            if answer.is_err() {
                rows.await.expect("a superuser may read pg_stat_activity");
            }
            sleep(Duration::from_millis(3)).await;
        }
    }
}

impl Engine for SqlEngine {
    const NAME: &'static str = "sql";

    const OUTLIVES_ITS_SESSION: bool = false;

    fn attach(database: &Database) -> Self {
        let settings = database.settings().with_application_name("pgasync main");
        Self { settings, notices: Arc::default(), call: None }
    }

    async fn start(&mut self) {
        self.start_with("call async.main()").await;
    }

    async fn start_forced(&mut self) {
        self.start_with("call async.main(_force => true)").await;
    }

    async fn stop(&mut self) -> Outcome {
        self.cancel_while_it_waits().await;
        self.wait_until_ended().await
    }

    fn freeze(&self) {
        assert!(send(Signal::Stop, self.pid()), "a frozen engine is there");
    }

    fn thaw(&self) {
        assert!(send(Signal::Continue, self.pid()), "a frozen engine is there");
    }

    async fn crash(&mut self) {
        send(Signal::Kill, self.pid());
        self.wait_until_ended().await;
    }

    async fn terminate(&mut self) {
        self.signal_backend("pg_terminate_backend").await;
        self.wait_until_ended().await;
    }

    async fn is_leading(&self) -> bool {
        self.call.is_some() && self.leads(&self.administrator().await).await
    }

    async fn wait_until_leading(&mut self) {
        let (begin, administrator) = (Instant::now(), self.administrator().await);
        while !self.leads(&administrator).await {
            let gone = self.call.as_ref().is_none_or(|call| call.ended.is_finished());
            if gone || begin.elapsed() > PATIENCE {
                let outcome = if gone { Some(self.wait_until_ended().await) } else { None };
                panic!("does not lead: {outcome:?}, notices {:?}", self.notices());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_ended(&mut self) -> Outcome {
        let Call { pid, ended } = self.call.take().expect("the engine was started");
        match timeout(PATIENCE, ended).await {
            Ok(outcome) => outcome.expect("the call does not panic"),
            Err(_) => panic!("main() in backend {pid} did not end within {PATIENCE:?}"),
        }
    }

    fn notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
