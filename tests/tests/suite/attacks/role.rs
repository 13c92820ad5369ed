//! Roles of one test.

use std::sync::atomic::{AtomicU32, Ordering};

use pgasync_pg::{ConnectionSettings, Notice, Session};
use pgasync_tests::Scratch;

/// A role that may log in, with a prefix of its own for each test.
pub(super) struct Role(pub(super) String);

impl Role {
    pub(super) async fn create(database: &Scratch, kind: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let of_test = database.name();
        let of_test = &of_test[of_test.len().saturating_sub(40)..];
        let name = format!("r{}_{of_test}_{kind}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let administrator = database.connect().await;
        run(&administrator, &format!("create role {name} login")).await;
        Self(name)
    }

    /// A role with what `async.grant_client` gives, at these targets (an SQL expression).
    pub(super) async fn client(database: &Scratch, kind: &str, targets: &str) -> Self {
        let role = Self::create(database, kind).await;
        role.grant(database, targets).await;
        role
    }

    pub(super) async fn grant(&self, database: &Scratch, targets: &str) {
        let owner = database.connect().await;
        run(&owner, &format!("select async.grant_client('{}', {targets})", self.0)).await;
    }

    /// A session that this role logged in to.
    pub(super) async fn connect(&self, database: &Scratch) -> Session {
        let conninfo = database.conninfo().replace("user=postgres", &format!("user={}", self.0));
        let settings = ConnectionSettings::resolve(&conninfo, |_| None).expect("it parses");
        settings.connect().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Drops the role with what it has in these databases.
    pub(super) async fn drop_from(self, databases: &[&Scratch]) {
        for database in databases {
            run(&database.connect().await, &format!("drop owned by {} cascade", self.0)).await;
        }
        run(&databases[0].connect().await, &format!("drop role {}", self.0)).await;
    }
}

/// Runs statements that must succeed.
pub(super) async fn run(session: &Session, sql: &str) {
    session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
}

/// The messages that a client receives while it runs statements that must succeed.
pub(super) async fn messages(database: &Scratch, sql: &str) -> Vec<String> {
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let keep = move |notice| {
        if let Notice::Message { text, .. } = notice {
            drop(sender.send(text));
        }
    };
    let session = database.settings().connect_with(keep).await.unwrap_or_else(|error| panic!("{error}"));
    run(&session, sql).await;
    let mut messages = Vec::new();
    while let Ok(message) = received.try_recv() {
        messages.push(message);
    }
    messages
}

/// The SQLSTATE with which statements are refused, if they are.
pub(super) async fn code(session: &Session, sql: &str) -> Option<String> {
    match session.batch_execute(sql).await {
        Ok(()) => None,
        Err(error) => Some(error.sqlstate().unwrap_or_else(|| panic!("{sql}: {error:?}")).to_owned()),
    }
}

/// Asserts with which SQLSTATE each statement is refused; `None` for those that succeed.
#[track_caller]
pub(super) fn expect(sql: &str, code: Option<&str>, expected: Option<&str>) {
    assert_eq!(code, expected, "{sql}");
}
