//! Becoming the leader: from a connection to the leader session.

use std::collections::BTreeMap;
use std::time::Duration;

use pgasync_core::{Epoch, Lane, Run, TargetName, TaskId, TaskSnapshot, Timestamp};
use pgasync_pg::{ConnectionSettings, Error, Notice, Session};

use super::rows::{StoredTask, lane_of};
use super::statements::Statements;
use super::{CandidacyError, LeaderConfiguration, LeaderError, LeaderSession, RowsWritten};
use crate::wire::WireTimestamp;

/// A session that tries to take the lead.
#[derive(Debug)]
pub struct Candidate {
    session: Session,
    pid: i32,
    backend_start: String,
}

/// The state that a new leader finds.
#[derive(Debug)]
pub struct Election {
    /// The server's time.
    pub now: Timestamp,
    /// Targets with registered sessions of older leaders.
    pub fence: Vec<TargetName>,
    /// Unfinished tasks of older leaders.
    pub inherited: Vec<TaskSnapshot>,
    /// Lanes with READY tasks.
    pub lanes: Vec<Lane>,
    /// The configuration.
    pub configuration: LeaderConfiguration,
}

/// The outcome of an attempt to prove the lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeOutcome {
    /// The lead is proved.
    Leads {
        /// The launch marks are lost: Postgres restarted after a crash, which empties unlogged
        /// tables.
        marks_lost: bool,
    },
    /// The lost backend is not gone yet.
    NotYet,
    /// Another orchestrator has taken the lead meanwhile.
    Deposed,
}

/// The longest wait of a leader for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// The longest wait of an election for a lock, as in `async.raise_epoch`.
const ELECTION_LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of a leader session. A leader sends a statement each second. A session that has sent
/// nothing for `idle_max` belongs to a process that is suspended or unreachable, so the server ends
/// the session, and another candidate can lead. Commits are flushed even if the default of the
/// server is asynchronous, because a claim that a crash could undo would allow a second launch.
fn session_settings(idle_max: Duration) -> String {
    let idle_max = idle_max.as_millis();
    let lock_timeout = LOCK_TIMEOUT.as_millis();
    format!(
        "
    set statement_timeout = 0;
    set idle_in_transaction_session_timeout = '{idle_max}ms';
    set jit = off;
    set lock_timeout = '{lock_timeout}ms';
    set default_transaction_isolation = 'read committed';
    set client_min_messages = warning;
    set tcp_keepalives_idle = 10;
    set tcp_keepalives_interval = 5;
    set tcp_keepalives_count = 3;
    select set_config(s.name, '{idle_max}ms', false) from pg_settings s
    where s.name in ('idle_session_timeout', 'tcp_user_timeout');
    select set_config('synchronous_commit', 'local', false) where current_setting('synchronous_commit') = 'off';
    listen async_wake"
    )
}

const IDENTITY: &str = "
    select to_regprocedure('async.schema_fingerprint()') is not null, a.pid,
      to_char(a.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00')
    from pg_stat_get_activity(pg_backend_pid()) a";

impl Candidate {
    /// Connects, and checks that the schema is the one of this program and that the role may lead.
    /// The server ends the session when it has sent or acknowledged nothing for `idle_max`.
    ///
    /// # Errors
    /// When the server cannot be reached, or a check fails.
    pub async fn connect(
        settings: &ConnectionSettings,
        idle_max: Duration,
        on_notice: impl FnMut(Notice) + Send + 'static,
    ) -> Result<Self, CandidacyError> {
        let session = settings.with_application_name("pgasync run").for_long().connect_with(on_notice).await?;
        pin_search_path(&session).await?;
        let installed = session.query_one(IDENTITY, &[]).await.map_err(|error| CandidacyError::of(&error))?;
        if !installed.get::<_, bool>(0) {
            return Err(CandidacyError::NotInstalled(format!(
                "{} has no pgasync {}: install or upgrade it with pgasync init",
                settings.describe(),
                env!("CARGO_PKG_VERSION")
            )));
        }
        session.batch_execute(&session_settings(idle_max)).await.map_err(|error| CandidacyError::of(&error))?;
        session.batch_execute("select async.check_main()").await.map_err(|error| CandidacyError::of(&error))?;
        let schema = session.query_one("select async.schema_fingerprint()", &[]).await;
        let schema: String = schema.map_err(|error| CandidacyError::of(&error))?.get(0);
        if schema != *pgasync_sql::FINGERPRINT {
            return Err(CandidacyError::NotInstalled(format!(
                "PA213: the schema async at {} is of another version than this program ({schema} there, {} here): upgrade \
                 the schema with pgasync init, or start the program of that version",
                settings.describe(),
                *pgasync_sql::FINGERPRINT
            )));
        }
        Ok(Self { pid: installed.get(1), backend_start: installed.get(2), session })
    }

    /// The pid of the backend.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// `async.control.enabled`.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn is_enabled(&self) -> Result<bool, CandidacyError> {
        Ok(self
            .session
            .query_one("select enabled from async.control", &[])
            .await
            .map_err(|error| CandidacyError::of(&error))?
            .get(0))
    }

    /// The pid of the present leader's backend.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn leader_pid(&self) -> Result<Option<i32>, CandidacyError> {
        Ok(self
            .session
            .query_one("select async.leader_pid()", &[])
            .await
            .map_err(|error| CandidacyError::of(&error))?
            .get(0))
    }

    /// The remaining time for which the lead is reserved for a leader that lost its connection.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn grace(&self) -> Result<Duration, CandidacyError> {
        let sql = "select greatest(extract(epoch from async.grace_ends() - clock_timestamp()), 0)::float8";
        let seconds: f64 = self.session.query_one(sql, &[]).await.map_err(|error| CandidacyError::of(&error))?.get(0);
        Ok(Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)))
    }

    /// Tries to take the locks of the leader. Returns whether this session holds them now.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn try_locks(&self) -> Result<bool, CandidacyError> {
        Ok(self
            .session
            .query_one("select async.take_locks()", &[])
            .await
            .map_err(|error| CandidacyError::of(&error))?
            .get(0))
    }

    /// Takes the locks from the leader: asks it to resign, and terminates its backend if it does
    /// not.
    ///
    /// # Errors
    /// [`CandidacyError::Refused`] when the leader cannot be ended.
    pub async fn take_over(&self) -> Result<(), CandidacyError> {
        self.session.batch_execute("call async.take_over()").await.map_err(|error| CandidacyError::of(&error))
    }

    /// Describes the present leader in a sentence.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn describe_leader(&self) -> Result<String, CandidacyError> {
        let sentence: Option<String> = self
            .session
            .query_one("select async.describe_leader()", &[])
            .await
            .map_err(|error| CandidacyError::of(&error))?
            .get(0);
        Ok(sentence.unwrap_or_else(|| "another orchestrator leads".into()))
    }

    /// Becomes the leader of a new epoch. The session must hold the locks.
    ///
    /// # Errors
    /// When the session is lost, or the server refuses.
    pub async fn lead(self) -> Result<(LeaderSession, Election), LeaderError> {
        let failed = |error: Error| LeaderError::of("taking the lead", &error);
        let Self { session, pid, backend_start } = self;
        let statements = Statements::prepare(&session).await.map_err(failed)?;
        let raised = session.query_one("select * from async.raise_epoch('rust')", &[]).await.map_err(failed)?;
        let mut leader = LeaderSession {
            epoch: Epoch(raised.get("out_epoch")),
            nonce: raised.get("out_nonce"),
            server_id: raised.get("out_server_id"),
            pid,
            backend_start,
            session,
            statements,
            registered: BTreeMap::new(),
            polled: None,
            configuration_version: None,
            firing: super::firing::NextFiring::default(),
            rows_written: RowsWritten::default(),
        };
        // A client may hold a lock on a table. Later reads are repeated, but the election is not.
        leader.limit_lock_waits(ELECTION_LOCK_TIMEOUT).await?;
        let election = leader.read_initial_state().await?;
        leader.limit_lock_waits(LOCK_TIMEOUT).await?;
        Ok((leader, election))
    }

    /// Proves the lead after the leader session was lost, and replaces that session. This session
    /// must hold the locks. When the lead is proved, the old backend is gone, and each of its
    /// transactions has committed or never will.
    ///
    /// # Errors
    /// When this session is lost too.
    pub async fn resume(self, leader: &mut LeaderSession) -> Result<ResumeOutcome, LeaderError> {
        let failed = |error: Error| LeaderError::of("proving the lead", &error);
        let sql = "select * from async.resume_epoch($1, $2, $3::text::timestamptz)";
        let found = self
            .session
            .query_one(sql, &[&leader.epoch.0, &leader.pid, &leader.backend_start])
            .await
            .map_err(failed)?;
        if !found.get::<_, bool>("out_stands") {
            return Ok(ResumeOutcome::Deposed);
        }
        if !found.get::<_, bool>("out_gone") {
            return Ok(ResumeOutcome::NotYet);
        }
        leader.statements = Statements::prepare(&self.session).await.map_err(failed)?;
        leader.session = self.session;
        leader.pid = self.pid;
        leader.backend_start = self.backend_start;
        leader.polled = None;
        leader.configuration_version = None;
        leader.firing = super::firing::NextFiring::default();
        Ok(ResumeOutcome::Leads { marks_lost: found.get("out_marks_lost") })
    }

    /// Terminates the backend of a lost leader session if that backend still holds the locks.
    /// Returns whether it held them.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn end_lost_backend(&self, leader: &LeaderSession) -> Result<bool, CandidacyError> {
        let sql = "select pg_terminate_backend(a.pid) from pg_stat_activity a
            where a.pid = async.leader_pid() and a.pid = $1 and a.backend_start = $2::text::timestamptz";
        let ended = self
            .session
            .execute(sql, &[&leader.pid, &leader.backend_start])
            .await
            .map_err(|error| CandidacyError::of(&error))?;
        Ok(ended > 0)
    }
}

/// One attempt to connect beside the leader session.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Whether a backend of the same role is active, as a second session sees it.
///
/// # Errors
/// When the query fails.
pub async fn is_active(server: &ConnectionSettings, pid: i32) -> Result<bool, CandidacyError> {
    let session = server.with_application_name("pgasync check").with_connect_timeout(CONNECT_MAX).connect().await?;
    pin_search_path(&session).await?;
    let sql = "select coalesce((select a.state = 'active' from pg_stat_get_activity($1) a), false)";
    let row = session.query_one(sql, &[&pid]).await.map_err(|error| CandidacyError::of(&error))?;
    Ok(row.get(0))
}

/// Terminates the backend of a candidate that this process no longer uses, unless the backend
/// leads.
///
/// # Errors
/// When the query fails.
pub async fn end_backend(server: &ConnectionSettings, pid: i32) -> Result<(), CandidacyError> {
    let session = server.with_application_name("pgasync check").with_connect_timeout(CONNECT_MAX).connect().await?;
    pin_search_path(&session).await?;
    // The pid may belong to another backend by now. The `application_name` restricts the call to
    // candidates.
    let sql = "select pg_terminate_backend(a.pid) from pg_stat_get_activity($1) a
        where a.application_name = 'pgasync run' and a.pid is distinct from async.leader_pid()";
    session.execute(sql, &[&pid]).await.map_err(|error| CandidacyError::of(&error))?;
    Ok(())
}

/// Sets the search path of a session of the orchestrator with its server, as its first statement. An
/// object of another role then cannot take the place of one of `pg_catalog`. User triggers and
/// routines run with `control.trigger_search_path`.
///
/// # Errors
/// When the statement fails.
pub async fn pin_search_path(session: &Session) -> Result<(), CandidacyError> {
    session.batch_execute("set search_path = pg_catalog, pg_temp").await.map_err(|error| CandidacyError::of(&error))
}

impl LeaderSession {
    async fn limit_lock_waits(&self, limit: Duration) -> Result<(), LeaderError> {
        let sql = format!("set lock_timeout = '{}ms'", limit.as_millis());
        let failed = |error: Error| LeaderError::of("limiting the waits for locks", &error);
        self.session.batch_execute(&sql).await.map_err(failed)
    }

    async fn read_initial_state(&mut self) -> Result<Election, LeaderError> {
        let failed = |error: Error| LeaderError::of("reading the state of older leaders", &error);
        let stock = self.session.query("select * from async.lead_stock()", &[]).await.map_err(failed)?;
        let launched: BTreeMap<TaskId, bool> =
            stock.iter().map(|row| (TaskId(row.get("task_id")), row.get("launched"))).collect();
        let ids: Vec<TaskId> = launched.keys().copied().collect();
        let stored: Vec<StoredTask> = self.rows(&ids).await?;
        debug_assert!(stored.iter().all(|stored| launched.contains_key(&stored.id())), "only these tasks were read");
        let is_launched = |stored: &StoredTask| launched.get(&stored.id()).copied().unwrap_or(false);
        let marked: Vec<(TaskId, Run)> = stored
            .iter()
            .filter(|stored| is_launched(stored))
            .map(|stored| (stored.id(), Run(stored.row.run)))
            .collect();
        let (ids, runs): (Vec<i64>, Vec<i32>) = marked.iter().map(|(task, run)| (task.0, run.0)).unzip();
        let all: [&(dyn pgasync_pg::types::ToSql + Sync); 3] = [&self.epoch.0, &ids, &runs];
        self.query("rotating the launch marks", &self.statements.rotate_marks, &all).await?;
        let inherited: Vec<TaskSnapshot> =
            stored.iter().filter_map(|stored| stored.snapshot(is_launched(stored))).collect();
        let fence = self.session.query("select distinct target from async.session", &[]).await.map_err(failed)?;
        let lanes = self.query("reading the lanes", &self.statements.lanes, &[]).await?;
        let now = self.session.query_one("select clock_timestamp()", &[]).await.map_err(failed)?;
        Ok(Election {
            now: now.get::<_, WireTimestamp>(0).0,
            fence: fence.iter().filter_map(|row| TargetName::new(row.get::<_, &str>(0)).ok()).collect(),
            inherited,
            lanes: lanes.iter().filter_map(lane_of).collect(),
            configuration: LeaderConfiguration::read(&self.session).await.map_err(failed)?,
        })
    }
}
