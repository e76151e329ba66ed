//! What is found, as a value that the API shows, and as text for people.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt, time::Duration};

/// Services and workloads that are shown of a finding.
const SHOWN: usize = 3;

/// What was found in a window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// When its last collection was, since 1970.
    #[serde(rename = "at_seconds", with = "seconds")]
    pub at: Duration,
    pub state: State,
    /// How much was looked at.
    pub window_seconds: f64,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// Findings that the configuration mutes.
    pub muted: u64,
    /// Subnets with traffic and without a finding.
    pub fine: Vec<String>,
    /// Collections that were forgotten before five minutes had passed.
    pub forgotten: u64,
    /// What cannot be seen here; whoever shows the report adds it.
    pub blind: Vec<Blind>,
}

impl Report {
    /// How many findings a rule of this name has made.
    pub fn count(&self, rule: &str) -> u64 {
        self.findings.iter().filter(|finding| finding.finding == rule).count() as u64
    }
}

/// Whose a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// This host drops or limits its own traffic.
    Ours,
    /// Loss, reordering or delay beyond this host.
    Network,
    /// The other end refuses, resets or reads slowly.
    Peer,
    /// Nobody answers.
    Silent,
    /// Something of this host is full or wrong, whomever it hits.
    Here,
}

impl Whose {
    /// All, in the order of their words.
    pub const ALL: [Self; 5] = [Self::Ours, Self::Network, Self::Peer, Self::Silent, Self::Here];

    /// The value of the label `whose`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Network => "network",
            Self::Peer => "peer",
            Self::Silent => "silent",
            Self::Here => "here",
        }
    }
}

/// Whether there was enough to judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Less than ten seconds.
    #[default]
    NotYet,
    Judged,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub finding: Cow<'static, str>,
    pub whose: Whose,
    /// The subnet that it hits; "" where it is of no subnet.
    pub subnet: String,
    /// How far above its floors it is: what findings are sorted by.
    pub severity: f64,
    /// Events per second, or seconds per second.
    pub rate: f64,
    /// Of what could have been such an event: 0 to 1.
    pub share: f64,
    /// In words.
    pub says: String,
    /// The services that it hits, the worst first: more than are shown, so that a choice by name finds those, too.
    #[serde(serialize_with = "worst")]
    pub services: Vec<String>,
    /// The workloads that it hits, likewise.
    #[serde(serialize_with = "worst")]
    pub workloads: Vec<String>,
    /// Where packets were dropped.
    pub sites: Vec<Seen>,
    /// Where the API has its worst flows, below the exporter's address; `None` where it is not of live connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flows: Option<String>,
    /// What to do first.
    pub next: Cow<'static, str>,
    /// A page of the runbooks.
    pub runbook: Cow<'static, str>,
    pub since: Since,
}

/// A drop site beside a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub location: String,
    pub reason: String,
    pub class: String,
    pub direction: String,
    pub protocol: String,
    pub packets_per_second: f64,
}

/// Those of the services or workloads of a finding that are shown.
pub fn shown(names: &[String]) -> &[String] {
    &names[..names.len().min(SHOWN)]
}

fn worst<S: Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    shown(names).serialize(serializer)
}

/// Since when something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Since 1970.
    #[serde(rename = "at_seconds", with = "seconds")]
    pub at: Duration,
    /// Whether it may be older: nothing older is known.
    pub or_before: bool,
}

/// Something that cannot be seen here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// A metric.
    pub metric: String,
    pub reason: String,
}

/// Times as seconds.
mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};
    use serde::de::Error;

    pub(super) fn serialize<S: Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(at.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            state,
            window_seconds,
            findings,
            muted,
            fine,
            blind,
            ..
        } = self;
        if *state == State::NotYet {
            return writeln!(
                f,
                "not yet: {window_seconds:.0} s were seen, and a judgement takes 10 s"
            );
        }
        match findings.len() {
            0 => write!(f, "no findings")?,
            1 => write!(f, "1 finding")?,
            many => write!(f, "{many} findings")?,
        }
        write!(f, " in {window_seconds:.0} s")?;
        if *muted > 0 {
            write!(f, ", {muted} muted")?;
        }
        writeln!(f)?;
        for (place, finding) in findings.iter().enumerate() {
            write!(f, "\n{:<3}{finding}", place + 1)?;
        }
        if !fine.is_empty() {
            writeln!(f, "\nfine: {}", fine.join(", "))?;
        }
        if !blind.is_empty() {
            writeln!(
                f,
                "\nmetrics that are off: {}; tcpvitals doctor says which and why",
                blind.len()
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subnet = if self.subnet.is_empty() { "-" } else { &self.subnet };
        writeln!(
            f,
            "{:<8} {subnet:<16} {}",
            self.whose.as_str().to_uppercase(),
            self.says
        )?;
        let mut line = |text: String| writeln!(f, "            {text}");
        for (what, names) in [("services", &self.services), ("workloads", &self.workloads)] {
            if !names.is_empty() {
                line(format!("{what}: {}", shown(names).join(", ")))?;
            }
        }
        for site in &self.sites {
            let Seen {
                location,
                reason,
                class,
                direction,
                packets_per_second,
                ..
            } = site;
            line(format!(
                "at {location} {reason} ({class}, {direction}), {packets_per_second:.1} packets/s"
            ))?;
        }
        line(format!("next: {}", self.next))?;
        line(format!("runbook: tcpvitals explain {}", self.runbook))
    }
}
