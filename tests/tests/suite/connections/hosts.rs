//! Several hosts: some down, some standbys, some that do not answer.

use std::collections::BTreeSet;
use std::net::TcpListener;

use pgasync_pg::ConnectionSettings;
use pgasync_tests::PrivateCluster;

use super::judge::{self, Case};

/// A port without a listener.
const DOWN: u16 = 1;

/// Every value of `target_session_attrs` with every order of a primary and a standby, after a host
/// that is down.
#[tokio::test]
async fn the_first_host_that_will_do_is_the_one_libpq_would_take() {
    let (primary, standby) = (PrivateCluster::start(&[]), PrivateCluster::start(&[]));
    standby.become_standby().await;
    let (p, s) = (primary.port(), standby.port());
    let read_only = "options='-c default_transaction_read_only=on'";
    let mut cases = Vec::new();
    for attrs in ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] {
        for ports in [vec![p, s], vec![s, p], vec![DOWN, s, p], vec![p], vec![s], vec![DOWN, p, DOWN]] {
            for options in ["", read_only] {
                let hosts = vec!["127.0.0.1"; ports.len()].join(",");
                let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                cases.push(Case::new(
                    &format!(
                        "host={hosts} port={ports} user=postgres dbname=postgres target_session_attrs={attrs} {options}"
                    ),
                    &[],
                ));
            }
        }
    }
    let home = tempfile::tempdir().expect("there is room");
    let (connected, refused) = judge::count(&cases, home.path()).await;
    assert_eq!(connected + refused, 72);
    // The refusals: `read-write` if all servers are read-only or there is only a standby,
    // `read-only` if there are only primaries, `primary` if there is only a standby, `standby` if
    // there are only primaries.
    assert_eq!(refused, 7 + 2 + 2 + 4);
}

#[tokio::test]
async fn a_server_that_takes_no_sessions_yet_is_passed_over() {
    let (primary, closed) = (PrivateCluster::start(&[]), PrivateCluster::start(&["hot_standby=off"]));
    closed.become_standby().await;
    let ports = format!("{},{}", closed.port(), primary.port());
    let text = format!("host=127.0.0.1,127.0.0.1 port={ports} user=postgres dbname=postgres");
    let home = tempfile::tempdir().expect("there is room");

    let session = judge::both(&Case::new(&text, &[]), home.path()).await.expect("the second takes sessions");
    assert!(session.starts_with(&format!("port {} ", primary.port())), "{session}");
}

#[tokio::test]
async fn a_host_that_refuses_a_password_ends_the_search() {
    let primary = PrivateCluster::start(&[]);
    let (p, host) = (primary.port(), "127.0.0.1,127.0.0.1");
    let text = format!("host={host} port={p},{p} user=nobody dbname=postgres");
    let error = connect(&text).await.expect_err("there is no such role");
    assert_eq!(error.matches("nobody\" does not exist").count(), 1, "{error}");
    judge::both(&Case::new(&text, &[]), tempfile::tempdir().expect("there is room").path()).await.expect_err("no role");
}

/// The first host accepts the connection and sends nothing, like a host behind a broken network or
/// a proxy.
#[tokio::test]
async fn the_timeout_is_for_each_host() {
    let primary = PrivateCluster::start(&[]);
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let silent = silent.local_addr().expect("it has an address").port();
    let text =
        |ports: &str| format!("host=127.0.0.1,127.0.0.1 port={ports} user=postgres dbname=postgres connect_timeout=1");

    let found = connect(&text(&format!("{silent},{}", primary.port()))).await;
    assert_eq!(found, Ok(primary.port().to_string()));
    let error = connect(&text(&format!("{silent},{DOWN}"))).await.expect_err("neither will do");
    assert!(error.contains("within 1 seconds") && error.contains("refused"), "{error}");
}

/// A proxy without its server behaves like this. libpq would not try the next host.
#[tokio::test]
async fn a_host_that_breaks_off_is_passed_over() {
    let primary = PrivateCluster::start(&[]);
    let rude = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = rude.local_addr().expect("it has an address").port();
    std::thread::spawn(move || rude.incoming().for_each(drop));
    let ports = format!("{port},{}", primary.port());
    for mode in ["disable", "prefer", "require"] {
        let text = format!("host=127.0.0.1,127.0.0.1 port={ports} user=postgres dbname=postgres sslmode={mode}");
        match connect(&text).await {
            Ok(found) => assert_eq!(found, primary.port().to_string()),
            Err(error) => assert!(mode == "require" && error.contains("does not support TLS"), "{error}"),
        }
    }
}

#[tokio::test]
async fn random_hosts_are_tried_in_any_order() {
    let (one, other) = (PrivateCluster::start(&[]), PrivateCluster::start(&[]));
    let ports = format!("{},{},{DOWN}", one.port(), other.port());
    let text = format!("host=127.0.0.1,127.0.0.1,127.0.0.1 port={ports} user=postgres dbname=postgres");
    let mut found = BTreeSet::new();
    for _ in 0..60 {
        found.insert(connect(&format!("{text} load_balance_hosts=random")).await.expect("two take sessions"));
        assert_eq!(connect(&text).await, Ok(one.port().to_string()));
    }
    assert_eq!(found, BTreeSet::from([one.port().to_string(), other.port().to_string()]));
}

/// Connects, and returns the port of the server.
async fn connect(text: &str) -> Result<String, String> {
    let settings = ConnectionSettings::resolve(text, |_| None).expect("it parses");
    let session = settings.connect().await.map_err(|error| error.to_string())?;
    Ok(session.query_one("select current_setting('port')", &[]).await.expect("it is a setting").get(0))
}
