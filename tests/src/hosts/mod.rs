//! The second backend: hosts of their own, as containers.

mod host;
mod network;

pub use host::Host;
pub use network::Network;
