//! curl(1), a client that is not ours: what it sends is given by its own options.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::exporter::run_command;

/// What curl got.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `1.1` or `2`.
    pub version: String,
    /// Header lines as they came, the status line first.
    pub headers: Vec<String>,
    /// Text.
    pub body: String,
}

impl Answer {
    /// The one value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        values.next().filter(|_| values.next().is_none())
    }
}

/// Reads a page.
pub fn curl(url: &str, options: &[&str]) -> Result<Answer> {
    let finished = run_command(&mut command(url, options))?;
    ensure!(finished.code == Some(0), "curl {options:?} {url}: {finished:?}");
    let (text, written) = finished.stdout.rsplit_once('\n').context("curl wrote nothing")?;
    let (status, version) = written.split_once(' ').context("curl wrote no version")?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without a header")?;
    Ok(Answer {
        status: status.parse()?,
        version: version.to_owned(),
        headers: head.lines().map(str::to_owned).collect(),
        body: body.to_owned(),
    })
}

/// Requires that there is no answer at all, and gives what curl says why.
pub fn refused(url: &str, options: &[&str]) -> Result<String> {
    let finished = run_command(&mut command(url, options))?;
    ensure!(
        finished.code.is_some_and(|code| code != 0) && finished.stdout.ends_with("\n000 0"),
        "curl {options:?} {url} got an answer: {finished:?}"
    );
    Ok(finished.stderr)
}

fn command(url: &str, options: &[&str]) -> Command {
    let mut command = Command::new("curl");
    // No settings of whoever runs the tests.
    command.args(["--disable", "--noproxy", "*", "--silent", "--show-error", "--include"]);
    command.args(["--max-time", "15", "--write-out", "\n%{http_code} %{http_version}"]);
    command.args(options).arg(url);
    command
}
