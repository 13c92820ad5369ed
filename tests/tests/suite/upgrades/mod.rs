//! Upgrades: of the library with the same names, and of each released schema.

mod conversion;
mod dumps;
mod original;
pub(crate) mod released;
mod under_load;
mod versions;
