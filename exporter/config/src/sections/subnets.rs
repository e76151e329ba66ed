//! Names of remote networks: the value of the `subnet` label.
//! It must never hold a network twice, a network with host bits, or two names that look the same.
//! From `subnets` and `subnets_fallback` of the file; to the kernel's prefix tries and the labelling of snapshots.

pub(crate) mod files;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    file::Problem,
    kinds::{
        ranges::{IPV4_BITS, IPV6_BITS},
        units::COUNT,
        words,
    },
    raw::{RawFallback, RawPrefixes, RawSubnet},
};

/// The named networks and the name of what is in none of them. A subnet's id is the index of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnets {
    names: Vec<String>,
    /// In the order of the file, each with the id of its subnet.
    networks: Vec<(IpNet, u32)>,
    fallback: Fallback,
}

/// What an address outside all named networks is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// All of them alike.
    Name(String),
    /// By the network of this prefix length.
    Auto {
        /// Bits of an IPv4 address, 1 to 32.
        ipv4: u8,
        /// Bits of an IPv6 address, 1 to 128.
        ipv6: u8,
    },
}

impl Subnets {
    /// The names of the subnets; the fallback is not among them.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Every network once, cut to its prefix, with the id of its subnet. Networks may nest: the longest prefix wins.
    pub fn networks(&self) -> impl Iterator<Item = (IpNet, u32)> + '_ {
        self.networks.iter().copied()
    }

    /// What an address outside all of them is called.
    pub fn fallback(&self) -> &Fallback {
        &self.fallback
    }

    /// The longest network that holds an address, with the name of its subnet.
    pub fn find(&self, address: IpAddr) -> Option<(IpNet, &str)> {
        let address = address.to_canonical();
        let holding = self.networks().filter(|(network, _)| network.contains(&address));
        let (network, id) = holding.max_by_key(|(network, _)| network.prefix_len())?;
        Some((network, self.names.get(id as usize)?))
    }

    /// What an address outside all networks is called.
    pub fn fallback_name(&self, address: IpAddr) -> String {
        let (ipv4, ipv6) = match &self.fallback {
            Fallback::Name(name) => return name.clone(),
            Fallback::Auto { ipv4, ipv6 } => (*ipv4, *ipv6),
        };
        let address = address.to_canonical();
        let length = if address.is_ipv4() { ipv4 } else { ipv6 };
        IpNet::new_assert(address, length).trunc().to_string()
    }

    /// Pairs of subnets, by id, of which the first has a network within one of the second.
    pub fn nested(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let all: HashMap<IpNet, u32> = self.networks().collect();
        self.networks().filter_map(move |(network, id)| {
            let outer = std::iter::successors(network.supernet(), IpNet::supernet)
                .find_map(|outer| all.get(&outer).copied())?;
            (outer != id).then_some((id, outer))
        })
    }

    /// The subnets without a file.
    pub(crate) fn built_in() -> Self {
        let mut subnets = Self::none();
        for (id, (name, networks)) in (0..).zip(BUILT_IN) {
            subnets.names.push((*name).to_owned());
            subnets.networks.extend(networks.iter().map(|network| (*network, id)));
        }
        subnets
    }

    fn none() -> Self {
        Self {
            names: Vec::new(),
            networks: Vec::new(),
            fallback: Fallback::Name(FALLBACK.to_owned()),
        }
    }

    pub(crate) fn parse(list: Option<&[RawSubnet]>, fallback: Option<&RawFallback>) -> Result<Self, Problem> {
        let mut subnets = match list {
            Some(list) => Self::parse_list("subnets", list)?,
            None => Self::built_in(),
        };
        if let Some(raw) = fallback {
            subnets.fallback = Fallback::parse(raw)?;
        }
        subnets.refuse_fallback_among_names(fallback.is_some())?;
        Ok(subnets)
    }

    /// Before any of them is looked at.
    pub(crate) fn refuse_too_many(list: Option<&[RawSubnet]>, most: usize) -> Result<(), Problem> {
        let count: usize = list.unwrap_or_default().iter().map(|subnet| subnet.cidrs.len()).sum();
        if count <= most {
            return Ok(());
        }
        let what =
            format!("there are {count} networks, and limits.subnets allows {most}; join networks or raise the limit");
        Err(Problem::new("subnets", what))
    }

    /// The list at a key.
    fn parse_list(at: &str, list: &[RawSubnet]) -> Result<Self, Problem> {
        let mut subnets = Self::none();
        let mut ids: HashMap<&str, u32> = HashMap::new();
        let mut places: HashMap<IpNet, String> = HashMap::new();
        for (id, RawSubnet { name, cidrs }) in (0u32..).zip(list) {
            let key = format!("{at}[{id}].name");
            let name = words::name(&key, words::given(&key, name.as_ref())?)?;
            if let Some(twin) = ids.insert(name, id) {
                let what =
                    format!("{name:?} is already the name of {at}[{twin}]; join their cidrs or choose another name");
                return Err(Problem::new(key, what));
            }
            subnets.names.push(name.to_owned());
            if cidrs.is_empty() {
                let what = "the list is empty; give at least one network, for example 10.1.0.0/16";
                return Err(Problem::new(format!("{at}[{id}].cidrs"), what));
            }
            for (index, text) in cidrs.iter().enumerate() {
                let key = format!("{at}[{id}].cidrs[{index}]");
                let network = parse_network(text).map_err(|what| Problem::new(&key, what))?;
                if let Some(first) = places.insert(network, key.clone()) {
                    let what = format!("the network {network} is already in {first}; remove one of the two");
                    return Err(Problem::new(key, what));
                }
                subnets.networks.push((network, id));
            }
        }
        Ok(subnets)
    }

    /// Two ids with one label value would make two series of the same name.
    fn refuse_fallback_among_names(&self, given: bool) -> Result<(), Problem> {
        let Fallback::Name(fallback) = &self.fallback else {
            return Ok(());
        };
        let Some(id) = self.names.iter().position(|name| name == fallback) else {
            return Ok(());
        };
        Err(if given {
            let what = format!("{fallback:?} is already the name of a subnet; choose another name");
            Problem::new("subnets_fallback", what)
        } else {
            let what = format!(
                "{fallback:?} is what addresses outside all subnets are called; choose another name, or set \
                 subnets_fallback"
            );
            Problem::new(format!("subnets[{id}].name"), what)
        })
    }
}

/// Whether a subnet may have this name, where addresses outside of all are called as they are by default.
///
/// # Errors
/// [`Problem`] that says why not.
pub fn subnet_name(text: &str) -> Result<(), Problem> {
    let name = words::name("", text)?;
    if name == FALLBACK {
        let what = format!("{name:?} is what addresses outside all subnets are called; choose another name");
        return Err(Problem::new("", what));
    }
    Ok(())
}

impl Fallback {
    fn parse(raw: &RawFallback) -> Result<Self, Problem> {
        let RawPrefixes { ipv4, ipv6 } = match raw {
            RawFallback::Name(text) => return Self::parse_name(text),
            RawFallback::Auto(prefixes) => prefixes,
        };
        let prefix = |key, text: &Option<String>, default, allowed| match text {
            Some(text) => COUNT.read(key, text, allowed),
            None => Ok(default),
        };
        Ok(Self::Auto {
            ipv4: prefix("subnets_fallback.auto.ipv4", ipv4, 24, IPV4_BITS)?,
            ipv6: prefix("subnets_fallback.auto.ipv6", ipv6, 48, IPV6_BITS)?,
        })
    }

    fn parse_name(text: &str) -> Result<Self, Problem> {
        if text == "auto" {
            let what = "\"auto\" needs prefix lengths; write {auto: {ipv4: 24, ipv6: 48}}, or another name";
            return Err(Problem::new("subnets_fallback", what));
        }
        let name = words::name("subnets_fallback", text)?;
        Ok(Self::Name(name.to_owned()))
    }
}

/// The network of a text in the form address/prefix length; otherwise what is wrong with it.
fn parse_network(text: &str) -> Result<IpNet, String> {
    let Ok(network) = text.parse::<IpNet>() else {
        return Err(format!(
            "{text:?} is not a network; write an address and a prefix length, for example 10.1.0.0/16"
        ));
    };
    refuse_leading_zeros(text, network)?;
    if let Some(ipv4) = mapped(network) {
        return Err(format!("{text:?} is an IPv4-mapped network; write it as IPv4: {ipv4}"));
    }
    let cut = network.trunc();
    if cut != network {
        return Err(format!("{text:?} has address bits behind its prefix; write {cut}"));
    }
    Ok(network)
}

/// Others read `010` as 8.
fn refuse_leading_zeros(text: &str, network: IpNet) -> Result<(), String> {
    let has_zeros = |number: &str| number.len() > 1 && number.starts_with('0');
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    // In an IPv6 address they mean nothing, but for the IPv4 address that may stand at its end.
    let octets = address.rsplit(':').next().filter(|octets| octets.contains('.'));
    if octets.is_some_and(|octets| octets.split('.').any(has_zeros)) || has_zeros(length) {
        return Err(format!(
            "{text:?} has a number that begins with 0, which some read as octal; write {network}"
        ));
    }
    Ok(())
}

/// The IPv4 network inside an IPv4-mapped one, which would never match: the kernel programs look such addresses up as
/// IPv4.
fn mapped(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(network) = network else {
        return None;
    };
    let prefix = network.prefix_len().checked_sub(96)?;
    let ipv4 = Ipv4Net::new(network.addr().to_ipv4_mapped()?, prefix).ok()?;
    Some(ipv4.trunc().into())
}

/// What an address outside all of them is called by default.
const FALLBACK: &str = "internet";

/// The subnets without a file: what is not the internet.
const BUILT_IN: &[(&str, &[IpNet])] = &[
    ("loopback", &[v4([127, 0, 0, 0], 8), v6([0, 0, 0, 0, 0, 0, 0, 1], 128)]),
    (
        "link-local",
        &[v4([169, 254, 0, 0], 16), v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)],
    ),
    ("private-10", &[v4([10, 0, 0, 0], 8)]),
    ("private-172", &[v4([172, 16, 0, 0], 12)]),
    ("private-192", &[v4([192, 168, 0, 0], 16)]),
    ("cgnat", &[v4([100, 64, 0, 0], 10)]),
    ("ula", &[v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7)]),
];

const fn v4(bytes: [u8; 4], prefix: u8) -> IpNet {
    let [a, b, c, d] = bytes;
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(words: [u16; 8], prefix: u8) -> IpNet {
    let [a, b, c, d, e, f, g, h] = words;
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix))
}

/// A network that a flag gives, as a file has it, or an address, which is one of its own.
///
/// # Errors
/// A sentence that says what is wrong or expected.
pub fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    if text.parse::<IpNet>().is_err() {
        return Err("expected a network or an address, for example 10.0.0.0/8 or 2001:db8::1".to_owned());
    }
    parse_network(text)
}
