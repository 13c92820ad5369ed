//! Limits on waiting for a server or a target that does not answer.

use std::str::FromStr;
use std::time::Duration;

use pgasync_core::{Settings, Span, Tuning};

/// The limits on waiting. The defaults suit production; tests that wait for one of them set it
/// lower.
///
/// The text form is `server_silence=2s,target_answer=500ms`. A timeout that is left out keeps its
/// default.
///
/// ```
/// use std::time::Duration;
/// use pgasync_runner::Timeouts;
///
/// let timeouts: Timeouts = "server_silence=2s,target_answer=500ms".parse()?;
/// assert_eq!(timeouts.server_silence, Duration::from_secs(2));
/// assert_eq!(timeouts.server_connect, Timeouts::default().server_connect);
/// # Ok::<(), pgasync_runner::TimeoutsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// One connection attempt to the server. 5 s.
    pub server_connect: Duration,
    /// An answer to a candidate for the lead. 10 s.
    pub server_answer: Duration,
    /// The connection of a candidate, its last step to the lead, or one attempt to prove the lead.
    /// 20 s.
    pub server_attempt: Duration,
    /// A leader session that does not answer for this time is lost, unless a second session finds
    /// it active. 20 s.
    pub server_silence: Duration,
    /// A leader session that is still active after this time is lost. Routines are exempt. 600 s.
    pub server_work: Duration,
    /// The server ends a leader session that has sent nothing for this time
    /// (`idle_session_timeout`, `idle_in_transaction_session_timeout`) or acknowledged nothing
    /// (`tcp_user_timeout`). 15 s. It must exceed the second between two statements of an idle
    /// leader.
    pub server_idle: Duration,
    /// One connection attempt to a target. 5 s.
    pub target_connect: Duration,
    /// An answer of a target that has accepted a connection and runs no query yet. 10 s.
    pub target_answer: Duration,
    /// One attempt to cancel or terminate a query, or to fence a session. 25 s.
    pub target_signal: Duration,
    /// A query whose task was asked to finish or defer may continue for this time. 5 s.
    pub finish_grace: Duration,
    /// From a cancel request to the termination of the session. 5 s.
    pub cancel_grace: Duration,
    /// From the termination of a session to the end of the connection. 10 s.
    pub terminate_grace: Duration,
    /// An overdue task of a lost session is abandoned after this time. 5 s.
    pub lost_grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let Tuning { finish_grace, cancel_grace, terminate_grace, lost_grace, .. } = Tuning::default();
        let length = |span: Span| Duration::from_micros(span.as_micros().unsigned_abs());
        Self {
            server_connect: Duration::from_secs(5),
            server_answer: Duration::from_secs(10),
            server_attempt: Duration::from_secs(20),
            server_silence: Duration::from_secs(20),
            server_work: Duration::from_secs(600),
            server_idle: Duration::from_secs(15),
            target_connect: Duration::from_secs(5),
            target_answer: Duration::from_secs(10),
            target_signal: Duration::from_secs(25),
            finish_grace: length(finish_grace),
            cancel_grace: length(cancel_grace),
            terminate_grace: length(terminate_grace),
            lost_grace: length(lost_grace),
        }
    }
}

/// Why a text is not a list of timeouts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeoutsError {
    /// An entry is not `name=value`, or its value is not a length of time.
    #[error("\"{0}\" is not a timeout: write name=2s or name=500ms")]
    InvalidEntry(String),
    /// No timeout has this name.
    #[error("there is no timeout \"{0}\"")]
    Unknown(String),
}

impl FromStr for Timeouts {
    type Err = TimeoutsError;

    fn from_str(text: &str) -> Result<Self, TimeoutsError> {
        let mut timeouts = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let invalid = || TimeoutsError::InvalidEntry(entry.to_owned());
            let (name, value) = entry.split_once('=').ok_or_else(invalid)?;
            let value = length(value.trim()).ok_or_else(invalid)?;
            *timeouts.field(name.trim()).ok_or_else(|| TimeoutsError::Unknown(name.trim().to_owned()))? = value;
        }
        Ok(timeouts)
    }
}

impl Timeouts {
    /// Sets the grace periods in the settings of the core.
    pub(crate) fn tune(&self, settings: &mut Settings) {
        let span = |length: Duration| Span::micros(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
        settings.tuning.finish_grace = span(self.finish_grace);
        settings.tuning.cancel_grace = span(self.cancel_grace);
        settings.tuning.terminate_grace = span(self.terminate_grace);
        settings.tuning.lost_grace = span(self.lost_grace);
    }

    fn field(&mut self, name: &str) -> Option<&mut Duration> {
        Some(match name {
            "server_connect" => &mut self.server_connect,
            "server_answer" => &mut self.server_answer,
            "server_attempt" => &mut self.server_attempt,
            "server_silence" => &mut self.server_silence,
            "server_work" => &mut self.server_work,
            "server_idle" => &mut self.server_idle,
            "target_connect" => &mut self.target_connect,
            "target_answer" => &mut self.target_answer,
            "target_signal" => &mut self.target_signal,
            "finish_grace" => &mut self.finish_grace,
            "cancel_grace" => &mut self.cancel_grace,
            "terminate_grace" => &mut self.terminate_grace,
            "lost_grace" => &mut self.lost_grace,
            _ => return None,
        })
    }
}

/// Reads whole seconds or milliseconds. Zero is refused, because no answer could arrive in time.
fn length(text: &str) -> Option<Duration> {
    let length = match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    };
    (!length.is_zero()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_keeps_its_default() {
        assert_eq!("".parse(), Ok(Timeouts::default()));
        let expected = Timeouts { server_idle: Duration::from_millis(1_500), ..Timeouts::default() };
        assert_eq!(" server_idle = 1500ms ,".parse(), Ok(expected));
    }

    #[test]
    fn a_misspelt_timeout_is_refused() {
        assert_eq!("idle=1s".parse::<Timeouts>(), Err(TimeoutsError::Unknown("idle".into())));
        for text in ["server_idle", "server_idle=1", "server_idle=0s", "server_idle=-1s", "server_idle=s"] {
            assert_eq!(text.parse::<Timeouts>(), Err(TimeoutsError::InvalidEntry(text.into())));
        }
    }
}
