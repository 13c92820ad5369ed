//! Receipts at targets: what resolves those of lost runs, and which are old.

use pgasync_core::{Outcome, ResultText, Run, TaskId};
use pgasync_pg::Session;

use super::upkeep_session::{UpkeepError, UpkeepSession};
use super::{LeaderError, ServerIdentity};

/// The receipt of a run that is not recorded.
#[derive(Clone, Debug)]
pub struct OpenReceipt {
    /// The number of its session in the registry.
    pub session: i64,
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: Run,
    /// The statement for the target that resolves it (`async.void_query`).
    pub query: String,
    /// Whether the server that answers certainly has it (`async.has_its_receipts`).
    pub is_there: bool,
    /// What is recorded if an operator has written the session off.
    pub written_off: Option<String>,
    voided: String,
    result: Option<String>,
}

impl OpenReceipt {
    /// The outcome of the run by the answer of the target, or what is wrong with the answer.
    ///
    /// # Errors
    /// When the statement ran in another database.
    pub fn outcome(&self, answer: &str) -> Result<Outcome, String> {
        match answer {
            "true" => Ok(Outcome::Error(self.voided.clone())),
            "false" => Ok(self.result.as_deref().map_or(Outcome::Ok, |note| Outcome::OkWith(ResultText::new(note)))),
            other => Err(format!("the receipt of task {} is in another database: {other}", self.task)),
        }
    }
}

/// The receipts of runs on these sessions that are not recorded. `found` is the server that answers at the
/// address of the sessions, if one does.
///
/// # Errors
/// When the query fails.
pub async fn open_receipts(
    session: &Session,
    numbers: &[i64],
    found: &ServerIdentity,
) -> Result<Vec<OpenReceipt>, LeaderError> {
    let sql = "select o.session_id, o.task_id, o.run, o.query, o.voided, o.result, o.written_off,
          async.has_its_receipts(s, $2::text::timestamptz, $3)
        from async.open_receipts($1) o
        join async.session s on s.session_id = o.session_id";
    let rows = session.query(sql, &[&numbers, &found.started, &found.system_identifier]).await;
    let rows = rows.map_err(|error| LeaderError::of("reading the receipts", &error))?;
    let receipt = |row: &pgasync_pg::Row| OpenReceipt {
        session: row.get(0),
        task: TaskId(row.get(1)),
        run: Run(row.get(2)),
        query: row.get(3),
        voided: row.get(4),
        result: row.get(5),
        written_off: row.get(6),
        is_there: row.get(7),
    };
    Ok(rows.iter().map(receipt).collect())
}

/// The statement that prepares a session at a target for [`OpenReceipt::query`] and [`OldReceipts::query`].
///
/// # Errors
/// When the query fails.
pub async fn void_settings(session: &Session) -> Result<String, LeaderError> {
    let row = session.query_one("select async.void_settings()", &[]).await;
    Ok(row.map_err(|error| LeaderError::of("reading the receipts", &error))?.get(0))
}

/// Receipts that can be deleted at their target.
#[derive(Clone, Debug)]
pub struct OldReceipts {
    /// The target.
    pub target: String,
    /// Its connection string; `None` if the target was deleted.
    pub connection_string: Option<String>,
    /// The target is the server itself.
    pub is_self: bool,
    /// The statement that deletes them there.
    pub query: String,
    /// The statement to run there before.
    pub settings: String,
    tasks: Vec<i64>,
    runs: Vec<i32>,
}

impl UpkeepSession {
    /// Old receipts at one target, if there are any.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn old_receipts(&self) -> Result<Option<OldReceipts>, UpkeepError> {
        let sql = "select o.target, o.connection_string, o.is_self, o.query, async.void_settings(), o.task_ids, o.runs
            from async.old_receipts(clock_timestamp()) o";
        let row = self.0.query_opt(sql, &[]).await?;
        Ok(row.map(|row| OldReceipts {
            target: row.get(0),
            connection_string: row.get(1),
            is_self: row.get(2),
            query: row.get(3),
            settings: row.get(4),
            tasks: row.get(5),
            runs: row.get(6),
        }))
    }

    /// Notes that the receipts were deleted at their target.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn forget_receipts(&self, old: &OldReceipts) -> Result<(), UpkeepError> {
        self.0.query("select from async.forget_receipts($1, $2)", &[&old.tasks, &old.runs]).await?;
        Ok(())
    }

    /// Notes that they could not be deleted: the next attempt comes later.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn postpone_receipts(&self) -> Result<(), UpkeepError> {
        self.0.query("select from async.postpone_receipts()", &[]).await?;
        Ok(())
    }
}
