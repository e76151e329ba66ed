//! A pod, its host and a server: three network namespaces in a row, of which the one in the middle forwards.

use anyhow::Result;

use crate::net::namespace::{Namespace, host};
use crate::net::subnet::{CLIENT, SERVER, Subnet, config};

/// A client behind the host that forwards for it.
#[derive(Debug)]
pub struct Path {
    /// Where connections are opened: the pod.
    pub client: Namespace,
    /// What forwards, with the devices [`Path::NEAR`] and [`Path::FAR`].
    pub host: Namespace,
    /// Where connections are accepted.
    pub server: Namespace,
    /// Between client and host.
    pub near: Subnet,
    /// Between host and server.
    pub far: Subnet,
}

impl Path {
    /// The host's device to the client.
    pub const NEAR: &str = "near0";
    /// The host's device to the server.
    pub const FAR: &str = "far0";

    /// The host has the address [`SERVER`] on the near cable and [`CLIENT`] on the far one.
    pub fn new() -> Result<Self> {
        let path = Self {
            client: Namespace::new()?,
            host: Namespace::new()?,
            server: Namespace::new()?,
            near: Subnet::take()?,
            far: Subnet::take()?,
        };
        for setting in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
            path.host.set(setting)?;
        }
        for (end, device, subnet, of_end, of_host) in [
            (&path.client, Self::NEAR, path.near, CLIENT, SERVER),
            (&path.server, Self::FAR, path.far, SERVER, CLIENT),
        ] {
            host(&format!(
                "ip link add {device} netns {} type veth peer name veth0 netns {}",
                path.host.name(),
                end.name()
            ))?;
            for (namespace, device, own) in [(&path.host, device, of_host), (end, "veth0", of_end)] {
                namespace.ip(&[
                    format!("link set dev {device} addrgenmode none"),
                    format!("link set dev {device} up"),
                    format!("address add {}/24 dev {device}", subnet.v4(own)),
                    format!("address add {}/64 dev {device} nodad", subnet.v6(own)),
                ])?;
            }
            end.ip(&[
                format!("route add default via {}", subnet.v4(of_host)),
                format!("route add ::/0 via {}", subnet.v6(of_host)),
            ])?;
        }
        Ok(path)
    }

    /// A configuration that names both subnets.
    pub fn config(&self) -> String {
        config(&[self.near, self.far])
    }
}
