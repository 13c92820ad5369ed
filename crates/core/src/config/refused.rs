//! Why a document is refused.

use std::borrow::Cow;

/// Why a document was refused, and at which part.
///
/// ```
/// use pgasync_core::{Configuration, ControlEntry, Document, Problem};
/// let control = ControlEntry { workers: Some(0), ..ControlEntry::default() };
/// let document = Document { control: Some(control), ..Document::default() };
/// let refused = Configuration::default().apply(&document).unwrap_err();
/// assert_eq!(refused.path, "control.workers");
/// assert!(matches!(refused.problem, Problem::Impossible { .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[error("{path}: {problem}")]
pub struct Refused {
    /// The path of the part, such as `targets[2].max_workers`.
    pub path: String,
    /// The reason.
    pub problem: Problem,
}

/// Why a part of a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Problem {
    /// No setting has this name.
    #[error("there is no such setting; check its spelling")]
    UnknownKey,
    /// The value has the wrong type.
    #[error("this should be {expected}")]
    WrongType {
        /// What it should be.
        expected: Cow<'static, str>,
    },
    /// A required value is missing.
    #[error("this is required")]
    Missing,
    /// An earlier entry has the same name.
    #[error("\"{name}\" is given twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The value is too small, too large, or not of the expected form.
    #[error("this should be {expected}")]
    Impossible {
        /// What it should be.
        expected: Cow<'static, str>,
    },
    /// A setting has two names, and both are given with different values.
    #[error("max_workers and max_concurrency are the same setting; give one of them")]
    Contradiction,
    /// The entry of the server itself contradicts `control`.
    #[error("this differs from control.{setting}, which means the same; give one of them")]
    Differs {
        /// The setting of `control`.
        setting: Cow<'static, str>,
    },
    /// The server itself cannot be retired.
    #[error("the server itself cannot be retired; leave this out")]
    RetiresSelf,
    /// The name of a default stands for no policy.
    #[error("there is no retry policy \"{name}\"; add it to retry_policies, or give none")]
    NoSuchPolicy {
        /// The name.
        name: String,
    },
    /// The list leaves out a policy that is a default.
    #[error("this lacks \"{name}\", which is the default_retry of control or a target; name another one there first")]
    PolicyInUse {
        /// The name.
        name: String,
    },
    /// Another target, which is not retired, has this name.
    #[error("\"{name}\" is another target's name; give another one, or retire that target first")]
    Taken {
        /// The name.
        name: String,
    },
}

impl Problem {
    pub(super) const fn impossible(expected: &'static str) -> Self {
        Self::Impossible { expected: Cow::Borrowed(expected) }
    }
}

pub(super) fn refuse(path: impl Into<String>, problem: Problem) -> Refused {
    Refused { path: path.into(), problem }
}
