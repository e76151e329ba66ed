//! Bounds: how much memory and how many series the exporter may use, how many connections a peer, and how old a snapshot may be.
//! It must never let a bound through with which the exporter could not work.
//! From `limits` and `collect` of the file; to the kernel loader, the series cap and the collector.

use std::time::Duration;

use crate::{
    file::Problem,
    kinds::{
        ranges::{CONNECTIONS_PER_PEER, MAX_AGE, MEMORY, SERIES, SUBNETS, WORKLOADS},
        units::{COUNT, DURATION, SIZE},
    },
    raw::{RawCollect, RawLimits},
};

const MIB: u64 = 1 << 20;

/// Bounds of memory, series and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Kernel memory for counters, in bytes.
    pub memory: u64,
    /// Most series in all; a histogram counts as one.
    pub series: usize,
    /// Most connections of one peer with the HTTP server.
    pub connections_per_peer: usize,
    /// Most networks of all subnets together.
    pub subnets: usize,
    /// Most workloads that are told apart.
    pub workloads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 32 * MIB,
            series: 10_000,
            connections_per_peer: 16,
            subnets: 100_000,
            workloads: 1024,
        }
    }
}

impl Limits {
    pub(crate) fn parse(raw: &RawLimits) -> Result<Self, Problem> {
        let RawLimits {
            memory,
            series,
            connections_per_peer,
            subnets,
            workloads,
        } = raw;
        let mut limits = Self::default();
        if let Some(text) = memory {
            limits.memory = SIZE.read("limits.memory", text, MEMORY)?;
        }
        if let Some(text) = series {
            limits.series = COUNT.read("limits.series", text, SERIES)?;
        }
        if let Some(text) = connections_per_peer {
            const KEY: &str = "limits.connections_per_peer";
            limits.connections_per_peer = COUNT.read(KEY, text, CONNECTIONS_PER_PEER)?;
        }
        if let Some(text) = subnets {
            limits.subnets = COUNT.read("limits.subnets", text, SUBNETS)?;
        }
        if let Some(text) = workloads {
            limits.workloads = COUNT.read("limits.workloads", text, WORKLOADS)?;
        }
        Ok(limits)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collect {
    /// A snapshot up to this age is served again.
    pub max_age: Duration,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(1),
        }
    }
}

impl Collect {
    pub(crate) fn parse(raw: &RawCollect) -> Result<Self, Problem> {
        let RawCollect { max_age } = raw;
        let mut collect = Self::default();
        if let Some(text) = max_age {
            let nanoseconds = DURATION.read("collect.max_age", text, MAX_AGE)?;
            collect.max_age = Duration::from_nanos(nanoseconds);
        }
        Ok(collect)
    }
}
