//! Errors that every call may return.

use std::fmt;
use std::time::Duration;

use pgasync_pg::{ConnectError, Error, ErrorKind, ServerError};

use crate::loss::is_loss;

/// The server refused the call, which changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The operation.
    pub operation: &'static str,
    /// The SQLSTATE; those of the schema `async` begin with `PA` (`docs/errors.md`). Empty when the
    /// driver refused a value before the server saw it.
    pub sqlstate: String,
    /// The message of the server.
    pub message: String,
    /// The detail and the hint of the server, separated by `; `.
    pub hint: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was refused: {} ({})", self.operation, self.message, self.sqlstate)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Why a call was not carried out, or why that is unknown.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server cannot be reached. The call changed nothing.
    #[error("{operation}: {reason}")]
    Unreachable {
        /// The operation.
        operation: &'static str,
        /// The reason.
        reason: ConnectError,
    },
    /// No session became free in time. The call changed nothing.
    #[error("{operation}: no session was free within {patience:?}; allow more sessions, or more time")]
    Busy {
        /// The operation.
        operation: &'static str,
        /// How long the call waited.
        patience: Duration,
    },
    /// The session was lost during the call, which may have been carried out.
    #[error("{operation}: the session is lost, and it is not known whether that was done: {reason}")]
    Lost {
        /// The operation.
        operation: &'static str,
        /// The SQLSTATE, if the server sent one.
        sqlstate: Option<String>,
        /// The error.
        reason: String,
    },
    /// The server refused, or the driver could not send or read a value.
    #[error("{0}")]
    Refused(Refusal),
}

impl CallError {
    pub(super) fn of(operation: &'static str, error: &Error) -> Self {
        let Some(ServerError { sqlstate, message, detail, hint, .. }) = error.server() else {
            let reason = format!("{error:#}");
            return match error.kind() {
                ErrorKind::ConnectionLost => Self::Lost { operation, sqlstate: None, reason },
                // A value that the driver cannot send or read does not affect the session.
                ErrorKind::Driver | ErrorKind::Server => {
                    Self::Refused(Refusal { operation, sqlstate: String::new(), message: reason, hint: None })
                }
            };
        };
        let (sqlstate, message) = (sqlstate.to_owned(), message.to_owned());
        if is_loss(error) {
            return Self::Lost { operation, sqlstate: Some(sqlstate), reason: message };
        }
        let more: Vec<&str> = [detail, hint].into_iter().flatten().collect();
        let hint = Some(more.join("; ")).filter(|text| !text.is_empty());
        Self::Refused(Refusal { operation, sqlstate, message, hint })
    }

    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Unreachable { operation, .. } | Self::Busy { operation, .. } | Self::Lost { operation, .. } => {
                operation
            }
            Self::Refused(refusal) => refusal.operation,
        }
    }

    /// The SQLSTATE, if the server sent one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } => None,
            Self::Lost { sqlstate, .. } => sqlstate.as_deref(),
            Self::Refused(refusal) => Some(refusal.sqlstate.as_str()).filter(|code| !code.is_empty()),
        }
    }

    /// Whether the same call may succeed later. A call whose session was lost may have been carried
    /// out, so it may only be tried again when a second execution does no harm
    /// (`again_is_harmless`).
    pub(super) fn may_be_tried_again(&self, again_is_harmless: bool) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } => true,
            Self::Lost { .. } => again_is_harmless,
            Self::Refused(refusal) => is_passing(&refusal.sqlstate),
        }
    }

    /// The refusal, if it has one of these SQLSTATEs.
    pub(super) fn refused_with(self, codes: &[&str]) -> Result<Refusal, Self> {
        match self {
            Self::Refused(refusal) if codes.contains(&refusal.sqlstate.as_str()) => Ok(refusal),
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Lost { .. } | Self::Refused(_) => Err(self),
        }
    }
}

/// Whether the reason for a refusal may pass: a serialization failure or a deadlock (class 40), too
/// few resources (53), a lock timeout (55P03), a canceled statement (57014), or a client database
/// whose server was unreachable (PA003).
fn is_passing(sqlstate: &str) -> bool {
    sqlstate.starts_with("40") || sqlstate.starts_with("53") || ["55P03", "57014", "PA003"].contains(&sqlstate)
}

/// The methods that the errors of all calls share.
macro_rules! error_methods {
    ($family:ident { $($refusal:ident),* $(,)? }, again_is_harmless: $harmless:expr) => {
        impl $family {
            /// The operation that failed.
            #[must_use]
            pub const fn operation(&self) -> &'static str {
                match self {
                    $(Self::$refusal(refusal) => refusal.operation,)*
                    Self::Failed(error) => error.operation(),
                }
            }

            /// The SQLSTATE, if the server sent one.
            #[must_use]
            pub fn sqlstate(&self) -> Option<&str> {
                match self {
                    $(Self::$refusal(refusal) => Some(&refusal.sqlstate),)*
                    Self::Failed(error) => error.sqlstate(),
                }
            }

            /// Whether the same call may succeed when it is tried again.
            #[must_use]
            pub fn may_be_tried_again(&self) -> bool {
                match self {
                    $(Self::$refusal(_) => false,)*
                    Self::Failed(error) => error.may_be_tried_again($harmless),
                }
            }
        }
    };
}

pub(super) use error_methods;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sqlstate: &str) -> CallError {
        CallError::Refused(Refusal {
            operation: "pushing tasks",
            sqlstate: sqlstate.to_owned(),
            message: "task 1: there is no target 'x'".to_owned(),
            hint: Some("configure it".to_owned()),
        })
    }

    #[test]
    fn what_passes_may_be_tried_again_and_what_was_asked_wrongly_may_not() {
        for (code, passes) in [("40001", true), ("40P01", true), ("53300", true), ("PA011", false), ("42501", false)] {
            assert_eq!(refused(code).may_be_tried_again(true), passes, "{code}");
        }
        let lost = CallError::Lost { operation: "pushing tasks", sqlstate: None, reason: "gone".to_owned() };
        assert!(lost.may_be_tried_again(true) && !lost.may_be_tried_again(false));
        assert!(CallError::Busy { operation: "x", patience: Duration::ZERO }.may_be_tried_again(false));
    }

    #[test]
    fn a_refusal_says_what_why_and_what_to_do() {
        let text = "pushing tasks was refused: task 1: there is no target 'x' (PA011); configure it";
        assert_eq!(refused("PA011").to_string(), text);
    }
}
