//! Reading the requests of clients.

use std::collections::BTreeMap;

use pgasync_core::{Input, Request, RequestId, RowState, StoredRequest, TaskId};
use pgasync_pg::{Error, Row};

use super::rows::{StoredTask, role, span, status};
use super::{LeaderError, LeaderSession, OperationResults};

/// Rows of requests read at once, with up to 64 KiB of message each.
const REQUESTS_MAX: i64 = 250;

impl LeaderSession {
    pub(super) async fn first_requests(&self) -> Result<Vec<Row>, Error> {
        self.session.query(&self.statements.requests, &[&0_i64, &REQUESTS_MAX]).await
    }

    /// Turns these rows into inputs, and reads on until the last request.
    pub(super) async fn read_requests(
        &mut self,
        serial: u64,
        mut rows: Vec<Row>,
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        loop {
            let last = i64::try_from(rows.len()).is_ok_and(|read| read < REQUESTS_MAX);
            let requests = self.stored_requests(&rows, results).await?;
            results.inputs.push(Input::Requests { serial, asked: requests, last });
            let Some(after) = rows.last().map(|row| row.get::<_, i64>("request_id")).filter(|_| !last) else {
                return Ok(());
            };
            rows = self.query("reading requests", &self.statements.requests, &[&after, &REQUESTS_MAX]).await?;
        }
    }

    async fn stored_requests(
        &mut self,
        rows: &[Row],
        results: &mut OperationResults,
    ) -> Result<Vec<StoredRequest>, LeaderError> {
        let mut tasks: Vec<TaskId> = rows.iter().map(|row| TaskId(row.get("task_id"))).collect();
        tasks.sort_unstable();
        tasks.dedup();
        let stored: BTreeMap<TaskId, StoredTask> =
            self.rows(&tasks).await?.into_iter().map(|stored| (stored.id(), stored)).collect();
        // A client may take an offer and finish the task before a poll finds that the offer was
        // taken. The input about the take has to precede the request.
        for stored in stored.values().filter(|stored| stored.options.client_pulled) {
            if stored.row.state() == RowState::Running {
                results.inputs.push(Input::Taken { task: stored.id(), row: stored.row.clone() });
            }
        }
        let mut requests = Vec::new();
        let mut orphaned = Vec::new();
        for row in rows {
            let id: i64 = row.get("request_id");
            let about = stored.get(&TaskId(row.get("task_id"))).and_then(|stored| stored.snapshot(false));
            match (about, status(row.get("status"))) {
                (Some(about), Some(status)) => {
                    let request = Request {
                        status,
                        error: row.get("error_message"),
                        duration: span(row, "duration"),
                        requested_by: role(row, "requested_by"),
                    };
                    requests.push(StoredRequest { id: RequestId(id), request, about });
                }
                _ => orphaned.push(id),
            }
        }
        if !orphaned.is_empty() {
            self.write_alone("deleting requests for deleted tasks", &self.statements.dismiss, &[&orphaned]).await?;
        }
        Ok(requests)
    }
}
