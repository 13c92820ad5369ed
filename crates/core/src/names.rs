//! Ids and names. A name is checked once, when it is created.

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
    /// The id of a task. A later push has a higher one.
    TaskId, i64
);
number!(
    /// The priority of a task. Lower values run first. By convention, negative values belong to the
    /// orchestrator.
    Priority, i32
);
number!(
    /// The number of the claim of a task: 0 for a pushed task, plus one with each claim or take. It
    /// never decreases.
    Run, i32
);
number!(
    /// The number that the orchestrator gives to a target session. No number is used twice within
    /// an epoch.
    SessionId, u64
);
number!(
    /// The number of an election. A later election has a higher one.
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
    /// The name is empty, or has only blanks.
    #[error("a name is empty; give it at least one character that is not a blank")]
    Empty,
    /// The name contains a zero byte, which a text of Postgres cannot contain.
    #[error("a name contains a zero byte; remove it")]
    Zero,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, may_be_blank: $may_be_blank:literal) => {
        $(#[$doc])*
        ///
        /// Invariant: the name has no zero bytes. A clone shares the text.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a name.
            ///
            /// # Errors
            /// [`BadName`] when the name contains a zero byte, or is blank where that is not allowed.
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
    /// The name of a target, a database that runs tasks. Not blank.
    TargetName, may_be_blank: false
);
name!(
    /// The name of a concurrency pool, which limits how many of its tasks run at once. The pool of a
    /// task may have a blank name; a configured pool may not.
    PoolName, may_be_blank: true
);

name!(
    /// The name of the role that logged in to the server for a request.
    RoleName, may_be_blank: true
);

impl PoolName {
    /// The pool that a task counts against: the pool that the task names, otherwise the pool of its
    /// target.
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
