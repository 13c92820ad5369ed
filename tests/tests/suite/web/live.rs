//! The stream, and what a script gets without it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fixture::{Dashboard, dashboard, server};

/// An open stream.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(dashboard: &Dashboard, page: &str) -> Self {
        let mut stream = TcpStream::connect(dashboard.address).expect("the dashboard listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        let head = format!("GET /live?page={page} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("it is sent");
        Self(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the stream goes on");
        line
    }

    /// The head of the answer.
    fn head(&mut self) -> String {
        let mut head = String::new();
        loop {
            let line = self.line();
            if line.trim().is_empty() {
                return head.to_lowercase();
            }
            head += &line;
        }
    }

    /// The ids and the content of the next fragments.
    fn fragments(&mut self) -> Vec<(String, String)> {
        loop {
            let line = self.line();
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).expect("fragments are JSON");
                let text = |fragment: &Value, key: &str| fragment[key].as_str().expect("a text").to_owned();
                let all = data.as_array().expect("an array");
                return all.iter().map(|one| (text(one, "id"), text(one, "html"))).collect();
            }
        }
    }

    /// Waits for a fragment with this text.
    fn wait_for(&mut self, part: &str) -> Vec<String> {
        let begin = Instant::now();
        let mut ids = Vec::new();
        while begin.elapsed() < Duration::from_secs(30) {
            let fragments = self.fragments();
            ids.extend(fragments.iter().map(|(id, _)| id.clone()));
            if fragments.iter().any(|(_, html)| html.contains(part)) {
                return ids;
            }
        }
        panic!("no fragment has {part:?}: {ids:?}");
    }
}

#[tokio::test]
async fn a_stream_sends_what_changes_and_nothing_else() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let mut stream = Stream::open(&dashboard, "/tasks");
    let head = stream.head();
    for part in
        ["200 ok", "text/event-stream", "x-accel-buffering: no", "cache-control: no-cache", "content-security-policy"]
    {
        assert!(head.contains(part), "{part}: {head}");
    }
    let first = stream.fragments();
    assert!(first.iter().any(|(id, html)| id == "found" && html.contains("No task was pushed yet")), "{first:?}");
    database.run("select async.push('select ''fresh''', 'there')").await;
    let ids = stream.wait_for("select 'fresh'");
    assert!(ids.iter().all(|id| id == "found"), "only the list has changed: {ids:?}");
}

#[tokio::test]
async fn a_hundred_streams_cost_one_query() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let mut streams: Vec<Stream> = (0..100).map(|_| Stream::open(&dashboard, "/tasks%3Fphase%3Dready")).collect();
    for stream in &mut streams {
        stream.head();
        stream.fragments();
    }
    // Every read of tasks by the role, as a trigger cannot see it: the statistics of its sessions.
    let sessions = "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'pgasync web%'";
    let count = database.number(sessions).await;
    assert!(count <= 6, "{count} sessions");
    let scans = "select coalesce(sum(idx_scan + seq_scan), 0)::bigint from pg_stat_user_tables where schemaname = 'async' and relname = 'control'";
    let measure = async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = database.number(scans).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        database.number(scans).await - before
    };
    let many = measure().await;
    streams.truncate(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let one = measure().await;
    assert!(one > 0 && many <= one * 3, "one stream: {one} scans in four seconds, a hundred: {many}");
    database.run("select async.push('select ''fresh''', 'there')").await;
    streams[0].wait_for("select 'fresh'");
}

#[tokio::test]
async fn a_stream_has_a_heartbeat() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let mut stream = Stream::open(&dashboard, "/schedules");
    stream.head();
    stream.fragments();
    let begin = Instant::now();
    loop {
        let line = stream.line();
        if line.starts_with(':') {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(25), "no heartbeat");
    }
}

#[tokio::test]
async fn without_a_stream_the_fragments_are_fetched() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let visitor = dashboard.visitor().with("x-fragments", "1");
    for (path, id) in [
        ("/", "tiles"),
        ("/tasks", "found"),
        ("/pools", "pools"),
        ("/targets", "targets"),
        ("/schedules", "schedules"),
        ("/log", "log"),
    ] {
        let fragments: Value = serde_json::from_str(&visitor.page(path)).expect("fragments are JSON");
        let ids: Vec<&str> =
            fragments.as_array().expect("an array").iter().filter_map(|one| one["id"].as_str()).collect();
        assert!(ids.contains(&id) && ids.contains(&"status"), "{path}: {ids:?}");
    }
    for page in ["", "x", "https://evil.example/"] {
        assert_eq!(visitor.get(&format!("/live?page={page}")).status, 400, "{page}");
    }
}

#[tokio::test]
async fn a_stopped_dashboard_ends_its_streams() {
    let (database, _target) = server().await;
    let dashboard = dashboard(&database).await;
    let mut stream = Stream::open(&dashboard, "/");
    stream.head();
    stream.fragments();
    let begin = Instant::now();
    assert_eq!(dashboard.stop(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(5), "it ends at once: {:?}", begin.elapsed());
}
