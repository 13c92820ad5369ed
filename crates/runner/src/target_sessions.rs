//! All target sessions of the leader, and the addresses and states of the targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pgasync_core::{Epoch, SessionId, TargetName, TaskId, Timestamp};
use pgasync_pg::{ConnectionSettings, ConnectionString, conninfo_at};
use pgasync_store::{PublishedSession, Registration, TargetAddress};
use tokio::sync::Semaphore;

use crate::cancel::{BackendSignal, TargetBackend};
use crate::events::EventSender;
use crate::fence::FenceContext;
use crate::server_copies::ServerCopies;
use crate::target_session::{ClientCheck, ConnectOptions, OpenedSession, Query, TARGET_ROWS, TargetSession};
use crate::timeouts::Timeouts;

/// The number of sessions that connect to a target at once.
const CONNECTING_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct TargetSessions {
    server: ConnectionSettings,
    server_id: String,
    epoch: Epoch,
    /// `epoch.nonce`.
    election: String,
    timeouts: Timeouts,
    pub(crate) targets: BTreeMap<TargetName, TargetAddress>,
    client_checks: BTreeMap<TargetName, ClientCheck>,
    connect_permits: BTreeMap<TargetName, Arc<Semaphore>>,
    entries: BTreeMap<SessionId, SessionEntry>,
    /// Targets to which the last connection attempt failed: the time of the first failure, and the
    /// last error.
    pub(crate) lost: BTreeMap<TargetName, (Timestamp, String)>,
    /// Idle sessions that are closing and have not reported it yet.
    pub(crate) closing: BTreeSet<SessionId>,
}

#[derive(Debug)]
struct SessionEntry {
    target: TargetName,
    /// The number at the end of the session's name at the target. It is free again when the session
    /// is forgotten.
    session_slot: i32,
    settings: ConnectionSettings,
    /// `None` once the session was closed or dropped.
    handle: Option<TargetSession>,
    opened: Option<OpenedSession>,
    /// The task whose query runs, and since when.
    busy: Option<(TaskId, Timestamp)>,
    /// The address of the target has changed since the session was opened.
    outdated: bool,
    /// It is a session at the server database itself, of a member of the owner.
    at_self: bool,
    /// A query with a receipt ran on it.
    has_receipts: bool,
    /// A fence has begun, which reports when the session is gone.
    is_fenced: bool,
}

impl TargetSessions {
    pub(crate) fn new(
        server: ConnectionSettings,
        server_id: String,
        epoch: Epoch,
        election: String,
        timeouts: Timeouts,
    ) -> Self {
        Self {
            server,
            server_id,
            epoch,
            election,
            timeouts,
            targets: BTreeMap::new(),
            client_checks: BTreeMap::new(),
            connect_permits: BTreeMap::new(),
            entries: BTreeMap::new(),
            lost: BTreeMap::new(),
            closing: BTreeSet::new(),
        }
    }

    /// Replaces the addresses of the targets. Returns the idle sessions at an old address. Busy
    /// sessions at an old address become outdated, and end after their query.
    pub(crate) fn set_targets(&mut self, targets: BTreeMap<TargetName, TargetAddress>) -> Vec<SessionId> {
        let old = std::mem::replace(&mut self.targets, targets);
        let mut idle = Vec::new();
        for (session, entry) in &mut self.entries {
            let string = |all: &BTreeMap<TargetName, TargetAddress>| {
                all.get(&entry.target).and_then(|address| address.connection_string.clone())
            };
            if entry.handle.is_some() && string(&old) != string(&self.targets) {
                self.client_checks.remove(&entry.target);
                entry.outdated = true;
                if entry.busy.is_none() {
                    idle.push(*session);
                }
            }
        }
        idle
    }

    pub(crate) fn is_outdated(&self, session: SessionId) -> bool {
        self.entries.get(&session).is_some_and(|entry| entry.outdated)
    }

    /// Begins to connect. An error says why no connection is possible.
    pub(crate) fn open(&mut self, session: SessionId, target: &TargetName, events: EventSender) -> Result<(), String> {
        let address = self.targets.get(target).ok_or_else(|| format!("target \"{target}\" does not exist"))?;
        let string = address
            .connection_string
            .as_ref()
            .ok_or_else(|| format!("PA204: target \"{target}\" has no connection string"))?;
        let settings =
            if address.is_self { self_settings(&self.server, string)? } else { target_settings(&self.server, string)? };
        let session_slot = self.free_session_slot();
        let settings =
            settings.with_application_name(&self.name(session_slot)).with_connect_timeout(self.timeouts.target_connect);
        let new_permits = || Arc::new(Semaphore::new(CONNECTING_MAX));
        let permits = Arc::clone(self.connect_permits.entry(target.clone()).or_insert_with(new_permits));
        let options = ConnectOptions {
            settings: settings.clone(),
            client_check: self.client_checks.get(target).copied().unwrap_or_default(),
            copies: Some(self.copies()).filter(|_| !self.has_open_session(target)),
            answer_max: self.timeouts.target_answer,
            connect_permits: permits,
        };
        let handle = TargetSession::open(session, options, events);
        let entry = SessionEntry {
            target: target.clone(),
            session_slot,
            settings,
            handle: Some(handle),
            opened: None,
            busy: None,
            outdated: false,
            at_self: false,
            has_receipts: false,
            is_fenced: false,
        };
        self.entries.insert(session, entry);
        Ok(())
    }

    fn copies(&self) -> ServerCopies {
        ServerCopies { server: self.server.clone(), server_id: self.server_id.clone(), election: self.election.clone() }
    }

    fn has_open_session(&self, target: &TargetName) -> bool {
        self.entries.values().any(|entry| entry.target == *target && entry.handle.is_some() && entry.opened.is_some())
    }

    /// `application_name` of a session of this leader.
    pub(crate) fn name(&self, suffix: impl std::fmt::Display) -> String {
        format!("pgasync/{}/{}/{suffix}", self.server_id, self.election)
    }

    /// Notes that a session is open. Returns its target if the target was lost until now.
    pub(crate) fn note_opened(&mut self, session: SessionId, opened: OpenedSession) -> Option<TargetName> {
        let entry = self.entries.get_mut(&session)?;
        self.client_checks.insert(entry.target.clone(), opened.client_check);
        entry.opened = Some(opened);
        self.lost.remove_entry(&entry.target).map(|(target, _)| target)
    }

    /// Notes that a session is one at the server database itself, of a member of the owner.
    pub(crate) fn note_at_self(&mut self, session: SessionId) {
        if let Some(entry) = self.entries.get_mut(&session) {
            entry.at_self = true;
        }
    }

    pub(crate) fn is_at_self(&self, session: SessionId) -> bool {
        self.entries.get(&session).is_some_and(|entry| entry.at_self)
    }

    pub(crate) fn target_of(&self, session: SessionId) -> Option<TargetName> {
        self.entries.get(&session).map(|entry| entry.target.clone())
    }

    pub(crate) fn registration(&self, session: SessionId) -> Option<Registration> {
        let entry = self.entries.get(&session)?;
        let opened = entry.opened.as_ref()?;
        let address = self.targets.get(&entry.target)?;
        let string = address.connection_string.clone().unwrap_or_default();
        // The next leader may reach the server itself at another address, so the address of this
        // leader is not recorded.
        let string = if address.is_self {
            string
        } else {
            ConnectionString::from(conninfo_at(&string, &entry.settings, &opened.reached))
        };
        Some(Registration {
            session_slot: entry.session_slot,
            target: entry.target.clone(),
            connection_string: string,
            role: opened.role.clone(),
            pid: opened.pid,
            backend_start: opened.backend_start.clone(),
            server: opened.server.clone(),
        })
    }

    /// Whether the session is reset after each task.
    pub(crate) fn needs_reset(&self, session: SessionId) -> bool {
        let target = self.entries.get(&session).and_then(|entry| self.targets.get(&entry.target));
        target.is_none_or(|target| target.session_reset)
    }

    /// Sends a query. A session that was lost after the core emitted the launch is closed already:
    /// nothing is sent, and the core has the loss.
    pub(crate) fn run(&mut self, session: SessionId, query: Query, now: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&session)
            && let Some(handle) = &entry.handle
        {
            entry.busy = Some((query.task, now));
            entry.has_receipts |= query.receipt;
            handle.send(query);
        }
    }

    pub(crate) fn note_idle(&mut self, session: SessionId) {
        if let Some(entry) = self.entries.get_mut(&session) {
            entry.busy = None;
        }
    }

    /// Closes an idle session; drops a busy one while its query runs.
    pub(crate) fn close(&mut self, session: SessionId) {
        if let Some(entry) = self.entries.get_mut(&session)
            && entry.handle.take().is_some()
            && entry.busy.is_none()
        {
            self.closing.insert(session);
        }
    }

    /// Notes that a fence begins for the session.
    pub(crate) fn note_fence(&mut self, session: SessionId) {
        if let Some(entry) = self.entries.get_mut(&session) {
            entry.is_fenced = true;
        }
    }

    pub(crate) fn is_fenced(&self, session: SessionId) -> bool {
        self.entries.get(&session).is_some_and(|entry| entry.is_fenced)
    }

    pub(crate) fn forget(&mut self, session: SessionId) {
        self.entries.remove(&session);
        self.closing.remove(&session);
    }

    /// Whether the session was ever open. A session that was never open is not in the registry.
    pub(crate) fn was_opened(&self, session: SessionId) -> bool {
        self.entries.get(&session).is_some_and(|entry| entry.opened.is_some())
    }

    pub(crate) fn runs(&self, session: SessionId, task: TaskId) -> bool {
        self.entries.get(&session).and_then(|entry| entry.busy).is_some_and(|(busy, _)| busy == task)
    }

    /// The backend of the session, with settings for a second connection to it.
    pub(crate) fn backend(&self, session: SessionId, suffix: &str) -> Option<TargetBackend> {
        let entry = self.entries.get(&session)?;
        let opened = entry.opened.as_ref()?;
        let settings = entry.settings.with_application_name(&self.name(suffix));
        Some(TargetBackend {
            target: entry.target.clone(),
            epoch: self.epoch,
            settings: settings.at(&opened.reached),
            canceler: opened.canceler.clone(),
            role: opened.role.clone(),
            pid: opened.pid,
            backend_start: opened.backend_start.clone(),
            attempt_max: self.timeouts.target_signal,
            server: opened.server.clone(),
            has_receipts: entry.has_receipts,
        })
    }

    /// Notes that the leader signals the session.
    pub(crate) fn note_signal(&self, session: SessionId, signal: BackendSignal) {
        if let (BackendSignal::Terminate, Some(SessionEntry { handle: Some(handle), .. })) =
            (signal, self.entries.get(&session))
        {
            handle.note_termination();
        }
    }

    pub(crate) fn fence_context(&self, target: &TargetName) -> FenceContext {
        let name = self.name("fence");
        let named = |settings: ConnectionSettings| settings.with_application_name(&name);
        let address = self.targets.get(target);
        let own = address.filter(|address| address.is_self).and_then(|address| {
            self_settings(&self.server, address.connection_string.as_deref().unwrap_or_default()).ok()
        });
        let present = address.filter(|address| !address.is_self);
        let present =
            present.and_then(|address| target_settings(&self.server, address.connection_string.as_deref()?).ok());
        FenceContext {
            server: self.server.clone(),
            target: target.clone(),
            own: own.map(named),
            present: present.map(named),
            copies: self.copies(),
            name,
            attempt_max: self.timeouts.target_signal,
        }
    }

    /// The number of open sessions of each target that has one.
    pub(crate) fn open_by_target(&self) -> BTreeMap<TargetName, u64> {
        let mut open = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| entry.opened.is_some() && entry.handle.is_some()) {
            *open.entry(entry.target.clone()).or_default() += 1;
        }
        open
    }

    /// Session slot, target, task and start of each busy session.
    pub(crate) fn busy(&self) -> Vec<PublishedSession> {
        let busy = |entry: &SessionEntry| {
            let (task, since) = entry.busy?;
            Some(PublishedSession { session_slot: entry.session_slot, target: entry.target.clone(), task, since })
        };
        self.entries.values().filter_map(busy).collect()
    }

    fn free_session_slot(&self) -> i32 {
        let taken: BTreeSet<i32> = self.entries.values().map(|entry| entry.session_slot).collect();
        (1..).find(|slot| !taken.contains(slot)).unwrap_or_else(|| {
            debug_assert!(false, "every session slot is taken");
            0
        })
    }
}

/// The settings of a target. The `PG*` variables of this process give no address, user or password.
pub(crate) fn target_settings(server: &ConnectionSettings, string: &str) -> Result<ConnectionSettings, String> {
    server
        .target(string)
        .map(|settings| settings.for_long().with_row_limit(TARGET_ROWS))
        .map_err(|error| error.to_string())
}

/// The server as a target: at the address where this process reaches it, as the user that the
/// string names.
pub(crate) fn self_settings(server: &ConnectionSettings, string: &str) -> Result<ConnectionSettings, String> {
    server.as_user_of(string).map(|settings| settings.for_long()).map_err(|error| error.to_string())
}
