//! Tests that kill servers, each on clusters of its own.
//!
//! A test sets up an [`arena`], kills something every few moments while a [`client`] pushes tasks and an [`observer`]
//! watches the targets, and lets a [`judge`] say which promises were broken. [`sabotage`] proves that it would say so.

mod arena;
mod at_random;
mod between_stages;
mod client;
mod cluster;
mod failpoint;
mod judge;
mod observer;
mod sabotage;
mod succession;
mod workload;

use crate::seed;
