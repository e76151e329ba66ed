//! What the kernel's network stack counted in a namespace: the numbers of `nstat` and of `tc -s`.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::iter::zip;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::machine::wait::until_stable;
use crate::net::namespace::Namespace;

/// Longer than packets wait for a processor that is busy with something else.
const QUIET: Duration = Duration::from_millis(150);

/// Counters of one namespace at one moment, under the names that `nstat` gives them: `TcpRetransSegs`, `TcpExtTCPOFOQueue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// Reads them.
    pub fn read(namespace: &Namespace) -> Result<Self> {
        namespace.run(|| {
            let mut all = BTreeMap::new();
            // Of the thread, not of the process: only the thread is in the namespace.
            for file in ["snmp", "netstat"] {
                let path = format!("/proc/thread-self/net/{file}");
                let text = read_to_string(&path).with_context(|| format!("read {path}"))?;
                all.extend(parse_pairs(&text).with_context(|| format!("parse {path}"))?);
            }
            if let Ok(text) = read_to_string("/proc/thread-self/net/snmp6") {
                all.extend(text.lines().filter_map(parse_line));
            }
            Ok(Self(all))
        })
    }

    /// Reads them once none changes any more: where the processor is busy, the kernel handles a packet some time after the
    /// call that sent it.
    pub fn at_rest(namespace: &Namespace) -> Result<Self> {
        until_stable("the network stack", QUIET, || Self::read(namespace))
    }

    /// One counter.
    pub fn get(&self, name: &str) -> Result<i64> {
        self.0
            .get(name)
            .copied()
            .with_context(|| format!("this kernel has no counter {name}"))
    }

    /// Segments sent again, all but those of handshakes.
    pub fn repeated_after_handshakes(&self) -> Result<i64> {
        Ok(self.get("TcpRetransSegs")? - self.get("TcpExtTCPSynRetrans")?)
    }

    /// By how much one has grown since `before`.
    pub fn since(&self, before: &Self, name: &str) -> Result<i64> {
        Ok(self.get(name)? - before.get(name)?)
    }
}

/// Lines come in twos, `Tcp: A B` and `Tcp: 1 2`.
fn parse_pairs(text: &str) -> Result<BTreeMap<String, i64>> {
    let mut all = BTreeMap::new();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.chunks(2) {
        let [names, values] = pair else {
            anyhow::bail!("a line of names without its values")
        };
        let (group, names) = names.split_once(':').context("a line without a group")?;
        let (same, values) = values.split_once(':').context("a line without a group")?;
        ensure!(group == same, "{group} is followed by {same}");
        for (name, value) in zip(names.split_whitespace(), values.split_whitespace()) {
            all.insert(
                format!("{group}{name}"),
                value.parse().with_context(|| format!("{name} is {value}"))?,
            );
        }
    }
    Ok(all)
}

fn parse_line(line: &str) -> Option<(String, i64)> {
    let (name, value) = line.split_once(char::is_whitespace)?;
    Some((name.to_owned(), value.trim().parse().ok()?))
}

/// What the queueing discipline at the root of a device counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Packets that left the queue.
    pub packets: u64,
    /// Packets that found no room.
    pub drops: u64,
    /// Packets that wait.
    pub waiting: u64,
}

impl Queue {
    /// Reads the counters of the root of `device`.
    pub fn read(namespace: &Namespace, device: &str) -> Result<Self> {
        let text = namespace.exec(&format!("tc -s -j qdisc show dev {device}"))?;
        let listing: Value = serde_json::from_str(&text).context("parse what tc lists")?;
        let root = listing
            .as_array()
            .into_iter()
            .flatten()
            .find(|discipline| discipline.get("root").is_some())
            .with_context(|| format!("{device} has no root queueing discipline"))?;
        let number = |key: &str| {
            root.get(key)
                .and_then(Value::as_u64)
                .with_context(|| format!("no {key} in `{text}`"))
        };
        Ok(Self {
            packets: number("packets")?,
            drops: number("drops")?,
            waiting: number("qlen")?,
        })
    }
}
