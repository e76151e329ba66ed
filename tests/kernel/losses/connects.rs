//! Connections that do not come about.

use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use socket2::{Domain, Socket, Type};
use tests::net::nft;
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{Flow, listen, receive, send};

use super::{Dropped, Told};
use crate::suite::Stage;

const FAILED: &str = "tcpvitals_tcp_connections_failed_total";
const RETRANSMITS: &str = "tcpvitals_tcp_handshake_retransmits_total";
const OWN: &str = "tcpvitals_tcp_locally_dropped_segments_total";

/// How often each is tried.
const COUNT: u64 = 4;

/// The TCP and IP headers of a SYN with all options.
fn syn(family: Family) -> u64 {
    match family {
        Family::V4 => 60,
        Family::V6 => 80,
    }
}

/// Connects, which must fail at once with an error number.
fn refused(stage: &Stage, to: SocketAddr, error: i32) -> Result<()> {
    for _ in 0..COUNT {
        let connected = stage.client().run(|| Ok(TcpStream::connect(to)))?;
        let Err(said) = connected else {
            bail!("{to} can be reached");
        };
        ensure!(said.raw_os_error() == Some(error), "{to}: {said}");
    }
    Ok(())
}

/// No route at all, or one that says no: `connect()` itself returns the error number, and the socket never leaves its first state. The
/// kernel counts no active open.
pub(super) fn without_a_route(stage: &Stage, family: Family, route: &str, error: i32) -> Result<Told> {
    let subnet = stage.second();
    if !route.is_empty() {
        let network = match family {
            Family::V4 => format!("{}/24", subnet.v4(0)),
            Family::V6 => format!("{}/64", subnet.v6(0)),
        };
        stage.client().ip(&[format!("route add {route} {network}")])?;
    }
    let to = (subnet.address(family, SERVER), 80).into();
    // What is only made and closed, or bound, wanted to go nowhere.
    stage.client().run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        let own: SocketAddr = (stage.subnet().address(family, CLIENT), 0).into();
        Ok(socket.bind(&own.into())?)
    })?;
    refused(stage, to, error)?;
    let [client, _] = stage.at_rest()?;
    ensure!(client.get("TcpActiveOpens")? == 0, "the kernel counts them as attempts");
    // The port of IPv6 is nowhere in the socket.
    let (port, counter) = match family {
        Family::V4 => ("http", "IpOutNoRoutes"),
        Family::V6 => ("other", "Ip6OutNoRoutes"),
    };
    if error == libc::ENETUNREACH {
        let counted = client.get(counter)?;
        ensure!(counted == i64::try_from(COUNT)?, "{counter} is {counted}");
    }
    Ok(Told::default()
        .and(
            FAILED,
            &[("reason", "no_route"), ("role", "client"), ("app_protocol", port)],
            COUNT,
        )
        .and(FAILED, &[], COUNT))
}

/// A connection whose route goes and comes back: the kernel frees its segments before they have an address.
pub(super) fn route_gone(stage: &Stage, family: Family, reason: &'static [&'static str]) -> Result<Told> {
    /// One segment, whenever the kernel takes the device from the route that goes: TCP then has the MSS of the smallest MTU, 36 bytes.
    const DATA: usize = 30;
    /// Of TCP, with timestamps.
    const HEADER: u64 = 32;
    /// Until the data have been sent again.
    const AWAY: Duration = Duration::from_millis(1200);
    let flow = Flow::open(&stage.pair, family, 80)?;
    let [before, _] = stage.at_rest()?;
    let device = tests::net::pair::DEVICE;
    let (network, counter) = match family {
        Family::V4 => (format!("{}/24", stage.subnet().v4(0)), "IpOutNoRoutes"),
        Family::V6 => (format!("{}/64", stage.subnet().v6(0)), "Ip6OutNoRoutes"),
    };
    stage.client().ip(&[format!("route del {network} dev {device}")])?;
    send(&flow.client, DATA)?;
    sleep(AWAY);
    stage.client().ip(&[format!("route add {network} dev {device}")])?;
    receive(&flow.server, DATA)?;
    let [client, _] = stage.at_rest()?;
    let lost = u64::try_from(client.since(&before, counter)?)?;
    ensure!(lost > 0, "{counter} counts nothing");
    flow.finish()?;
    let dropped = Dropped {
        connection_type: "unknown",
        ..Dropped::sent(stage, "error", lost, lost * (HEADER + DATA as u64))
            .of("tcp")
            .because(reason)
    };
    Ok(Told::drops([dropped]).and(OWN, &[("role", "client")], lost))
}

/// Connections from all local ports that there are, and more.
pub(super) fn without_a_port(stage: &Stage) -> Result<Told> {
    stage.client().set("net.ipv4.ip_local_port_range=30000 30001")?;
    let to = stage.to(Family::V4, 80);
    let listener = listen(stage.server(), to)?;
    let first = [0, 1].map(|_| tests::net::traffic::connect(stage.client(), to));
    refused(stage, to, libc::EADDRNOTAVAIL)?;
    for client in first {
        drop(client?);
    }
    drop(listener);
    // There is no flow of these: the destination is known, and the device is not.
    Ok(Told::default()
        .and(FAILED, &[("reason", "no_local_port")], COUNT)
        .and(FAILED, &[], COUNT))
}

/// A client that gives up: before a SYN was sent again, or after.
pub(super) fn given_up(stage: &Stage, family: Family, wait: Duration, reason: &'static str) -> Result<Told> {
    nft::drop_matching(stage.server(), "input", "tcp dport 80")?;
    let to = stage.to(family, 80);
    let client = stage.client().run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&to.into()).err();
        Ok(socket)
    })?;
    sleep(wait);
    drop(client);
    let [kernel, _] = stage.at_rest()?;
    let again = u64::try_from(kernel.get("TcpExtTCPSynRetrans")?)?;
    let dropped = nft::dropped(stage.server())?;
    ensure!(dropped.packets == 1 + again, "{dropped:?}, sent again {again}");
    Ok(Told::drops([
        Dropped::received(stage, "policy", dropped.packets, dropped.packets * syn(family))
            .of("tcp")
            .because(&["NETFILTER_DROP"]),
    ])
    .and(FAILED, &[("reason", reason)], 1)
    .and(FAILED, &[], 1)
    .and(RETRANSMITS, &[("role", "client")], again)
    .and(OWN, &[], 0))
}

/// SYNs that this host's own filter eats: none leaves, and each time-out is one of a handshake.
pub(super) fn own_syns(stage: &Stage, family: Family) -> Result<Told> {
    nft::drop_matching(stage.client(), "output", "tcp dport 80")?;
    let to = stage.to(family, 80);
    let client = stage.client().run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&to.into()).err();
        Ok(socket)
    })?;
    sleep(Duration::from_millis(1500));
    drop(client);
    let [kernel, _] = stage.at_rest()?;
    let again = u64::try_from(kernel.get("TcpExtTCPSynRetrans")?)?;
    let dropped = nft::dropped(stage.client())?;
    ensure!(dropped.packets > 0, "{dropped:?}");
    Ok(
        Told::drops([Dropped::sent(stage, "policy", dropped.packets, dropped.bytes)
            .of("tcp")
            .because(&["NETFILTER_DROP"])])
        .and(OWN, &[("role", "client")], dropped.packets)
        .and(RETRANSMITS, &[("role", "client")], again)
        .and(FAILED, &[], 1),
    )
}

/// SYN-ACKs that the server's own filter eats.
pub(super) fn own_answers(stage: &Stage, family: Family) -> Result<Told> {
    let to = stage.to(family, 80);
    let listener = listen(stage.server(), to)?;
    nft::drop_matching(stage.server(), "output", "tcp sport 80")?;
    let client = stage.client().run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&to.into()).err();
        Ok(socket)
    })?;
    sleep(Duration::from_millis(400));
    drop(client);
    stage.at_rest()?;
    let dropped = nft::dropped(stage.server())?;
    ensure!(dropped.packets > 0, "{dropped:?}");
    drop(listener);
    Ok(Told::drops([Dropped {
        subnet: stage.subnet().name(),
        ..Dropped::sent(stage, "policy", dropped.packets, dropped.bytes)
            .of("tcp")
            .because(&["NETFILTER_DROP"])
    }])
    .and(OWN, &[("role", "server")], dropped.packets))
}

/// A neighbour that does not answer.
pub(super) fn unreachable(stage: &Stage) -> Result<Told> {
    let client = stage.client();
    let device = tests::net::pair::DEVICE;
    // That also forgets whom it knows.
    client.ip(&[format!("link set dev {device} arp on")])?;
    client.set(&format!("net.ipv4.neigh.{device}.retrans_time_ms=50"))?;
    stage
        .server()
        .ip(&[format!("address del {}/24 dev {device}", stage.subnet().v4(SERVER))])?;
    let to = stage.to(Family::V4, 80);
    let connected = client.run(|| Ok(TcpStream::connect(to)))?;
    let Err(said) = connected else {
        bail!("{to} can be reached");
    };
    ensure!(said.raw_os_error() == Some(libc::EHOSTUNREACH), "{said}");
    let [kernel, _] = stage.at_rest()?;
    let again = u64::try_from(kernel.get("TcpExtTCPSynRetrans")?)?;
    let syns = 1 + again;
    Ok(Told::drops([Dropped::sent(stage, "error", syns, syns * syn(Family::V4))
        .of("tcp")
        .because(&["NEIGH_FAILED"])])
    .and(FAILED, &[("reason", "host_unreachable")], 1)
    .and(FAILED, &[], 1))
}
