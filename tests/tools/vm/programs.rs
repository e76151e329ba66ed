//! Other programs: called, found, and the libraries that they need. It knows nothing of kernels or guests.

use std::collections::BTreeSet;
use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};

/// Runs a program to its end and gives what it printed; an error has the end of what it said.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| {
            format!("start {program}: is it installed? `make setup-vm` brings it, for arm64 `make setup-vm-aarch64`")
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {} ended with {}: {}",
        arguments.join(" "),
        output.status,
        said.lines().rev().take(5).collect::<Vec<_>>().join(" / ")
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sends bytes through a program.
pub(crate) fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("start {program}: is it installed? `make setup-vm` brings it, for arm64 `make setup-vm-aarch64`")
        })?;
    let mut stdin = child.stdin.take().context("a child without standard input")?;
    let output = thread::scope(|scope| {
        let writer = scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output();
        // What could not be written shows in the program's own end.
        writer.join().ok();
        output
    })?;
    ensure!(output.status.success(), "{program} ended with {}", output.status);
    Ok(output.stdout)
}

/// Where a program lies: in PATH, or where an ordinary user's PATH does not look.
#[expect(clippy::disallowed_methods, reason = "programs are found as a shell finds them")]
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let path = env::var("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("no program {program}: `make setup-vm` brings it"))
}

/// The libraries of a program and its loader; a static program has none.
pub(crate) fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("start ldd")?;
    // It calls a static program an error.
    let listing = String::from_utf8_lossy(&output.stdout);
    let words = listing
        .split_whitespace()
        .filter(|word| word.starts_with('/') && output.status.success());
    Ok(words.map(PathBuf::from).collect())
}

/// A path as an argument of a program.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}
