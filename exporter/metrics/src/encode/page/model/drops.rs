//! Drops by site and by workload.

use super::{ALL, BENIGN, count, find, label, name, sum, workload};
use crate::families::{Families, Point};
use serde::Serialize;
use std::collections::BTreeMap;

/// Packets dropped at one site.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(in crate::encode::page) struct Drops {
    pub(in crate::encode::page) packets: u64,
    /// Their bytes, where they are known.
    pub(in crate::encode::page) bytes: Option<u64>,
    /// The packets by whom they hit.
    #[serde(skip)]
    pub(in crate::encode::page) parts: BTreeMap<Part, u64>,
}

/// Whom drops hit. What the metrics do not tell is [`ALL`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::encode::page) struct Part {
    pub(in crate::encode::page) subnet: String,
    pub(in crate::encode::page) direction: String,
    pub(in crate::encode::page) protocol: String,
}

/// What tells drop sites apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::encode::page) struct Site {
    /// Kernel function, trap, or XDP program.
    pub(in crate::encode::page) location: String,
    pub(in crate::encode::page) reason: String,
    /// What that means to an operator.
    pub(in crate::encode::page) class: String,
    pub(in crate::encode::page) source: String,
}

impl Drops {
    /// Adds those of another site.
    pub(in crate::encode::page) fn merge(&mut self, other: &Self) {
        let Self { packets, bytes, parts } = other;
        self.packets += packets;
        self.bytes = sum(self.bytes, *bytes);
        for (part, packets) in parts {
            *self.parts.entry(part.clone()).or_default() += packets;
        }
    }

    /// The parts, those with most packets first.
    pub(in crate::encode::page) fn by_part(&self) -> Vec<(&Part, u64)> {
        let mut parts: Vec<(&Part, u64)> = self.parts.iter().map(|(part, packets)| (part, *packets)).collect();
        parts.retain(|(_, packets)| *packets > 0);
        parts.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
        parts
    }

    /// The packets by something of whom they hit, the most first.
    pub(in crate::encode::page) fn by<'d>(&'d self, what: impl Fn(&'d Part) -> &'d str) -> Vec<(&'d str, u64)> {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (part, packets) in &self.parts {
            *sums.entry(what(part)).or_default() += packets;
        }
        let mut sums: Vec<(&str, u64)> = sums.into_iter().filter(|(_, packets)| *packets > 0).collect();
        sums.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
        sums
    }
}

/// Drops by site; none when they are off.
pub(in crate::encode::page) fn by_site(families: &Families) -> Option<BTreeMap<Site, Drops>> {
    drops_by(families, |point| Some(site(point)))
}

/// Drops by class; none when they are off.
pub(in crate::encode::page) fn by_class(families: &Families) -> Option<BTreeMap<String, Drops>> {
    drops_by(families, |point| Some(label(point, "class")?.to_owned()))
}

/// Drops by workload, without normal operation; none where the metrics do not tell workloads apart.
pub(in crate::encode::page) fn drops_by_workload(families: &Families) -> Option<BTreeMap<String, Drops>> {
    let counts = |point: &Point| label(point, "class") != Some(BENIGN);
    let rows = drops_by(families, |point| workload(point).filter(|_| counts(point)));
    rows.filter(|rows| !rows.is_empty())
}

fn drops_by<K: Ord>(families: &Families, key: impl Fn(&Point) -> Option<K>) -> Option<BTreeMap<K, Drops>> {
    let mut rows: BTreeMap<K, Drops> = BTreeMap::new();
    for point in &find(families, name::DROPPED_PACKETS)?.points {
        if let Some(key) = key(point) {
            let row = rows.entry(key).or_default();
            let packets = count(&point.value).unwrap_or(0);
            row.packets += packets;
            *row.parts.entry(part(point)).or_default() += packets;
        }
    }
    let of_bytes = find(families, name::DROPPED_BYTES);
    for point in of_bytes.iter().flat_map(|family| &family.points) {
        if let Some(key) = key(point) {
            let row = rows.entry(key).or_default();
            row.bytes = sum(row.bytes, count(&point.value));
        }
    }
    Some(rows)
}

fn value(point: &Point, name: &str) -> String {
    label(point, name).unwrap_or(ALL).to_owned()
}

fn site(point: &Point) -> Site {
    Site {
        location: value(point, "location"),
        reason: value(point, "reason"),
        class: value(point, "class"),
        source: value(point, "source"),
    }
}

fn part(point: &Point) -> Part {
    Part {
        subnet: value(point, "subnet"),
        direction: value(point, "direction"),
        protocol: value(point, "protocol"),
    }
}
