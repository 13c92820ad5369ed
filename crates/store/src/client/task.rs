//! A task to push.

use pgasync_core::{PoolName, Priority, Span, TargetName};
use serde_json::Value;

/// A task to push, as `async.task(...)` builds it in SQL.
///
/// ```
/// use pgasync_core::{PoolName, Priority, Span, TargetName};
/// use pgasync_store::NewTask;
///
/// let task = NewTask::query("call archive(2019)", TargetName::new("shop")?)
///     .pool(PoolName::new("archiving")?)
///     .priority(Priority(5))
///     .timeout(Span::seconds(3_600))
///     .data(serde_json::json!({"year": 2019}));
/// # drop(task);
/// # Ok::<(), pgasync_core::BadName>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a task has no effect until it is pushed"]
pub struct NewTask {
    pub(super) query: Option<String>,
    pub(super) target: TargetName,
    pub(super) data: Option<Value>,
    pub(super) priority: Priority,
    pub(super) pool: Option<PoolName>,
    pub(super) timeout: Option<Span>,
    pub(super) track_yielded: Option<bool>,
}

impl NewTask {
    /// A query to run at a target. `##flow.TASK_ID##` in it becomes the task's id.
    pub fn query(query: impl Into<String>, target: TargetName) -> Self {
        Self { query: Some(query.into()), ..Self::pulled(target) }
    }

    /// A task without a query, which a client takes with [`super::Client::take`] and finishes.
    pub const fn pulled(target: TargetName) -> Self {
        Self { query: None, target, data: None, priority: Priority(0), pool: None, timeout: None, track_yielded: None }
    }

    /// Data for the application, which pgasync does not read.
    pub fn data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// Lower values run first. The default is 0.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The pool whose slots the task needs. The default is the pool of the target.
    pub fn pool(mut self, pool: PoolName) -> Self {
        self.pool = Some(pool);
        self
    }

    /// The limit on the time from the first start of the task to its end. The default is the
    /// target's setting.
    pub const fn timeout(mut self, timeout: Span) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Whether the task keeps its pool slot while it is YIELDED. The default is the target's
    /// setting.
    pub const fn track_yielded(mut self, track: bool) -> Self {
        self.track_yielded = Some(track);
        self
    }
}
