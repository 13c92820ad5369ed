//! The same server in another way.

use std::time::Duration;

use super::keyword::Reach;
use super::options::Options;
use super::{ConnectionSettings, SettingsError, join};

impl ConnectionSettings {
    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self { database: Some(name.to_owned()), ..self.clone() }
    }

    /// The name shown in `pg_stat_activity`.
    #[must_use]
    pub fn with_application_name(&self, name: &str) -> Self {
        Self { application_name: Some(name.to_owned()), ..self.clone() }
    }

    /// For a session that lives long: the other side's death is noticed, unless the connection string says how.
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

    /// Gives up connecting to an address after this time, unless the connection string says otherwise.
    #[must_use]
    pub fn with_connect_timeout(&self, time: Duration) -> Self {
        Self { connect_timeout: self.connect_timeout.or(Some(time)), ..self.clone() }
    }

    /// Sends one more option at the start of a session, `-c name=value`. The connection string's own come after it,
    /// and win.
    #[must_use]
    pub fn with_option(&self, option: &str) -> Self {
        let options = join(Some(option), self.options.as_deref().unwrap_or_default());
        Self { options: Some(options), ..self.clone() }
    }

    /// As the user that a connection string names, and with the `options` and the password that it gives; the server
    /// stays where this has it.
    ///
    /// # Errors
    /// When the connection string cannot be used.
    pub fn as_user_of(&self, conninfo: &str) -> Result<Self, SettingsError> {
        let options = Options::collect(conninfo, Reach::Process, &|_| None)?;
        let named = Self::read(&options)?;
        let mut ours = self.clone();
        if options.get("user").is_some_and(|user| user != ours.user) {
            ours.user = named.user;
            // Another's password is no use, and none of their business.
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
