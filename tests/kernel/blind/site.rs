//! A far site: a namespace at the other end of a cable or of a way.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::net::namespace::{Namespace, host};
use tests::net::subnet::{CLIENT, Family, SERVER, Subnet};

use crate::blind::way::{Rules, Way};

/// The device of the far end.
const UPLINK: &str = "up0";

/// How the host reaches a site.
#[derive(Clone, Copy, Debug)]
pub(super) enum Road {
    /// By a cable.
    Cable,
    /// Over the network, which takes so many microseconds in each direction.
    Way(u64),
}

/// A far site.
#[derive(Debug)]
pub(super) struct Site {
    /// The name of its addresses, and of the host's device to it.
    pub(super) name: &'static str,
    /// The namespace.
    pub(super) far: Namespace,
    /// Its addresses: the host is [`CLIENT`].
    pub(super) subnet: Subnet,
    way: Option<Way>,
}

impl Site {
    /// Joins it to the host.
    pub(super) fn new(name: &'static str, road: Road, subnet: Subnet, near: &Namespace) -> Result<Self> {
        let far = Namespace::new()?;
        let way = match road {
            Road::Cable => {
                host(&format!(
                    "ip link add {name} netns {} type veth peer name {UPLINK} netns {}",
                    near.name(),
                    far.name()
                ))?;
                for (end, device) in [(near, name), (&far, UPLINK)] {
                    end.ip(&[
                        format!("link set dev {device} addrgenmode none"),
                        format!("link set dev {device} up"),
                    ])?;
                }
                None
            }
            Road::Way(delay) => Some(Way::new((near, name), (&far, UPLINK), Duration::from_micros(delay))?),
        };
        for (end, device, own) in [(near, name, CLIENT), (&far, UPLINK, SERVER)] {
            end.ip(&[
                format!("address add {}/24 dev {device}", subnet.v4(own)),
                format!("address add {}/64 dev {device} nodad", subnet.v6(own)),
            ])?;
        }
        far.ip(&[format!("route add default via {} dev {UPLINK}", subnet.v4(CLIENT))])?;
        Ok(Self { name, far, subnet, way })
    }

    /// A port of the site.
    pub(super) fn at(&self, family: Family, port: u16) -> SocketAddr {
        (self.subnet.address(family, SERVER), port).into()
    }

    /// A port of the host, as the site reaches it.
    pub(super) fn to_host(&self, family: Family, port: u16) -> SocketAddr {
        (self.subnet.address(family, CLIENT), port).into()
    }

    /// What happens on the way to it.
    pub(super) fn rules(&self) -> Result<&Rules> {
        let way = self
            .way
            .as_ref()
            .with_context(|| format!("{} is at a cable", self.name))?;
        Ok(&way.rules)
    }
}
