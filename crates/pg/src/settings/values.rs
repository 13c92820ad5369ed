//! Reading and checking the values of options.

use std::time::Duration;

/// A number in the form that libpq accepts: decimal, with optional spaces around it.
pub(super) fn integer(text: &str) -> Option<i64> {
    let number = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let number: i64 = number.parse().ok()?;
    i32::try_from(number).is_ok().then_some(number)
}

/// A length of time in units of `unit`. A negative number counts as zero, which means no limit for
/// `connect_timeout`, and the default of the operating system for the TCP options.
pub(super) fn length(text: &str, unit: Duration) -> Option<Duration> {
    let count = u32::try_from(integer(text)?.max(0)).ok()?;
    Some(unit * count)
}

/// `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionAttrs {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl SessionAttrs {
    const NAMES: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];

    pub(super) fn read(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, attrs)| *attrs)
    }

    pub(crate) fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, attrs)| *attrs == self);
        debug_assert!(named.is_some(), "{self:?} has no name");
        named.map_or("any", |(name, _)| name)
    }
}

/// Options of a TCP connection; `None` keeps the default of the operating system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tcp {
    pub(crate) no_keepalives: bool,
    pub(crate) idle: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    pub(crate) count: Option<u32>,
    pub(crate) user_timeout: Option<Duration>,
}

/// `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    const NAMES: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    pub(super) fn read(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode)
    }

    pub(super) fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, mode)| *mode == self);
        debug_assert!(named.is_some(), "{self:?} has no name");
        named.map_or("prefer", |(name, _)| name)
    }

    /// Whether a connection without TLS is refused.
    pub(crate) fn requires_tls(self) -> bool {
        matches!(self, Self::Require | Self::VerifyCa | Self::VerifyFull)
    }

    /// Whether root certificates are required.
    pub(crate) fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}
