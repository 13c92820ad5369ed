//! A session with a target, in a task of its own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use pgasync_core::{Input, Outcome, Run, SessionId, TaskId};
use pgasync_pg::{Canceler, ConnectionSettings, Notice, Reached, Session};
use pgasync_store::ServerIdentity;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};

use crate::copies::Copies;
use crate::events::{Event, Events};
use crate::identity::Identity;
use crate::report;

/// Ends queries whose client is gone. Postgres takes it from 14 on, at the start of a session only.
const CHECK_CLIENT: &str = "-c client_connection_check_interval=5s";

const CHECK_CLIENT_SINCE: i32 = 140_000;

/// After an error the end of the query is waited for so long.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Texts up to this size count as sent at once.
pub(crate) const SENT_AT_ONCE_MAX: usize = 65_536;

/// The error of a query that began a transaction and did not end it.
const LEFT_OPEN: &str = "the query left its transaction open: what it did was rolled back";

/// The SQLSTATE of `discard all` within a transaction.
const ACTIVE_SQL_TRANSACTION: &str = "25001";

const SEE_OFF_EVERY: Duration = Duration::from_millis(20);

const NOTICES_KEPT: usize = 5;

/// What is known of a target from earlier sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Checks {
    /// It was never met.
    #[default]
    Unknown,
    /// It takes the option.
    Yes,
    /// It is too old, or something in between refuses the option.
    No,
}

/// Who a session is.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) pid: i32,
    pub(crate) backend_start: String,
    pub(crate) role: String,
    pub(crate) server: ServerIdentity,
    pub(crate) reached: Reached,
    pub(crate) canceler: Canceler,
    pub(crate) checks: Checks,
}

/// A query to run.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) task: TaskId,
    pub(crate) run: Run,
    pub(crate) text: String,
    pub(crate) reset: bool,
}

/// The engine's end of a session.
#[derive(Debug)]
pub(crate) struct Line {
    orders: UnboundedSender<Work>,
    /// This engine asked the target to end the session.
    pub(crate) terminated: Arc<AtomicBool>,
}

impl Line {
    /// Begins to connect.
    pub(crate) fn open(
        session: SessionId,
        settings: ConnectionSettings,
        checks: Checks,
        copies: Option<Copies>,
        answer_max: Duration,
        door: Arc<Semaphore>,
        events: Events,
    ) -> Self {
        let (orders, work) = unbounded_channel();
        let terminated = Arc::new(AtomicBool::new(false));
        let line = Operator {
            session,
            terminated: Arc::clone(&terminated),
            events,
            notices: Arc::default(),
            copies,
            answer_max,
        };
        let dead = (Event::Core(Input::SessionLost { session }), line.events.clone());
        tokio::spawn(async move {
            let (lost, events) = dead;
            if AssertUnwindSafe(line.work(settings, checks, door, work)).catch_unwind().await.is_err() {
                let _ = events.send(lost);
            }
        });
        Self { orders, terminated }
    }

    /// Sends a query.
    pub(crate) fn send(&self, work: Work) {
        // A session that is gone has said so.
        let _ = self.orders.send(work);
    }
}

struct Operator {
    session: SessionId,
    terminated: Arc<AtomicBool>,
    events: Events,
    notices: Arc<Mutex<VecDeque<String>>>,
    /// The target has not been met.
    copies: Option<Copies>,
    /// A target that has accepted a connection and is silent for this time cannot be reached.
    answer_max: Duration,
}

/// How a query went.
enum Went {
    Ended(Outcome),
    /// It ended, and the session must not be used again.
    Spent(Outcome),
    /// Nobody heard how it ended.
    Lost(String),
}

impl Went {
    const fn is_well(&self) -> bool {
        matches!(self, Self::Ended(Outcome::Ok) | Self::Spent(Outcome::Ok))
    }
}

impl Operator {
    async fn work(
        self,
        settings: ConnectionSettings,
        checks: Checks,
        door: Arc<Semaphore>,
        mut orders: UnboundedReceiver<Work>,
    ) {
        let meeting = async {
            let _turn = door.acquire().await.map_err(|_| "the door is closed".to_owned())?;
            self.meet(&settings, checks).await
        };
        let met = tokio::select! {
            met = meeting => met,
            // Nothing is ordered before it is met: the engine has let go of it.
            _ = orders.recv() => return,
        };
        let session = match met {
            Ok((session, opened)) => {
                self.tell(Event::Opened { session: self.session, result: Ok(Box::new(opened)) });
                session
            }
            Err(error) => return self.tell(Event::Opened { session: self.session, result: Err(error) }),
        };
        loop {
            let work = tokio::select! {
                work = orders.recv() => work,
                () = session.ended() => {
                    self.tell(Event::Core(Input::SessionLost { session: self.session }));
                    // It ran nothing. If a query has been ordered meanwhile, a second connection says that it is gone.
                    if orders.try_recv().is_err() {
                        self.tell(Event::Closed { session: self.session });
                    }
                    return;
                }
            };
            let Some(work) = work else { break };
            let (task, run) = (work.task, work.run);
            match self.run(&session, work, &mut orders).await {
                None => return session.abandon(),
                Some(Went::Ended(outcome)) => self.ended(task, run, outcome),
                Some(Went::Spent(outcome)) => {
                    self.ended(task, run, outcome);
                    self.tell(Event::Core(Input::SessionLost { session: self.session }));
                    break;
                }
                Some(Went::Lost(why)) => {
                    self.tell(Event::Trouble(format!("a session was lost while task {task} ran: {why}")));
                    return self.tell(Event::Core(Input::SessionLost { session: self.session }));
                }
            }
        }
        let _ = tokio::time::timeout(LAST_WORDS, session.close()).await;
        self.tell(Event::Closed { session: self.session });
    }

    fn ended(&self, task: TaskId, run: Run, outcome: Outcome) {
        self.tell(Event::Core(Input::QueryEnded { session: self.session, task, run, outcome }));
    }

    fn tell(&self, event: Event) {
        // Without an engine nobody wants to know.
        let _ = self.events.send(event);
    }

    /// Runs a query to its end; `None` when the engine lets go of the session meanwhile.
    async fn run(&self, session: &Session, work: Work, orders: &mut UnboundedReceiver<Work>) -> Option<Went> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let task = work.task;
        let running = self.query(session, work);
        let went = tokio::select! {
            went = running => went,
            // Nothing is ordered while a query runs: this is the end of the orders, and the connection is dropped.
            _ = orders.recv() => return None,
        };
        for notice in self.notices.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if went.is_well() {
                tracing::debug!(task = task.0, %notice, "the query said");
            } else {
                tracing::info!(task = task.0, %notice, "the query said before it failed");
            }
        }
        Some(went)
    }

    async fn query(&self, session: &Session, work: Work) -> Went {
        let Work { task, run, text, reset } = work;
        let leaving = self.see_off(session, task, run, text.len());
        let may_stay_open = pgasync_core::opens_transaction(&text);
        // Both go out at once: the reset costs no round trip of its own.
        let reset = async { if reset { session.batch_execute("discard all").await } else { Ok(()) } };
        let drained = Notify::new();
        let drain = async { session.discard_results(text, LAST_WORDS).await.inspect(|()| drained.notify_one()) };
        // A reset that has no answer keeps no result from being recorded.
        let waited = async {
            drained.notified().await;
            tokio::time::sleep(self.answer_max).await;
        };
        let reset = async {
            tokio::select! {
                done = reset => Some(done),
                () = waited => None,
            }
        };
        let answered = async { tokio::join!(drain, reset) };
        let (result, reset) = tokio::select! {
            answered = answered => answered,
            never = leaving => match never {},
        };
        match result {
            Ok(()) => after_reset(reset, may_stay_open),
            Err(error) => match error.server() {
                Some(said) if report::ends_session(&said) && !self.terminated.load(Ordering::Relaxed) => {
                    Went::Lost(report::query_error(&said))
                }
                Some(said) => Went::Ended(Outcome::Error(report::query_error(&said))),
                None => Went::Lost(report::connection_error(&error)),
            },
        }
    }

    /// Says when a large text has left this process, and its memory is free: a target may take its time.
    async fn see_off(&self, session: &Session, task: TaskId, run: Run, bytes: usize) -> Infallible {
        if bytes > SENT_AT_ONCE_MAX {
            let all = session.bytes_written().saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            while session.bytes_written() < all {
                tokio::time::sleep(SEE_OFF_EVERY).await;
            }
            self.tell(Event::Core(Input::Sent { task, run }));
        }
        std::future::pending().await
    }

    async fn meet(&self, settings: &ConnectionSettings, checks: Checks) -> Result<(Session, Opened), String> {
        let (session, opened) = self.connect(settings, checks).await?;
        if let Some(copies) = &self.copies {
            answered(self.answer_max, copies.refuse_unknown_sessions(&session)).await?;
        }
        Ok((session, opened))
    }

    async fn connect(&self, settings: &ConnectionSettings, checks: Checks) -> Result<(Session, Opened), String> {
        let checking = settings.with_option(CHECK_CLIENT);
        if checks == Checks::Yes
            && let Ok(opened) = self.open(&checking, Checks::Yes).await
        {
            return Ok((opened.0, opened.1));
        }
        let (session, mut opened, version) = self.open(settings, Checks::No).await?;
        if checks != Checks::No && version >= CHECK_CLIENT_SINCE {
            // A proxy in between may refuse it: then it goes without.
            if let Ok((better, opened, _)) = self.open(&checking, Checks::Yes).await {
                session.close().await;
                return Ok((better, opened));
            }
        }
        opened.checks = Checks::No;
        Ok((session, opened))
    }

    async fn open(&self, settings: &ConnectionSettings, checks: Checks) -> Result<(Session, Opened, i32), String> {
        let notices = Arc::clone(&self.notices);
        let keep = move |notice: Notice| {
            let mut kept = notices.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == NOTICES_KEPT {
                kept.pop_front();
            }
            kept.push_back(format!("{notice:?}"));
        };
        let session = settings.connect_with(keep).await.map_err(|error| error.to_string())?;
        let Identity { pid, version, backend_start, role, server } =
            answered(self.answer_max, Identity::of(&session)).await?;
        let (reached, canceler) = (session.reached().clone(), session.canceler().clone());
        let opened = Opened { pid, backend_start, role, server, reached, canceler, checks };
        Ok((session, opened, version))
    }
}

/// How a query went that ended well, by the answer to the reset behind it. The reset is refused in an open transaction,
/// which ends with the session; where it has no answer, only a text that may have left one open is in doubt.
fn after_reset(reset: Option<Result<(), pgasync_pg::Error>>, may_stay_open: bool) -> Went {
    let error = match reset {
        Some(Ok(())) => return Went::Ended(Outcome::Ok),
        Some(Err(error)) => error,
        None if may_stay_open => return Went::Lost("the reset after the query has no answer".to_owned()),
        None => return Went::Spent(Outcome::Ok),
    };
    match error.server() {
        Some(said) if said.sqlstate == ACTIVE_SQL_TRANSACTION => Went::Spent(Outcome::Error(LEFT_OPEN.to_owned())),
        Some(said) if !report::ends_session(&said) => Went::Spent(Outcome::Ok),
        _ if may_stay_open => Went::Lost(report::connection_error(&error)),
        _ => Went::Spent(Outcome::Ok),
    }
}

/// What a target says before it has work. Connecting has a limit of its own.
async fn answered<T>(limit: Duration, asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let none = || Err(format!("it took the connection, and has said nothing for {} seconds", limit.as_secs_f64()));
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| none())
}
