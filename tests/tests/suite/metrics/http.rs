//! A client of the HTTP listener, and what it reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgasync_tests::{PATIENCE, RustEngine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The address at which the engine listens, according to its log.
pub(super) async fn address(engine: &RustEngine) -> String {
    let begin = Instant::now();
    loop {
        let lines = engine.lines();
        let found =
            lines.iter().rev().find_map(|line| line.split_once("healthz and /readyz address=")?.1.split(' ').next());
        if let Some(found) = found {
            return found.to_owned();
        }
        assert!(begin.elapsed() < PATIENCE, "it does not listen: {lines:#?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The status and the body of the answer to a request.
pub(super) async fn get(address: &str, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = exchange(address, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), body.to_owned())
}

/// What the server sends until it closes the connection.
pub(super) async fn exchange(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request).await.expect("it is sent");
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it closes the connection");
    if answer.is_empty() {
        read.expect("the connection ends in order");
    }
    String::from_utf8(answer).expect("it is UTF-8")
}

/// The series of `/metrics` and their values.
pub(super) async fn scrape(address: &str) -> BTreeMap<String, f64> {
    let (status, body) = get(address, "/metrics").await;
    assert_eq!(status, 200, "{body}");
    let mut series = BTreeMap::new();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(series.insert(name.to_owned(), value).is_none(), "twice: {line}");
    }
    series
}

/// Waits until the metrics hold.
pub(super) async fn wait_for(address: &str, what: impl Fn(&BTreeMap<String, f64>) -> bool) -> BTreeMap<String, f64> {
    let begin = Instant::now();
    loop {
        let series = scrape(address).await;
        if what(&series) {
            return series;
        }
        assert!(begin.elapsed() < PATIENCE, "{series:#?}");
        sleep(Duration::from_millis(100)).await;
    }
}
