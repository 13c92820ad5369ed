//! Why a page or an action was not possible: a status, a sentence, and what to do.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pgasync_store::{CallError, ConfigureError, PushError, ReadError, RequestError, ScheduleError};

#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// As plain text, where no page can be made.
    pub(crate) fn bare(&self) -> Response {
        let hint = self.hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        (self.status, kind, format!("{}{hint}\n", self.text)).into_response()
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match &error {
            CallError::Unreachable { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server is not reached.")
                .hint(format!("{text}. The page tries again by itself.")),
            CallError::Busy { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "All sessions of the dashboard are busy.")
                    .hint("Load the page again in a moment.")
            }
            CallError::Lost { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "The session with the server was lost.")
                    .hint(format!("{text}. Look before you repeat an action."))
            }
            CallError::Refused(refusal) => match refusal.sqlstate.as_str() {
                "57014" => Self::new(StatusCode::GATEWAY_TIMEOUT, "The server took too long for this.")
                    .hint("Choose fewer tasks: by phase, target, pool or time."),
                "42501" => Self::new(StatusCode::FORBIDDEN, "The role of the dashboard may not do this.").hint(text),
                "42P01" | "42703" | "42883" | "3F000" => {
                    Self::new(StatusCode::SERVICE_UNAVAILABLE, "The schema async is missing, or of another version.")
                        .hint(text)
                }
                _ => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "The server refused this.").hint(text),
            },
        }
    }
}

macro_rules! from_errors {
    ($($error:ident { $($refusal:ident),* }),* $(,)?) => {$(
        impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                match error {
                    $error::Failed(failed) => failed.into(),
                    $($error::$refusal(refusal) => CallError::Refused(refusal).into(),)*
                }
            }
        }
    )*};
}

from_errors!(
    ReadError { NotAllowed },
    RequestError { Impossible },
    ConfigureError { Refused },
    ScheduleError { Impossible, NotPermitted, Unknown, TooMany },
    PushError { UnknownTarget, RetiredTarget, RetiredPool, Impossible, NotGranted, TooLarge, KeyTaken, KeyBusy },
);
