//! Part of pgasync.
