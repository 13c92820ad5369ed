//! The network of the hosts of a test.

use std::thread;
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest,
    NetworkDisconnectRequest,
};
use testcontainers::core::client::docker_client_instance;

/// The label with the process that created a container or a network. `./dev check hosts` removes
/// what an earlier process left behind.
pub(super) const LABEL: &str = "pgasync.test";

const TRIES_MAX: u32 = 20;

/// The network of one test. Dropping this value removes the network.
///
/// Its hosts have fixed addresses, so that a host has its former address after a disconnection or a
/// restart.
#[derive(Debug)]
pub struct Network {
    docker: Docker,
    name: String,
    /// The first three bytes of its addresses.
    prefix: String,
}

impl Network {
    /// Creates a network.
    ///
    /// # Panics
    /// When no Docker engine answers, or no address range is free.
    pub async fn create() -> Self {
        let docker = docker_client_instance().await.expect("the Docker engine answers");
        let pid = std::process::id();
        let mut reason = String::new();
        for attempt in 0..TRIES_MAX {
            let prefix = format!("10.213.{}", (pid + attempt * 37) % 256);
            let name = format!("pgasync-test-{pid}-{attempt}");
            let range = IpamConfig { subnet: Some(format!("{prefix}.0/24")), ..Default::default() };
            let request = NetworkCreateRequest {
                name: name.clone(),
                ipam: Some(Ipam { config: Some(vec![range]), ..Default::default() }),
                labels: Some([(LABEL.to_owned(), pid.to_string())].into()),
                ..Default::default()
            };
            match docker.create_network(request).await {
                Ok(_) => return Self { docker, name, prefix },
                // Another test may have the address range.
                Err(error) => reason = error.to_string(),
            }
        }
        panic!("no network can be made: {reason}");
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn docker(&self) -> &Docker {
        &self.docker
    }

    pub(super) fn address(&self, number: u8) -> String {
        format!("{}.{number}", self.prefix)
    }

    pub(super) async fn connect(&self, container: &str, address: &str) {
        let ipam = EndpointIpamConfig { ipv4_address: Some(address.to_owned()), ..Default::default() };
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(EndpointSettings { ipam_config: Some(ipam), ..Default::default() }),
        };
        self.docker.connect_network(&self.name, request).await.expect("a container is connected");
    }

    pub(super) async fn disconnect(&self, container: &str) {
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        self.docker.disconnect_network(&self.name, request).await.expect("a container is disconnected");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let name = self.name.clone();
        // `drop` cannot wait inside the runtime of the test, so a thread with another runtime
        // waits.
        let removed = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let Ok(docker) = Docker::connect_with_defaults() else { return };
                // The network cannot be removed before its containers are gone.
                for _ in 0..50 {
                    if docker.remove_network(&name).await.is_ok() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                eprintln!("left behind: the network {name}");
            });
        });
        let _ = removed.join();
    }
}
