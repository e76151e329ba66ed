//! Events that the kernel of a sandbox withholds from BPF programs: those in interrupts over threads of its init process (see
//! `tests/again.sh`). ftrace sees them, and so keeps account of just those.

use std::fs::{create_dir, read_dir, read_to_string, remove_dir, write};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context as _, Result};
use common::kernel::tracepoints::Tracepoint;

use super::stage::cable_of;
use super::unseen::Unseen;

/// The tracepoints of the exporter. That of the segment path is left out: what it counts is not compared here.
fn tracepoints() -> impl Iterator<Item = Tracepoint> {
    let all = Tracepoint::ALL.into_iter();
    all.filter(|tracepoint| *tracepoint != Tracepoint::TcpProbe)
}

/// The account; closed on drop.
#[derive(Debug)]
pub(crate) struct Withheld(Option<PathBuf>);

impl Withheld {
    /// Opens it. Without ftrace there is none, and nothing is taken for withheld.
    pub(crate) fn open() -> Self {
        let instances = Path::new("/sys/kernel/tracing/instances");
        let instance = instances.join(format!("tcpvitals-soak-{}", process::id()));
        let account = Self(create_dir(&instance).is_ok().then_some(instance));
        if account.follow_threads().is_ok() {
            for tracepoint in tracepoints() {
                // A kernel may lack an event; then it withholds none.
                account.enable(tracepoint).ok();
            }
        }
        account
    }

    /// Those of now, and those that they start.
    fn follow_threads(&self) -> Result<()> {
        let instance = self.0.as_ref().context("no account")?;
        let mut threads = String::new();
        for thread in read_dir("/proc/1/task")? {
            threads.push_str(&thread?.file_name().to_string_lossy());
            threads.push('\n');
        }
        write(instance.join("set_event_pid"), threads)?;
        write(instance.join("options/event-fork"), "1")?;
        Ok(())
    }

    fn enable(&self, tracepoint: Tracepoint) -> Result<()> {
        let events = self.0.as_ref().context("no account")?.join("events");
        write(
            events.join(tracepoint.system()).join(tracepoint.name()).join("enable"),
            "1",
        )?;
        Ok(())
    }

    /// Those on our cables so far, or perhaps there: a dropped packet has no ports.
    pub(crate) fn so_far(&self) -> Result<Unseen> {
        let mut unseen = Unseen::default();
        let Some(instance) = &self.0 else {
            return Ok(unseen);
        };
        let trace = read_to_string(instance.join("trace")).context("read the account of ftrace")?;
        for line in trace.lines().filter(|line| !line.starts_with('#')) {
            for name in tracepoints().map(Tracepoint::name) {
                let Some((_, fields)) = line.split_once(&format!(": {name}: ")) else {
                    continue;
                };
                if name == "kfree_skb" {
                    unseen.withhold("", name);
                } else if let Some(cable) = ports(fields).find_map(cable_of) {
                    unseen.withhold(cable, name);
                }
            }
        }
        Ok(unseen)
    }
}

/// The ports of an event: `sport=443 dport=40000`, or `src=10.0.0.1:443 dest=[::1]:40000`.
fn ports(fields: &str) -> impl Iterator<Item = u16> {
    fields.split_whitespace().filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        match name {
            "sport" | "dport" => value.parse().ok(),
            "src" | "dest" => value.rsplit(':').next()?.parse().ok(),
            _ => None,
        }
    })
}

impl Drop for Withheld {
    fn drop(&mut self) {
        if let Some(instance) = &self.0 {
            // What is left is empty and harms nobody.
            write(instance.join("events/enable"), "0").ok();
            remove_dir(instance).ok();
        }
    }
}
