//! The table of rules applied to a window: which faults there are, how large, and whose traffic they hit.

use super::words::{Size, finding};
use crate::{
    findings::{
        counts::Counts,
        recorder::SiteCount,
        report::{Finding, Seen as SeenSite},
        rules::{self, Dropped, Floor, Part, RULES, Reads, Rule, Seen, TRANSMIT},
        seen::Site,
        window::{self, Traffic, Window},
    },
    number::number,
};
use common::map::lost::Lost;
use std::collections::{BTreeMap, BTreeSet};
use tcpvitals_config::{Findings, Glob, Mutes};

/// Fewest samples that a median of round-trip times is of.
const LEAST_SAMPLES: u64 = 30;
/// Least time by which round trips are longer than usual, in seconds.
const LEAST_DELAY: f64 = 0.01;
/// Words of [`tcpvitals_config::Class`].
const POLICY: &str = "policy";
const CAPACITY: &str = "capacity";
const BENIGN: &str = "benign";
/// The reason of last acknowledgments of handshakes that a listener turns away.
const TURNED_AWAY: &str = "TCP_LISTEN_OVERFLOW";
/// What is said of lost segments where nobody looks for this host's drops of them.
const LOST_SOMEWHERE: &str =
    "{share} of the segments are lost beyond this host or in another network namespace of it, {rate} a second";
/// Most services, and workloads, that a finding remembers.
const MOST_NAMES: usize = 64;
/// Sites that a finding names.
const SITES: usize = 3;

/// Drop sites of the window.
type Sites<'a> = Vec<(&'a Site, SiteCount)>;

/// One window, judged.
pub(super) struct Hearing<'r, 'w> {
    pub(super) window: &'w Window<'r>,
    pub(super) traffic: BTreeMap<&'r str, Traffic<'r>>,
    pub(super) settings: &'w Findings,
    /// Length of a jiffy, in seconds.
    pub(super) jiffy: f64,
    pub(super) finds_local_losses: bool,
    pub(super) found: Vec<Finding>,
    /// The subnets that these hit; "none" is that of those whom a listener turned away.
    pub(super) hit: BTreeSet<&'r str>,
    /// Subnets that a full queue of this host hits, whether or not that is muted.
    pub(super) queued: BTreeSet<&'r str>,
    /// Whether it was found that an accept queue is full, muted or not.
    pub(super) turns_away: bool,
    pub(super) muted: u64,
}

impl<'r> Hearing<'r, '_> {
    /// Applies all rules.
    pub(super) fn all(&mut self) {
        let mut sites: Vec<(&'r Site, SiteCount)> = self.window.sites.clone();
        for rule in RULES {
            match rule.reads {
                Reads::Traffic(read) => {
                    let subnets: Vec<&'r str> = self.traffic.keys().copied().collect();
                    for subnet in subnets {
                        self.weigh(rule, subnet, |hearing, muted| {
                            hearing.in_traffic(rule, read, subnet, muted)
                        });
                    }
                }
                Reads::Rtt => {
                    // A queue that is full here delays, too.
                    let mut subnets = self.window.subnets_with_rtt();
                    subnets.retain(|subnet| !self.queued.contains(subnet));
                    for subnet in subnets {
                        self.weigh(rule, subnet, |hearing, _| hearing.in_rtt(rule, subnet));
                    }
                }
                Reads::Sites(is_it) => {
                    let explained = |site: &Site| {
                        let by_queue = is_own(site, &site.subnet)
                            && site.class == CAPACITY
                            && self.queued.contains(site.subnet.as_str());
                        by_queue || self.turns_away && site.reason == TURNED_AWAY
                    };
                    let (mine, others): (Vec<_>, Vec<_>) = sites.into_iter().partition(|(site, _)| is_it(site));
                    sites = others;
                    let mine: Vec<_> = mine.into_iter().filter(|(site, _)| !explained(site)).collect();
                    let subnets: BTreeSet<&'r str> = mine.iter().map(|(site, _)| site.subnet.as_str()).collect();
                    for subnet in subnets {
                        self.weigh(rule, subnet, |hearing, muted| {
                            hearing.at_sites(rule, &mine, subnet, muted)
                        });
                    }
                }
                Reads::Host(read) => {
                    self.weigh(rule, "", |hearing, _| hearing.alone(rule, read(&hearing.window.beside)))
                }
                Reads::Blind => self.weigh(rule, "", |hearing, _| hearing.blind(rule)),
            }
        }
    }

    /// Finds or mutes: what would not be found without the workloads that are meant to be so counts as muted.
    fn weigh(&mut self, rule: &'static Rule, subnet: &'r str, size: impl Fn(&Self, &[&Glob]) -> Option<Size>) {
        let Some(whole) = size(self, &[]) else { return };
        if rule.name == "own_queue" {
            self.queued.insert(subnet);
        }
        self.turns_away |= rule.name == "accept_queue_full";
        let rest = match self.settings.mutes(rule.name, subnet) {
            Mutes::Nothing => Some(whole),
            Mutes::All => None,
            Mutes::Workloads(workloads) => size(self, &workloads),
        };
        match rest {
            Some(size) => {
                let (floor, rate) = (self.floor(rule), self.rate(size.part));
                let says = match rule.name {
                    "network_loss" if !self.finds_local_losses => LOST_SOMEWHERE,
                    _ => rule.says,
                };
                self.found.push(finding(rule, says, floor, rate, subnet, size));
                self.hit.insert(subnet);
            }
            None => self.muted += 1,
        }
    }

    fn floor(&self, rule: &Rule) -> Floor {
        let configured = self.settings.thresholds.get(rule.name);
        Floor {
            rate: configured.and_then(|own| own.rate).unwrap_or(rule.floor.rate),
            share: configured.and_then(|own| own.share).unwrap_or(rule.floor.share),
        }
    }

    /// Whether it reaches both floors.
    fn reaches(&self, rule: &Rule, part: Part) -> bool {
        let Floor { rate, share } = self.floor(rule);
        part.events > 0.0 && self.rate(part) >= rate && part.share() >= share
    }

    /// Events per second.
    fn rate(&self, part: Part) -> f64 {
        part.events / self.window.seconds
    }

    fn in_traffic(&self, rule: &Rule, read: fn(&Seen<'_>) -> Part, subnet: &str, muted: &[&Glob]) -> Option<Size> {
        let fewer;
        let traffic = if muted.is_empty() {
            self.traffic.get(subnet)?
        } else {
            fewer = self.window.traffic(|scope| is_muted(muted, &scope.workload));
            fewer.get(subnet)?
        };
        let (dropped, lacks_neighbor) = (self.dropped(subnet), self.lacks_neighbor(subnet));
        let part = |counts: &Counts| {
            read(&Seen {
                counts,
                dropped,
                lacks_neighbor,
                finds_local_losses: self.finds_local_losses,
                jiffy: self.jiffy,
            })
        };
        let whole = part(&traffic.total);
        // A fault of one service must not drown in the traffic of the others.
        let services = traffic
            .services
            .iter()
            .map(|(service, counts)| (*service, part(counts)));
        let services: Vec<(&str, Part)> = services.filter(|(_, part)| part.events > 0.0).collect();
        let faulty: Vec<&(&str, Part)> = services.iter().filter(|(_, part)| self.reaches(rule, *part)).collect();
        let part_found = if self.reaches(rule, whole) {
            whole
        } else {
            faulty.iter().map(|(_, part)| *part).reduce(|sum, part| Part {
                events: sum.events + part.events,
                of: sum.of + part.of,
            })?
        };
        let workloads = traffic.workloads.iter().filter(|(workload, _)| !workload.is_empty());
        let workloads = workloads.map(|(workload, counts)| (*workload, part(counts)));
        Some(Size {
            part: part_found,
            services: largest(services),
            workloads: largest(workloads.filter(|(_, part)| part.events > 0.0).collect()),
            sites: self.sites_beside(rule, subnet),
        })
    }

    /// The sites at which this host dropped TCP packets to a subnet, and what counts of each: packets on their way out; without any,
    /// segments that were retransmitted after a drop elsewhere on this host, at the subnet's sites if there are such.
    fn own_sites(&self, subnet: &str) -> (Sites<'_>, fn(&SiteCount) -> u64) {
        let lossy = self.window.sites.iter().filter(|(site, _)| site.class != BENIGN);
        let out: Vec<_> = lossy
            .clone()
            .filter(|(site, _)| is_own(site, subnet))
            .copied()
            .collect();
        if out.iter().any(|(_, count)| count.packets > 0) {
            return (out, |count| count.packets);
        }
        let repeated = lossy.filter(|(_, count)| count.repeated > 0).copied();
        let (here, elsewhere): (Vec<_>, Vec<_>) = repeated.partition(|(site, _)| site.subnet == subnet);
        let sites = if here.is_empty() { elsewhere } else { here };
        (sites, |count| count.repeated)
    }

    /// How much of that there was, by class.
    fn dropped(&self, subnet: &str) -> Dropped {
        let (sites, counted) = self.own_sites(subnet);
        let mut dropped = Dropped::default();
        for (site, count) in &sites {
            let number = counted(count);
            dropped.all += number;
            match site.class.as_str() {
                POLICY => dropped.policy += number,
                CAPACITY => dropped.capacity += number,
                _ => {}
            }
        }
        dropped
    }

    /// Whether next hops to a subnet do not answer so often that it is a finding.
    fn lacks_neighbor(&self, subnet: &str) -> bool {
        let Some(rule) = rules::rule("no_neighbor") else {
            return false;
        };
        let Reads::Sites(is_it) = rule.reads else {
            return false;
        };
        let sites = self
            .window
            .sites
            .iter()
            .filter(|(site, _)| site.subnet == subnet && is_it(site));
        let packets = sites.map(|(_, count)| count.packets).sum();
        self.reaches(rule, Part::new(packets, packets))
    }

    /// The drop sites that a finding about this host's own drops points to.
    fn sites_beside(&self, rule: &Rule, subnet: &str) -> Vec<SeenSite> {
        let class = match rule.name {
            "own_queue" => CAPACITY,
            "own_filter" => POLICY,
            _ => return Vec::new(),
        };
        let (mut sites, _) = self.own_sites(subnet);
        sites.retain(|(site, _)| site.class == class);
        self.worst_sites(sites)
    }

    /// The sites with the most packets; those that differ in what is not shown are one.
    fn worst_sites(&self, sites: Sites<'_>) -> Vec<SeenSite> {
        let mut sums: BTreeMap<[&str; 5], u64> = BTreeMap::new();
        for (site, count) in sites {
            let Site {
                location,
                reason,
                class,
                direction,
                protocol,
                ..
            } = site;
            *sums.entry([location, reason, class, direction, protocol]).or_default() += count.packets;
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by(|(one, of_one), (other, of_other)| of_other.cmp(of_one).then(one.cmp(other)));
        let seen = sums.into_iter().take(SITES).map(|(names, packets)| {
            let [location, reason, class, direction, protocol] = names.map(str::to_owned);
            SeenSite {
                location,
                reason,
                class,
                direction,
                protocol,
                packets_per_second: number(packets) / self.window.seconds,
            }
        });
        seen.collect()
    }

    fn at_sites(&self, rule: &Rule, sites: &[(&Site, SiteCount)], subnet: &str, muted: &[&Glob]) -> Option<Size> {
        let mine = sites
            .iter()
            .filter(|(site, _)| site.subnet == subnet && !is_muted(muted, &site.workload));
        let mine: Vec<(&Site, SiteCount)> = mine.copied().collect();
        let all: u64 = mine.iter().map(|(_, count)| count.packets).sum();
        let part = Part::new(all, all);
        let mut workloads: BTreeMap<&str, Part> = BTreeMap::new();
        for (site, count) in mine.iter().filter(|(site, _)| !site.workload.is_empty()) {
            workloads.entry(&site.workload).or_default().events += number(count.packets);
        }
        self.reaches(rule, part).then(|| Size {
            part,
            workloads: largest(workloads.into_iter().collect()),
            sites: self.worst_sites(mine),
            ..Size::default()
        })
    }

    fn in_rtt(&self, rule: &Rule, subnet: &str) -> Option<Size> {
        let (now, before) = self.window.rtt(subnet)?;
        let samples = number(now.iter().sum());
        let [now, usual] = [now, before].map(|samples| window::median(samples, LEAST_SAMPLES));
        let (now, usual) = (now?, usual?);
        // The share is what comes on top of what was usual.
        let part = Part {
            events: samples,
            of: samples * usual / (now - usual).max(f64::MIN_POSITIVE),
        };
        let is_longer = now - usual >= LEAST_DELAY && now >= 2.0 * usual;
        (is_longer && self.reaches(rule, part)).then(|| Size {
            part,
            ..Size::default()
        })
    }

    fn blind(&self, rule: &Rule) -> Option<Size> {
        // What the account of losses forgets is no event; cgroups that were not told count elsewhere.
        let lost = [Lost::FlowsUntracked, Lost::GroupOverflow, Lost::DropOverflow];
        let lost = lost.map(|lost| self.window.lost.get(lost as usize).copied().unwrap_or_default());
        self.alone(rule, lost.iter().sum::<u64>() + self.window.missed)
    }

    /// Events that are of no subnet.
    fn alone(&self, rule: &Rule, events: u64) -> Option<Size> {
        let part = Part::new(events, events);
        self.reaches(rule, part).then(|| Size {
            part,
            ..Size::default()
        })
    }
}

/// Whether a workload is one that is meant to be so.
fn is_muted(muted: &[&Glob], workload: &str) -> bool {
    muted.iter().any(|glob| glob.matches(workload))
}

/// Whether packets were TCP's on their way out to a subnet.
fn is_own(site: &Site, subnet: &str) -> bool {
    site.subnet == subnet && site.direction == TRANSMIT && site.protocol == "tcp"
}

/// The names with the most events.
fn largest(mut parts: Vec<(&str, Part)>) -> Vec<String> {
    parts.sort_by(|(one, of_one), (other, of_other)| of_other.events.total_cmp(&of_one.events).then(one.cmp(other)));
    parts
        .into_iter()
        .take(MOST_NAMES)
        .map(|(name, _)| name.to_owned())
        .collect()
}
