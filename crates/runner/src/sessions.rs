//! The sessions with targets, as the engine keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pgasync_core::{Epoch, SessionId, TargetName, TaskId, Timestamp};
use pgasync_pg::{ConnectionSettings, ConnectionString, conninfo_at};
use pgasync_store::{Registration, TargetAddress};

use tokio::sync::Semaphore;

use crate::copies::Copies;
use crate::ending::{Backend, How, Places};
use crate::events::Events;
use crate::line::{Checks, Line, Opened, Work};
use crate::timeouts::Timeouts;

/// Connections to a target that are being made at once.
const MEETINGS_MAX: usize = 8;

/// All of them, and what is known of their targets.
#[derive(Debug)]
pub(crate) struct Sessions {
    server: ConnectionSettings,
    server_id: String,
    epoch: Epoch,
    /// Epoch and nonce.
    election: String,
    timeouts: Timeouts,
    pub(crate) targets: BTreeMap<TargetName, TargetAddress>,
    checks: BTreeMap<TargetName, Checks>,
    /// Who connects to a target waits at its door.
    doors: BTreeMap<TargetName, Arc<Semaphore>>,
    book: BTreeMap<SessionId, Entry>,
    /// Targets that could not be reached the last time: since when, and what was said last.
    pub(crate) lost: BTreeMap<TargetName, (Timestamp, String)>,
    /// Being closed.
    pub(crate) closing: BTreeSet<SessionId>,
}

#[derive(Debug)]
struct Entry {
    target: TargetName,
    slot: i32,
    settings: ConnectionSettings,
    line: Option<Line>,
    opened: Option<Opened>,
    /// What it runs, and since when.
    busy: Option<(TaskId, Timestamp)>,
    /// Its target has another address now.
    outdated: bool,
}

impl Sessions {
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
            checks: BTreeMap::new(),
            doors: BTreeMap::new(),
            book: BTreeMap::new(),
            lost: BTreeMap::new(),
            closing: BTreeSet::new(),
        }
    }

    /// Takes in where the targets are now; says which sessions without work are at an old address. Those that are busy
    /// end after their query.
    pub(crate) fn readdress(&mut self, targets: BTreeMap<TargetName, TargetAddress>) -> Vec<SessionId> {
        let old = std::mem::replace(&mut self.targets, targets);
        let mut idle = Vec::new();
        for (session, entry) in &mut self.book {
            let string = |all: &BTreeMap<TargetName, TargetAddress>| {
                all.get(&entry.target).and_then(|address| address.connection_string.clone())
            };
            if entry.line.is_some() && string(&old) != string(&self.targets) {
                self.checks.remove(&entry.target);
                entry.outdated = true;
                if entry.busy.is_none() {
                    idle.push(*session);
                }
            }
        }
        idle
    }

    /// Whether the session is at an address that its target has no more.
    pub(crate) fn is_outdated(&self, session: SessionId) -> bool {
        self.book.get(&session).is_some_and(|entry| entry.outdated)
    }

    /// Begins to connect; or says why that is pointless.
    pub(crate) fn open(&mut self, session: SessionId, target: &TargetName, events: Events) -> Result<(), String> {
        let address = self.targets.get(target).ok_or_else(|| format!("target \"{target}\" does not exist"))?;
        let string = address
            .connection_string
            .as_ref()
            .ok_or_else(|| format!("PA204: target \"{target}\" has no connection string"))?;
        let settings = if address.is_self { self_settings(&self.server, string)? } else { target_settings(string)? };
        let slot = self.free_slot();
        let settings =
            settings.with_application_name(&self.name(slot)).with_connect_timeout(self.timeouts.target_connect);
        let checks = self.checks.get(target).copied().unwrap_or_default();
        let new_door = || Arc::new(Semaphore::new(MEETINGS_MAX));
        let door = Arc::clone(self.doors.entry(target.clone()).or_insert_with(new_door));
        let copies = Some(self.copies()).filter(|_| !self.is_met(target));
        let line = Line::open(session, settings.clone(), checks, copies, self.timeouts.target_answer, door, events);
        let entry = Entry {
            target: target.clone(),
            slot,
            settings,
            line: Some(line),
            opened: None,
            busy: None,
            outdated: false,
        };
        self.book.insert(session, entry);
        Ok(())
    }

    /// How sessions of another server with this one's id are told.
    pub(crate) fn copies(&self) -> Copies {
        Copies { server: self.server.clone(), server_id: self.server_id.clone(), election: self.election.clone() }
    }

    /// A session with the target is open.
    fn is_met(&self, target: &TargetName) -> bool {
        self.book.values().any(|entry| entry.target == *target && entry.line.is_some() && entry.opened.is_some())
    }

    /// The name by which the target knows a session of ours.
    pub(crate) fn name(&self, role: impl std::fmt::Display) -> String {
        format!("pgasync/{}/{}/{role}", self.server_id, self.election)
    }

    /// A session is there; gives its target when that had been lost.
    pub(crate) fn opened(&mut self, session: SessionId, opened: Opened) -> Option<TargetName> {
        let entry = self.book.get_mut(&session)?;
        self.checks.insert(entry.target.clone(), opened.checks);
        entry.opened = Some(opened);
        self.lost.remove_entry(&entry.target).map(|(target, _)| target)
    }

    pub(crate) fn target_of(&self, session: SessionId) -> Option<TargetName> {
        self.book.get(&session).map(|entry| entry.target.clone())
    }

    pub(crate) fn registration(&self, session: SessionId) -> Option<Registration> {
        let entry = self.book.get(&session)?;
        let opened = entry.opened.as_ref()?;
        let address = self.targets.get(&entry.target)?;
        let string = address.connection_string.clone().unwrap_or_default();
        // The server itself is wherever the next leader reaches it.
        let string = if address.is_self {
            string
        } else {
            ConnectionString::from(conninfo_at(&string, &entry.settings, &opened.reached))
        };
        Some(Registration {
            slot: entry.slot,
            target: entry.target.clone(),
            connection_string: string,
            role: opened.role.clone(),
            pid: opened.pid,
            backend_start: opened.backend_start.clone(),
            server: opened.server.clone(),
        })
    }

    /// Whether sessions of the target of this one are reset after each task.
    pub(crate) fn resets(&self, session: SessionId) -> bool {
        let target = self.book.get(&session).and_then(|entry| self.targets.get(&entry.target));
        target.is_none_or(|target| target.session_reset)
    }

    pub(crate) fn run(&mut self, session: SessionId, work: Work, now: Timestamp) {
        if let Some(entry) = self.book.get_mut(&session)
            && let Some(line) = &entry.line
        {
            entry.busy = Some((work.task, now));
            line.send(work);
        }
    }

    pub(crate) fn rests(&mut self, session: SessionId) {
        if let Some(entry) = self.book.get_mut(&session) {
            entry.busy = None;
        }
    }

    /// Closes a session, or drops it while its query runs.
    pub(crate) fn close(&mut self, session: SessionId) {
        if let Some(entry) = self.book.get_mut(&session)
            && entry.line.take().is_some()
            && entry.busy.is_none()
        {
            self.closing.insert(session);
        }
    }

    /// Nothing of it is left.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.book.remove(&session);
        self.closing.remove(&session);
    }

    /// Whether it was opened; one that was not is in no registry.
    pub(crate) fn was_opened(&self, session: SessionId) -> bool {
        self.book.get(&session).is_some_and(|entry| entry.opened.is_some())
    }

    /// Whether the session runs this task now.
    pub(crate) fn runs(&self, session: SessionId, task: TaskId) -> bool {
        self.book.get(&session).and_then(|entry| entry.busy).is_some_and(|(busy, _)| busy == task)
    }

    /// Where its backend is, for a second connection.
    pub(crate) fn backend(&self, session: SessionId, role: &str) -> Option<Backend> {
        let entry = self.book.get(&session)?;
        let opened = entry.opened.as_ref()?;
        let settings = entry.settings.with_application_name(&self.name(role));
        Some(Backend {
            target: entry.target.clone(),
            epoch: self.epoch,
            settings: settings.at(&opened.reached),
            canceler: opened.canceler.clone(),
            role: opened.role.clone(),
            pid: opened.pid,
            backend_start: opened.backend_start.clone(),
            attempt_max: self.timeouts.target_signal,
            server: opened.server.clone(),
        })
    }

    /// The target is asked to end it: what it then says of its query counts as the query's end.
    pub(crate) fn presses(&self, session: SessionId, how: How) {
        if let (How::Terminate, Some(Entry { line: Some(line), .. })) = (how, self.book.get(&session)) {
            line.terminated.store(true, Ordering::Relaxed);
        }
    }

    /// Where sessions at a target may be ended.
    pub(crate) fn places(&self, target: &TargetName) -> Places {
        let name = self.name("fence");
        let named = |settings: ConnectionSettings| settings.with_application_name(&name);
        let address = self.targets.get(target);
        let own = address.filter(|address| address.is_self).and_then(|address| {
            self_settings(&self.server, address.connection_string.as_deref().unwrap_or_default()).ok()
        });
        let present = address.filter(|address| !address.is_self);
        let present = present.and_then(|address| target_settings(address.connection_string.as_deref()?).ok());
        Places {
            server: self.server.clone(),
            target: target.clone(),
            own: own.map(named),
            present: present.map(named),
            copies: self.copies(),
            name,
            attempt_max: self.timeouts.target_signal,
        }
    }

    /// The busy slots: which, where, what, since when.
    pub(crate) fn busy(&self) -> Vec<(i32, String, TaskId, Timestamp)> {
        let busy = |entry: &Entry| entry.busy.map(|(task, since)| (entry.slot, entry.target.to_string(), task, since));
        self.book.values().filter_map(busy).collect()
    }

    fn free_slot(&self) -> i32 {
        let taken: BTreeSet<i32> = self.book.values().map(|entry| entry.slot).collect();
        (1..).find(|slot| !taken.contains(slot)).unwrap_or(0)
    }
}

/// How to reach a target: by its connection string alone, with what holds for every connection of this process.
pub(crate) fn target_settings(string: &str) -> Result<ConnectionSettings, String> {
    ConnectionSettings::of_target(string).map(|settings| settings.for_long()).map_err(|error| error.to_string())
}

/// The server itself, where this orchestrator reaches it; as the user that the string names.
fn self_settings(server: &ConnectionSettings, string: &str) -> Result<ConnectionSettings, String> {
    server.as_user_of(string).map(|settings| settings.for_long()).map_err(|error| error.to_string())
}
