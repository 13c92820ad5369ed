//! A host that a test pauses, disconnects, kills and restarts.

use std::env;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use pgasync_pg::ConnectionSettings;
use testcontainers::core::{CmdWaitFor, ExecCommand, Mount, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};
use tokio::time::{sleep, timeout};

use super::network::{LABEL, Network};
use crate::cluster::Cluster;
use crate::rust_engine::program;
use crate::wait::PATIENCE;

const PORT: u16 = 5432;

/// The script that makes a standby of the server whose address is its argument.
const STANDBY: &str = "set -e
    rm -rf \"$PGDATA\"
    pg_basebackup -h \"$0\" -U postgres -D \"$PGDATA\" -R -X stream -c fast
    chmod 700 \"$PGDATA\"
    exec postgres \"$@\"";

/// A container on a test's network, removed when this is dropped. Derefs to the [`Cluster`] on it.
#[derive(Debug)]
pub struct Host {
    // The container is dropped before the network.
    container: ContainerAsync<GenericImage>,
    cluster: Cluster,
    network: Arc<Network>,
}

impl Host {
    /// A host with a server. `settings` are its settings, such as `max_connections=50`.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn with_server(network: &Arc<Network>, settings: &[&str]) -> Self {
        let command = ["-c", "fsync=off"].into_iter().chain(settings.iter().flat_map(|setting| ["-c", setting]));
        let request = image()
            .with_cmd(command)
            .with_env_var("POSTGRES_HOST_AUTH_METHOD", "trust")
            .with_env_var("POSTGRES_INITDB_ARGS", "--no-sync");
        let host = Self::start(network, request).await.at_a_fixed_address().await;
        host.wait_until_it_answers().await;
        let let_standbys_in = "echo host replication all all trust >> \"$PGDATA/pg_hba.conf\"";
        host.execute(&["sh", "-c", let_standbys_in]).await;
        host.run("select pg_reload_conf()").await;
        host
    }

    /// A host with a standby of the server on `primary`.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn with_standby(network: &Arc<Network>, primary: &Self) -> Self {
        let request = image()
            .with_entrypoint("bash")
            .with_cmd(["-c", STANDBY, primary.address(), "-c", "fsync=off"])
            .with_user("postgres");
        let host = Self::start(network, request).await;
        host.wait_until_it_answers().await;
        host
    }

    /// A host with `pgasync run` for the database at the connection string `server`.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn with_orchestrator(network: &Arc<Network>, server: &str, arguments: &[&str]) -> Self {
        let program = program();
        let command = ["run", "--log", "debug", "--drain-timeout", "3", "--server", server];
        let request = image()
            .with_entrypoint("/pgasync")
            .with_cmd(command.iter().chain(arguments).copied())
            .with_mount(Mount::bind_mount(program.display().to_string(), "/pgasync"));
        Self::start(network, request).await
    }

    async fn start(network: &Arc<Network>, request: ContainerRequest<GenericImage>) -> Self {
        let container = request
            .with_network(network.name())
            .with_label(LABEL, std::process::id().to_string())
            .start()
            .await
            .unwrap_or_else(|error| panic!("a host does not start: {error}"));
        let address = container.get_bridge_ip_address().await.expect("a container on a network has an address");
        let cluster = Cluster { host: address.to_string(), port: PORT, passing: true };
        Self { container, cluster, network: Arc::clone(network) }
    }

    /// Gives the host a fixed address, which it keeps after a disconnection or a restart.
    async fn at_a_fixed_address(mut self) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(100);
        self.cluster.host = self.network.address(NEXT.fetch_add(1, Ordering::Relaxed));
        self.network.disconnect(self.container.id()).await;
        self.network.connect(self.container.id(), self.address()).await;
        self
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.cluster.host
    }

    /// Freezes every process on the host. The kernel still accepts connections, and no process
    /// answers.
    ///
    /// # Panics
    /// When the Docker engine refuses.
    pub async fn pause(&self) {
        self.container.pause().await.expect("a running host can be paused");
    }

    /// Continues a paused host.
    ///
    /// # Panics
    /// When it was not paused.
    pub async fn unpause(&self) {
        self.container.unpause().await.expect("a paused host wakes up");
    }

    /// Disconnects the host from the network. No packet to the host is answered.
    pub async fn disconnect(&self) {
        self.network.disconnect(self.container.id()).await;
    }

    /// Reconnects the host at its former address.
    pub async fn reconnect(&self) {
        self.network.connect(self.container.id(), self.address()).await;
    }

    /// Kills every process on the host.
    ///
    /// # Panics
    /// When it was not running.
    pub async fn kill(&self) {
        let docker = self.network.docker();
        docker.kill_container(self.container.id(), None).await.expect("a running host can be killed");
        let begin = Instant::now();
        while self.is_up().await {
            assert!(begin.elapsed() < PATIENCE, "a killed host lives");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts the host again after [`Host::kill`]. Its disk is unchanged.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn restart(&self) {
        self.container.start().await.expect("a host that was killed starts again");
        self.wait_until_it_answers().await;
    }

    /// Promotes the standby on the host.
    ///
    /// # Panics
    /// When it is not promoted.
    pub async fn promote(&self) {
        let promoted = self.run("select pg_promote(true, 30)").await;
        assert!(promoted, "the standby is not promoted");
    }

    /// Whether the process of the host runs or is paused.
    ///
    /// # Panics
    /// When the Docker engine does not answer.
    pub async fn is_up(&self) -> bool {
        self.container.is_running().await.expect("the Docker engine knows")
    }

    /// Waits for the end of the host's process. Returns its exit status.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait_until_ended(&self) -> i64 {
        let begin = Instant::now();
        while self.is_up().await {
            assert!(begin.elapsed() < PATIENCE, "it does not end: {}", self.stderr().await);
            sleep(Duration::from_millis(50)).await;
        }
        self.container.exit_code().await.expect("the Docker engine knows").expect("it has ended")
    }

    /// The standard error of the host's process so far.
    ///
    /// # Panics
    /// When the Docker engine does not answer.
    pub async fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.container.stderr_to_vec().await.expect("it has a log")).into_owned()
    }

    async fn execute(&self, command: &[&str]) {
        let command = ExecCommand::new(command.iter().copied()).with_cmd_ready_condition(CmdWaitFor::exit_code(0));
        self.container.exec(command).await.expect("a command runs on a host");
    }

    async fn run(&self, sql: &str) -> bool {
        self.administrator().await.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }

    async fn wait_until_it_answers(&self) {
        let settings: ConnectionSettings = self.settings("postgres").with_connect_timeout(Duration::from_secs(2));
        let begin = Instant::now();
        loop {
            // The stock image first starts a temporary server, which listens on no address.
            let error = match timeout(Duration::from_secs(3), settings.connect()).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            assert!(begin.elapsed() < PATIENCE * 2, "no server comes up: {error}\n{}", self.stderr().await);
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Deref for Host {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// The image that `PGASYNC_TEST_IMAGE` names, otherwise the stock image.
fn image() -> GenericImage {
    let named = env::var("PGASYNC_TEST_IMAGE").unwrap_or_else(|_| "postgres:15".to_owned());
    let (name, tag) = named.rsplit_once(':').unwrap_or((&named, "latest"));
    GenericImage::new(name, tag).with_wait_for(WaitFor::Nothing)
}
