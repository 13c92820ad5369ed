//! Injects the faults of a schedule into clusters, networks and engines, and takes them back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgasync_pg::Session;
use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Cluster, Condition, Cut, PrivateCluster, Proxy, Sent, Signal, freeze, send, send_to_all};
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use super::super::failpoint::Point;
use super::super::fixture::{ChaosFixture, Stage};
use super::super::seed::Seed;
use super::candidates::{Candidates, Mode, member};
use super::faults::{Fault, Place, Side, TASK};
use crate::cuts::kinds;

/// The limit on the time in which a leader reaches a point.
const REACHED_WITHIN: Duration = Duration::from_secs(3);

/// The limit on a new connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(2);

/// A leader is disturbed when this number of tasks run, or after a time, in any case.
const RUNNING_MIN: usize = 10;
const BUSY_WITHIN: Duration = Duration::from_secs(4);

/// The target sessions that are terminated at once, at most.
const TERMINATED_MAX: u64 = 8;

/// More sessions than a server of a test allows.
const SESSIONS_MAX: usize = 250;

/// The sessions that are opened at once.
const CONNECTED_AT_ONCE: usize = 20;

/// What has to be taken back at the end of a fault.
pub(super) enum Held {
    Nothing,
    Frozen(Vec<i32>),
    Sessions(Vec<Session>),
    Down(Place),
    ReadOnly,
    Network(Side),
    /// A planned cut, and the number of cuts that had happened before.
    Message(Side, usize),
}

/// The networks of the Rust engine with its server, and of both engines with each target.
pub(super) struct Networks {
    pub(super) server: Proxy,
    pub(super) left: Proxy,
    pub(super) right: Proxy,
}

impl Networks {
    pub(super) async fn before(stage: &Stage) -> Self {
        Self {
            server: Proxy::before(&stage.server, kind).await,
            left: Proxy::before(&stage.elsewhere, kind).await,
            right: Proxy::before(&stage.elsewhere, kind).await,
        }
    }

    fn at(&self, side: Side) -> &Proxy {
        match side {
            Side::Server => &self.server,
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

fn kind(sent: &Sent) -> String {
    match sent {
        Sent::Run(text) if text.contains("pool:") => TASK.to_owned(),
        other => kinds::kind(other),
    }
}

pub(super) struct Injector {
    pub(super) fixture: ChaosFixture<Candidates>,
    pub(super) networks: Networks,
    pub(super) mode: Mode,
    pub(super) seed: Seed,
    /// Whether the next engine that takes over in a swap is the Rust engine.
    pub(super) next_is_rust: bool,
}

impl Injector {
    /// Injects a fault. An error says why that was not possible.
    pub(super) async fn begin(&mut self, fault: Fault) -> Result<Held, String> {
        match fault {
            Fault::LeaderKilled => self.kill_leader().await,
            Fault::LeaderKilledAt(point) => self.kill_leader_at(point.unwrap_or(Point::Marking)).await,
            Fault::LeaderFrozen => self.freeze_leader().await,
            Fault::LeaderFrozenAt(point) => self.freeze_leader_at(point.unwrap_or(Point::Marking)).await,
            Fault::LeaderTerminated => {
                self.leader().await?;
                self.on(Place::Server, "select pg_terminate_backend(pid) from async.control").await
            }
            Fault::TakenOver => self.take_over().await,
            Fault::SessionsTerminated => {
                let sql = format!(
                    "select pg_terminate_backend(pid) from (
                       select pid from pg_stat_activity where application_name like 'pgasync/%'
                       order by md5(pid || '{}') limit {}) s",
                    self.seed.below(1000),
                    1 + self.seed.below(TERMINATED_MAX)
                );
                self.on(Place::Targets, &sql).await
            }
            Fault::BackendKilled => {
                let pids = self.fixture.observer.pids();
                if pids.is_empty() {
                    return Err("no task runs".to_owned());
                }
                let pid = *self.seed.pick(&pids);
                let is_killed = self.fixture.elsewhere.signal_backend(Signal::Kill, pid);
                if is_killed { Ok(Held::Nothing) } else { Err("the backend has ended".to_owned()) }
            }
            Fault::Stopped(place) => {
                block_in_place(|| self.cluster(place).stop());
                Ok(Held::Down(place))
            }
            Fault::Crashed(place) => {
                self.cluster(place).kill();
                Ok(Held::Down(place))
            }
            Fault::Paused(place) => Ok(Held::Frozen(block_in_place(|| self.cluster(place).freeze_all()))),
            Fault::Full(place) => self.fill(place).await,
            Fault::ReadOnly => {
                self.set_read_only("alter system set default_transaction_read_only = on").await?;
                Ok(Held::ReadOnly)
            }
            Fault::XminHeld => {
                self.hold("begin isolation level repeatable read; select count(*) from async.control").await
            }
            Fault::TableLocked(mode) => {
                let mode = mode.unwrap_or("access exclusive");
                self.hold(&format!("begin; set local lock_timeout = '3 s'; lock table async.task in {mode} mode")).await
            }
            Fault::Reinstalled => self.reinstall().await,
            Fault::Network(side, condition) => {
                self.networks.at(side).set_condition(condition);
                Ok(Held::Network(side))
            }
            Fault::Disconnected(side) => {
                self.networks.at(side).disconnect();
                Ok(Held::Nothing)
            }
            Fault::Message(side, cut) => {
                let cut = cut.ok_or("no message is named")?;
                let fired = self.networks.at(side).fired().len();
                let cut = Cut { kind: cut.kind.to_owned(), occurrence: cut.occurrence, fault: cut.fault };
                self.networks.at(side).plan(vec![cut]);
                Ok(Held::Message(side, fired))
            }
        }
    }

    /// Takes a fault back. An error says what was not possible.
    pub(super) async fn end(&mut self, held: Held) -> Result<(), String> {
        match held {
            Held::Nothing => {}
            // A frozen process may have been killed.
            Held::Frozen(pids) => drop(send_to_all(Signal::Continue, &pids)),
            Held::Sessions(sessions) => drop(sessions),
            Held::Down(place) => block_in_place(|| {
                self.cluster(place).kill_survivors();
                self.cluster(place).restart();
            }),
            Held::ReadOnly => self.set_read_only("alter system reset default_transaction_read_only").await?,
            Held::Network(side) => self.networks.at(side).set_condition(Condition::Open),
            Held::Message(side, before) => {
                let has_fired = self.networks.at(side).fired().len() > before;
                self.networks.at(side).plan(Vec::new());
                if !has_fired {
                    return Err("no such message was sent".to_owned());
                }
            }
        }
        Ok(())
    }

    fn cluster(&self, place: Place) -> &PrivateCluster {
        match place {
            Place::Server => &self.fixture.server,
            Place::Targets => &self.fixture.elsewhere,
        }
    }

    /// A new session with the database of the place.
    async fn connect(&self, place: Place) -> Result<Session, String> {
        let settings = match place {
            Place::Server => self.fixture.database.settings(),
            Place::Targets => self.fixture.targets[0].settings(),
        };
        match timeout(CONNECTED_WITHIN, settings.connect()).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a connection gets no answer".to_owned()),
        }
    }

    async fn on(&self, place: Place, sql: &str) -> Result<Held, String> {
        let session = self.connect(place).await?;
        session.batch_execute(sql).await.map_err(|error| error.to_string())?;
        Ok(Held::Nothing)
    }

    /// The process of the leader, once it runs tasks, and whether it is the Rust engine.
    async fn leader(&self) -> Result<(i32, bool), String> {
        let begin = Instant::now();
        loop {
            let leader = self.find_leader().await;
            let is_busy = self.fixture.observer.pids().len() >= RUNNING_MIN;
            if leader.is_ok() && is_busy || begin.elapsed() > BUSY_WITHIN {
                return leader;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn find_leader(&self) -> Result<(i32, bool), String> {
        let session = self.connect(Place::Server).await?;
        let row = session.query_one("select async.leader_pid()", &[]).await.map_err(|error| error.to_string())?;
        let backend: i32 = row.get::<_, Option<i32>>(0).ok_or("no engine leads")?;
        let mut crowd = self.fixture.engine.crowd().await;
        let leader = crowd.leader(backend).ok_or("the leader is no candidate, or has just ended")?;
        let is_rust = leader.is_rust();
        Ok((leader.pid().ok_or("the leader has just ended")?, is_rust))
    }

    async fn kill_leader(&self) -> Result<Held, String> {
        let (pid, _) = self.leader().await?;
        if send(Signal::Kill, pid) { Ok(Held::Nothing) } else { Err("the leader has just ended".to_owned()) }
    }

    async fn freeze_leader(&self) -> Result<Held, String> {
        let (pid, _) = self.leader().await?;
        if block_in_place(|| freeze(pid)) {
            Ok(Held::Frozen(vec![pid]))
        } else {
            Err("the leader has just ended".to_owned())
        }
    }

    /// Holds the leader at a point, and gives its process to `act`.
    async fn at_point(&self, point: Point, act: impl Fn(i32) -> bool) -> Result<i32, String> {
        let (pid, is_rust) = self.leader().await?;
        let passes = !is_rust || Point::OF_STATEMENTS.contains(&point);
        let point = if passes { point } else { Point::OF_STATEMENTS[point as usize % Point::OF_STATEMENTS.len()] };
        let session = self.connect(Place::Server).await?;
        let held = point.try_hold(&session, REACHED_WITHIN).await;
        let has_acted = matches!(held, Ok(true)) && block_in_place(|| act(pid));
        // A killed backend restarts its server, so the points are disarmed by another session.
        if session.batch_execute(Point::RELEASE).await.is_err() {
            self.release_after_crash().await?;
        }
        match held {
            Ok(true) if has_acted => Ok(pid),
            Ok(true) => Err("the leader has just ended".to_owned()),
            Ok(false) => Err(format!("{point:?} is not reached")),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn release_after_crash(&self) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..50 {
            match self.on(Place::Server, Point::RELEASE).await {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(format!("the points stay armed: {last}"))
    }

    async fn kill_leader_at(&self, point: Point) -> Result<Held, String> {
        self.at_point(point, |pid| send(Signal::Kill, pid)).await.map(|_| Held::Nothing)
    }

    async fn freeze_leader_at(&self, point: Point) -> Result<Held, String> {
        self.at_point(point, freeze).await.map(|pid| Held::Frozen(vec![pid]))
    }

    /// Adds a candidate that takes the lead, and removes one that does not lead.
    async fn take_over(&mut self) -> Result<Held, String> {
        let (leader, _) = self.leader().await?;
        let mut next = member(self.mode, self.next_is_rust, &self.fixture.database, &self.networks.server);
        self.next_is_rust = !self.next_is_rust;
        if !next.force().await {
            return Err("the next engine does not start".to_owned());
        }
        let mut crowd = self.fixture.engine.crowd().await;
        let members = &mut crowd.members;
        // A standby has done nothing that could be lost. The SQL engine has none that runs.
        let place = (0..members.len()).find(|&place| members[place].pid().is_none_or(|pid| pid != leader));
        if let Some(place) = place {
            members[place].stop().await;
            members.remove(place);
        }
        members.push(next);
        Ok(Held::Nothing)
    }

    /// Opens sessions until the server refuses.
    async fn fill(&self, place: Place) -> Result<Held, String> {
        let cluster: &Cluster = self.cluster(place);
        let settings = cluster.settings("postgres");
        let mut sessions = Vec::new();
        while sessions.len() < SESSIONS_MAX {
            let attempts = (0..CONNECTED_AT_ONCE).map(|_| timeout(CONNECTED_WITHIN, settings.connect()));
            let mut is_full = false;
            for attempt in join_all(attempts).await {
                match attempt {
                    Ok(Ok(session)) => sessions.push(session),
                    Ok(Err(error)) if error.to_string().contains("too many clients") => is_full = true,
                    Ok(Err(error)) => return Err(error.to_string()),
                    Err(_) => return Err("a connection gets no answer".to_owned()),
                }
            }
            if is_full {
                break;
            }
        }
        Ok(Held::Sessions(sessions))
    }

    async fn set_read_only(&self, sql: &str) -> Result<(), String> {
        let session = self.connect(Place::Server).await?;
        let run = async |sql| session.batch_execute(sql).await.map_err(|error: pgasync_pg::Error| error.to_string());
        run(sql).await?;
        run("select pg_reload_conf()").await
    }

    /// A session that keeps its transaction open.
    async fn hold(&self, sql: &str) -> Result<Held, String> {
        let session = self.connect(Place::Server).await?;
        session.batch_execute(sql).await.map_err(|error| error.to_string())?;
        Ok(Held::Sessions(vec![session]))
    }

    async fn reinstall(&self) -> Result<Held, String> {
        let session = self.connect(Place::Server).await?;
        session.batch_execute("set lock_timeout = '5 s'").await.map_err(|error| error.to_string())?;
        install(&session, SchemaPart::All).await.map_err(|error| error.to_string())?;
        session.batch_execute(&Point::install_again()).await.map_err(|error| error.to_string())?;
        Ok(Held::Nothing)
    }
}
