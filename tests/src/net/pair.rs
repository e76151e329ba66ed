//! Two network namespaces joined by a cable.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, ensure};

use crate::machine::wait::until;
use crate::net::namespace::{Namespace, host};
use crate::net::subnet;
use crate::net::subnet::{CLIENT, Family, SERVER, Subnet};

/// The device at either end of the cable.
pub const DEVICE: &str = "veth0";

/// How the two ends are joined.
#[derive(Clone, Copy, Debug)]
pub struct Cable {
    /// How many subnets lie on it.
    pub subnets: u8,
    /// Whether the stack hands every segment to the device by itself, so that packet filters and drops count segments.
    pub one_segment_per_packet: bool,
    /// Whether both ends hand their packets to all processors (RPS): each is interrupted by the others.
    pub is_spread: bool,
}

impl Default for Cable {
    fn default() -> Self {
        Self {
            subnets: 1,
            one_segment_per_packet: false,
            is_spread: false,
        }
    }
}

/// A client's and a server's namespace. Both ends have an IPv4 and an IPv6 address in every subnet.
#[derive(Debug)]
pub struct Pair {
    /// Where connections are opened.
    pub client: Namespace,
    /// Where they are accepted.
    pub server: Namespace,
    /// What lies on the cable, in order.
    pub subnets: Vec<Subnet>,
}

impl Pair {
    /// One subnet, and segments as large as the stack likes.
    pub fn new() -> Result<Self> {
        Self::with(Cable::default())
    }

    /// One subnet, and a packet for every segment.
    pub fn one_segment_per_packet() -> Result<Self> {
        Self::with(Cable {
            one_segment_per_packet: true,
            ..Cable::default()
        })
    }

    /// One subnet, and ends that hand their packets to all processors.
    pub fn spread() -> Result<Self> {
        Self::with(Cable {
            is_spread: true,
            ..Cable::default()
        })
    }

    /// A cable as described.
    pub fn with(cable: Cable) -> Result<Self> {
        let subnets = (0..cable.subnets).map(|_| Subnet::take()).collect::<Result<_>>()?;
        let pair = Self::on(subnets, cable.one_segment_per_packet)?;
        if cable.is_spread {
            spread(&pair.client)?;
            spread(&pair.server)?;
        }
        Ok(pair)
    }

    /// A cable with these subnets: those of an exporter that runs already.
    pub fn on(subnets: Vec<Subnet>, one_segment_per_packet: bool) -> Result<Self> {
        let (client, server) = (Namespace::new()?, Namespace::new()?);
        // Older kernels make both ends where they are asked, where a card may have come back by the same name: so it is asked there.
        host(&format!(
            "ip -netns {} link add {DEVICE} address {} type veth peer name {DEVICE} address {} netns {}",
            client.name(),
            hardware_address(CLIENT),
            hardware_address(SERVER),
            server.name()
        ))?;
        Self::join(client, server, subnets, one_segment_per_packet)
    }

    /// Addresses two namespaces of which each has its end of a cable, a [`DEVICE`] with its [`hardware_address`].
    pub(crate) fn join(
        client: Namespace,
        server: Namespace,
        subnets: Vec<Subnet>,
        one_segment_per_packet: bool,
    ) -> Result<Self> {
        // A veth has carrier only once both ends are up. A new device has things to say for some seconds: it asks for routers
        // and whether its address is taken, and tells of the groups in which it can be asked. It says nothing if it makes no
        // address by itself and neighbours are not asked for.
        for end in [&client, &server] {
            let mut batch = vec![
                format!("link set dev {DEVICE} addrgenmode none"),
                format!("link set dev {DEVICE} arp off up"),
            ];
            if one_segment_per_packet {
                batch.push(format!("link set dev {DEVICE} gso_max_segs 1"));
            }
            end.ip(&batch)?;
        }
        for (end, own, other) in [(&client, CLIENT, SERVER), (&server, SERVER, CLIENT)] {
            let mut batch = Vec::new();
            let hardware = hardware_address(other);
            for subnet in &subnets {
                batch.push(format!("address add {}/24 dev {DEVICE}", subnet.v4(own)));
                batch.push(format!("address add {}/64 dev {DEVICE} nodad", subnet.v6(own)));
                // Nothing but the test's own packets shall pass, and none shall wait for the answer to a question.
                for family in [Family::V4, Family::V6] {
                    let neighbour = subnet.address(family, other);
                    batch.push(format!(
                        "neighbour add {neighbour} lladdr {hardware} dev {DEVICE} nud permanent"
                    ));
                }
            }
            end.ip(&batch)?;
        }
        // An IPv6 address is there at once, and the route to it only when a thread of the kernel's has got to it.
        for (end, own) in [(&client, CLIENT), (&server, SERVER)] {
            until("the routes to addresses", || {
                let routes = end.exec(&format!("ip -6 route show table local dev {DEVICE}"))?;
                let has = |subnet: &Subnet| routes.contains(&format!("local {} ", subnet.v6(own)));
                Ok(subnets.iter().all(has).then_some(()))
            })?;
        }
        Ok(Self {
            client,
            server,
            subnets,
        })
    }

    /// The server's address in the first subnet.
    pub fn to(&self, family: Family, port: u16) -> Result<SocketAddr> {
        Ok((self.subnet()?.address(family, SERVER), port).into())
    }

    /// The first subnet.
    pub fn subnet(&self) -> Result<Subnet> {
        self.subnets.first().copied().context("a cable without a subnet")
    }

    /// A configuration that names the subnets of the cable.
    pub fn config(&self) -> String {
        subnet::config(&self.subnets)
    }
}

/// Has the device of a namespace hand its packets to all processors.
fn spread(end: &Namespace) -> Result<()> {
    let file = format!("/sys/class/net/{DEVICE}/queues/rx-0/rps_cpus");
    let all = format!("{:x}", (1u64 << available_parallelism()?.get().min(32)) - 1);
    // The folder of a namespace's devices is seen by who mounts it there, as this command does.
    let mut write = Command::new("ip")
        .args(["netns", "exec", end.name(), "tee", &file])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    write.stdin.take().context("no input")?.write_all(all.as_bytes())?;
    ensure!(write.wait()?.success(), "{file} refuses {all}");
    Ok(())
}

/// A pair for each family and a configuration that names the subnets of both: who shows the same over IPv4 and over IPv6
/// needs one exporter for that.
pub fn of_each_family() -> Result<([(Family, Pair); 2], String)> {
    of_each_family_with(Cable::default())
}

/// The same, joined as described.
pub fn of_each_family_with(cable: Cable) -> Result<([(Family, Pair); 2], String)> {
    let pairs = [(Family::V4, Pair::with(cable)?), (Family::V6, Pair::with(cable)?)];
    let subnets: Vec<Subnet> = pairs.iter().flat_map(|(_, pair)| &pair.subnets).copied().collect();
    let config = subnet::config(&subnets);
    Ok((pairs, config))
}

/// Of the end that has this number in every subnet.
pub(crate) fn hardware_address(host: u8) -> String {
    format!("02:00:00:00:00:{host:02x}")
}
