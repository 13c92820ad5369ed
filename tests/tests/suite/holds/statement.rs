//! The writes of the leader, each with a task that waits for it.

use std::time::Duration;

use pgasync_tests::Engine;
use tokio::time::sleep;

use super::fixture::HoldsFixture;

/// A statement that writes rows of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// The claim of a waiting task.
    Claim,
    /// The end of a query without an intention.
    PlainEnd,
    /// The end of a query that was cancelled.
    IntendedEnd,
    /// A request on a waiting task.
    Request,
    /// The deadline of a yielded task.
    DeadlineOfYielded,
    /// The deadline of a task that a client pulled.
    DeadlineOfPulled,
    /// The deadline of a task that was deferred.
    DeadlineOfWaiting,
    /// The deadline of a task whose target cannot be reached.
    Unreachable,
    /// The return of a task that a lost leader claimed and did not launch.
    GiveBack,
    /// The offer of a task to clients.
    Offer,
    /// The withdrawal of an offer whose slot a query needs.
    Withdraw,
    /// The return of a deferred task to the queue.
    Promote,
    /// The release of the slot of a task that was finished while its target could not be reached.
    Release,
    /// `get_tasks`, which runs in a client's session.
    Take,
}

/// A task that a statement is about to write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Victim {
    pub(super) id: i64,
    /// Another task, whose claim, offer or pull comes after that of the victim, and is not delayed
    /// by it.
    pub(super) companion: Option<i64>,
}

impl Statement {
    /// The limit on the time from [`Statement::provoke`] to the statement.
    pub(super) fn reaction(self) -> Duration {
        match self {
            // The leader first has to detect that the target does not answer, or answers again.
            Self::Unreachable | Self::Release => Duration::from_secs(4),
            // An offer lasts at least a second, and after its withdrawal the lane gets no slot for
            // two seconds.
            Self::Withdraw => Duration::from_secs(4),
            _ => Duration::from_millis(300),
        }
    }

    /// Prepares a task, so that [`Statement::provoke`] causes the statement.
    #[allow(clippy::too_many_lines, reason = "one arm a statement")]
    pub(super) async fn prepare<E: Engine>(self, fixture: &mut HoldsFixture<E>) -> Victim {
        let database = &fixture.database;
        let mut companion = None;
        let id = match self {
            Self::Claim | Self::Request => {
                fixture.push_behind_gate("'narrow'").await;
                let id = fixture.push("'select 1', 'narrow'").await;
                if self == Self::Claim {
                    companion = Some(fixture.push("'select 1', 'narrow'").await);
                }
                id
            }
            Self::PlainEnd | Self::IntendedEnd => fixture.push_behind_gate("'there'").await,
            Self::DeadlineOfYielded => {
                let id = fixture.push("'select 1', 'calls_back', manual_timeout => '2 s'").await;
                database.wait_for(&format!("select yielded is not null from async.task where task_id = {id}")).await;
                id
            }
            Self::DeadlineOfPulled => {
                let id = fixture.push("null, 'pulled', manual_timeout => '2 s'").await;
                pull(fixture, "pulled").await;
                id
            }
            Self::DeadlineOfWaiting => {
                let id = fixture.push_behind_gate("'there', manual_timeout => '3 s'").await;
                defer(fixture, id, "1 hour").await;
                id
            }
            Self::Promote => {
                let id = fixture.push_behind_gate("'there'").await;
                defer(fixture, id, "2 s").await;
                id
            }
            Self::Unreachable | Self::Release => {
                let id = fixture.push("'select pg_sleep(60)', 'linked', manual_timeout => '2 s'").await;
                fixture.wait_until_it_runs(id, "pg_sleep(60)").await;
                fixture.link.close().await;
                if self == Self::Release {
                    let ended = "select processed is not null and tracked from async.task where task_id =";
                    database.wait_for(&format!("{ended} {id}")).await;
                }
                id
            }
            Self::GiveBack => {
                fixture.engine.terminate().await;
                let id = fixture.push("'select 1', 'narrow'").await;
                let claim = "update async.task set consumed = clock_timestamp(), run = 1, tracked = true,
                    times_up = clock_timestamp() + interval '1 hour' where task_id =";
                database.run(&format!("{claim} {id}")).await;
                id
            }
            Self::Offer => {
                fixture.push("null, 'pulled_alone'").await;
                pull(fixture, "pulled_alone").await;
                fixture.push("null, 'pulled_alone'").await
            }
            Self::Withdraw => {
                let id = fixture.push("null, 'pulled', concurrency_pool => 'mixed'").await;
                wait_until_offered(fixture, id).await;
                id
            }
            Self::Take => {
                let id = fixture.push("null, 'pulled'").await;
                let other = fixture.push("null, 'pulled'").await;
                wait_until_offered(fixture, id).await;
                wait_until_offered(fixture, other).await;
                companion = Some(other);
                id
            }
        };
        Victim { id, companion }
    }

    /// Causes the statement to run soon.
    pub(super) async fn provoke<E: Engine>(self, fixture: &mut HoldsFixture<E>, victim: Victim) {
        let id = victim.id;
        match self {
            Self::Claim | Self::PlainEnd => fixture.open_gate().await,
            Self::IntendedEnd | Self::Request => {
                fixture.database.run(&format!("select async.cancel(array[{id}])")).await;
            }
            Self::DeadlineOfYielded | Self::DeadlineOfPulled | Self::DeadlineOfWaiting | Self::Unreachable => {
                fixture.wait_until_overdue(id).await;
            }
            Self::GiveBack => {
                fixture.database.wait_for("select async.leader_pid() is null").await;
                fixture.engine.start().await;
                let leads =
                    "select async.leader_pid() is not null and async.leader_pid() = (select pid from async.control)";
                fixture.comes_true(leads, Duration::from_secs(10)).await;
                fixture.note_lead().await;
                let count = "select count(*) from async.task where processed is not null";
                let count = fixture.database.number(count).await + 20;
                let goes_on = format!("select count(*) > {count} from async.task where processed is not null");
                fixture.comes_true(&goes_on, Duration::from_secs(10)).await;
            }
            Self::Offer => {
                fixture
                    .database
                    .run(
                        "select async.finish(array_agg(task_id), 'FINISHED', null) from async.task
                         where target = 'pulled_alone' and consumed is not null",
                    )
                    .await;
            }
            Self::Withdraw => {
                fixture.push("'select 1', 'there', concurrency_pool => 'mixed'").await;
            }
            Self::Promote => {
                let over = "select eligible_when is null or eligible_when <= clock_timestamp() from async.task";
                fixture.database.wait_for(&format!("{over} where task_id = {id}")).await;
            }
            Self::Release => fixture.link.open(),
            Self::Take => pull_often(fixture).await,
        }
    }

    /// A query for one boolean: whether the statement has run.
    pub(super) fn is_done(self, victim: Victim) -> String {
        let done = match self {
            Self::Claim | Self::Take => "t.consumed is not null",
            Self::PlainEnd => "t.finish_status = 'FINISHED'",
            Self::GiveBack => "t.finish_status = 'FINISHED' and t.run = 2",
            Self::IntendedEnd | Self::Request => "t.finish_status = 'CANCELED'",
            Self::DeadlineOfYielded | Self::DeadlineOfPulled | Self::DeadlineOfWaiting | Self::Unreachable => {
                "t.finish_status = 'TIMED_OUT'"
            }
            Self::Offer => "t.tracked and exists (select from async.offer o where o.task_id = t.task_id)",
            // The query ran in the slot of the offer, and then the task was offered again.
            Self::Withdraw => {
                "t.tracked and exists (select from async.offer o where o.task_id = t.task_id)
                 and exists (select from async.task q
                   where q.concurrency_pool = 'mixed' and q.query is not null and q.processed is not null)"
            }
            Self::Promote => "t.eligible_when is null",
            Self::Release => "t.tracked is not true",
        };
        format!("select coalesce({done}, false) from async.task t where t.task_id = {}", victim.id)
    }
}

/// Defers a task that runs behind the gate, and waits until it is READY.
async fn defer<E: Engine>(fixture: &HoldsFixture<E>, id: i64, time: &str) {
    fixture.database.run(&format!("select async.defer(array[{id}], '{time}')")).await;
    fixture.open_gate().await;
    let deferred = "select eligible_when is not null and consumed is null from async.task where task_id =";
    fixture.database.wait_for(&format!("{deferred} {id}")).await;
}

async fn wait_until_offered<E: Engine>(fixture: &HoldsFixture<E>, id: i64) {
    fixture.database.wait_for(&format!("select exists (select from async.offer where task_id = {id})")).await;
}

async fn pull<E: Engine>(fixture: &HoldsFixture<E>, target: &str) {
    let sql = format!("select count(*) = 1 from async.get_tasks('{target}', 1, '5 s')");
    fixture.database.wait_for(&sql).await;
}

/// Starts a client that pulls until the database is dropped. Its calls may fail while a trigger
/// raises.
async fn pull_often<E: Engine>(fixture: &HoldsFixture<E>) {
    let client = fixture.database.connect().await;
    tokio::spawn(async move {
        while !client.is_closed() {
            let _ = client.batch_execute("select from async.get_tasks('pulled', 2, '0')").await;
            sleep(Duration::from_millis(100)).await;
        }
    });
}
