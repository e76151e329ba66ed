//! The processes that hold the live flows.

use std::env::current_exe;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tests::net::pair::Pair;

use super::stage::{FAMILIES, HOLD, HOLDERS};
use super::sums::Sums;

/// Flows of one process: two descriptors each, where 20 000 are allowed.
const FLOWS: usize = 9_000;

/// Exchanges per second of all processes together.
const RATE: usize = 2_000;

/// All live flows.
#[derive(Debug)]
pub(crate) struct Holders {
    holders: Vec<Holder>,
}

#[derive(Debug)]
struct Holder {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Holders {
    /// Opens so many flows and exchanges some bytes on each. There is no traffic afterwards.
    pub(crate) fn start(pair: &Pair, flows: usize) -> Result<Self> {
        let processes = flows.div_ceil(FLOWS).max(1);
        ensure!(processes <= HOLDERS.into(), "{flows} flows are too many");
        let mut holders = (0..processes)
            .map(|number| {
                let own = flows * (number + 1) / processes - flows * number / processes;
                Holder::start(pair, number, own, RATE / processes)
            })
            .collect::<Result<Vec<_>>>()?;
        for holder in &mut holders {
            holder.answer()?;
        }
        Ok(Self { holders })
    }

    /// Lets the traffic begin.
    pub(crate) fn go(&mut self) -> Result<()> {
        self.ask("go").map(drop)
    }

    /// Ends the traffic, and gives the kernel's account once nothing moves any more.
    pub(crate) fn rest(&mut self) -> Result<Sums> {
        self.account("rest")
    }

    /// Exchanges some bytes on every flow, and gives the kernel's account.
    pub(crate) fn touch(&mut self) -> Result<Sums> {
        self.account("touch")
    }

    /// Closes every flow, and gives the kernel's final account.
    pub(crate) fn finish(&mut self) -> Result<Sums> {
        self.account("finish")
    }

    fn account(&mut self, command: &str) -> Result<Sums> {
        let mut all = Sums::default();
        for answer in self.ask(command)? {
            let sums: Sums = serde_json::from_str(&answer).with_context(|| format!("a process answers {answer}"))?;
            all.merge(&sums);
        }
        Ok(all)
    }

    /// All work at the same time.
    fn ask(&mut self, command: &str) -> Result<Vec<String>> {
        for holder in &mut self.holders {
            writeln!(holder.commands, "{command}").with_context(|| format!("tell a process to {command}"))?;
        }
        self.holders.iter_mut().map(Holder::answer).collect()
    }
}

impl Holder {
    fn start(pair: &Pair, number: usize, flows: usize, rate: usize) -> Result<Self> {
        let family = FAMILIES[number % FAMILIES.len()];
        let to = pair.to(family, HOLD + u16::try_from(number)?)?;
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n $(ulimit -Hn) && exec \"$@\"", "sh"])
            .arg(current_exe()?)
            .args(["hold", pair.client.name(), pair.server.name(), &to.to_string()])
            .args([flows, rate].map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("start a process that holds flows")?;
        Ok(Self {
            commands: child.stdin.take().context("a child without standard input")?,
            answers: BufReader::new(child.stdout.take().context("a child without standard output")?),
            child,
        })
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a process that holds flows has ended");
        Ok(line)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It has nothing to lose, and there is nobody to tell.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
