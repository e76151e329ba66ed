//! Headless Chromium, as a person's browser: opens pages, runs scripts in them, and tells what it complained about.
//!
//! It is driven over the DevTools protocol: JSON messages, each ended by a zero byte, through a pair of pipes.

pub mod web_page;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine::settings::patience;
use crate::machine::wait::until;

/// What `tests/setup.sh browser` installs.
const PROGRAM: &str = "chromium-headless-shell";

/// The protocol's pipes are descriptors 3 and 4, which a shell makes of the standard ones.
const PIPES: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >&2";

/// Nothing asks anybody but the page under test. Tests run as root, where there is no sandbox.
const OPTIONS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// How a page is shown.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether the person prefers dark pages.
    pub dark: bool,
    /// Whether scripts of pages run.
    pub scripts: bool,
}

impl View {
    /// A desktop's window.
    pub const WIDE: Self = Self {
        width: 1280,
        height: 900,
        dark: false,
        scripts: true,
    };
}

/// A running browser with one page; killed on drop.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    sent: u64,
    session: Option<String>,
    events: Vec<Value>,
    folder: TempDir,
}

impl Browser {
    /// Starts one that shows an empty page.
    pub fn start(view: View) -> Result<Self> {
        let folder = TempDir::new()?;
        let log = File::create(folder.path().join("said.log"))?;
        let mut child = Command::new("sh")
            .args(["-c", PIPES, PROGRAM])
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("start sh")?;
        let to = child.stdin.take().context("no pipe to the browser")?;
        let from = messages(child.stdout.take().context("no pipe from the browser")?);
        let mut browser = Self {
            child,
            to,
            from,
            sent: 0,
            session: None,
            events: Vec::new(),
            folder,
        };
        let page = browser
            .call("Target.createTarget", json!({"url": "about:blank"}))
            .context("is it there? `tests/setup.sh browser` brings it")?;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        browser.show_as(view)?;
        Ok(browser)
    }

    /// Shows pages like this from now on.
    pub fn show_as(&mut self, view: View) -> Result<()> {
        let View {
            width,
            height,
            dark,
            scripts,
        } = view;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", media)?;
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !scripts}))?;
        Ok(())
    }

    /// Goes to an address and waits until the page is there.
    pub fn open(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", json!({"url": url}))?;
        ensure!(answer["errorText"].is_null(), "{url}: {}", answer["errorText"]);
        self.until(
            "the page",
            "location.href !== 'about:blank' && document.readyState === 'complete'",
        )?;
        Ok(())
    }

    /// The value of an expression in the page; of a promise what it comes to.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let question = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", question)?;
        ensure!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression in the page is true.
    pub fn until(&mut self, what: &str, expression: &str) -> Result<()> {
        until(what, || Ok((self.evaluate(expression)? == true).then_some(())))
    }

    /// Runs a script's file in the page.
    pub fn run(&mut self, script: &Path) -> Result<()> {
        let text = std::fs::read_to_string(script)
            .with_context(|| format!("no {}: `tests/setup.sh browser` brings it", script.display()))?;
        self.evaluate(&(text + ";\nnull"))?;
        Ok(())
    }

    /// A picture of the whole page in PNG.
    pub fn picture(&mut self) -> Result<Vec<u8>> {
        let height = self.evaluate("document.documentElement.scrollHeight")?;
        let width = self.evaluate("document.documentElement.clientWidth")?;
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let question = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.call("Page.captureScreenshot", question)?;
        Ok(STANDARD.decode(answer["data"].as_str().context("a picture without data")?)?)
    }

    /// Everything that pages did wrong so far: errors and warnings on the console, exceptions, refused or failed requests.
    pub fn complaints(&mut self) -> Result<Vec<String>> {
        // Whatever happened before the answer has been told before it.
        self.evaluate("null")?;
        let wrong = self.events.iter().filter(|event| {
            let level = |path: &str| {
                event
                    .pointer(path)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            match event["method"].as_str() {
                Some("Runtime.exceptionThrown") => true,
                Some("Runtime.consoleAPICalled") => ["error", "warning", "assert"].contains(&&*level("/params/type")),
                Some("Log.entryAdded") => ["error", "warning"].contains(&&*level("/params/entry/level")),
                _ => false,
            }
        });
        Ok(wrong.map(|event| event["params"].to_string()).collect())
    }

    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.to
            .write_all(&bytes)
            .with_context(|| format!("{method}: {}", self.said()))?;
        loop {
            let mut message = match self.from.recv_timeout(patience()) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => bail!("{method}: no answer; {}", self.said()),
                Err(RecvTimeoutError::Disconnected) => bail!("{method}: the browser has ended; {}", self.said()),
            };
            if message["id"] != self.sent {
                self.events.push(message);
                continue;
            }
            ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
            return Ok(message["result"].take());
        }
    }

    fn said(&self) -> String {
        // A log that cannot be read says nothing.
        std::fs::read_to_string(self.folder.path().join("said.log")).unwrap_or_default()
    }
}

/// Reads until the browser ends.
fn messages(from: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let parsed = BufReader::new(from)
            .split(0)
            .map_while(Result::ok)
            .filter_map(|bytes| serde_json::from_slice(&bytes).ok());
        for message in parsed {
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell if it cannot be killed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
