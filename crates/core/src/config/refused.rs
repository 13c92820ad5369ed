//! Why a document is refused.

use std::borrow::Cow;

/// Why a document was refused, and where in it the reason stands.
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
    /// Where, as `targets[2].max_workers`.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a part of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Problem {
    /// There is no such setting.
    #[error("there is no such setting; check its spelling")]
    UnknownKey,
    /// It is of another kind than it should be.
    #[error("this should be {expected}")]
    WrongType {
        /// What it should be.
        expected: Cow<'static, str>,
    },
    /// It has to be there.
    #[error("this is required")]
    Missing,
    /// The same name was given before.
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
    /// Two names of one setting are given, and they differ.
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
    /// The name is one of another target, which is not retired.
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
