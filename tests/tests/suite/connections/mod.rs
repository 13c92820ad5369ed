//! The connections of the Rust engine to real servers. The reference is libpq (psql) where
//! possible.

mod certificates;
mod end_to_end;
mod errors;
mod fixture;
mod hosts;
mod judge;
mod judged_by_libpq;
mod newer_than_libpq;
mod poolers;
mod table;
