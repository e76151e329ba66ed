//! What a collection has added since the one before: of every snapshot only what rules read, and only what has grown.

use super::{
    counts::READ,
    seen::{Beside, Site},
};
use crate::{
    labels::{KeyNames as _, LabelSet, Labelling, value_of},
    snapshot::{DropOrigin, Group, Row, Snapshot},
    workloads::qualified,
};
use common::{
    drops::DropCount,
    histogram::RTT_BUCKETS,
    map::lost::{Lost, Misses},
    tcp::group::{GroupKey, Role},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    mem::size_of,
    sync::Arc,
    time::Duration,
};
use tcpvitals_config::{DropLabel, TcpLabel};

/// Where a connection belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub(super) subnet: Arc<str>,
    /// The application protocol.
    pub(super) service: Arc<str>,
    /// With its namespace; "" where workloads are not told apart.
    pub(super) workload: Arc<str>,
    pub(super) role: Role,
}

/// How much something grew, by its place in a list.
pub(super) type Grown = Box<[(u8, u32)]>;

/// What connections of one kind were counted.
pub(super) type GrownScope = (Arc<Scope>, Grown);

/// The round trips of one subnet.
pub(super) type GrownRtt = (Arc<str>, Grown);

/// What was dropped at a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SiteCount {
    pub(super) packets: u64,
    /// Segments that were retransmitted for it.
    pub(super) repeated: u64,
}

impl SiteCount {
    pub(super) const fn add(&mut self, more: Self) {
        self.packets += more.packets;
        self.repeated += more.repeated;
    }
}

/// What one collection added.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// When it was read, since 1970.
    pub(super) at: Duration,
    /// Time since the entry before.
    pub(super) span: Duration,
    pub(super) tcp: Vec<GrownScope>,
    /// Round-trip times by subnet: samples by bucket.
    pub(super) rtt: Vec<GrownRtt>,
    pub(super) sites: Vec<(Arc<Site>, SiteCount)>,
    /// What the kernel side could not do, by [`Lost`].
    pub(super) lost: [u64; Lost::COUNT],
    /// Events that programs missed.
    pub(super) missed: u64,
    pub(super) beside: Beside,
    /// What was found at that time; `None` where there was too little to judge.
    pub(super) held: Option<BTreeSet<(Cow<'static, str>, Arc<str>)>>,
}

impl Entry {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let grown = |grown: &Grown| size_of::<(Arc<Scope>, Grown)>() + size_of::<(u8, u32)>() * grown.len();
        let tcp: usize = self.tcp.iter().map(|(_, own)| grown(own)).sum();
        let rtt: usize = self.rtt.iter().map(|(_, own)| grown(own)).sum();
        let held = self.held.as_ref().map_or(0, BTreeSet::len) * size_of::<(Cow<'_, str>, Arc<str>)>();
        size_of::<Self>() + tcp + rtt + held + self.sites.len() * size_of::<(Arc<Site>, SiteCount)>()
    }
}

/// What the recorder saw of a row last. Counters and samples as their lower halves: between two collections less than that is added.
#[derive(Debug)]
struct SeenGroup {
    key: Option<GroupKey>,
    scope: Arc<Scope>,
    counters: [u32; READ.len()],
    rtt: [u32; RTT_BUCKETS],
}

#[derive(Debug)]
struct SeenSite {
    /// None for what the configuration ignores.
    site: Option<Arc<Site>>,
    origin: DropOrigin,
    count: SiteCount,
}

/// Remembers what was seen, to tell what is new.
#[derive(Debug, Default)]
pub struct Recorder {
    groups: HashMap<u64, SeenGroup>,
    sites: HashMap<u64, SeenSite>,
    names: BTreeSet<Arc<str>>,
    lost: [u64; Lost::COUNT],
    missed: u64,
    beside: Beside,
    /// When the last entry was made, since 1970.
    last: Option<Duration>,
}

impl Recorder {
    /// What has grown since the last entry; `None` at first, and as long as that is less than `spacing` ago.
    pub fn record(&mut self, snapshot: &Snapshot, labelling: &Labelling, spacing: Duration) -> Option<Entry> {
        // A clock that was set back begins anew.
        let span = self.last.map(|last| snapshot.at.checked_sub(last).unwrap_or(spacing));
        if span.is_some_and(|span| span < spacing) {
            return None;
        }
        self.last = Some(snapshot.at);
        let (tcp, rtt) = self.of_groups(&snapshot.groups, labelling);
        let missed = snapshot.misses.values().copied().map(Misses::lost).sum();
        let beside = Beside::of(&snapshot.host).at_least(self.beside);
        let entry = Entry {
            at: snapshot.at,
            span: span.unwrap_or_default(),
            tcp,
            rtt,
            sites: self.of_sites(&snapshot.drops, labelling),
            lost: std::array::from_fn(|place| {
                let [before, now] =
                    [&self.lost, &snapshot.lost].map(|lost| lost.get(place).copied().unwrap_or_default());
                now.saturating_sub(before)
            }),
            missed: u64::saturating_sub(missed, self.missed),
            beside: beside.since(self.beside),
            held: None,
        };
        (self.lost, self.missed, self.beside) = (snapshot.lost, missed, beside);
        self.forget_names();
        span.map(|_| entry)
    }

    /// Names may have changed: they are asked for again.
    pub fn rename(&mut self, labelling: &Labelling) {
        for SeenGroup { key, scope, .. } in self.groups.values_mut() {
            *scope = Self::scope(&mut self.names, key.as_ref(), labelling);
        }
        for SeenSite { site, origin, .. } in self.sites.values_mut() {
            *site = site_of(origin, labelling);
        }
    }

    fn of_groups(
        &mut self,
        rows: &[Row<Option<GroupKey>, Group>],
        labelling: &Labelling,
    ) -> (Vec<GrownScope>, Vec<GrownRtt>) {
        let mut grown_groups = Vec::new();
        let mut rtt: BTreeMap<Arc<str>, [u32; RTT_BUCKETS]> = BTreeMap::new();
        for Row { id, key, total, .. } in rows {
            let names = &mut self.names;
            let seen = self.groups.entry(*id).or_insert_with(|| SeenGroup {
                key: *key,
                scope: Self::scope(names, key.as_ref(), labelling),
                counters: [0; READ.len()],
                rtt: [0; RTT_BUCKETS],
            });
            let now = READ.map(|counter| low(total.counters.get(counter)));
            let grown = grown(&now, &seen.counters);
            if !grown.is_empty() {
                grown_groups.push((Arc::clone(&seen.scope), grown));
            }
            keep(&mut seen.counters, &now);
            let samples = total.counters.rtt.buckets.map(low);
            if samples != seen.rtt {
                let sums = rtt.entry(Arc::clone(&seen.scope.subnet)).or_insert([0; RTT_BUCKETS]);
                for ((sum, now), before) in sums.iter_mut().zip(samples).zip(seen.rtt) {
                    *sum = sum.wrapping_add(since(now, before));
                }
                keep(&mut seen.rtt, &samples);
            }
        }
        let rtt = rtt
            .into_iter()
            .map(|(subnet, sums)| (subnet, grown(&sums, &[0; RTT_BUCKETS])));
        (grown_groups, rtt.collect())
    }

    fn of_sites(&mut self, rows: &[Row<DropOrigin, DropCount>], labelling: &Labelling) -> Vec<(Arc<Site>, SiteCount)> {
        let mut grown_sites = Vec::new();
        for Row { id, key, total, .. } in rows {
            let seen = self.sites.entry(*id).or_insert_with(|| SeenSite {
                site: site_of(key, labelling),
                origin: key.clone(),
                count: SiteCount::default(),
            });
            // The name of a place may come later than its first packet.
            if seen.origin != *key {
                (seen.site, seen.origin) = (site_of(key, labelling), key.clone());
            }
            let more = SiteCount {
                packets: total.packets.saturating_sub(seen.count.packets),
                repeated: total.repeated.saturating_sub(seen.count.repeated),
            };
            seen.count.add(more);
            if let Some(site) = seen.site.as_ref().filter(|_| more != SiteCount::default()) {
                grown_sites.push((Arc::clone(site), more));
            }
        }
        grown_sites
    }

    fn scope(names: &mut BTreeSet<Arc<str>>, key: Option<&GroupKey>, labelling: &Labelling) -> Arc<Scope> {
        let mut name = |text: String| {
            if let Some(known) = names.get(text.as_str()) {
                return Arc::clone(known);
            }
            let name: Arc<str> = text.into();
            names.insert(Arc::clone(&name));
            name
        };
        let role = key.map_or(Role::Unknown, |key| Role::from_number(key.role));
        let mut value = |label: TcpLabel| {
            let text = key.map_or_else(|| crate::labels::OTHER.to_owned(), |key| labelling.value(label, key));
            name(text)
        };
        let [subnet, service] = [TcpLabel::Subnet, TcpLabel::AppProtocol].map(&mut value);
        let workload = key.filter(|_| labelling.tells_workloads()).map(|key| {
            let [namespace, name] =
                [TcpLabel::WorkloadNamespace, TcpLabel::Workload].map(|label| labelling.value(label, key));
            qualified(&namespace, &name)
        });
        let workload = name(workload.unwrap_or_default());
        Arc::new(Scope {
            subnet,
            service,
            workload,
            role,
        })
    }

    /// Names that nobody has any more go when they are many.
    fn forget_names(&mut self) {
        if self.names.len() > 2 * self.groups.len() + 64 {
            self.names.retain(|name| Arc::strong_count(name) > 1);
        }
    }
}

/// What packets of a row of drops are called; none for those that are ignored.
fn site_of((_, site): &DropOrigin, labelling: &Labelling) -> Option<Arc<Site>> {
    let labels: LabelSet = labelling.of_site(site.as_ref())?;
    let label = |label: DropLabel| value_of(&labels, label.label()).to_owned();
    let workload = match label(DropLabel::Workload) {
        name if name.is_empty() => name,
        name => qualified(&label(DropLabel::WorkloadNamespace), &name),
    };
    Some(Arc::new(Site {
        location: label(DropLabel::Location),
        reason: label(DropLabel::Reason),
        class: label(DropLabel::Class),
        direction: label(DropLabel::Direction),
        protocol: label(DropLabel::Protocol),
        subnet: label(DropLabel::Subnet),
        workload,
    }))
}

/// What has grown, by its place.
fn grown(now: &[u32], before: &[u32]) -> Grown {
    let places = (0_u8..).zip(now.iter().zip(before));
    let grown = places.map(|(place, (now, before))| (place, since(*now, *before)));
    grown.filter(|(_, more)| *more > 0).collect()
}

/// How much a counter grew whose lower half is known. A fold that is under way can show less for a moment: that is nothing.
const fn since(now: u32, before: u32) -> u32 {
    let more = now.wrapping_sub(before);
    if more > u32::MAX / 2 { 0 } else { more }
}

/// What is seen now, but for what shows less for a moment.
fn keep(seen: &mut [u32], now: &[u32]) {
    for (seen, now) in seen.iter_mut().zip(now) {
        *seen = seen.wrapping_add(since(*now, *seen));
    }
}

/// The lower half.
#[expect(clippy::cast_possible_truncation, reason = "it is what is wanted")]
const fn low(count: u64) -> u32 {
    count as u32
}
