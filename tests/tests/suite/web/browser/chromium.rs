//! Headless Chromium, driven over a pipe with the DevTools protocol.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The first page waits for the start of the browser, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page. Dropping this value ends it.
pub(super) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    last_id: u64,
    /// What the console and the log of the page said, and scripts that failed.
    problems: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium, which `./dev check web` installs.
    ///
    /// # Panics
    /// When it is missing, or does not answer.
    pub(super) fn start() -> Self {
        let profile = TempDir::new().expect("a folder for the profile");
        // It reads commands from descriptor 3, and writes answers to 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let commands = process.stdin.take().expect("it is piped");
        let mut answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|bytes| bytes > 0) {
                let read = serde_json::from_slice(message.strip_suffix(b"\0").unwrap_or(&message));
                if read.is_ok_and(|value: Value| sender.send(value).is_err()) {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            process,
            commands,
            messages,
            session: String::new(),
            last_id: 0,
            problems: Vec::new(),
            _profile: profile,
        };
        let targets = browser.call("Target.getTargets", json!({}));
        let pages = targets["targetInfos"].as_array().expect("a list of targets");
        let page =
            pages.iter().find(|target| target["type"] == "page").expect("a browser has a page")["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": page, "flatten": true }));
        attached["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command, and waits for its answer.
    pub(super) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut command = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).expect("the browser runs");
        let begin = Instant::now();
        loop {
            match self.messages.recv_timeout(PATIENCE) {
                Ok(answer) if answer["id"] == self.last_id => {
                    assert!(answer["error"].is_null(), "{method}: {answer}");
                    return answer["result"].clone();
                }
                Ok(event) => self.note(&event),
                Err(RecvTimeoutError::Timeout) => panic!("{method}: no answer"),
                Err(RecvTimeoutError::Disconnected) => panic!("{method}: chromium has ended; is it installed?"),
            }
            assert!(begin.elapsed() < PATIENCE, "{method}: no answer");
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Log.entryAdded") => self.problems.push(parameters["entry"].to_string()),
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => self.problems.push(parameters.to_string()),
            Some("Page.javascriptDialogOpening") => panic!("a script opens a dialog: {parameters}"),
            _ => {}
        }
    }

    /// What the console and the log said since the last call.
    pub(super) fn problems(&mut self) -> Vec<String> {
        while let Ok(event) = self.messages.try_recv() {
            self.note(&event);
        }
        std::mem::take(&mut self.problems)
    }

    pub(super) fn size(&mut self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// What `prefers-color-scheme` says.
    pub(super) fn theme(&mut self, name: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": name }] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Opens a page, and waits until its scripts have run.
    pub(super) fn go(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.wait_for("document.readyState === 'complete'");
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    pub(super) fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true. A page that is being left has none.
    #[track_caller]
    pub(super) fn wait_for(&mut self, expression: &str) {
        let begin = Instant::now();
        let asked = json!({ "expression": expression, "returnByValue": true });
        while self.call("Runtime.evaluate", asked.clone())["result"]["value"] != json!(true) {
            if begin.elapsed() > PATIENCE {
                let text = self.text("document.body.innerText");
                panic!("never true: {expression}\n{text}\n{:?}", self.problems());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Clicks on the first element of a selector, where its middle is.
    #[track_caller]
    pub(super) fn click(&mut self, selector: &str) {
        let quoted = json!(selector);
        self.wait_for(&format!("document.querySelector({quoted}) !== null"));
        let place = self.value(&format!(
            "(() => {{ const e = document.querySelector({quoted}); e.scrollIntoView({{ block: 'center' }});
              const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Presses a key.
    pub(super) fn press(&mut self, key: &str) {
        let text = if key.len() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
