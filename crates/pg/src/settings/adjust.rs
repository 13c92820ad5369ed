//! Variants of settings: another database, another name, timeouts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::keyword::VariableScope;
use super::options::Options;
use super::{ConnectionSettings, SettingsError, join};
use crate::filter::RowLimit;

impl ConnectionSettings {
    /// The same settings with another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self { database: Some(name.to_owned()), ..self.clone() }
    }

    /// The same settings with this name in `pg_stat_activity`.
    #[must_use]
    pub fn with_application_name(&self, name: &str) -> Self {
        Self { application_name: Some(name.to_owned()), ..self.clone() }
    }

    /// The settings for a long session: keepalives and a TCP timeout detect a dead peer. Settings
    /// of the connection string take precedence.
    #[must_use]
    pub fn for_long(&self) -> Self {
        let mut other = self.clone();
        let [idle, interval, count, user_timeout] = self.tcp_given.map(|given| !given);
        other.tcp.idle = other.tcp.idle.or(idle.then_some(Duration::from_secs(10)));
        other.tcp.interval = other.tcp.interval.or(interval.then_some(Duration::from_secs(5)));
        other.tcp.count = other.tcp.count.or(count.then_some(3));
        other.tcp.user_timeout = other.tcp.user_timeout.or(user_timeout.then_some(Duration::from_secs(30)));
        other
    }

    /// Limits the time to connect to an address, unless the settings have a `connect_timeout`. A
    /// `connect_timeout` of zero stays: no limit.
    #[must_use]
    pub fn with_connect_timeout(&self, time: Duration) -> Self {
        Self { connect_timeout: self.connect_timeout.or(Some(time)), ..self.clone() }
    }

    /// Limits the rows of sessions from their begin on. [`Session::limit_rows`](crate::Session::limit_rows)
    /// changes the limit of a session.
    #[must_use]
    pub fn with_row_limit(&self, rows: RowLimit) -> Self {
        Self { rows, ..self.clone() }
    }

    /// Sets the folder of the files that references to passwords name.
    #[must_use]
    pub fn with_secrets_dir(&self, folder: Option<&Path>) -> Self {
        Self { secrets_dir: folder.map(Arc::from), ..self.clone() }
    }

    /// The settings of a target, with the folder of secrets of these settings.
    ///
    /// # Errors
    /// As [`ConnectionSettings::of_target`].
    pub fn target(&self, conninfo: &str) -> Result<Self, SettingsError> {
        Ok(Self { secrets_dir: self.secrets_dir.clone(), ..Self::of_target(conninfo)? })
    }

    /// Adds a command-line option of the session, `-c name=value`. The options of the connection
    /// string follow it, and take precedence.
    #[must_use]
    pub fn with_option(&self, option: &str) -> Self {
        let options = join(Some(option), self.options.as_deref().unwrap_or_default());
        Self { options: Some(options), ..self.clone() }
    }

    /// The same server, with the user, the password and the `options` of a connection string.
    ///
    /// # Errors
    /// When the connection string cannot be used.
    pub fn as_user_of(&self, conninfo: &str) -> Result<Self, SettingsError> {
        let options = Options::collect(conninfo, VariableScope::Process, &|_| None)?;
        let named = Self::read_target(&options)?;
        let mut ours = self.clone();
        if options.get("user").is_some_and(|user| user != ours.user) {
            ours.user = named.user;
            // The password of one user must not reach another.
            ours.password = None;
        }
        ours.password = named.password.or(ours.password);
        ours.options = named.options.or(ours.options);
        if let Some(file) = options.get("passfile") {
            ours.passfile = Some(file.into());
        }
        Ok(ours)
    }
}
