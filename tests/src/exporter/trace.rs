//! `tcpvitals trace` as a process: what it prints goes to a file, or to a pipe that nobody reads until it is told to.

use std::fs::{File, read, read_to_string};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value};
use tempfile::{NamedTempFile, TempDir};

use crate::exporter::{Finished, binary, config_file, run};
use crate::machine::wait::until;

/// Where what it prints goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// A file.
    File,
    /// A pipe that is read when the trace is stopped, not before.
    UnreadPipe,
}

/// A running trace; killed on drop.
#[derive(Debug)]
pub struct Trace {
    child: Child,
    folder: TempDir,
    config: NamedTempFile,
    pipe: Option<ChildStdout>,
}

/// What a trace left behind.
#[derive(Debug)]
pub struct Traced {
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The events, in a file.
    pub output: PathBuf,
    /// Diagnostics.
    pub stderr: String,
    folder: TempDir,
}

impl Trace {
    /// Starts one with this configuration and waits until it traces.
    pub fn start(config: &str, arguments: &[&str], to: To) -> Result<Self> {
        let (folder, config) = (TempDir::new()?, config_file(config)?);
        let stdout = match to {
            To::File => File::create(folder.path().join(OUTPUT))?.into(),
            To::UnreadPipe => Stdio::piped(),
        };
        let mut command = Command::new(binary()?);
        command.args(["trace", "--config.file"]).arg(config.path());
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(File::create(folder.path().join(ERRORS))?)
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let pipe = child.stdout.take();
        let mut trace = Self {
            child,
            folder,
            config,
            pipe,
        };
        until("the trace to begin", || {
            if let Some(status) = trace.child.try_wait()? {
                bail!("the trace ended with {status} first: {}", trace.stderr());
            }
            Ok(trace.stderr().contains("tracing").then_some(()))
        })?;
        Ok(trace)
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        read_to_string(self.folder.path().join(ERRORS)).unwrap_or_default()
    }

    /// What it has printed into its file so far.
    pub fn printed(&self) -> Result<String> {
        Ok(read_to_string(self.folder.path().join(OUTPUT))?)
    }

    /// Reads its pipe from now on.
    pub fn read_pipe(&mut self) -> Option<JoinHandle<Vec<u8>>> {
        let mut pipe = self.pipe.take()?;
        Some(thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is what there is.
            pipe.read_to_end(&mut bytes).ok();
            bytes
        }))
    }

    /// Closes its pipe without having read it.
    pub fn close_pipe(&mut self) {
        self.pipe = None;
    }

    /// Ends it by a signal.
    pub fn stop(self, signal: Signal) -> Result<Traced> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?;
        self.end()
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> Result<Traced> {
        let status = until("the trace to end", || Ok(self.child.try_wait()?))?;
        let stderr = self.stderr();
        let folder = std::mem::replace(&mut self.folder, TempDir::new()?);
        Ok(Traced {
            code: status.code(),
            output: folder.path().join(OUTPUT),
            stderr,
            folder,
        })
    }

    /// The configuration that it runs with.
    pub fn config(&self) -> &NamedTempFile {
        &self.config
    }
}

const OUTPUT: &str = "events";
const ERRORS: &str = "errors";

impl Drop for Trace {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell if it cannot be killed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Traced {
    /// What `trace --read` makes of the events.
    pub fn reprint(&self, arguments: &[&str]) -> Result<Finished> {
        let path = self.output.to_str().context("a path that is no text")?;
        run(&[&["trace", "--read", path], arguments].concat())
    }

    /// The bytes of the events.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        Ok(read(&self.output)?)
    }

    /// The number behind a word of the last line of diagnostics.
    pub fn tally(&self, word: &str) -> Result<u64> {
        let last = self.stderr.lines().last().unwrap_or_default();
        let behind = last.split(&format!("{word}: ")).nth(1);
        let digits: String = behind
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().with_context(|| format!("{word} in {last:?}"))
    }

    /// The folder of its files, which goes with this.
    pub fn folder(&self) -> &TempDir {
        &self.folder
    }
}

/// An event as JSON has it.
pub type Object = Map<String, Value>;

/// The lines of a trace in JSON.
pub fn objects(text: &str) -> Result<Vec<Object>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("read {line:?} as JSON")))
        .collect()
}

/// Requires that a line of text says what an object says, value by value, under the same names.
pub fn require_same(line: &str, object: &Object) -> Result<()> {
    let mut words = line.split(' ');
    let mut next = || words.next().with_context(|| format!("{line:?} is too short"));
    let word = |name: &str| match object.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) => Ok(value.to_string()),
        None => bail!("no {name} in {object:?}"),
    };
    ensure!(next()? == word("event")?, "{line:?} is not {object:?}");
    for end in ["local", "remote"] {
        let (address, port) = (word(&format!("{end}_address"))?, word(&format!("{end}_port"))?);
        let address = if address.contains(':') {
            format!("[{address}]:{port}")
        } else {
            format!("{address}:{port}")
        };
        ensure!(next()? == address, "{line:?} is not {object:?}");
    }
    for pair in words {
        let (name, value) = pair.split_once('=').with_context(|| format!("{pair:?} in {line:?}"))?;
        ensure!(
            value == word(name)?,
            "{pair} in {line:?}, but {} in {object:?}",
            word(name)?
        );
    }
    Ok(())
}
