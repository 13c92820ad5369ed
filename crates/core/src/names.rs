//! What things are called: ids and names that are checked once, where they enter.

use std::fmt;
use std::sync::Arc;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A task's number in the table; pushes count up.
    TaskId, i64
);
number!(
    /// How soon a task runs: lower goes first. Below zero is by convention the orchestrator's own.
    Priority, i32
);
number!(
    /// Which try of a task this is: 0 when pushed, one more with each claim or take, never less.
    Run, i32
);
number!(
    /// A session with a target, numbered by the orchestrator that asked for it; never used twice
    /// within one epoch.
    SessionId, u64
);
number!(
    /// A leadership's number; each new leader's is higher than all before it.
    Epoch, i64
);

impl Run {
    /// The run of a task that was never claimed.
    pub const NONE: Self = Self(0);

    /// The run after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A name that was refused.
///
/// ```
/// use pgasync_core::{BadName, TargetName};
/// assert_eq!(TargetName::new(" \t"), Err(BadName::Empty));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum BadName {
    /// Nothing, or nothing but blanks.
    #[error("a name is empty; give it at least one character that is not a blank")]
    Empty,
    /// Postgres text cannot hold it.
    #[error("a name contains a zero byte; remove it")]
    Zero,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, may_be_blank: $may_be_blank:literal) => {
        $(#[$doc])*
        ///
        /// Invariant: without zero bytes. Cloning is cheap.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// [`BadName`] when it holds a zero byte, or is blank and must not be.
            pub fn new(name: impl AsRef<str>) -> Result<Self, BadName> {
                let name = name.as_ref();
                if !$may_be_blank && name.chars().all(|c| c.is_ascii_whitespace() || c == '\x0b') {
                    return Err(BadName::Empty);
                }
                if name.contains('\0') {
                    return Err(BadName::Zero);
                }
                Ok(Self(name.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(name: String) -> Result<Self, BadName> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }
    };
}

name!(
    /// A target: a database that runs tasks. Not blank.
    TargetName, may_be_blank: false
);
name!(
    /// A concurrency pool: a limit on tasks at once, under a name. A task may name any, also a blank
    /// one; only those of a configuration must not be blank.
    PoolName, may_be_blank: true
);

impl PoolName {
    /// The pool that a task counts against: its own if it named one, else its target's.
    ///
    /// ```
    /// use pgasync_core::{PoolName, TargetName};
    /// let target = TargetName::new("sales").unwrap();
    /// let pool = PoolName::new("reports").unwrap();
    /// assert_eq!(PoolName::of(Some(&pool), &target).as_str(), "reports");
    /// assert_eq!(PoolName::of(None, &target).as_str(), "sales");
    /// ```
    #[must_use]
    pub fn of(named: Option<&Self>, target: &TargetName) -> Self {
        named.map_or_else(|| Self(Arc::clone(&target.0)), Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_and_unstorable_names_are_refused() {
        assert_eq!(TargetName::new(" \t"), Err(BadName::Empty));
        assert_eq!(PoolName::new("a\0b"), Err(BadName::Zero));
        assert_eq!(PoolName::new("a b").unwrap().as_str(), "a b");
        assert_eq!(PoolName::new("").unwrap().as_str(), "");
    }
}
