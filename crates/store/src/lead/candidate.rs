//! From a connection to the lead.

use std::collections::BTreeMap;
use std::time::Duration;

use pgasync_core::{Epoch, Lane, Run, TargetName, TaskId, TaskSnapshot, Timestamp};
use pgasync_pg::Error;

use super::rows::{Stored, lane};
use super::statements::Statements;
use super::{CandidacyError, Configuration, Lead, LeadError};
use crate::wire::Stamp;
use pgasync_pg::ConnectionSettings;
use pgasync_pg::{Notice, Session};

/// A session that may come to lead.
#[derive(Debug)]
pub struct Candidate {
    session: Session,
    pid: i32,
    backend_start: String,
}

/// What a new leader finds.
#[derive(Debug)]
pub struct Election {
    /// The server's time.
    pub now: Timestamp,
    /// Targets with registered sessions of older leaders.
    pub fence: Vec<TargetName>,
    /// Tasks that the last leader had in hand.
    pub inherited: Vec<TaskSnapshot>,
    /// The lanes that have READY tasks.
    pub lanes: Vec<Lane>,
    /// The configuration.
    pub configuration: Configuration,
}

/// What came of an attempt to go on with a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The lead stands. `marks_lost`: Postgres restarted after a crash, which empties unlogged tables.
    Leads {
        /// The launch marks are lost.
        marks_lost: bool,
    },
    /// The backend that led before is not gone yet.
    NotYet,
    /// Another orchestrator has led meanwhile.
    Deposed,
}

/// A leader's session is long-lived, quiet, and notices a dead peer. It says something each second; when it does not, its
/// process sleeps or is out of reach, and the server ends it, so that another may lead. What it commits has happened.
fn preparation(idle_max: Duration) -> String {
    let idle_max = idle_max.as_millis();
    format!(
        "
    set statement_timeout = 0;
    set idle_in_transaction_session_timeout = '{idle_max}ms';
    set jit = off;
    set lock_timeout = '100ms';
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

const INTRODUCTION: &str = "
    select to_regprocedure('async.schema_fingerprint()') is not null, a.pid,
      to_char(a.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00')
    from pg_stat_get_activity(pg_backend_pid()) a";

impl Candidate {
    /// Connects, and sees whether this server can be led from here. The server ends the session when it has sent or
    /// acknowledged nothing for `idle_max`.
    ///
    /// # Errors
    /// When the server cannot be reached, or is not what this program expects.
    pub async fn connect(
        settings: &ConnectionSettings,
        idle_max: Duration,
        on_notice: impl FnMut(Notice) + Send + 'static,
    ) -> Result<Self, CandidacyError> {
        let session = settings.with_application_name("pgasync run").for_long().connect_with(on_notice).await?;
        let installed = session.query_one(INTRODUCTION, &[]).await.map_err(|error| CandidacyError::of(&error))?;
        if !installed.get::<_, bool>(0) {
            return Err(CandidacyError::NotInstalled(format!(
                "{} has no pgasync {}: install or upgrade it with pgasync init",
                settings.describe(),
                env!("CARGO_PKG_VERSION")
            )));
        }
        session.batch_execute(&preparation(idle_max)).await.map_err(|error| CandidacyError::of(&error))?;
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

    /// Its backend.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether the orchestrator may run.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn is_enabled(&self) -> Result<bool, CandidacyError> {
        Ok(self
            .session
            .query_one("select enabled from async.control", &[])
            .await
            .map_err(|error| CandidacyError::of(&error))?
            .get(0))
    }

    /// The backend that leads now.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn leader_pid(&self) -> Result<Option<i32>, CandidacyError> {
        Ok(self
            .session
            .query_one("select async.leader_pid()", &[])
            .await
            .map_err(|error| CandidacyError::of(&error))?
            .get(0))
    }

    /// How much longer the lead is left to a lost leader, whose connection may come back.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn grace(&self) -> Result<Duration, CandidacyError> {
        let sql = "select greatest(extract(epoch from async.grace_ends() - clock_timestamp()), 0)::float8";
        let seconds: f64 = self.session.query_one(sql, &[]).await.map_err(|error| CandidacyError::of(&error))?.get(0);
        Ok(Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)))
    }

    /// Tries to take the locks.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn try_locks(&self) -> Result<bool, CandidacyError> {
        let taken: bool = self
            .session
            .query_one("select async.take_locks()", &[])
            .await
            .map_err(|error| CandidacyError::of(&error))?
            .get(0);
        if taken {
            self.remember_mutex().await?;
        }
        Ok(taken)
    }

    /// Takes the locks from the leader: asks it to resign, and terminates it when it does not.
    ///
    /// # Errors
    /// [`CandidacyError::Refused`] when he cannot be ended.
    pub async fn take_over(&self) -> Result<(), CandidacyError> {
        self.session.batch_execute("call async.take_over()").await.map_err(|error| CandidacyError::of(&error))?;
        self.remember_mutex().await
    }

    /// Who stands in the way, in a sentence.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn describe_leader(&self) -> Result<String, CandidacyError> {
        let said: Option<String> = self
            .session
            .query_one("select async.describe_leader()", &[])
            .await
            .map_err(|error| CandidacyError::of(&error))?
            .get(0);
        Ok(said.unwrap_or_else(|| "another orchestrator leads".into()))
    }

    async fn remember_mutex(&self) -> Result<(), CandidacyError> {
        let sql = "select set_config('pgasync.mutex', c.advisory_mutex_id::text, false) from async.control c";
        self.session.query(sql, &[]).await.map_err(|error| CandidacyError::of(&error))?;
        Ok(())
    }

    /// Becomes the leader; the locks must have been taken.
    ///
    /// # Errors
    /// When the session goes, or the server refuses.
    pub async fn lead(self) -> Result<(Lead, Election), LeadError> {
        let failed = |error: Error| LeadError::of("taking the lead", &error);
        let Self { session, pid, backend_start } = self;
        let statements = Statements::prepare(&session).await.map_err(failed)?;
        let raised = session.query_one("select * from async.raise_epoch('rust')", &[]).await.map_err(failed)?;
        let mut lead = Lead {
            epoch: Epoch(raised.get("out_epoch")),
            nonce: raised.get("out_nonce"),
            server_id: raised.get("out_server_id"),
            pid,
            backend_start,
            session,
            statements,
            registered: BTreeMap::new(),
            configured: None,
            history_after: None,
            written: 0,
        };
        let election = lead.take_stock().await?;
        Ok((lead, election))
    }

    /// Goes on as the leader of an epoch after the session was lost; the locks must have been taken. The
    /// backend that led before is gone then, and whatever it had begun is done or undone.
    ///
    /// # Errors
    /// When this session goes, too.
    pub async fn resume(self, lead: &mut Lead) -> Result<Resumed, LeadError> {
        let failed = |error: Error| LeadError::of("proving the lead", &error);
        let sql = "select * from async.resume_epoch($1, $2, $3::text::timestamptz)";
        let found =
            self.session.query_one(sql, &[&lead.epoch.0, &lead.pid, &lead.backend_start]).await.map_err(failed)?;
        if !found.get::<_, bool>("out_stands") {
            return Ok(Resumed::Deposed);
        }
        if !found.get::<_, bool>("out_gone") {
            return Ok(Resumed::NotYet);
        }
        lead.statements = Statements::prepare(&self.session).await.map_err(failed)?;
        lead.session = self.session;
        lead.pid = self.pid;
        lead.backend_start = self.backend_start;
        lead.configured = None;
        Ok(Resumed::Leads { marks_lost: found.get("out_marks_lost") })
    }

    /// Ends the backend of a lead that was lost, if it still holds the locks; says whether it does.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn end_lost_backend(&self, lead: &Lead) -> Result<bool, CandidacyError> {
        let sql = "select pg_terminate_backend(a.pid) from pg_stat_activity a
            where a.pid = async.leader_pid() and a.pid = $1 and a.backend_start = $2::text::timestamptz";
        let ended = self
            .session
            .execute(sql, &[&lead.pid, &lead.backend_start])
            .await
            .map_err(|error| CandidacyError::of(&error))?;
        Ok(ended > 0)
    }
}

/// A connection attempt to the server, beside the one that leads.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Whether a backend of this process's user is at work for it, by the word of another session.
///
/// # Errors
/// When the server cannot be asked.
pub async fn is_at_work(server: &ConnectionSettings, pid: i32) -> Result<bool, CandidacyError> {
    let session = server.with_application_name("pgasync look").with_connect_timeout(LOOK_MAX).connect().await?;
    let sql = "select coalesce((select a.state = 'active' from pg_stat_get_activity($1) a), false)";
    let seen = session.query_one(sql, &[&pid]).await.map_err(|error| CandidacyError::of(&error))?;
    Ok(seen.get(0))
}

/// Ends a backend of this process's own, which goes on with what nobody waits for any more.
///
/// # Errors
/// When the server cannot be asked.
pub async fn end_backend(server: &ConnectionSettings, pid: i32) -> Result<(), CandidacyError> {
    let session = server.with_application_name("pgasync look").with_connect_timeout(LOOK_MAX).connect().await?;
    // It is still the one that was meant: who bears its name is an orchestrator that does not lead.
    let sql = "select pg_terminate_backend(a.pid) from pg_stat_get_activity($1) a
        where a.application_name = 'pgasync run' and a.pid is distinct from async.leader_pid()";
    session.execute(sql, &[&pid]).await.map_err(|error| CandidacyError::of(&error))?;
    Ok(())
}

impl Lead {
    async fn take_stock(&mut self) -> Result<Election, LeadError> {
        let failed = |error: Error| LeadError::of("taking stock", &error);
        let stock = self.session.query("select * from async.lead_stock()", &[]).await.map_err(failed)?;
        let launched: BTreeMap<TaskId, bool> =
            stock.iter().map(|row| (TaskId(row.get("task_id")), row.get("launched"))).collect();
        let ids: Vec<TaskId> = launched.keys().copied().collect();
        let stored: Vec<Stored> = self.rows(&ids).await?;
        let is_launched = |stored: &Stored| launched.get(&stored.id()).copied().unwrap_or(false);
        let marked: Vec<(TaskId, Run)> = stored
            .iter()
            .filter(|stored| is_launched(stored))
            .map(|stored| (stored.id(), Run(stored.row.run)))
            .collect();
        let (ids, runs): (Vec<i64>, Vec<i32>) = marked.iter().map(|(task, run)| (task.0, run.0)).unzip();
        let all: [&(dyn pgasync_pg::types::ToSql + Sync); 3] = [&self.epoch.0, &ids, &runs];
        self.query("writing the launch marks anew", &self.statements.rotate_marks, &all).await?;
        let sightings: Vec<TaskSnapshot> =
            stored.iter().filter_map(|stored| stored.sighting(is_launched(stored))).collect();
        let fence = self.session.query("select distinct target from async.session", &[]).await.map_err(failed)?;
        let lanes = self.query("reading what waits", &self.statements.lanes, &[]).await?;
        let now = self.session.query_one("select clock_timestamp()", &[]).await.map_err(failed)?;
        Ok(Election {
            now: now.get::<_, Stamp>(0).0,
            fence: fence.iter().filter_map(|row| TargetName::new(row.get::<_, &str>(0)).ok()).collect(),
            inherited: sightings,
            lanes: lanes
                .iter()
                .filter_map(|row| lane(row.get("pool"), row.get("target"), row.get("pullable")))
                .collect(),
            configuration: Configuration::read(&self.session).await.map_err(failed)?,
        })
    }
}
