//! Hosts as containers.

mod host;
mod network;

pub use host::Host;
pub use network::Network;
