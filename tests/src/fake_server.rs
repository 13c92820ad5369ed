//! A server that speaks enough of the protocol of Postgres to serve as a target, and answers as a test
//! wants.

mod flood;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use flood::Flood;

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;

/// The OID of the type `text`.
const TEXT: i32 = 25;

/// The message that ends the authentication.
const AUTHENTICATION_OK_BYTES: usize = 9;

/// Small, so that a server that does not read soon blocks its clients.
const RECEIVE_BUFFER: u32 = 4_096;

/// The longest expected message of a client.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// One message of a client that the server has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The `application_name` of the session.
    pub session: String,
    /// The text of a query; `None` when the session begins.
    pub query: Option<String>,
}

impl Received {
    /// Whether it is the query for the identity of the session.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.contains("pg_postmaster_start_time")
    }

    /// Whether the session is that of a probe of the SQL engine.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.session.ends_with("/probe")
    }

    /// Whether the query contains this text.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.query.as_ref().is_some_and(|query| query.contains(text))
    }
}

/// The answer of the server to a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The valid answer: every query succeeds and changes nothing.
    Valid,
    /// The valid answer, after which the session reads nothing more.
    StopReading,
    /// To the query for the identity: the valid answer with other values, by their positions in
    /// `async.identity_query`.
    Identity(Vec<(usize, Value)>),
    /// Rows of texts.
    Rows(Vec<Vec<Option<String>>>),
    /// To the begin of a session: the valid answer, with another client encoding than was asked for.
    OtherEncoding,
    /// An error with this SQLSTATE.
    Error(&'static str, String),
    /// These messages, and the valid answer after them. In answer to the begin of a session, these
    /// messages are sent after the authentication.
    Flood(Flood),
    /// No answer, until the client closes the connection.
    Silence,
    /// The session ends.
    Close,
}

/// A message that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// When it was received.
    pub since: Instant,
    /// When the client closed the connection.
    pub until: Option<Instant>,
}

type Behavior = dyn Fn(&Received) -> Answer + Send + Sync;

/// Listens on loopback until it is dropped; then its sessions are closed.
#[derive(Debug)]
pub struct FakeServer {
    port: u16,
    log: Arc<Mutex<Log>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Log {
    received: Vec<Received>,
    unanswered: Vec<Unanswered>,
}

struct Server {
    behavior: Box<Behavior>,
    log: Arc<Mutex<Log>>,
    pids: AtomicI32,
}

impl FakeServer {
    /// A server whose answers are those of `behavior`.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(behavior: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(RECEIVE_BUFFER).expect("an option");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
        let listener = socket.listen(64).expect("it listens");
        let port = listener.local_addr().expect("a listener has an address").port();
        let log = Arc::<Mutex<Log>>::default();
        let server = Server { behavior: Box::new(behavior), log: Arc::clone(&log), pids: AtomicI32::new(1_000) };
        Self { port, log, accepting: tokio::spawn(accept(listener, Arc::new(server))) }
    }

    /// The connection string of the server.
    #[must_use]
    pub fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} dbname=nowhere user=postgres password=p sslmode=disable", self.port)
    }

    /// The number of received messages for which this is true.
    pub fn count(&self, matches: impl Fn(&Received) -> bool) -> usize {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.received.iter().filter(|received| matches(received)).count()
    }

    /// The messages to which the answer was [`Answer::Silence`], in order.
    #[must_use]
    pub fn unanswered(&self) -> Vec<Unanswered> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).unanswered.clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let mut sessions = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        // A client that goes away ends its session.
        let server = Arc::clone(&server);
        sessions.spawn(async move { drop(serve(client, &server).await) });
        while sessions.try_join_next().is_some() {}
    }
}

async fn serve(mut client: TcpStream, server: &Server) -> io::Result<()> {
    client.set_nodelay(true)?;
    let startup = loop {
        let message = read(&mut client).await?;
        match message.first_chunk().map(|code| i32::from_be_bytes(*code)) {
            Some(SSL_REQUEST | GSS_REQUEST) => client.write_all(b"N").await?,
            Some(CANCEL_REQUEST) => return Ok(()),
            _ => break message,
        }
    };
    let session = setting(&startup, "application_name");
    let pid = server.pids.fetch_add(1, Ordering::Relaxed);
    let mut query = None;
    loop {
        let received = Received { session: session.clone(), query };
        server.log.lock().unwrap_or_else(PoisonError::into_inner).received.push(received.clone());
        let answer = (server.behavior)(&received);
        let stops_reading = answer == Answer::StopReading;
        match answer {
            Answer::Silence => return stay_silent(&mut client, server).await,
            Answer::Close => return Ok(()),
            Answer::Flood(flood) => {
                let mut bytes = encode(&received, Answer::Valid, pid);
                let rest = bytes.split_off(if received.query.is_none() { AUTHENTICATION_OK_BYTES } else { 0 });
                client.write_all(&bytes).await?;
                flood.send(&mut client).await?;
                client.write_all(&rest).await?;
            }
            answer => client.write_all(&encode(&received, answer, pid)).await?,
        }
        if stops_reading {
            pending::<()>().await;
        }
        query = loop {
            match client.read_u8().await? {
                b'Q' => break Some(text(&read(&mut client).await?)),
                b'X' => return Ok(()),
                tag => {
                    read(&mut client).await?;
                    client.write_all(&answer_extended(tag)).await?;
                }
            }
        };
    }
}

/// Reads and answers nothing, until the client closes the connection.
async fn stay_silent(client: &mut TcpStream, server: &Server) -> io::Result<()> {
    let log = || server.log.lock().unwrap_or_else(PoisonError::into_inner);
    let place = {
        let mut log = log();
        log.unanswered.push(Unanswered { since: Instant::now(), until: None });
        log.unanswered.len() - 1
    };
    let closed = tokio::io::copy(client, &mut tokio::io::sink()).await;
    log().unanswered[place].until = Some(Instant::now());
    closed.map(drop)
}

/// The payload of a message whose tag has been read.
async fn read(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::try_from(client.read_i32().await?).unwrap_or(0).saturating_sub(4);
    if length > MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut payload = vec![0; length];
    client.read_exact(&mut payload).await?;
    Ok(payload)
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// A setting of the startup message, whose payload is a version and pairs of texts.
fn setting(startup: &[u8], key: &str) -> String {
    let texts: Vec<_> = startup.get(4..).unwrap_or_default().split(|byte| *byte == 0).collect();
    let value = texts.chunks_exact(2).find_map(|pair| (pair[0] == key.as_bytes()).then(|| pair[1]));
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

fn encode(received: &Received, answer: Answer, pid: i32) -> Vec<u8> {
    let mut bytes = match answer {
        Answer::Identity(changes) if received.is_identity() => rows(&identity(received, pid, changes)),
        Answer::Rows(changes) => rows(&changes),
        Answer::OtherEncoding => begin(pid, "LATIN1"),
        Answer::Error(sqlstate, message) => {
            frame(b'E', format!("SERROR\0VERROR\0C{sqlstate}\0M{message}\0\0").as_bytes())
        }
        _ => valid(received, pid),
    };
    let is_refused = received.query.is_none() && bytes.first() == Some(&b'E');
    if !is_refused {
        bytes.extend(frame(b'Z', b"I"));
    }
    bytes
}

fn valid(received: &Received, pid: i32) -> Vec<u8> {
    let Some(query) = &received.query else { return begin(pid, "UTF8") };
    if received.is_identity() {
        return rows(&identity(received, pid, Vec::new()));
    }
    match query.trim_start().to_lowercase() {
        query if query.contains("json_agg") => rows(&[vec![Some("[]".to_owned())]]),
        query if query.contains("pg_stat_activity") => no_rows(if query.contains("backend(") { 4 } else { 2 }),
        query if query.contains("server_version_num") => rows(&[vec![Some("150000".to_owned())]]),
        query if query.starts_with("do ") => frame(b'C', b"DO\0"),
        query if query.starts_with("discard") => frame(b'C', b"DISCARD ALL\0"),
        _ => frame(b'C', b"SELECT 0\0"),
    }
}

/// The answer to the begin of a session.
fn begin(pid: i32, encoding: &str) -> Vec<u8> {
    let mut bytes = frame(b'R', &0_i32.to_be_bytes());
    for (name, value) in [
        ("server_version", "15.0"),
        ("server_encoding", "UTF8"),
        ("client_encoding", encoding),
        ("standard_conforming_strings", "on"),
        ("integer_datetimes", "on"),
    ] {
        bytes.extend(frame(b'S', format!("{name}\0{value}\0").as_bytes()));
    }
    bytes.extend(frame(b'K', &[pid.to_be_bytes(), pid.to_be_bytes()].concat()));
    bytes
}

/// The answer to the query for the identity: a JSON array for the SQL engine, a row for the Rust
/// engine.
fn identity(received: &Received, pid: i32, changes: Vec<(usize, Value)>) -> Vec<Vec<Option<String>>> {
    let started = "2026-01-01 00:00:00.000000+00";
    let mut values = vec![
        json!(pid),
        json!("150000"),
        json!(started),
        json!("postgres"),
        json!(started),
        json!("127.0.0.1"),
        json!(5432),
        Value::Null,
        Value::Null,
        json!(true),
        Value::Null,
    ];
    for (place, answer) in changes {
        values[place] = answer;
    }
    if received.contains("json_build_array") {
        return vec![vec![Some(Value::Array(values).to_string())]];
    }
    let as_text = |value| match value {
        Value::Null => None,
        Value::Bool(value) => Some(if value { "t" } else { "f" }.to_owned()),
        Value::String(text) => Some(text),
        value => Some(value.to_string()),
    };
    vec![values.into_iter().map(as_text).collect()]
}

/// The answer to a message of the extended protocol. The Rust engine uses it to query backends that it
/// terminates; there are none.
fn answer_extended(tag: u8) -> Vec<u8> {
    const ARRAYS_OF_INT_TEXT_TEXT_BOOL: [i32; 4] = [1007, 1009, 1009, 1000];
    const INT_BOOL_BOOL: [i32; 3] = [23, 16, 16];
    match tag {
        b'P' => frame(b'1', &[]),
        b'D' => {
            let mut parameters = count(4).to_vec();
            parameters.extend(ARRAYS_OF_INT_TEXT_TEXT_BOOL.iter().flat_map(|oid| oid.to_be_bytes()));
            [frame(b't', &parameters), description(&INT_BOOL_BOOL)].concat()
        }
        b'B' => frame(b'2', &[]),
        b'E' => frame(b'C', b"SELECT 0\0"),
        b'C' => frame(b'3', &[]),
        b'S' => frame(b'Z', b"I"),
        _ => Vec::new(),
    }
}

fn rows(rows: &[Vec<Option<String>>]) -> Vec<u8> {
    let mut bytes = description(&vec![TEXT; rows.first().map_or(0, Vec::len)]);
    for row in rows {
        let mut payload = count(row.len()).to_vec();
        for value in row {
            let length = value.as_ref().map_or(-1, |text| i32::try_from(text.len()).expect("a short text"));
            payload.extend(length.to_be_bytes());
            payload.extend(value.as_deref().unwrap_or_default().as_bytes());
        }
        bytes.extend(frame(b'D', &payload));
    }
    bytes.extend(frame(b'C', format!("SELECT {}\0", rows.len()).as_bytes()));
    bytes
}

fn no_rows(columns: usize) -> Vec<u8> {
    [description(&vec![TEXT; columns]), frame(b'C', b"SELECT 0\0")].concat()
}

/// The description of columns with these type OIDs.
fn description(types: &[i32]) -> Vec<u8> {
    let mut payload = count(types.len()).to_vec();
    for oid in types {
        payload.extend(b"v\0");
        payload.extend([0; 6]);
        payload.extend(oid.to_be_bytes());
        payload.extend((-1_i16).to_be_bytes());
        payload.extend((-1_i32).to_be_bytes());
        payload.extend([0; 2]);
    }
    frame(b'T', &payload)
}

fn count(number: usize) -> [u8; 2] {
    i16::try_from(number).expect("a few columns").to_be_bytes()
}

fn frame(tag: u8, payload: &[u8]) -> Vec<u8> {
    let length = i32::try_from(payload.len() + 4).expect("a short message");
    [&[tag][..], &length.to_be_bytes(), payload].concat()
}
