//! The thread that reads ended tasks and exports their spans.

use std::io;
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use pgasync_core::TaskId;
use pgasync_pg::ConnectionSettings;
use pgasync_runner::{EndedTasks, EndedTasksReceiver};
use pgasync_store::{ReviewError, TracedTask, TracedTaskReader};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::exporter::{TracesError, exporter};
use crate::span::spans;

/// Lists of ended tasks that wait for the thread. Further ones are dropped.
const LISTS_MAX: usize = 4_096;

/// Ended tasks are gathered for this time before their rows are read.
const GATHER: Duration = Duration::from_millis(200);

/// Rows that one statement reads.
const ROWS_MAX: usize = 1_000;

/// Spans of one request to the collector.
const SPANS_MAX: usize = 512;

/// A read that takes longer has lost its session.
const READ_MAX: Duration = Duration::from_secs(30);

/// Before a second attempt to read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Between two lines of the log about spans that were lost.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

/// At the end of the process, the last spans have this time to go.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// The thread that exports spans. It ends when the last [`EndedTasks`] is dropped.
#[derive(Debug)]
pub struct Tracer {
    finished: std_mpsc::Receiver<()>,
}

impl Tracer {
    /// Starts the thread; `ended` of the options of the orchestrator gets the other value.
    ///
    /// # Errors
    /// When the environment names no usable collector.
    pub fn start(server: ConnectionSettings, version: &'static str) -> Result<(Self, EndedTasks), TracesError> {
        let (ended, receiver) = EndedTasks::new(LISTS_MAX);
        let (started, starting) = std_mpsc::channel();
        let (done, finished) = std_mpsc::channel();
        thread::Builder::new().name("pgasync traces".to_owned()).spawn(move || {
            let _done = done;
            // In this thread, since a runtime may not be dropped inside of another one.
            let (runtime, exporter) = match prepare(version) {
                Ok(prepared) => prepared,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(())));
            let scope = InstrumentationScope::builder("pgasync").with_version(version).build();
            let export = Export { server, reader: None, exporter, scope, lost: 0, warned: None };
            runtime.block_on(export.run(receiver));
            runtime.shutdown_background();
        })?;
        starting.recv().map_err(io::Error::other)??;
        Ok((Self { finished }, ended))
    }

    /// Waits until the last spans are exported, a few seconds at most.
    pub fn finish(self) {
        let _ended_or_too_late = self.finished.recv_timeout(FINISH_MAX);
    }
}

fn prepare(version: &'static str) -> Result<(Runtime, SpanExporter), TracesError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let exporter = {
        let _inside = runtime.enter();
        exporter(version)?
    };
    Ok((runtime, exporter))
}

struct Export {
    server: ConnectionSettings,
    reader: Option<TracedTaskReader>,
    exporter: SpanExporter,
    scope: InstrumentationScope,
    /// Spans, or tasks that could not be read, since the last line of the log about them.
    lost: usize,
    warned: Option<Instant>,
}

impl Export {
    async fn run(mut self, mut ended: EndedTasksReceiver) {
        let mut lists = Vec::new();
        while ended.recv_many(&mut lists, LISTS_MAX).await > 0 {
            if !ended.is_closed() {
                sleep(GATHER).await;
            }
            while let Ok(more) = ended.try_recv() {
                lists.push(more);
            }
            let tasks: Vec<TaskId> = lists.drain(..).flatten().collect();
            for tasks in tasks.chunks(ROWS_MAX) {
                let traced = self.read(tasks).await;
                let all: Vec<SpanData> = traced.iter().flat_map(|task| spans(task, &self.scope)).collect();
                for batch in all.chunks(SPANS_MAX) {
                    if let Err(error) = self.exporter.export(batch.to_vec()).await {
                        self.lose(batch.len(), &error.to_string());
                    }
                }
            }
        }
    }

    /// The rows of tasks. A session that is lost is opened anew once.
    async fn read(&mut self, tasks: &[TaskId]) -> Vec<TracedTask> {
        let mut error = String::new();
        for again in [false, true] {
            if again {
                sleep(READ_AGAIN_AFTER).await;
            }
            match timeout(READ_MAX, self.try_to_read(tasks)).await {
                Ok(Ok(traced)) => return traced,
                Ok(Err(failed)) => error = failed.to_string(),
                Err(_) => "no answer of the server".clone_into(&mut error),
            }
            self.reader = None;
        }
        self.lose(tasks.len(), &error);
        Vec::new()
    }

    async fn try_to_read(&mut self, tasks: &[TaskId]) -> Result<Vec<TracedTask>, ReviewError> {
        let reader = match &self.reader {
            Some(connected) => connected,
            None => self.reader.insert(TracedTaskReader::connect(&self.server).await?),
        };
        reader.read(tasks).await
    }

    fn lose(&mut self, count: usize, reason: &str) {
        self.lost += count;
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_INTERVAL) {
            tracing::warn!(lost = self.lost, reason, "traces are not exported");
            (self.lost, self.warned) = (0, Some(Instant::now()));
        }
    }
}
