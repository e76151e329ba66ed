//! Ten flows lose packets at seven places of this host and beyond it at the same time, and each is judged by what two captures say of it.

use std::fs::{read_to_string, write};
use std::net::{IpAddr, SocketAddr};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::kernel::kernel_facts::{add_queue, note};
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::machine::wait::timed;
use tests::net::link::{DEVICE as LINK, Link};
use tests::net::namespace::{Namespace, host};
use tests::net::nft;
use tests::net::socket::set_option;
use tests::net::subnet::{CLIENT, Family, SERVER, Subnet, config};
use tests::net::traffic::{Flow, listen, settle};

use super::judge::{Captures, Judgement};
use super::{AFTER_DROP, OF_SITES, RETRANSMITTED, is_there};

/// Where a flow loses packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A queue of the sender's namespace, which TCP does not hear of: a bridge lies between them.
    OwnQueue,
    /// A filter of the sender's namespace, behind the same bridge.
    OwnFilter,
    /// The host that forwards.
    Host,
    /// The same, which puts its own address in place of the sender's.
    Masquerading,
    /// The same, which puts the server's address in place of the one that the sender knows.
    Redirecting,
    /// A filter of the receiver's namespace.
    FarEnd,
    /// The input queue of a processor, which other flows have too, but those with other addresses behind the host.
    Backlog,
    /// A link of which this host knows nothing.
    Beyond,
}

impl Place {
    /// The reason that the kernel gives, and the direction in which the packet went there; `None` where no drop is this host's.
    fn site(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::OwnQueue => Some(("QDISC_DROP", "transmit")),
            Self::OwnFilter => Some(("NETFILTER_DROP", "transmit")),
            Self::Host | Self::Masquerading | Self::Redirecting | Self::FarEnd => Some(("NETFILTER_DROP", "receive")),
            Self::Backlog => Some(BACKLOG),
            Self::Beyond => None,
        }
    }
}

/// What is full when packets come faster than a processor takes them.
const BACKLOG: (&str, &str) = ("CPU_BACKLOG", "receive");

/// The client's bridges; the stack gives the second one a packet for every segment.
const BRIDGES: [&str; 2] = ["br0", "br1"];

/// Whose packets wait in a class of their own (`SO_PRIORITY`).
const CLASS: i32 = 0x1_0010;

/// One of the ten: where it loses, by which bridge it goes, and of how many packets a filter drops one. Filters that drop few see a
/// packet for each segment, or they would see too few.
const FLOWS: [(Place, usize, u32); 10] = [
    (Place::OwnQueue, 0, 0),
    (Place::OwnQueue, 1, 0),
    (Place::OwnFilter, 0, 20),
    (Place::OwnFilter, 1, 1000),
    (Place::Host, 0, 50),
    (Place::Masquerading, 1, 300),
    (Place::Redirecting, 0, 25),
    (Place::FarEnd, 1, 100),
    (Place::Backlog, 1, 0),
    (Place::Beyond, 1, 50),
];

const PORT: u16 = 443;
/// Where a redirected flow ends.
const REDIRECTED: u16 = 8443;

/// A flow's own subnets: every address of it is in one of these, and no other flow's.
struct Lane {
    place: Place,
    bridge: usize,
    one_in: u32,
    /// Of the client.
    near: Subnet,
    /// Of the server.
    far: Subnet,
    /// Of the address that the client of a redirected flow knows.
    known: Subnet,
}

impl Lane {
    fn client(&self) -> IpAddr {
        self.near.address(Family::V4, CLIENT)
    }

    /// Where the client connects to.
    fn to(&self) -> (Subnet, SocketAddr) {
        let subnet = if self.place == Place::Redirecting {
            self.known
        } else {
            self.far
        };
        (subnet, (subnet.address(Family::V4, SERVER), PORT).into())
    }

    /// Where the server listens.
    fn at(&self) -> SocketAddr {
        let port = if self.place == Place::Redirecting {
            REDIRECTED
        } else {
            PORT
        };
        (self.far.address(Family::V4, SERVER), port).into()
    }

    fn names(&self) -> [String; 3] {
        [self.near.name(), self.far.name(), self.known.name()]
    }

    /// Drops one of so many packets with data of this flow.
    fn rule(&self) -> String {
        format!(
            "ip saddr {} meta length > 200 numgen inc mod {} == {} counter drop\n",
            self.client(),
            self.one_in,
            self.one_in / 2
        )
    }
}

/// A client, the host that forwards for it, and a server; and a link that goes round the host.
struct Stage {
    client: Namespace,
    host: Namespace,
    server: Namespace,
    lanes: Vec<Lane>,
    _link: Link,
}

impl Stage {
    fn new() -> Result<Self> {
        let lanes = FLOWS.map(|(place, bridge, one_in)| {
            anyhow::Ok(Lane {
                place,
                bridge,
                one_in,
                near: Subnet::take()?,
                far: Subnet::take()?,
                known: Subnet::take()?,
            })
        });
        let (client, middle, server) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
        let lost_one_in = FLOWS.iter().find(|(place, ..)| *place == Place::Beyond);
        let (.., lost_one_in) = lost_one_in.context("no flow beyond this host")?;
        let link = Link::new(&client, &server, u64::from(*lost_one_in))?;
        let stage = Self {
            client,
            host: middle,
            server,
            lanes: lanes.into_iter().collect::<Result<_>>()?,
            _link: link,
        };
        stage.connect_hosts()?;
        stage.address()?;
        stage.lose()?;
        Ok(stage)
    }

    fn connect_hosts(&self) -> Result<()> {
        let Self {
            client,
            host: middle,
            server,
            ..
        } = self;
        middle.set("net.ipv4.ip_forward=1")?;
        for (number, bridge) in BRIDGES.into_iter().enumerate() {
            host(&format!(
                "ip link add veth{number} netns {} type veth peer name near{number} netns {}",
                client.name(),
                middle.name()
            ))?;
            let mut batch = Vec::new();
            if number == 1 {
                batch.push(format!("link set dev veth{number} gso_max_segs 1"));
            }
            batch.extend([
                format!("link add name {bridge} type bridge mcast_snooping 0"),
                format!("link set dev {bridge} addrgenmode none"),
                format!("link set dev veth{number} addrgenmode none"),
                format!("link set dev veth{number} master {bridge} up"),
            ]);
            if number == 1 {
                batch.push(format!("link set dev {bridge} gso_max_segs 1"));
            }
            batch.push(format!("link set dev {bridge} up"));
            client.ip(&batch)?;
            middle.ip(&[
                format!("link set dev near{number} addrgenmode none"),
                format!("link set dev near{number} up"),
            ])?;
        }
        host(&format!(
            "ip link add far0 netns {} type veth peer name veth0 netns {}",
            middle.name(),
            server.name()
        ))?;
        for (namespace, device) in [(middle, "far0"), (server, "veth0")] {
            namespace.ip(&[
                format!("link set dev {device} addrgenmode none"),
                format!("link set dev {device} up"),
            ])?;
        }
        Ok(())
    }

    fn address(&self) -> Result<()> {
        let (mut client, mut middle, mut server) = (Vec::new(), Vec::new(), Vec::new());
        for lane in &self.lanes {
            let (near, far) = (lane.near, lane.far);
            if lane.place == Place::Beyond {
                client.push(format!("address add {}/24 dev {LINK}", near.v4(CLIENT)));
                client.push(format!("route add {}/24 dev {LINK} src {}", far.v4(0), near.v4(CLIENT)));
                server.push(format!("address add {}/24 dev {LINK}", far.v4(SERVER)));
                server.push(format!("route add {}/24 dev {LINK} src {}", near.v4(0), far.v4(SERVER)));
                continue;
            }
            let bridge = BRIDGES.get(lane.bridge).context("no such bridge")?;
            client.push(format!("address add {}/24 dev {bridge}", near.v4(CLIENT)));
            client.push(format!("route add {}/24 via {}", lane.to().0.v4(0), near.v4(SERVER)));
            middle.push(format!("address add {}/24 dev near{}", near.v4(SERVER), lane.bridge));
            middle.push(format!("address add {}/24 dev far0", far.v4(CLIENT)));
            server.push(format!("address add {}/24 dev veth0", far.v4(SERVER)));
            server.push(format!("route add {}/24 via {}", near.v4(0), far.v4(CLIENT)));
        }
        self.client.ip(&client)?;
        self.host.ip(&middle)?;
        self.server.ip(&server)
    }

    fn rules(&self, places: &[Place]) -> String {
        let lanes = self.lanes.iter().filter(|lane| places.contains(&lane.place));
        lanes.map(Lane::rule).collect()
    }

    /// What drops packets, and what changes addresses.
    fn lose(&self) -> Result<()> {
        let chain = |family: &str, hook: &str, rules: String| {
            format!(
                "table {family} loss {{\nchain lossy {{\ntype filter hook {hook} priority 0; policy accept;\n{rules}}}\n}}\n"
            )
        };
        nft::load(
            &self.client,
            &chain("bridge", "output", self.rules(&[Place::OwnFilter])),
        )?;
        nft::load(&self.server, &chain("inet", "input", self.rules(&[Place::FarEnd])))?;
        let of_host = [Place::Host, Place::Masquerading, Place::Redirecting];
        nft::load(&self.host, &chain("inet", "forward", self.rules(&of_host)))?;
        let mut translation = String::from("table ip translation {\n");
        for lane in &self.lanes {
            if lane.place == Place::Masquerading {
                translation.push_str(&format!(
                    "chain out {{ type nat hook postrouting priority 100; ip saddr {} masquerade; }}\n",
                    lane.client()
                ));
            }
            if lane.place == Place::Redirecting {
                translation.push_str(&format!(
                    "chain in {{ type nat hook prerouting priority -100; ip daddr {} tcp dport {PORT} dnat to {}; }}\n",
                    lane.to().1.ip(),
                    lane.at()
                ));
            }
        }
        nft::load(&self.host, &(translation + "}\n"))
    }

    /// Gives the client's devices a class with room for few packets; false where the kernel has no such queue.
    fn queue(&self) -> Result<bool> {
        for (device, room) in [("veth0", 2), ("veth1", 12)] {
            if !add_queue(&self.client, device, "handle 1: htb default 0")? {
                return Ok(false);
            }
            for line in [
                format!("class add dev {device} parent 1: classid 1:10 htb rate 100mbit burst 70kb"),
                format!("qdisc add dev {device} parent 1:10 handle 10: pfifo limit {room}"),
            ] {
                self.client.exec(&format!("tc {line}"))?;
            }
        }
        Ok(true)
    }

    fn config(&self) -> String {
        let subnets: Vec<Subnet> = self
            .lanes
            .iter()
            .flat_map(|lane| [lane.near, lane.far, lane.known])
            .collect();
        config(&subnets)
    }

    /// Opens the flow of a lane, whose sequence numbers wrap after `before` bytes.
    fn open(&self, lane: &Lane, before: u32) -> Result<Flow> {
        let listener = listen(&self.server, lane.at())?;
        let client = self.client.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((lane.client(), 0)).into())?;
            begin_at(&socket, before.wrapping_neg())?;
            if lane.place == Place::OwnQueue {
                set_option(&socket, libc::SOL_SOCKET, libc::SO_PRIORITY, CLASS)?;
            }
            socket
                .connect(&lane.to().1.into())
                .with_context(|| format!("connect to {}", lane.to().1))?;
            Ok(socket.into())
        })?;
        let (server, _) = listener.accept().context("accept a connection")?;
        Ok(Flow { client, server })
    }
}

/// Has a socket that is not connected yet begin with this sequence number, as who restores connections does (`TCP_REPAIR`).
pub(super) fn begin_at(socket: &Socket, sequence: u32) -> Result<()> {
    const TCP_SEND_QUEUE: i32 = 2;
    for (option, value) in [
        (libc::TCP_REPAIR, 1),
        (libc::TCP_REPAIR_QUEUE, TCP_SEND_QUEUE),
        (libc::TCP_QUEUE_SEQ, sequence.cast_signed()),
        (libc::TCP_REPAIR, 0),
    ] {
        set_option(socket, libc::SOL_TCP, option, value)?;
    }
    Ok(())
}

/// How many packets wait at most for a processor, of the whole machine: few, until it is dropped.
struct Impatient(String);

impl Impatient {
    const FILE: &str = "/proc/sys/net/core/netdev_max_backlog";

    fn new(most: u32) -> Result<Self> {
        let before = read_to_string(Self::FILE).with_context(|| format!("read {}", Self::FILE))?;
        write(Self::FILE, most.to_string()).with_context(|| format!("write {}", Self::FILE))?;
        Ok(Self(before))
    }
}

impl Drop for Impatient {
    fn drop(&mut self) {
        write(Self::FILE, self.0.trim()).ok();
    }
}

/// What the exporter says of a flow's sites, of which every label of a subnet is the flow's own.
fn of_site(scrape: &Scrape, lane: &Lane, (reason, direction): (&str, &str)) -> Result<f64> {
    let mut sum = 0.0;
    for subnet in lane.names() {
        let labels = [("reason", reason), ("direction", direction), ("subnet", &*subnet)];
        sum += scrape.sum(OF_SITES, &labels)?;
    }
    Ok(sum)
}

fn of_all_sites(scrape: &Scrape, lane: &Lane) -> Result<f64> {
    let mut sum = 0.0;
    for subnet in lane.names() {
        sum += scrape.sum(OF_SITES, &[("subnet", &*subnet)])?;
    }
    Ok(sum)
}

/// What the API says of the client's end of a flow.
fn of_flow(exporter: &Exporter<'_>, lane: &Lane) -> Result<Value> {
    let (subnet, _) = lane.to();
    let page = exporter.get(&format!("/api/v1/flows?subnet={}&role=client", subnet.name()), "*/*")?;
    let answer: Value = serde_json::from_str(&page.body)?;
    match answer["flows"].as_array().map(Vec::as_slice) {
        Some([flow]) => Ok(flow.clone()),
        _ => bail!("not one flow: {}", page.body),
    }
}

/// Compares what is said of one flow.
fn compare(scrape: &Scrape, shown: &Value, lane: &Lane, info: &TcpInfo, judged: Judgement) -> Result<()> {
    let (subnet, _) = lane.to();
    let of_client = |metric| scrape.sum(metric, &[("subnet", &*subnet.name()), ("role", "client")]);
    let after_drop = if lane.place == Place::Beyond {
        0.0
    } else {
        judged.after_drop as f64
    };
    let case = format!("{:?} by {}", lane.place, BRIDGES[lane.bridge]);
    let backlog = of_site(scrape, lane, BACKLOG)?;
    let own = match lane.place.site() {
        Some(site) if site != BACKLOG => of_site(scrape, lane, site)?,
        _ => 0.0,
    };
    let part = judged.dropped as f64 / judged.sent as f64 * 100.0;
    note(&format!(
        "{case}: {judged:?}, {part:.2} %; {} repeated; at its place {own}, backlog {backlog}",
        info.total_retrans
    ));
    ensure!(judged.has_wrapped, "{case}: no sequence number has wrapped");
    ensure!(judged.repeated > 0, "{case}: nothing was sent again");
    ensure!(
        own > 0.0 || matches!(lane.place, Place::Backlog | Place::Beyond),
        "{case}: nothing was of its place"
    );
    ensure!(
        judged.repeated == u64::from(info.total_retrans),
        "{case}: {judged:?} and {info:?}"
    );
    for (what, said) in [
        ("the metric", of_client(AFTER_DROP)?),
        ("the sites together", of_all_sites(scrape, lane)?),
        ("its place and the backlog", own + backlog),
        (
            "the API",
            shown["retransmitted_segments_after_local_drop"]
                .as_f64()
                .unwrap_or(-1.0),
        ),
    ] {
        ensure!(
            said == after_drop,
            "{case}: {what} says {said} and the captures {after_drop}: {judged:?}"
        );
    }
    ensure!(of_client(RETRANSMITTED)? == f64::from(info.total_retrans), "{case}");
    Ok(())
}

/// Carries so many bytes by all of these flows at once.
fn exchange(flows: &[&Flow], bytes: usize) -> Result<()> {
    thread::scope(|scope| {
        let exchanges: Vec<_> = flows
            .iter()
            .map(|flow| scope.spawn(move || flow.exchange(bytes, 1000)))
            .collect();
        exchanges
            .into_iter()
            .try_for_each(|exchange| exchange.join().unwrap_or_else(|_| bail!("an exchange panicked")))
    })
}

/// One run: every flow carries so many bytes, the first half while no processor is impatient.
fn run(volume: usize, most_waiting: u32) -> Result<()> {
    let _turn = turn::alone()?;
    if !is_there()? {
        return Ok(());
    }
    let stage = Stage::new()?;
    if !stage.queue()? {
        return Ok(());
    }
    let exporter = start(stage.config())?;
    let flows: Vec<Flow> = (0..)
        .zip(&stage.lanes)
        // The segments of two flows do not begin at the same numbers.
        .map(|(number, lane)| stage.open(lane, u32::try_from(volume / 4)? + number * 131))
        .collect::<Result<_>>()?;
    let captures = Captures::start(&stage.client, &stage.server)?;
    let (took, exchanged) = timed(|| {
        exchange(&flows.iter().collect::<Vec<_>>(), volume / 2)?;
        // Not those of which the server's namespace sees other addresses than the client: what is lost there is of nobody.
        let others: Vec<&Flow> = flows
            .iter()
            .zip(&stage.lanes)
            .filter(|(_, lane)| !matches!(lane.place, Place::Masquerading | Place::Redirecting))
            .map(|(flow, _)| flow)
            .collect();
        let _impatient = Impatient::new(most_waiting)?;
        exchange(&others, volume / 2)?;
        // Alone it sends in the longest rows.
        let backlog = flows
            .iter()
            .zip(&stage.lanes)
            .filter(|(_, lane)| lane.place == Place::Backlog);
        exchange(&backlog.map(|(flow, _)| flow).collect::<Vec<_>>(), volume / 2)
    });
    exchanged?;
    note(&format!("{volume} bytes of each flow in {took:?}"));
    let ends = settle(&flows)?;
    let account = captures.finish()?;
    let scrape = exporter.scrape()?;
    let mut wrong = Vec::new();
    let mut of_backlog = 0.0;
    for ((lane, flow), ends) in stage.lanes.iter().zip(&flows).zip(&ends) {
        let judged = account.judge(flow.client.local_addr()?, ends.client.snd_mss)?;
        let shown = of_flow(&exporter, lane)?;
        of_backlog += of_site(&scrape, lane, BACKLOG)?;
        if let Err(error) = compare(&scrape, &shown, lane, &ends.client, judged) {
            wrong.push(format!("{error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "\n- {}", wrong.join("\n- "));
    ensure!(of_backlog > 0.0, "no queue of a processor was full");
    assert_eq!(scrape.sum("tcpvitals_local_losses_forgotten_total", &[])?, 0.0);
    Ok(())
}

#[test]
fn ten_flows_that_lose_at_seven_places_at_once_equal_the_judgement_of_both_captures() -> Result<()> {
    run(usize::try_from(scaled(6_000_000))?, 10)
}
