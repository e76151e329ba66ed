//! Dropped packets: of the socket that they were from or for, and without one of those who are in the network namespace.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process;

use anyhow::Result;
use socket2::{Domain, Protocol, Socket, Type};
use tempfile::NamedTempFile;
use tests::exporter::scrape::Scrape;
use tests::kernel::counters::Counters;
use tests::kernel::kernel_facts::has_type_name;
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::namespace::{Namespace, host};
use tests::net::nft;
use tests::net::packet::checksum;
use tests::net::pair::Pair;
use tests::net::subnet::{CLIENT, Family};
use tests::net::traffic::{Flow, connect, listen, send_datagrams, settle, small_udp_receiver};

use super::*;

const PACKETS: &str = "tcpvitals_dropped_packets_total";

/// Packets by whose they were.
fn by_workload(scrape: &Scrape, labels: &[(&str, &str)]) -> Result<BTreeMap<String, f64>> {
    scrape.by(PACKETS, "workload", labels)
}

fn only(workload: &str, packets: u64) -> BTreeMap<String, f64> {
    [(workload.to_owned(), packets as f64)].into()
}

/// Filters for three protocols and both directions, with a counter each.
fn filter(namespace: &Namespace) -> Result<()> {
    let mut text = String::from("table inet loss {\n");
    for (protocol, direction, hook, condition) in [
        ("udp", "receive", "input", "udp dport 4000"),
        ("udp", "transmit", "output", "udp dport 4001"),
        ("tcp", "receive", "input", "tcp dport 443 numgen inc mod 20 == 7"),
        ("tcp", "transmit", "output", "tcp sport 443 numgen inc mod 20 == 11"),
        ("icmp", "receive", "input", "icmp type echo-request"),
        ("icmp", "transmit", "output", "icmp type echo-request"),
    ] {
        let name = format!("{protocol}_{direction}");
        text.push_str(&format!(
            "counter {name} {{ }}\nchain {name}_lossy {{\ntype filter hook {hook} priority 0; policy accept;\n\
             {condition} counter name {name} drop\n}}\n"
        ));
    }
    nft::load(namespace, &(text + "}\n"))
}

/// Sends so many datagrams from a namespace, though a filter may refuse each.
fn try_to_send(namespace: &Namespace, from: SocketAddr, to: SocketAddr, count: u64) -> Result<()> {
    namespace.run(|| send_refused(&UdpSocket::bind(from)?, to, count))
}

fn send_refused(socket: &UdpSocket, to: SocketAddr, count: u64) -> Result<()> {
    for _ in 0..count {
        match socket.send_to(&[0; 100], to) {
            Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Sends so many echo requests from a namespace, though a filter may refuse each.
fn ping(namespace: &Namespace, to: SocketAddr, count: u64) -> Result<()> {
    let socket = namespace.run(|| Ok(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?))?;
    let mut request = [8, 0, 0, 0, 0x7c, 0x11, 0, 1];
    let sum = checksum(&request);
    request[2..4].copy_from_slice(&sum.to_be_bytes());
    for _ in 0..count {
        match socket.send_to(&request, &to.into()) {
            Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// A namespace that is a workload's, the server's of a pair, with a connection to it from the host's.
struct Pod {
    pair: Pair,
    config: String,
    exporter: Exporter<'static>,
    cgroups: Cgroups,
    cgroup: Cgroup,
    flows: [Flow; 1],
}

const POD: &str = "pod.service";

impl Pod {
    fn start() -> Result<Self> {
        let pair = Pair::one_segment_per_packet()?;
        let subnet = pair.subnet()?.name();
        let cgroups = Cgroups::of_threads()?;
        let config = config(&pair, "{source: cgroup}");
        let exporter = start(&config)?;
        let cgroup = make_for_program(&cgroups, &format!("system.slice/{POD}"))?;
        let address = pair.to(Family::V4, 443)?;
        // The first connection of the namespace says whose it is.
        let listener = cgroup.run(|| listen(&pair.server, address))?;
        let flows = [Flow::through(&listener, &pair, address)?];
        until_open(&exporter, &subnet, POD, 1)?;
        until_open(&exporter, &subnet, "host", 1)?;
        Ok(Self {
            pair,
            config,
            exporter,
            cgroups,
            cgroup,
            flows,
        })
    }

    /// Packets in the subnet by whose they were.
    fn dropped(&self, labels: &[(&str, &str)]) -> Result<BTreeMap<String, f64>> {
        let subnet = self.pair.subnet()?.name();
        let labels: Vec<_> = [("subnet", &*subnet)]
            .into_iter()
            .chain(labels.iter().copied())
            .collect();
        by_workload(&self.exporter.scrape()?, &labels)
    }

    fn server(&self, port: u16) -> Result<SocketAddr> {
        self.pair.to(Family::V4, port)
    }

    fn client(&self, port: u16) -> Result<SocketAddr> {
        Ok((self.pair.subnet()?.v4(CLIENT), port).into())
    }
}

#[test]
fn drops_in_a_namespace_of_one_workload_are_all_its_own() -> Result<()> {
    let _turn = turn::shared()?;
    let pod = Pod::start()?;
    filter(&pod.pair.server)?;
    let _receiver = pod
        .cgroup
        .run(|| small_udp_receiver(&pod.pair.server, pod.server(4000)?))?;
    send_datagrams(&pod.pair.client, pod.server(4000)?, 30, 100)?;
    pod.cgroup
        .run(|| try_to_send(&pod.pair.server, pod.server(0)?, pod.client(4001)?, 25))?;
    ping(&pod.pair.client, pod.server(0)?, 14)?;
    pod.cgroup.run(|| ping(&pod.pair.server, pod.client(0)?, 8))?;
    pod.flows[0].exchange(300_000, 300_000)?;
    settle(&pod.flows)?;
    let counters = nft::counters(&pod.pair.server)?;
    for (protocol, direction) in [
        ("udp", "receive"),
        ("udp", "transmit"),
        ("tcp", "receive"),
        ("tcp", "transmit"),
        ("icmp", "receive"),
        ("icmp", "transmit"),
    ] {
        let counted = counters[&format!("{protocol}_{direction}")].packets;
        assert!(counted >= 5, "{counters:?}");
        let labels = [
            ("reason", "NETFILTER_DROP"),
            ("protocol", protocol),
            ("direction", direction),
        ];
        assert_eq!(pod.dropped(&labels)?, only(POD, counted), "{labels:?}");
    }
    let of = |name: &str| counters[name].packets;
    assert_eq!([of("udp_receive"), of("udp_transmit")], [30, 25]);
    assert_eq!([of("icmp_receive"), of("icmp_transmit")], [14, 8]);
    // For nobody's socket there, and at the other end, which is in the namespace of nobody in particular.
    send_datagrams(&pod.pair.client, pod.server(9)?, 13, 100)?;
    assert_eq!(pod.dropped(&[("reason", "NO_SOCKET")])?, only(POD, 13));
    pod.cgroup
        .run(|| send_datagrams(&pod.pair.server, pod.client(9)?, 17, 100))?;
    let of_both = [(POD.to_owned(), 13.0), ("host".to_owned(), 17.0)].into();
    assert_eq!(pod.dropped(&[("reason", "NO_SOCKET")])?, of_both);
    require_sums_equal_totals(&pod.exporter, &pod.config)
}

#[test]
fn a_packet_that_is_passed_on_is_of_the_namespace_it_passes() -> Result<()> {
    let _turn = turn::shared()?;
    let pod = Pod::start()?;
    let (client, server) = (pod.client(0)?.ip(), pod.server(0)?.ip());
    pod.pair.server.set("net.ipv4.ip_forward=1")?;
    pod.pair
        .server
        .ip(&[format!("route add 198.51.100.0/24 via {client}")])?;
    pod.pair
        .client
        .ip(&[format!("route add 198.51.100.0/24 via {server}")])?;
    nft::drop_matching(&pod.pair.server, "forward", "udp dport 5000")?;
    send_datagrams(&pod.pair.client, ([198, 51, 100, 7], 5000).into(), 21, 100)?;
    assert_eq!(nft::dropped(&pod.pair.server)?.packets, 21);
    assert_eq!(
        pod.dropped(&[("reason", "NETFILTER_DROP"), ("protocol", "udp")])?,
        only(POD, 21)
    );
    Ok(())
}

#[test]
fn what_the_kernel_answers_in_a_namespace_leaves_it_to_its_workload() -> Result<()> {
    let _turn = turn::shared()?;
    let pod = Pod::start()?;
    // Resets of a closed port, and messages that a port is closed, from sockets of the kernel's own.
    nft::drop_matching(
        &pod.pair.server,
        "output",
        "meta l4proto { tcp, icmp } ip daddr != 127.0.0.1",
    )?;
    for _ in 0..3 {
        let knock = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP));
        let knock = pod.pair.client.run(|| Ok(knock?))?;
        knock.set_nonblocking(true)?;
        knock.connect(&pod.server(9)?.into()).ok();
    }
    send_datagrams(&pod.pair.client, pod.server(9)?, 11, 100)?;
    nft::flush(&pod.pair.server)?;
    send_datagrams(&pod.pair.client, pod.server(9)?, 11, 100)?;
    assert_eq!(
        pod.dropped(&[("reason", "NO_SOCKET"), ("protocol", "udp")])?,
        only(POD, 22)
    );
    Ok(())
}

#[test]
fn a_namespace_with_two_workloads_is_shared_and_their_sockets_are_not() -> Result<()> {
    let _turn = turn::shared()?;
    let pod = Pod::start()?;
    send_datagrams(&pod.pair.client, pod.server(9)?, 8, 100)?;
    let sidecar = make_for_program(&pod.cgroups, "system.slice/sidecar.service")?;
    let to = pod.client(8080)?;
    let _listener = listen(&pod.pair.client, to)?;
    let _second = sidecar.run(|| connect(&pod.pair.server, to))?;
    until_open(&pod.exporter, &pod.pair.subnet()?.name(), "sidecar.service", 1)?;
    send_datagrams(&pod.pair.client, pod.server(9)?, 9, 100)?;
    let expected = [(POD.to_owned(), 8.0), ("shared".to_owned(), 9.0)].into();
    assert_eq!(pod.dropped(&[("reason", "NO_SOCKET")])?, expected);
    filter(&pod.pair.server)?;
    for (unit, count) in [(&pod.cgroup, 5), (&sidecar, 6)] {
        unit.run(|| try_to_send(&pod.pair.server, pod.server(0)?, pod.client(4001)?, count))?;
    }
    let expected = [(POD.to_owned(), 5.0), ("sidecar.service".to_owned(), 6.0)].into();
    assert_eq!(
        pod.dropped(&[("reason", "NETFILTER_DROP"), ("protocol", "udp")])?,
        expected
    );
    // What finds no room in a receive buffer is of the receiver, where the kernel tells who that was.
    let receiver = sidecar.run(|| small_udp_receiver(&pod.pair.server, pod.server(4002)?))?;
    send_datagrams(&pod.pair.client, pod.server(4002)?, 40, 1000)?;
    let lost = u64::try_from(Counters::at_rest(&pod.pair.server)?.get("UdpRcvbufErrors")?)?;
    assert!((20..40).contains(&lost));
    let whose = match has_type_name("rx_sk")? {
        true => "sidecar.service",
        false => "shared",
    };
    assert_eq!(pod.dropped(&[("reason", "SOCKET_RCVBUFF")])?, only(whose, lost));
    drop(receiver);
    Ok(())
}

/// Rules of the first namespace for one address of the loopback device; removed on drop.
struct Rules(String);

impl Rules {
    fn load(table: &str, rules: &str) -> Result<Self> {
        let mut file = NamedTempFile::new()?;
        writeln!(file, "table inet {table} {{\n{rules}\n}}")?;
        host(&format!("nft -f {}", file.path().display()))?;
        Ok(Self(table.to_owned()))
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        host(&format!("nft delete table inet {}", self.0)).ok();
    }
}

#[test]
fn in_the_first_namespace_a_packet_without_a_socket_is_the_hosts() -> Result<()> {
    let _turn = turn::shared()?;
    let [.., high, low] = process::id().to_be_bytes();
    let own = |port: u16| -> SocketAddr { (Ipv4Addr::new(127, 64 + high % 64, low, 1), port).into() };
    let subnet = format!("subnets: [{{name: own, cidrs: [{}/32]}}]", own(0).ip());
    let cgroups = Cgroups::of_threads()?;
    let exporter = start(&format!(
        "{subnet}\ncollect: {{max_age: 1ms}}\n{LABELS}workloads: {{source: cgroup}}\n"
    ))?;
    let unit = make_for_program(&cgroups, "system.slice/resolver.service")?;
    // Makes it and the root known.
    let listener = unit.run(|| Ok(TcpListener::bind(own(443))?))?;
    let client = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    client.bind(&own(0).into())?;
    client.connect(&own(443).into())?;
    let _server = listener.accept()?;
    until_open(&exporter, "own", "resolver.service", 1)?;
    until_open(&exporter, "own", "host", 1)?;

    let table = format!("tcpvitals_{}", process::id());
    let chain = "chain lossy {\ntype filter hook output priority 0; policy accept;\n";
    let counter = "counter dropped { }\n";
    let rule = format!("ip daddr {} udp dport 4001 counter name dropped drop\n}}", own(0).ip());
    let rules = Rules::load(&table, &format!("{counter}{chain}{rule}"))?;
    unit.run(|| send_refused(&UdpSocket::bind(own(0))?, own(4001), 15))?;
    send_refused(&UdpSocket::bind(own(0))?, own(4001), 4)?;
    send_refused(&UdpSocket::bind(own(0))?, own(9), 12)?;
    let listed = host(&format!("nft list counter inet {table} dropped"))?;
    assert!(listed.contains("packets 19 "), "{listed}");
    drop(rules);
    let of = |reason: &str| {
        by_workload(
            &exporter.scrape()?,
            &[("subnet", "own"), ("reason", reason), ("protocol", "udp")],
        )
    };
    let expected = [("resolver.service".to_owned(), 15.0), ("host".to_owned(), 4.0)].into();
    assert_eq!(of("NETFILTER_DROP")?, expected);
    // The unit has sockets there, and still nobody owns the first namespace.
    assert_eq!(of("NO_SOCKET")?, only("host", 12));
    Ok(())
}

/// Nothing looks at datagrams that arrive, so the namespace is nobody's until one with a socket is dropped.
#[test]
fn a_namespace_without_connections_is_known_by_the_first_drop_of_a_socket() -> Result<()> {
    const NAME: &str = "resolver.service";
    let _turn = turn::shared()?;
    for is_sender in [true, false] {
        if !is_sender && !has_type_name("rx_sk")? {
            continue;
        }
        let pair = Pair::new()?;
        let subnet = pair.subnet()?.name();
        let (server, client) = (pair.to(Family::V4, 9)?, pair.subnet()?.v4(CLIENT));
        let cgroups = Cgroups::of_threads()?;
        let unit = cgroups.make(&format!("system.slice/{NAME}"))?;
        let exporter = start(&config(&pair, "{source: cgroup}"))?;
        filter(&pair.server)?;
        let without_socket = || -> Result<BTreeMap<String, f64>> {
            send_datagrams(&pair.client, server, 5, 100)?;
            by_workload(&exporter.scrape()?, &[("subnet", &subnet), ("reason", "NO_SOCKET")])
        };
        assert_eq!(without_socket()?, only("host", 5));
        let (reason, count) = if is_sender {
            unit.run(|| try_to_send(&pair.server, (server.ip(), 0).into(), (client, 4001).into(), 3))?;
            ("NETFILTER_DROP", 3)
        } else {
            let to = pair.to(Family::V4, 4002)?;
            let receiver = unit.run(|| small_udp_receiver(&pair.server, to))?;
            send_datagrams(&pair.client, to, 40, 1000)?;
            let lost = u64::try_from(Counters::at_rest(&pair.server)?.get("UdpRcvbufErrors")?)?;
            drop(receiver);
            ("SOCKET_RCVBUFF", lost)
        };
        let dropped = by_workload(&exporter.scrape()?, &[("subnet", &subnet), ("reason", reason)])?;
        assert_eq!(dropped, only(NAME, count));
        let both = [("host".to_owned(), 5.0), (NAME.to_owned(), 5.0)].into();
        assert_eq!(without_socket()?, both);
    }
    Ok(())
}
