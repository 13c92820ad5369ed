//! `pgasync run --traces`, in a program that was built with the feature `traces`.

use pgasync_pg::ConnectionSettings;
use pgasync_runner::EndedTasks;

use crate::failure::Failure;

/// The exporter of spans, if there is one.
#[derive(Default)]
pub(crate) struct Traces {
    #[cfg(feature = "traces")]
    tracer: Option<pgasync_traces::Tracer>,
    ended: Option<EndedTasks>,
}

impl Traces {
    #[cfg(feature = "traces")]
    pub(crate) fn start(wanted: bool, server: &ConnectionSettings) -> Result<Self, Failure> {
        if !wanted {
            return Ok(Self::default());
        }
        let started = pgasync_traces::Tracer::start(server.clone(), env!("CARGO_PKG_VERSION"));
        let (tracer, ended) = started.map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self { tracer: Some(tracer), ended: Some(ended) })
    }

    #[cfg(not(feature = "traces"))]
    pub(crate) fn start(wanted: bool, _: &ConnectionSettings) -> Result<Self, Failure> {
        if wanted {
            let how = "build one with cargo install --path crates/cli --features traces";
            return Err(Failure::usage("--traces: this program was built without the feature traces").hint(how));
        }
        Ok(Self::default())
    }

    /// Where the orchestrator leaves the tasks that ended. It is given away once, because the exporter ends
    /// with it.
    pub(crate) fn ended(&mut self) -> Option<EndedTasks> {
        self.ended.take()
    }

    /// The orchestrator has ended: waits a few seconds for the last spans.
    pub(crate) fn finish(self) {
        #[cfg(feature = "traces")]
        if let Some(tracer) = self.tracer {
            tracer.finish();
        }
    }
}
