//! How the Rust engine connects: to real servers, with libpq (psql) as the reference where
//! possible.

mod certificates;
mod end_to_end;
mod errors;
mod fixture;
mod hosts;
mod judge;
mod judged_by_libpq;
mod newer_than_libpq;
mod table;
