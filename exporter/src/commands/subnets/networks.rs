//! Networks with names, as few as say the same, and as CSV for `subnets_files`.
//! It must never change the name of an address that has one: the longest prefix wins before and after.
//! From `zones`; to whoever prints or writes.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;

/// Networks by address and length: what contains another one comes before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Networks(BTreeMap<IpNet, String>);

/// There are more than fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the networks take {bytes} bytes, more than the {most} that a ConfigMap holds; take a label with fewer values, or one that lies closer together"
)]
pub struct TooMany {
    bytes: usize,
    most: usize,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) text: String,
    /// Networks in it.
    pub(super) count: usize,
    /// Where they had to be joined over addresses that nobody has: the shortest prefixes that this made, of IPv4 and IPv6.
    pub(super) joined: Option<(u8, u8)>,
}

const HEADER: &str = "cidr,name\n";
/// Shortest prefixes that are made over addresses that nobody has.
const SHORTEST_IPV4: u8 = 16;
const SHORTEST_IPV6: u8 = 48;

impl Networks {
    /// Those, as few as mean the same.
    pub(super) fn new(named: BTreeMap<IpNet, String>) -> Self {
        let mut networks = Self(named);
        loop {
            let before = networks.0.len();
            networks.drop_covered();
            networks.join_halves();
            if networks.0.len() == before {
                return networks;
            }
        }
    }

    /// A file of at most so many bytes. If there are more networks, those of one name are joined over addresses that nobody has, the
    /// smallest gaps first.
    pub(super) fn within(self, most: usize) -> Result<File, TooMany> {
        let mut networks = self;
        let mut lengths = (32_u8, 128_u8);
        let mut joined = None;
        loop {
            let text = networks.text();
            if text.len() <= most {
                let count = networks.0.len();
                return Ok(File { text, count, joined });
            }
            lengths = match lengths {
                // Prefixes of IPv6 go from hosts to networks of hosts at once: between them there is nothing to tell apart.
                (ipv4, 128) => (ipv4, 64),
                (ipv4, ipv6) if ipv4 > SHORTEST_IPV4 => (ipv4 - 1, ipv6.saturating_sub(1).max(SHORTEST_IPV6)),
                _ => {
                    let bytes = text.len();
                    return Err(TooMany { bytes, most });
                }
            };
            networks = networks.join_gaps(lengths);
            joined = Some(lengths);
        }
    }

    fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for (network, name) in &self.0 {
            text.push_str(&network.to_string());
            text.push(',');
            text.push_str(name);
            text.push('\n');
        }
        text
    }

    /// Without those that lie in one of the same name, with none of another between.
    fn drop_covered(&mut self) {
        let mut around = Around::default();
        let all = std::mem::take(&mut self.0);
        for (network, name) in all {
            if around.name_at(&network) != Some(&name) {
                around.enter(network, &name);
                self.0.insert(network, name);
            }
        }
    }

    /// Two halves of one name are the whole, whatever else the whole was: none of it was left.
    fn join_halves(&mut self) {
        let mut by_length: BTreeMap<u8, Vec<IpNet>> = BTreeMap::new();
        for network in self.0.keys() {
            by_length.entry(network.prefix_len()).or_default().push(*network);
        }
        // The longest first: what comes of them may be a half again.
        while let Some((length, halves)) = by_length.pop_last() {
            for half in halves {
                let (Some(whole), Some(name)) = (half.supernet(), self.0.get(&half)) else {
                    continue;
                };
                let Some(other) = sibling(&half) else { continue };
                if self.0.get(&other) == Some(name) {
                    let name = name.clone();
                    self.0.remove(&half);
                    self.0.remove(&other);
                    self.0.insert(whole, name);
                    by_length.entry(length - 1).or_default().push(whole);
                }
            }
        }
    }

    /// Several in one network of this length become that network if nothing in it, and nothing around it, has another name.
    fn join_gaps(&self, (ipv4, ipv6): (u8, u8)) -> Self {
        let mut groups: BTreeMap<IpNet, Vec<(&IpNet, &String)>> = BTreeMap::new();
        let mut joined = BTreeMap::new();
        for (network, name) in &self.0 {
            match cut(network, ipv4, ipv6) {
                Some(whole) => groups.entry(whole).or_default().push((network, name)),
                None => drop(joined.insert(*network, name.clone())),
            }
        }
        let mut around = Around::default();
        let short: Vec<(IpNet, String)> = joined.iter().map(|(network, name)| (*network, name.clone())).collect();
        let mut short = short.into_iter().peekable();
        for (whole, parts) in groups {
            while let Some((network, name)) = short.next_if(|(network, _)| *network <= whole) {
                around.name_at(&network);
                around.enter(network, &name);
            }
            let first = parts.first().map(|(_, name)| *name);
            let is_one = parts.len() > 1 && parts.iter().all(|(_, name)| Some(*name) == first);
            let is_free = around.name_at(&whole).is_none_or(|name| Some(name) == first);
            match first {
                Some(name) if is_one && is_free => drop(joined.insert(whole, name.clone())),
                _ => joined.extend(parts.into_iter().map(|(network, name)| (*network, name.clone()))),
            }
        }
        Self::new(joined)
    }
}

/// The network of this length around a longer one.
fn cut(network: &IpNet, ipv4: u8, ipv6: u8) -> Option<IpNet> {
    match network {
        IpNet::V4(network) if network.prefix_len() > ipv4 => {
            Some(Ipv4Net::new(network.addr(), ipv4).ok()?.trunc().into())
        }
        IpNet::V6(network) if network.prefix_len() > ipv6 => {
            Some(Ipv6Net::new(network.addr(), ipv6).ok()?.trunc().into())
        }
        IpNet::V4(_) | IpNet::V6(_) => None,
    }
}

/// The other half of the network that a network is a half of.
fn sibling(network: &IpNet) -> Option<IpNet> {
    let whole = network.supernet()?;
    let mut halves = whole.subnets(network.prefix_len()).ok()?;
    halves.find(|half| half != network)
}

/// The networks that lie around those that come, in their order.
#[derive(Debug, Default)]
struct Around {
    all: Vec<(IpNet, String)>,
}

impl Around {
    /// The name of the smallest network around one, or of itself if it has come already.
    fn name_at(&mut self, network: &IpNet) -> Option<&String> {
        while self.all.last().is_some_and(|(outer, _)| !outer.contains(network)) {
            self.all.pop();
        }
        self.all.last().map(|(_, name)| name)
    }

    fn enter(&mut self, network: IpNet, name: &str) {
        self.all.push((network, name.to_owned()));
    }
}

#[cfg(test)]
mod tests;
