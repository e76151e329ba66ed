//! A minute of the ring: sums by subnet, service and workload, and by drop site.

use super::{
    counts::{Counts, Everywhere},
    recorder::{Grown, Scope, SiteCount},
    ring::Ring,
    seen::{Beside, Site},
};
use common::{
    histogram::{RTT_BOUNDS, RTT_BUCKETS},
    map::lost::Lost,
};
use std::{collections::BTreeMap, time::Duration};

/// How much is judged at once, where there is so much.
pub(super) const LENGTH: Duration = Duration::from_mins(1);
/// With less there is no judgement.
pub const SHORTEST: Duration = Duration::from_secs(10);
/// How far apart two collections of one interval may be besides.
const JITTER: Duration = Duration::from_secs(1);
/// Least length of what is usual, to compare with.
const SHORTEST_BASELINE: Duration = Duration::from_secs(30);

/// Samples of round-trip times by bucket.
pub(super) type Rtt = [u64; RTT_BUCKETS];

/// What was counted between two collections.
#[derive(Debug)]
pub(super) struct Window<'r> {
    /// Its length.
    pub(super) seconds: f64,
    rows: Vec<(&'r Scope, Counts)>,
    rtt: BTreeMap<&'r str, Rtt>,
    /// Some time earlier.
    rtt_before: BTreeMap<&'r str, Rtt>,
    pub(super) sites: Vec<(&'r Site, SiteCount)>,
    /// What the kernel side could not do, by [`Lost`].
    pub(super) lost: [u64; Lost::COUNT],
    /// Events that programs missed.
    pub(super) missed: u64,
    pub(super) beside: Beside,
}

/// What one subnet's connections were counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic<'r> {
    pub(super) total: Counts,
    pub(super) services: BTreeMap<&'r str, Counts>,
    pub(super) workloads: BTreeMap<&'r str, Counts>,
}

impl<'r> Window<'r> {
    /// The last minute, or as much as there is of it; more where somebody read again right after a long time.
    ///
    /// # Errors
    /// How much there is, if that is too little.
    pub(super) fn of(ring: &'r Ring) -> Result<Self, Duration> {
        let mut length = Duration::ZERO;
        let mut entries = Vec::new();
        for entry in ring.newest_first() {
            if length >= SHORTEST && length + entry.span > LENGTH + JITTER {
                break;
            }
            length += entry.span;
            entries.push(entry);
        }
        if length < SHORTEST {
            return Err(length);
        }
        let mut rows: BTreeMap<&Scope, Counts> = BTreeMap::new();
        let mut rtt = BTreeMap::new();
        let mut sites: BTreeMap<&Site, SiteCount> = BTreeMap::new();
        let (mut lost, mut missed, mut beside) = ([0; Lost::COUNT], 0, Beside::default());
        for entry in &entries {
            for (scope, grown) in &entry.tcp {
                rows.entry(scope).or_default().add(scope.role, grown);
            }
            add_rtt(&mut rtt, &entry.rtt);
            for (site, count) in &entry.sites {
                sites.entry(site).or_default().add(*count);
            }
            for (sum, more) in lost.iter_mut().zip(entry.lost) {
                *sum += more;
            }
            missed += entry.missed;
            beside.add(entry.beside);
        }
        Ok(Self {
            seconds: length.as_secs_f64(),
            rows: rows.into_iter().collect(),
            rtt,
            rtt_before: baseline(ring, entries.len()),
            sites: sites.into_iter().collect(),
            lost,
            missed,
            beside,
        })
    }

    /// The connections of each subnet, but for those of workloads that are left out.
    pub(super) fn traffic(&self, is_left_out: impl Fn(&Scope) -> bool) -> BTreeMap<&'r str, Traffic<'r>> {
        let mut subnets: BTreeMap<&str, Traffic<'_>> = BTreeMap::new();
        let (mut of_services, mut of_workloads) = (OfNames::new(), OfNames::new());
        for (scope, counts) in self.rows.iter().filter(|(scope, _)| !is_left_out(scope)) {
            let traffic = subnets.entry(&scope.subnet).or_default();
            traffic.total.merge(counts);
            traffic.services.entry(&scope.service).or_default().merge(counts);
            traffic.workloads.entry(&scope.workload).or_default().merge(counts);
            of_services.entry(&scope.service).or_default().add(counts.own_part());
            of_workloads.entry(&scope.workload).or_default().add(counts.own_part());
        }
        for traffic in subnets.values_mut() {
            spread(&of_workloads, &mut traffic.workloads);
            spread(&of_services, &mut traffic.services);
            for counts in traffic.services.values() {
                traffic.total.everywhere.add(counts.everywhere);
            }
        }
        subnets
    }

    /// Subnets with round-trip times now.
    pub(super) fn subnets_with_rtt(&self) -> Vec<&'r str> {
        self.rtt.keys().copied().collect()
    }

    /// Round-trip times to a subnet: now, and what was usual before, if that is known.
    pub(super) fn rtt(&self, subnet: &str) -> Option<(&Rtt, &Rtt)> {
        Some((self.rtt.get(subnet)?, self.rtt_before.get(subnet)?))
    }
}

/// What services, or workloads, were counted over all subnets.
type OfNames<'r> = BTreeMap<&'r str, Everywhere>;

/// Tells the counts of one subnet what there is of each over all.
fn spread(all: &OfNames<'_>, of_subnet: &mut BTreeMap<&str, Counts>) {
    for (name, counts) in of_subnet {
        counts.everywhere = all.get(name).copied().unwrap_or_default();
    }
}

/// What was usual: the older half of the ring, where none of it is judged now.
fn baseline(ring: &Ring, judged: usize) -> BTreeMap<&str, Rtt> {
    let newest = ring.newest().map(|entry| entry.at).unwrap_or_default();
    let oldest = ring.newest_first().last().map(|entry| entry.at).unwrap_or_default();
    let middle = newest - newest.saturating_sub(oldest) / 2;
    let mut length = Duration::ZERO;
    let mut rtt = BTreeMap::new();
    for entry in ring.newest_first().skip(judged).filter(|entry| entry.at <= middle) {
        length += entry.span;
        add_rtt(&mut rtt, &entry.rtt);
    }
    if length < SHORTEST_BASELINE {
        BTreeMap::new()
    } else {
        rtt
    }
}

fn add_rtt<'r>(sums: &mut BTreeMap<&'r str, Rtt>, of_entry: &'r [(std::sync::Arc<str>, Grown)]) {
    for (subnet, grown) in of_entry {
        let sum = sums.entry(subnet).or_insert([0; RTT_BUCKETS]);
        for (place, more) in grown {
            if let Some(bucket) = sum.get_mut(usize::from(*place)) {
                *bucket += u64::from(*more);
            }
        }
    }
}

/// The upper bound of the bucket that the median is in, in seconds; `None` of fewer than `least` samples.
pub(super) fn median(samples: &Rtt, least: u64) -> Option<f64> {
    let count: u64 = samples.iter().sum();
    if count < least.max(1) {
        return None;
    }
    let mut below = 0;
    let place = samples.iter().position(|bucket| {
        below += bucket;
        2 * below >= count
    })?;
    let bound = RTT_BOUNDS.get(place)?;
    Some(f64::from(*bound) / 1e6)
}
