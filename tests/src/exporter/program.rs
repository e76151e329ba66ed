//! A program that is not ours, as a process: found where `tests/setup.sh e2e` puts it, waited for, killed on drop.
//!
//! It listens on a loopback address of its own and keeps its files in a folder that goes with it.

use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::settings::patience;
use crate::machine::wait::{until, until_within};

/// Where a program lies that the set-up brought: `debian/prometheus`.
pub fn brought(path: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/tools/e2e")
        .join(path);
    ensure!(path.exists(), "no {}: run `tests/setup.sh e2e`", path.display());
    Ok(path)
}

/// A running program.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Program {
    /// Starts one in a folder, which is its working directory and may hold files for it already.
    pub fn start(program: &Path, arguments: &[String], folder: TempDir) -> Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = File::create(folder.path().join(LOG))?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { name, child, folder })
    }

    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `attempt` gives a value; gives up at once if the program has ended.
    pub fn until<T>(&mut self, what: &str, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let Self { name, child, .. } = self;
        let got = until(&format!("{name} to {what}"), || match child.try_wait()? {
            Some(status) => bail!("{name} ended with {status}"),
            None => attempt(),
        });
        got.with_context(|| self.said())
    }

    /// What it has said so far, on both standard output and standard error.
    pub fn said(&self) -> String {
        // A log that cannot be read says nothing.
        read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }
}

/// Name of the file that takes what a program says.
const LOG: &str = "said.log";

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell if it cannot be killed.
        self.child.kill().ok();
        self.child.wait().ok();
        print(&self.name, &self.said());
    }
}

/// The test runner shows this if the test fails.
#[expect(clippy::print_stderr, reason = "shown by the test runner if the test fails")]
fn print(name: &str, said: &str) {
    eprintln!("--- {name} said:\n{said}---");
}

/// A program's answer to a question over HTTP, whose status must be one of success.
pub fn fetch(url: &str, parameters: &[(&str, &str)]) -> Result<String> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(patience()))
        .http_status_as_error(false)
        .build()
        .new_agent();
    let question = agent.get(url).query_pairs(parameters.iter().copied());
    let mut answer = question.call().with_context(|| format!("ask {url}"))?;
    let text = answer.body_mut().with_config().limit(1 << 28).read_to_string()?;
    ensure!(
        answer.status().is_success(),
        "{url} {parameters:?} answers {}: {text}",
        answer.status()
    );
    Ok(text)
}

/// The same, where the answer is JSON.
pub fn ask(url: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    let text = fetch(url, parameters)?;
    serde_json::from_str(&text).with_context(|| format!("{url} {parameters:?} answers {text}"))
}

/// Runs a program that the set-up brought to its end, with `input` on its standard input, and gives what it said.
pub fn feed(program: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let folder = TempDir::new()?;
    let (from, to) = (folder.path().join("input"), folder.path().join(LOG));
    std::fs::write(&from, input)?;
    let log = File::create(&to)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(File::open(from)?)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    // It may have much to compute.
    let limit = 5 * patience();
    let ended = until_within(limit, "a program that should end by itself", || Ok(child.try_wait()?));
    child.kill()?;
    child.wait()?;
    let (status, said) = (ended?, read_to_string(to)?);
    ensure!(status.success(), "{} ended with {status}: {said}", program.display());
    Ok(said)
}
