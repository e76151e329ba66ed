//! `tcpvitals capture` as a process, and what its files hold.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use tempfile::TempDir;

use crate::exporter::{binary, diagnostics::Diagnostics};
use crate::machine::wait::until;

/// A running capture; killed on drop.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    diagnostics: Diagnostics,
    folder: TempDir,
}

/// The name of the file, unless it is rotated.
const FILE: &str = "drops.pcapng";

impl Capture {
    /// Captures into a file, with more arguments, and waits until it does.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let folder = TempDir::new()?;
        let path = folder.path().join(FILE);
        Self::run(&path, arguments, folder)
    }

    /// Captures into a pipe that the test reads.
    pub fn piped(arguments: &[&str]) -> Result<(Self, ChildStdout)> {
        let mut capture = Self::run(Path::new("-"), arguments, TempDir::new()?)?;
        let stdout = capture.child.stdout.take().context("a child without standard output")?;
        Ok((capture, stdout))
    }

    fn run(path: &Path, arguments: &[&str], folder: TempDir) -> Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["capture", "-w"]).arg(path).args(arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let diagnostics = Diagnostics::follow(child.stderr.take().context("a child without standard error")?);
        let mut capture = Self {
            child,
            diagnostics,
            folder,
        };
        until("the capture to begin", || {
            let said = capture.diagnostics.text();
            if let Some(status) = capture.child.try_wait()? {
                anyhow::bail!("the capture ended with {status}: {said}");
            }
            Ok(said.contains("capturing dropped packets").then_some(()))
        })?;
        Ok(capture)
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal).with_context(|| format!("send {signal}"))
    }

    /// Waits until it has ended by itself, and gives how, and what it said.
    pub fn wait(&mut self) -> Result<(ExitStatus, String)> {
        let status = until("the capture to end", || Ok(self.child.try_wait()?))?;
        self.diagnostics.end();
        Ok((status, self.diagnostics.text()))
    }

    /// What it said of the whole at the end.
    pub fn summary(&mut self) -> Result<Summary> {
        let (status, said) = self.wait()?;
        ensure!(status.success(), "the capture ended with {status}: {said}");
        Summary::of(&said)
    }

    /// Ends it, and gives what is in its file.
    pub fn stop(mut self) -> Result<(Captured, Summary)> {
        self.signal(Signal::SIGINT)?;
        let summary = self.summary()?;
        let file = fs::read(self.folder.path().join(FILE))?;
        Ok((Captured::read(file.as_slice())?, summary))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell if it cannot be killed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What the last words say behind the number of skipped runs.
const SKIPPED: &str = " not looked at because the kernel skipped the program";

/// The last words of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Packets in the file.
    pub captured: u64,
    /// Packets that found the queue full.
    pub tail_drops: u64,
    /// Runs that the kernel skipped.
    pub skipped: u64,
}

impl Summary {
    fn of(said: &str) -> Result<Self> {
        let last = said.lines().last().unwrap_or_default();
        let parsed = last
            .strip_prefix("tcpvitals: ")
            .and_then(|rest| rest.split_once(" packets captured, "));
        let (captured, rest) = parsed.with_context(|| format!("no summary: {said}"))?;
        // Without a packet it goes on with where to look.
        let missed = rest.split_once("; ").map_or(rest, |(missed, _)| missed);
        let (missed, skipped) = match missed.rsplit_once(", ") {
            Some((missed, rest)) => (missed, rest.strip_suffix(SKIPPED)),
            None => (missed, Some("0")),
        };
        let tail_drops = match missed.strip_suffix(" missed (tail drops)") {
            Some(number) => number.parse()?,
            None if missed == "none missed" => 0,
            None => anyhow::bail!("no summary: {said}"),
        };
        Ok(Self {
            captured: captured.parse()?,
            tail_drops,
            skipped: skipped.with_context(|| format!("no summary: {said}"))?.parse()?,
        })
    }

    /// Those that were looked at.
    pub fn all(self) -> u64 {
        self.captured + self.tail_drops
    }
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// Its packets, in order.
    pub packets: Vec<Packet>,
    /// `isb_usrdeliv` and `isb_ifdrop`, over all interfaces.
    pub counted: Option<Summary>,
}

/// A packet of a file.
#[derive(Clone, Debug)]
pub struct Packet {
    /// `if_name`
    pub interface: String,
    /// What its bytes begin with.
    pub link: DataLink,
    /// Nanoseconds since 1970.
    pub time: u128,
    /// How long it was.
    pub length: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its comment.
    pub comment: String,
    /// 1 for inbound, 2 for outbound.
    pub flags: u32,
}

impl Packet {
    /// A word of the comment: `reason`, `location`, `class`, `direction`, `protocol`, `cpu`.
    pub fn word(&self, key: &str) -> &str {
        let words = self.comment.split(' ').filter_map(|word| word.split_once('='));
        words
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .next()
            .unwrap_or_default()
    }
}

impl Captured {
    /// Reads a file to its end.
    pub fn read(from: impl Read) -> Result<Self> {
        let mut reader = PcapNgReader::new(from)?;
        let mut captured = Self::default();
        while let Some(block) = reader.next_block() {
            let block = block?.into_owned();
            if let Block::EnhancedPacket(packet) = block {
                let interface = reader.packet_interface(&packet).context("a packet of no interface")?;
                let name = interface.options.iter().find_map(|option| {
                    let InterfaceDescriptionOption::IfName(name) = option else {
                        return None;
                    };
                    Some(name.to_string())
                });
                captured.packets.push(Packet {
                    interface: name.context("an interface without a name")?,
                    link: interface.linktype,
                    time: packet.timestamp.as_nanos(),
                    length: packet.original_len,
                    bytes: packet.data.to_vec(),
                    comment: comment(&packet.options),
                    flags: flags(&packet.options),
                });
            } else if let Block::InterfaceStatistics(statistics) = block {
                let counted = captured.counted.get_or_insert(Summary {
                    captured: 0,
                    tail_drops: 0,
                    skipped: 0,
                });
                for option in statistics.options {
                    if let InterfaceStatisticsOption::IsbUsrDeliv(count) = option {
                        counted.captured += count;
                    } else if let InterfaceStatisticsOption::IsbIfDrop(count) = option {
                        counted.tail_drops += count;
                    }
                }
            }
        }
        Ok(captured)
    }
}

fn comment(options: &[EnhancedPacketOption<'_>]) -> String {
    let comment = options.iter().find_map(|option| {
        let EnhancedPacketOption::Comment(text) = option else {
            return None;
        };
        Some(text.to_string())
    });
    comment.unwrap_or_default()
}

fn flags(options: &[EnhancedPacketOption<'_>]) -> u32 {
    let flags = options.iter().find_map(|option| {
        let EnhancedPacketOption::Flags(flags) = option else {
            return None;
        };
        Some(*flags)
    });
    flags.unwrap_or(0)
}
