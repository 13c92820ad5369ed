//! The name of a user, from a proxy that has checked it.

use std::net::IpAddr;

use axum::http::HeaderMap;
use pgasync_text::visible;

use super::Access;

/// Longer names are cut: they become part of messages.
const USER_CHARS_MAX: usize = 64;

impl Access {
    /// The user that a trusted proxy names. The header of any other peer is ignored.
    pub(super) fn user(&self, peer: IpAddr, headers: &HeaderMap) -> Option<String> {
        if !self.is_proxy(peer) {
            return None;
        }
        let mut values = headers.get_all(self.user_header.as_str()).iter();
        let user = values.next()?.to_str().ok()?.trim();
        // Two headers: one of them may be the visitor's own, which the proxy did not remove.
        if user.is_empty() || values.next().is_some() {
            return None;
        }
        Some(visible::line(user).chars().take(USER_CHARS_MAX).collect())
    }

    /// Whether the browser of a trusted proxy speaks TLS.
    pub(super) fn is_secure(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.is_proxy(peer) && headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes() == b"https")
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.contains(&peer.to_canonical())
    }
}
