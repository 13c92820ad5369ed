//! Tests that kill servers, each on clusters of its own.

mod cluster;
