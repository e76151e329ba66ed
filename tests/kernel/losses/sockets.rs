//! Datagrams and segments that no socket takes.

use std::net::UdpSocket;

use anyhow::{Result, ensure};
use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use tests::net::packet::{Segment, datagram, flag, spoiled};
use tests::net::peer::{Offer, Peer};
use tests::net::socket::{set_option, sign};
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{listen, send_datagrams, send_frames, small_udp_receiver};

use super::{Dropped, Told, far};
use crate::suite::packets::{ethernet, ethertype, hardware, ipv4, ipv6, padding, protocol, syn_v6, udp_v6};
use crate::suite::{SERVED, Stage, served_port};

/// `struct udphdr`
const UDP: u64 = 8;

/// The TCP header of a SYN with all the options that the stack offers: MSS, SACK, timestamps, the scale of the window.
const SYN: u64 = 40;

/// By how much a counter of the server has grown since the stage was set: there was nothing before.
fn counted(stage: &Stage, name: &str) -> Result<u64> {
    let [_, server] = stage.at_rest()?;
    Ok(server.get(name)?.try_into()?)
}

pub(super) fn closed_port(stage: &Stage, family: Family, counter: &str) -> Result<Told> {
    send_datagrams(stage.client(), stage.to(family, 9), 23, 100)?;
    let lost = counted(stage, counter)?;
    ensure!(lost == 23, "the kernel counts {lost}");
    Ok(Told::drops([Dropped::received(
        stage,
        "error",
        lost,
        lost * (UDP + 100),
    )
    .because(&["NO_SOCKET"])]))
}

pub(super) fn closed_port_in_fragments(stage: &Stage, family: Family, counter: &str) -> Result<Told> {
    send_datagrams(stage.client(), stage.to(family, 9), 10, 8000)?;
    let lost = counted(stage, counter)?;
    ensure!(lost == 10, "the kernel counts {lost}");
    Ok(Told::drops([Dropped::received(
        stage,
        "error",
        lost,
        lost * (UDP + 8000),
    )
    .because(&["NO_SOCKET"])]))
}

pub(super) fn full_buffer(stage: &Stage, family: Family, counter: &str, size: usize) -> Result<Told> {
    let to = stage.to(family, 4000);
    let receiver = small_udp_receiver(stage.server(), to)?;
    send_datagrams(stage.client(), to, 40, size)?;
    let lost = counted(stage, counter)?;
    ensure!(lost >= 20, "the kernel counts {lost}");
    drop(receiver);
    Ok(Told::drops([Dropped::received(
        stage,
        "capacity",
        lost,
        lost * u64::try_from(size)?,
    )
    .because(&["SOCKET_RCVBUFF"])]))
}

pub(super) fn filtered_by_a_socket(stage: &Stage, family: Family, counter: &str) -> Result<Told> {
    let to = stage.to(family, 4000);
    let receiver = small_udp_receiver(stage.server(), to)?;
    SockRef::from(&receiver).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])?;
    send_datagrams(stage.client(), to, 11, 200)?;
    let lost = counted(stage, counter)?;
    ensure!(lost == 11, "the kernel counts {lost}");
    Ok(Told::drops([Dropped::received(
        stage,
        "policy",
        lost,
        lost * (UDP + 200),
    )
    .because(&["SOCKET_FILTER"])]))
}

/// Of TCP: each is answered by a reset.
pub(super) fn refused(stage: &Stage, family: Family) -> Result<Told> {
    for _ in 0..5 {
        let refused = stage
            .client()
            .run(|| Ok(std::net::TcpStream::connect(stage.to(family, 9)).is_err()))?;
        ensure!(refused, "somebody listens");
    }
    let resets = counted(stage, "TcpOutRsts")?;
    ensure!(resets == 5, "the kernel sent {resets} resets");
    Ok(Told::drops([Dropped::received(stage, "error", 5, 5 * SYN)
        .of("tcp")
        .because(&["NO_SOCKET"])])
    .and("tcpvitals_tcp_connections_failed_total", &[("reason", "refused")], 5))
}

/// What stands behind a header of an extension of IPv6 has its own protocol.
pub(super) fn behind_a_header(stage: &Stage, header: u8, make: fn(u8) -> [u8; 8], what: &'static str) -> Result<Told> {
    let (from, to) = (stage.subnet().v6(CLIENT), stage.subnet().v6(SERVER));
    let (next, content) = match what {
        "udp" => (protocol::UDP, udp_v6((from, 1000), (to, 9), &[0; 100])),
        _ => (protocol::TCP, syn_v6((from, 1000), (to, 9))),
    };
    let packet = ipv6(from, to, header, 64, &[&make(next)[..], &content].concat());
    let frame = ethernet(hardware(SERVER), hardware(CLIENT), ethertype::IPV6, &packet);
    send_frames(stage.client(), tests::net::pair::DEVICE, 6, &frame)?;
    let lost = match what {
        "udp" => counted(stage, "Udp6NoPorts")?,
        _ => counted(stage, "TcpOutRsts")?,
    };
    ensure!(lost == 6, "the kernel counts {lost}");
    let at_server = Dropped::received(stage, "error", lost, lost * u64::try_from(content.len())?)
        .of(what)
        .because(&["NO_SOCKET"]);
    // Nobody at the client has a socket for the resets that come back, which is no fault.
    let at_client = Dropped {
        subnet: far(stage.subnet()),
        ..Dropped::received(stage, "benign", lost, lost * 20)
            .of("tcp")
            .because(&["NO_SOCKET"])
    };
    Ok(match what {
        "udp" => Told::drops([at_server]),
        _ => Told::drops([at_server, at_client]),
    })
}

pub(super) fn hop_by_hop(stage: &Stage, what: &'static str) -> Result<Told> {
    behind_a_header(stage, protocol::HOP_BY_HOP, padding, what)
}

pub(super) fn destination_options(stage: &Stage, what: &'static str) -> Result<Told> {
    behind_a_header(stage, protocol::DESTINATION, padding, what)
}

pub(super) fn atomic_fragment(stage: &Stage, what: &'static str) -> Result<Told> {
    behind_a_header(stage, protocol::FRAGMENT, |next| [next, 0, 0, 0, 0, 0, 0, 7], what)
}

/// Wrong checksums of UDP and TCP, from behind a TUN device.
pub(super) fn wrong_checksums(stage: &Stage) -> Result<Told> {
    let peer = Peer::new(stage.server(), stage.second())?;
    let receiver = stage.server().run(|| Ok(UdpSocket::bind(peer.kernel_at(2000))?))?;
    for _ in 0..13 {
        peer.inject(&spoiled(datagram(peer.at(1000), peer.kernel_at(2000), b"hello")))?;
    }
    let listener = listen(stage.server(), (stage.second().v4(CLIENT), 80).into())?;
    let (server, mut connection) = peer.connect(&listener, 40_000, Offer::default())?;
    connection.spoil(b"spoiled", 11)?;
    let wrong = (counted(stage, "UdpInCsumErrors")?, counted(stage, "TcpInCsumErrors")?);
    ensure!(wrong == (13, 11), "the kernel counts {wrong:?}");
    let of_peer = |packets, bytes| Dropped {
        subnet: far(stage.second()),
        connection_type: "tunnel",
        ..Dropped::received(stage, "error", packets, bytes)
    };
    drop((receiver, server));
    connection.reset()?;
    Ok(Told::drops([
        of_peer(13, 13 * (UDP + 5)).because(&["UDP_CSUM"]),
        of_peer(11, 11 * (20 + 7)).of("tcp").because(&["TCP_CSUM"]),
    ]))
}

/// Segments that begin within the window and end beyond it, while the program has not read what came before.
pub(super) fn beyond_the_window(stage: &Stage) -> Result<Told> {
    const BEYOND: usize = 32_768;
    let peer = Peer::new(stage.server(), stage.second())?;
    let listener = listen(stage.server(), (stage.second().v4(CLIENT), 80).into())?;
    set_option(&listener, libc::SOL_SOCKET, libc::SO_RCVBUF, 4096)?;
    let (server, mut connection) = peer.connect(&listener, 40_000, Offer::default())?;
    connection.send(b"unread", 0)?;
    connection.overrun(&[0; BEYOND], 7)?;
    let lost = counted(stage, "TcpExtBeyondWindow")?;
    ensure!(lost == 7, "the kernel counts {lost}");
    connection.reset()?;
    drop(server);
    Ok(Told::drops([Dropped {
        subnet: far(stage.second()),
        // Behind TCP's receive a packet has no device any more.
        connection_type: "unknown",
        ..Dropped::received(stage, "capacity", lost, lost * (20 + u64::try_from(BEYOND)?))
            .of("tcp")
            .because(&["TCP_INVALID_END_SEQUENCE"])
    }]))
}

/// A half-open connection that its client resets.
pub(super) fn half_open_resets(stage: &Stage) -> Result<Told> {
    let peer = Peer::new(stage.server(), stage.second())?;
    let listener = listen(stage.server(), (stage.second().v4(CLIENT), 80).into())?;
    for port in 40_000..40_005 {
        let answer = peer.knock(80, port, Offer::default())?;
        let reset = Segment {
            source: peer.at(port),
            destination: peer.kernel_at(80),
            sequence: answer.acknowledgment,
            acknowledgment: 0,
            flags: flag::RST,
            window: 0,
            options: tests::net::packet::Options::default(),
            payload: Vec::new(),
        };
        peer.inject(&reset.encode())?;
    }
    let resets = counted(stage, "TcpExtEmbryonicRsts")?;
    ensure!(resets == 5, "the kernel counts {resets}");
    drop(listener);
    Ok(Told::default().and(
        "tcpvitals_tcp_resets_total",
        &[("direction", "receive"), ("role", "server")],
        5,
    ))
}

/// A listener whose queue of connections nobody empties. The kernel has consumed the SYN before it says that it counted it: whose the
/// handshakes were it does not tell, and the subnet is none.
pub(super) fn full_listener(stage: &Stage) -> Result<Told> {
    let to = stage.to(Family::V4, served_port());
    let listener = stage.server().run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&to.into())?;
        socket.listen(1)?;
        Ok(socket)
    })?;
    let clients = (0..6)
        .map(|_| {
            stage.client().run(|| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                socket.connect(&to.into()).err();
                Ok(socket)
            })
        })
        .collect::<Result<Vec<_>>>()?;
    stage.at_rest()?;
    // Nothing comes any more, of which one count would know and the other not.
    drop(clients);
    stage.at_rest()?;
    drop(listener);
    let turned_away = counted(stage, "TcpExtListenOverflows")?;
    ensure!(turned_away > 0, "the queue had room");
    let counter = "tcpvitals_tcp_listen_drops_total";
    let of_port = [("app_protocol", SERVED), ("role", "server")];
    let with = |more: &[(&'static str, &'static str)]| [&of_port[..], more].concat();
    Ok(Told::default()
        .and(
            counter,
            &with(&[("cause", "accept_queue_full"), ("subnet", "none")]),
            turned_away,
        )
        .and(counter, &of_port, turned_away)
        .and(counter, &[], 0))
}

/// Connects to a listener that does not want what it gets, until a SYN or more is gone; `counter` is the kernel's word.
fn unwanted(
    stage: &Stage,
    listener: impl FnOnce(&Socket) -> Result<()>,
    counter: &str,
    reason: &'static [&'static str],
) -> Result<Told> {
    let to = stage.to(Family::V4, 179);
    let listener = stage
        .server()
        .run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&to.into())?;
            Ok(socket)
        })
        .and_then(|socket| {
            listener(&socket)?;
            socket.listen(8)?;
            Ok(socket)
        })?;
    let client = stage.client().run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&to.into()).err();
        Ok(socket)
    })?;
    let lost = counted(stage, counter)?;
    drop((client, listener));
    ensure!(lost > 0, "{counter} counts nothing");
    Ok(Told::drops([Dropped::received(stage, "policy", lost, lost * SYN)
        .of("tcp")
        .because(reason)])
    .and("tcpvitals_tcp_connections_failed_total", &[], 1))
}

/// A listener that wants signatures.
pub(super) fn unsigned(stage: &Stage) -> Result<Told> {
    let peer = stage.subnet().v4(CLIENT).into();
    unwanted(
        stage,
        |listener| sign(listener, peer, b"secret"),
        "TcpExtTCPMD5NotFound",
        &["TCP_MD5NOTFOUND"],
    )
}

/// A listener that only wants neighbors (RFC 5082).
pub(super) fn too_far(stage: &Stage) -> Result<Told> {
    unwanted(
        stage,
        |listener| set_option(listener, libc::IPPROTO_IP, libc::IP_MINTTL, 255),
        "TcpExtTCPMinTTLDrop",
        &["TCP_MINTTL"],
    )
}

/// A protocol that nobody here speaks.
pub(super) fn unknown_protocol(stage: &Stage) -> Result<Told> {
    let subnet = stage.subnet();
    let packet = ipv4(subnet.v4(CLIENT), subnet.v4(SERVER), 252, 64, &[0; 40]);
    let frame = ethernet(hardware(SERVER), hardware(CLIENT), ethertype::IPV4, &packet);
    send_frames(stage.client(), tests::net::pair::DEVICE, 6, &frame)?;
    let lost = counted(stage, "IpInUnknownProtos")?;
    ensure!(lost == 6, "the kernel counts {lost}");
    Ok(Told::drops([Dropped::received(stage, "error", 6, 6 * 40)
        .of("ip")
        .because(&["IP_NOPROTO"])]))
}
