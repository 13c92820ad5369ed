//! Reading what clients asked for.

use std::collections::BTreeMap;

use pgasync_core::{Input, Request, RequestId, RowState, StoredRequest, TaskId};
use pgasync_pg::{Error, Row};

use super::rows::{Stored, span, status};
use super::{Answers, Lead, LeadError};

/// Rows of requests read at once.
const REQUESTS_MAX: i64 = 1_000;

impl Lead {
    /// The first requests.
    pub(super) async fn first_requests(&self) -> Result<Vec<Row>, Error> {
        self.session.query(&self.statements.requests, &[&0_i64, &REQUESTS_MAX]).await
    }

    /// Hands out these requests, and reads on to the last one.
    pub(super) async fn read_requests(
        &mut self,
        serial: u64,
        mut rows: Vec<Row>,
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        loop {
            let last = i64::try_from(rows.len()).is_ok_and(|read| read < REQUESTS_MAX);
            let asked = self.asked(&rows, answers).await?;
            answers.inputs.push(Input::Requests { serial, asked, last });
            let Some(after) = rows.last().map(|row| row.get::<_, i64>("request_id")).filter(|_| !last) else {
                return Ok(());
            };
            rows = self.query("reading requests", &self.statements.requests, &[&after, &REQUESTS_MAX]).await?;
        }
    }

    async fn asked(&mut self, rows: &[Row], answers: &mut Answers) -> Result<Vec<StoredRequest>, LeadError> {
        let mut tasks: Vec<TaskId> = rows.iter().map(|row| TaskId(row.get("task_id"))).collect();
        tasks.sort_unstable();
        tasks.dedup();
        let stored: BTreeMap<TaskId, Stored> =
            self.rows(&tasks).await?.into_iter().map(|stored| (stored.id(), stored)).collect();
        // A client that took an offer may have finished it before a poll saw that.
        for stored in stored.values().filter(|stored| stored.options.client_pulled) {
            if stored.row.state() == RowState::Running {
                answers.inputs.push(Input::Taken { task: stored.id(), row: stored.row.clone() });
            }
        }
        let mut asked = Vec::new();
        let mut pointless = Vec::new();
        for row in rows {
            let id: i64 = row.get("request_id");
            let about = stored.get(&TaskId(row.get("task_id"))).and_then(|stored| stored.sighting(false));
            match (about, status(row.get("status"))) {
                (Some(about), Some(status)) => {
                    let request = Request { status, error: row.get("error_message"), duration: span(row, "duration") };
                    asked.push(StoredRequest { id: RequestId(id), request, about });
                }
                _ => pointless.push(id),
            }
        }
        if !pointless.is_empty() {
            self.query("forgetting requests for deleted tasks", &self.statements.dismiss, &[&pointless]).await?;
        }
        Ok(asked)
    }
}
