//! Reading the heads of all lanes, in a session of its own. Polls read only what arrived, so this
//! finds the tasks that an update by hand has made READY or has moved. Where the index of the queue
//! has many dead entries, such a read takes long, and the leader session must not wait for it.

use std::time::Duration;

use pgasync_core::{Head, Lane, LaneKind, WINDOW_HEADS_DEFAULT};
use pgasync_pg::{ConnectError, ConnectionSettings, Error, Row, Session};

use super::candidate::pin_search_path;
use super::error::CandidacyError;
use super::rows::{head, lane_of};

/// One connection attempt to the server.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Lanes whose heads are read by one statement.
const LANES_MAX: usize = 64;

/// Why the queue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The server cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] ConnectError),
    /// The session could not be prepared.
    #[error(transparent)]
    Session(#[from] CandidacyError),
    /// A query failed.
    #[error("reading the queue: {0}")]
    Failed(#[from] Error),
}

/// What waits in a lane: the tasks of one pool and one target that may run now.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneBacklog {
    /// The pool and the target.
    pub lane: Lane,
    /// The number of tasks, counted up to a limit.
    pub waiting: u64,
    /// The seconds since the push of the oldest.
    pub oldest: f64,
}

/// A session that reads the queue.
#[derive(Debug)]
pub struct QueueReader(Session);

impl QueueReader {
    /// Connects to the server.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(server: &ConnectionSettings) -> Result<Self, ReviewError> {
        let settings = server.with_application_name("pgasync review").with_connect_timeout(CONNECT_MAX);
        let session = settings.for_long().connect().await?;
        pin_search_path(&session).await?;
        Ok(Self(session))
    }

    /// What waits in each lane. The cost has a limit (`async.backlog`).
    ///
    /// # Errors
    /// When a query fails.
    pub async fn backlog(&self) -> Result<Vec<LaneBacklog>, ReviewError> {
        let rows = self.0.query("select b.* from async.backlog() b", &[]).await?;
        let backlog = |row: &Row| {
            let waiting = u64::try_from(row.get::<_, i64>("waiting")).unwrap_or(0);
            Some(LaneBacklog { lane: lane_of(row)?, waiting, oldest: row.get("oldest_seconds") })
        };
        Ok(rows.iter().filter_map(backlog).collect())
    }

    /// The first waiting tasks of each lane.
    ///
    /// # Errors
    /// When a query fails.
    pub async fn heads(&self) -> Result<Vec<(Lane, Head)>, ReviewError> {
        let lanes = self.0.query("select * from async.discover_lanes()", &[]).await?;
        let lanes: Vec<Lane> = lanes.iter().filter_map(lane_of).collect();
        let sql = "with lane as (
              select * from unnest($1::text[], $2::text[], $3::bool[]) with ordinality as l(pool, target, pullable, lane))
            select h.*, l.pool, l.target, l.pullable
            from (select count(*)::int as n from lane) c
            cross join async.lead_heads($1::text[], $2::text[], $3::bool[], array_fill($4::int, array[c.n]),
              array_fill(-2147483648, array[c.n]), array_fill('-infinity'::timestamptz, array[c.n]),
              array_fill(0::bigint, array[c.n])) h
            join lane l on l.lane = h.lane";
        let heads_max = i32::try_from(WINDOW_HEADS_DEFAULT).unwrap_or(i32::MAX);
        let mut found = Vec::new();
        for lanes in lanes.chunks(LANES_MAX) {
            let pools: Vec<&str> = lanes.iter().map(|lane| lane.pool.as_str()).collect();
            let targets: Vec<&str> = lanes.iter().map(|lane| lane.target.as_str()).collect();
            let pullable: Vec<bool> = lanes.iter().map(|lane| lane.kind == LaneKind::Pull).collect();
            let rows = self.0.query(sql, &[&pools, &targets, &pullable, &heads_max]).await?;
            found.extend(rows.iter().filter_map(|row| {
                let lane = lane_of(row)?;
                Some((lane.clone(), head(row, lane.kind)?))
            }));
        }
        Ok(found)
    }
}
