//! The Postgres cluster of the tests.

use std::env;

use pgasync_pg::{ConnectionSettings, Session};

/// A running cluster with a superuser without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether the cluster is removed as a whole at the end of its test.
    pub(crate) passing: bool,
}

impl Cluster {
    /// The cluster that `./dev` started for this run of the tests.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn shared() -> Self {
        let (Ok(host), Some(port)) = (env::var("PGHOST"), env::var("PGPORT").ok().and_then(|port| port.parse().ok()))
        else {
            panic!("these tests need a Postgres to themselves: run them with ./dev test, or ./dev pg MAJOR cargo test");
        };
        Self { host, port, passing: false }
    }

    /// The settings of a session of the superuser in one of its databases.
    #[must_use]
    pub fn settings(&self, database: &str) -> ConnectionSettings {
        ConnectionSettings::resolve(&self.conninfo(database), |_| None)
            .expect("the harness writes connection strings that parse")
    }

    /// The connection string of the superuser for one of its databases, for dblink and for
    /// programs.
    #[must_use]
    pub fn conninfo(&self, database: &str) -> String {
        format!("host={} port={} dbname={database} user=postgres sslmode=disable", self.host, self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A session in the database `postgres`.
    ///
    /// # Panics
    /// When the cluster cannot be reached.
    pub async fn administrator(&self) -> Session {
        self.settings("postgres").connect().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The state of a backend (`active`, `idle`, ...), or `None` when it does not exist.
    pub async fn backend_state(&self, pid: i32) -> Option<String> {
        self.administrator()
            .await
            .query_opt("select coalesce(state, 'starting') from pg_stat_activity where pid = $1", &[&pid])
            .await
            .expect("pg_stat_activity is readable")
            .map(|row| row.get(0))
    }
}
