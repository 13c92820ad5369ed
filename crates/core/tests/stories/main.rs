//! What must happen in one situation, told step by step.

#![allow(clippy::panic, clippy::expect_used, reason = "a test may fail loudly")]

mod desk;
mod sessions;
mod strays;
