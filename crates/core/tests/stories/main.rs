//! What must happen in one situation, told step by step.

#![allow(clippy::panic, clippy::expect_used, reason = "a test may fail loudly")]

mod clock;
mod desk;
mod locked;
mod requests;
mod returns;
mod sessions;
mod strays;
mod unconfirmed;
mod upkeep;
