//! A client for HTTP/1.1 that sends what a test wants, also what no browser would send.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer than any answer takes on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(30);

/// One visitor with cookies.
#[derive(Debug)]
pub(super) struct Visitor {
    address: SocketAddr,
    cookies: RefCell<BTreeMap<String, String>>,
    /// Sent with each request; an empty value leaves a default header out.
    headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) took: Duration,
}

impl Visitor {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, cookies: RefCell::default(), headers: Vec::new() }
    }

    /// Another visitor with the same cookies and this header.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name.to_owned(), value.to_owned()));
        Self { address: self.address, cookies: self.cookies.clone(), headers }
    }

    pub(super) fn cookie(&self) -> Option<(String, String)> {
        self.cookies.borrow().iter().next().map(|(name, value)| (name.clone(), value.clone()))
    }

    pub(super) fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    /// A page that must be there.
    #[track_caller]
    pub(super) fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:#?}");
        answer.body
    }

    /// Waits until the text of a page has this part, and returns it.
    #[track_caller]
    pub(super) fn wait_for(&self, path: &str, part: &str) -> String {
        let begin = Instant::now();
        loop {
            let text = super::html::read(&self.page(path)).text;
            if text.contains(part) {
                return text;
            }
            assert!(begin.elapsed() < PATIENCE, "{path} never has {part:?}: {text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Sends a form with the key of the page at `from`, as a browser does.
    pub(super) fn submit(&self, from: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let key = form_key(&self.page(from));
        let mut fields = fields.to_vec();
        fields.push(("form_key", &key));
        fields.push(("back", from));
        self.post(action, &fields)
    }

    pub(super) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let encoded: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.send("POST", path, &encoded.join("&"))
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let host = self.address.to_string();
        let mut headers = vec![("Host".to_owned(), host.clone()), ("Connection".to_owned(), "close".to_owned())];
        if method == "POST" {
            headers.push(("Origin".to_owned(), format!("http://{host}")));
            headers.push(("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let cookies: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            headers.push(("Cookie".to_owned(), cookies.join("; ")));
        }
        for (name, value) in &self.headers {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            if !value.is_empty() {
                headers.push((name.clone(), value.clone()));
            }
        }
        let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let answer = raw(self.address, format!("{method} {path} HTTP/1.1\r\n{head}\r\n{body}").as_bytes());
        for cookie in answer.all("set-cookie") {
            let (pair, _) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            self.set_cookie(name, value);
        }
        answer
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Where a redirection leads.
    #[track_caller]
    pub(super) fn leads_to(&self) -> &str {
        assert_eq!(self.status, 303, "{self:#?}");
        self.header("location").expect("a redirection has a location")
    }
}

/// Sends bytes, and reads the answer to its end.
pub(super) fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(address).expect("the dashboard listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    // The server may answer, and close, before it has read all.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "no answer to {:?}", String::from_utf8_lossy(request));
    }
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap_or(0);
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Answer { status, headers, body: body.to_owned(), took: begin.elapsed() }
}

/// The key in the forms of a page.
#[track_caller]
pub(super) fn form_key(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"form_key\" value=\"").expect("a page has a form");
    rest.split('"').next().expect("a text has a first part").to_owned()
}

/// The value of a hidden field of a page.
#[track_caller]
pub(super) fn hidden(page: &str, name: &str) -> String {
    let begin = format!("type=\"hidden\" name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no field {name} in {page}"));
    rest.split('"').next().expect("a text has a first part").to_owned()
}

pub(super) fn encode(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
