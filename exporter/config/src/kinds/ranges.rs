//! Ranges of numbers: what the parser takes and the schema says.

use super::units::{MILLISECOND, SECOND};
use std::ops::RangeInclusive;

type Range = RangeInclusive<u64>;

/// `limits.memory`, in bytes.
pub(crate) const MEMORY: Range = 16 << 10..=4 << 30;
/// `limits.series`
pub(crate) const SERIES: Range = 100..=10_000_000;
/// `limits.connections_per_peer`
pub(crate) const CONNECTIONS_PER_PEER: Range = 1..=400;
/// `limits.subnets`: those of the largest list that a file can hold.
pub(crate) const SUBNETS: Range = 1..=1_000_000;
/// `limits.workloads`: numbers have 16 bits, and some are taken.
pub(crate) const WORKLOADS: Range = 1..=60_000;
/// `collect.max_age`, in nanoseconds, as the two next ones.
pub(crate) const MAX_AGE: Range = 0..=3_600 * SECOND;
/// `otlp.interval`
pub(crate) const INTERVAL: Range = SECOND..=3_600 * SECOND;
/// `otlp.timeout`
pub(crate) const TIMEOUT: Range = 100 * MILLISECOND..=600 * SECOND;
pub(crate) const PORTS: Range = 1..=65535;
/// Prefix lengths by which addresses may be named.
pub(crate) const IPV4_BITS: Range = 1..=32;
pub(crate) const IPV6_BITS: Range = 1..=128;
