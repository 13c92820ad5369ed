//! A loop that takes tasks, works on them, and reports their outcomes.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pgasync_core::{FinishStatus, RowState, Span, TargetName, TaskId, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Client, ReadError, RequestError, TakeError, TakenTask};

const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(1);
const PATIENCE_DEFAULT: Span = Span::seconds(1);

/// The pause before a call is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What the work on a task came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkOutcome {
    /// The task is FINISHED.
    Finished,
    /// The task is FAILED, with this error.
    Failed(String),
    /// The task returns to the queue, for this time at least.
    Deferred(Span),
}

/// A loop that takes the tasks of a target that were pushed without a query, works on them, and reports
/// their outcomes. Any number of workers may serve one target.
///
/// The work on a task is a future. It is dropped when the deadline of the task passes, and within a
/// heartbeat after the task was canceled, finished or deferred by another client. Then nothing is
/// reported. Work that blocks its thread belongs into `tokio::task::spawn_blocking`, where it is not
/// interrupted.
///
/// A call that fails for a reason that may pass, for example a lost server, is tried again each second:
/// the report of an outcome until the deadline of its task.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pgasync_core::TargetName;
/// use pgasync_pg::ConnectionSettings;
/// use pgasync_store::{Client, WorkOutcome, Worker};
///
/// let client = Client::new(ConnectionSettings::from_env(Some("host=localhost dbname=jobs"))?);
/// let worker = Worker::new(client, TargetName::new("mail")?).tasks_max(4).on_error(|error| eprintln!("{error}"));
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// worker
///     .run(
///         |task| async move {
///             println!("task {} with {:?}", task.task.0, task.data);
///             WorkOutcome::Finished
///         },
///         stop,
///     )
///     .await?;
/// # Ok(()) }
/// ```
pub struct Worker {
    client: Client,
    target: TargetName,
    tasks_max: usize,
    heartbeat: Duration,
    patience: Span,
    on_error: Box<dyn Fn(WorkerError) + Send + Sync>,
}

/// A call of a [`Worker`] that failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No task could be taken. The call is tried again.
    #[error("{0}")]
    Take(TakeError),
    /// It could not be read whether a task is still wanted. The work on it goes on.
    #[error("task {}: {reason}", task.0)]
    Watch {
        /// The task.
        task: TaskId,
        /// The error.
        reason: ReadError,
    },
    /// An outcome could not be reported. The call is tried again if the reason may pass; otherwise the
    /// task ends at its deadline.
    #[error("task {}: {reason}", task.0)]
    Report {
        /// The task.
        task: TaskId,
        /// The error.
        reason: RequestError,
    },
}

impl Worker {
    /// A worker for a target. It works on one task at a time, and drops errors that pass.
    ///
    /// The client needs a session for the call that takes tasks, and a second one for the others.
    #[must_use]
    pub fn new(client: Client, target: TargetName) -> Self {
        Self {
            client,
            target,
            tasks_max: 1,
            heartbeat: HEARTBEAT_DEFAULT,
            patience: PATIENCE_DEFAULT,
            on_error: Box::new(drop),
        }
    }

    /// How many tasks it works on at the same time, one at least.
    #[must_use]
    pub fn tasks_max(mut self, tasks: usize) -> Self {
        self.tasks_max = tasks.max(1);
        self
    }

    /// How often it asks whether a task is still wanted. The default is a second.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat.max(Duration::from_millis(1));
        self
    }

    /// How long a call waits for a task, at most a minute. A stop waits for the present call. The default
    /// is a second.
    #[must_use]
    pub fn patience(mut self, patience: Span) -> Self {
        self.patience = patience;
        self
    }

    /// What is told of calls that fail.
    #[must_use]
    pub fn on_error(mut self, on_error: impl Fn(WorkerError) + Send + Sync + 'static) -> Self {
        self.on_error = Box::new(on_error);
        self
    }

    /// Works until `stop` is ready, and then until the tasks that were taken have ended.
    ///
    /// If this future is dropped, the tasks that were taken end at their deadlines.
    ///
    /// # Errors
    /// When tasks cannot be taken, for a reason that does not pass: see [`Client::take`].
    pub async fn run<H, W>(&self, handle: H, stop: impl Future<Output = ()>) -> Result<(), TakeError>
    where
        H: Fn(TakenTask) -> W,
        W: Future<Output = WorkOutcome>,
    {
        let mut stop = pin!(stop);
        let mut working = FuturesUnordered::new();
        // The reason to take no more tasks.
        let mut ending = None;
        loop {
            let free = self.tasks_max - working.len();
            if ending.is_some() || free == 0 {
                if working.is_empty() {
                    return ending.unwrap_or(Ok(()));
                }
                tokio::select! {
                    _ = working.next() => {}
                    () = &mut stop, if ending.is_none() => ending = Some(Ok(())),
                }
                continue;
            }
            // A call that is dropped may have got tasks, which would wait for their deadlines.
            let mut taking =
                pin!(self.client.take(&self.target, u32::try_from(free).unwrap_or(u32::MAX), self.patience));
            let taken = loop {
                tokio::select! {
                    taken = &mut taking => break taken,
                    Some(()) = working.next() => {}
                    () = &mut stop, if ending.is_none() => ending = Some(Ok(())),
                }
            };
            match taken {
                Ok(tasks) => working.extend(tasks.into_iter().map(|task| self.work(&handle, task))),
                Err(error) if error.may_be_tried_again() => {
                    (self.on_error)(WorkerError::Take(error));
                    let mut pause = pin!(sleep(RETRY_DELAY));
                    while ending.is_none() {
                        tokio::select! {
                            () = &mut pause => break,
                            Some(()) = working.next() => {}
                            () = &mut stop => ending = Some(Ok(())),
                        }
                    }
                }
                Err(error) => ending = Some(Err(error)),
            }
        }
    }

    /// Works on one task and reports its outcome, unless the task is over before.
    async fn work<W: Future<Output = WorkOutcome>>(&self, handle: &impl Fn(TakenTask) -> W, taken: TakenTask) {
        let task = taken.task;
        let deadline = taken.time_left.map(|left| Instant::now() + duration(left));
        let outcome = tokio::select! {
            outcome = handle(taken) => outcome,
            () = self.is_over(task) => return,
            () = passes(deadline) => return,
        };
        tokio::select! {
            () = self.report(task, &outcome) => {}
            // Then the task may belong to another worker.
            () = passes(deadline) => {}
        }
    }

    /// Returns when the run of the task that goes on now is over.
    async fn is_over(&self, task: TaskId) {
        let mut started: Option<Timestamp> = None;
        loop {
            match self.client.task(task).await {
                Ok(Some(now)) if now.phase == RowState::Running => {
                    // Another run has another start.
                    if started.is_some() && started != now.started {
                        return;
                    }
                    started = now.started;
                }
                Ok(_) => return,
                Err(reason) => (self.on_error)(WorkerError::Watch { task, reason }),
            }
            sleep(self.heartbeat).await;
        }
    }

    async fn report(&self, task: TaskId, outcome: &WorkOutcome) {
        let failed = FinishStatus::Failed;
        loop {
            let reported = match outcome {
                WorkOutcome::Finished => self.client.finish(&[task], FinishStatus::Finished, None).await,
                WorkOutcome::Failed(message) => self.client.finish(&[task], failed, Some(message)).await,
                WorkOutcome::Deferred(span) => self.client.defer(&[task], *span).await,
            };
            let Err(reason) = reported else { return };
            // A report that was lost may be repeated: it changes nothing if it had arrived.
            let again = reason.may_be_tried_again();
            (self.on_error)(WorkerError::Report { task, reason });
            if !again {
                return;
            }
            sleep(RETRY_DELAY).await;
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("target", &self.target)
            .field("tasks_max", &self.tasks_max)
            .finish_non_exhaustive()
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(0))
}

/// Returns when the deadline has passed; never without one.
async fn passes(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
