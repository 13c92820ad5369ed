//! Sessions and form keys, as HMACs under a key from the token. Nothing is stored, so a session
//! outlives a restart of the process, and ends with its time or with the token.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};

/// The time that a session lasts.
pub(crate) const SESSION_SECONDS: u64 = 12 * 3_600;

/// A token that can be guessed protects nothing.
pub(crate) const TOKEN_CHARS_MIN: usize = 16;

pub(crate) struct Keys {
    key: hmac::Key,
    token: Option<hmac::Tag>,
    random: SystemRandom,
}

impl Keys {
    /// Keys from the token; without one, keys of this process.
    pub(crate) fn new(token: Option<&str>) -> Self {
        let random = SystemRandom::new();
        let mut secret = [0; 32];
        if let Some(token) = token {
            secret.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        } else {
            random.fill(&mut secret).expect("the operating system has random bytes");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let token = token.map(|token| hmac::sign(&key, of("token", token).as_bytes()));
        Self { key, token, random }
    }

    pub(crate) const fn need_login(&self) -> bool {
        self.token.is_some()
    }

    /// Whether this is the token. The time of the comparison does not depend on the place of a difference.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        self.token.is_some_and(|token| hmac::verify(&self.key, of("token", given).as_bytes(), token.as_ref()).is_ok())
    }

    pub(crate) fn new_session(&self) -> String {
        let until = now() + SESSION_SECONDS;
        let body = format!("{until}.{}", self.random_name());
        let tag = self.tag("session", &body);
        format!("{body}.{tag}")
    }

    pub(crate) fn is_session(&self, session: &str) -> bool {
        let Some((body, tag)) = session.rsplit_once('.') else { return false };
        let until = body.split_once('.').and_then(|(until, _)| until.parse::<u64>().ok());
        until.is_some_and(|until| until > now()) && self.is_tag("session", body, tag)
    }

    /// The value that the forms of a session carry.
    pub(crate) fn form_key(&self, session: &str, user: Option<&str>) -> String {
        self.tag("form", &form_of(session, user))
    }

    pub(crate) fn is_form_key(&self, session: &str, user: Option<&str>, given: &str) -> bool {
        self.is_tag("form", &form_of(session, user), given)
    }

    /// A name that cannot be guessed.
    pub(crate) fn random_name(&self) -> String {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes).expect("the operating system has random bytes");
        hex(&bytes)
    }

    fn tag(&self, purpose: &str, text: &str) -> String {
        hex(hmac::sign(&self.key, of(purpose, text).as_bytes()).as_ref())
    }

    fn is_tag(&self, purpose: &str, text: &str, tag: &str) -> bool {
        unhex(tag).is_some_and(|tag| hmac::verify(&self.key, of(purpose, text).as_bytes(), &tag).is_ok())
    }
}

fn of(purpose: &str, text: &str) -> String {
    format!("pgasync web {purpose}: {text}")
}

fn form_of(session: &str, user: Option<&str>) -> String {
    format!("{session} {}", user.unwrap_or_default())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > 128 || !text.is_ascii() {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "a token of the tests";

    #[test]
    fn a_session_is_accepted_where_its_token_is() {
        let keys = Keys::new(Some(TOKEN));
        let session = keys.new_session();
        assert!(keys.is_session(&session) && Keys::new(Some(TOKEN)).is_session(&session));
        assert!(!Keys::new(Some("another token of the tests")).is_session(&session));
        assert!(!Keys::new(None).is_session(&session));
    }

    #[test]
    fn a_changed_or_ended_session_is_refused() {
        let keys = Keys::new(Some(TOKEN));
        let session = keys.new_session();
        let later = session.replacen(|c: char| c.is_ascii_digit(), "9", 1);
        let ended = format!("1.00.{}", keys.tag("session", "1.00"));
        for wrong in ["", ".", "..", "9999999999.00.", &session[..session.len() - 2], &later, &ended, "é.é.é"] {
            assert!(!keys.is_session(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_form_key_belongs_to_one_session_and_user() {
        let keys = Keys::new(Some(TOKEN));
        let (one, other) = (keys.new_session(), keys.new_session());
        let key = keys.form_key(&one, Some("ada"));
        assert!(keys.is_form_key(&one, Some("ada"), &key));
        assert!(!keys.is_form_key(&one, None, &key) && !keys.is_form_key(&other, Some("ada"), &key));
        assert!(!keys.is_form_key(&one, Some("ada"), "") && !keys.is_session(&key));
    }

    #[test]
    fn only_the_token_is_the_token() {
        let keys = Keys::new(Some(TOKEN));
        assert!(keys.is_token(TOKEN));
        for wrong in ["", "a token of the test", "A token of the tests", "a token of the tests "] {
            assert!(!keys.is_token(wrong), "{wrong}");
        }
        assert!(!Keys::new(None).is_token(""));
    }
}
