//! Sockets of every family that are closed with something in them: nobody wanted it any more.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};
use tests::machine::wait::until;
use tests::net::packet::checksum;
use tests::net::pair::DEVICE;
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{listen, receive};

use super::talk::{any_port, datagrams, question_and_answer, socket};
use crate::suite::Stage;

/// How many of each are left.
const LEFT: u8 = 7;

pub(super) fn udp(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let to = stage.to(family, 53);
        let (client, server) = (any_port(stage.client(), family)?, datagrams(stage.server(), to)?);
        for _ in 0..LEFT {
            client.send_to(&[1; 90], to)?;
        }
        stage.at_rest()?;
        drop(server);
    }
    Ok(())
}

/// Resolvers ask several servers and take the first answer.
pub(super) fn second_answer(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let to = stage.to(family, 53);
        let (client, server) = (any_port(stage.client(), family)?, datagrams(stage.server(), to)?);
        question_and_answer(&client, &server, to, 1, 60)?;
        let own = SocketAddr::from((stage.subnet().address(family, CLIENT), client.local_addr()?.port()));
        for _ in 0..LEFT {
            server.send_to(&[2; 60], own)?;
        }
        stage.at_rest()?;
        drop(client);
    }
    Ok(())
}

pub(super) fn in_fragments(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let to = stage.to(family, 53);
        let (client, server) = (any_port(stage.client(), family)?, datagrams(stage.server(), to)?);
        for _ in 0..LEFT {
            client.send_to(&[1; 8000], to)?;
        }
        stage.at_rest()?;
        drop(server);
    }
    Ok(())
}

pub(super) fn raw_and_ping(stage: &Stage) -> Result<()> {
    stage.client().set("net.ipv4.ping_group_range=0 2147483647")?;
    for (family, domain, protocol, request) in [
        (Family::V4, Domain::IPV4, Protocol::ICMPV4, 8),
        (Family::V6, Domain::IPV6, Protocol::ICMPV6, 128),
    ] {
        for kind in [Type::RAW, Type::DGRAM] {
            let pinging = socket(stage.client(), domain, kind, protocol)?;
            for number in 0..LEFT {
                let mut message = vec![request, 0, 0, 0, 0x7c, 0x12, 0, number, 1, 2, 3, 4];
                let sum = checksum(&message);
                message[2..4].copy_from_slice(&sum.to_be_bytes());
                pinging.send_to(&message, &stage.to(family, 0).into())?;
            }
            stage.at_rest()?;
            drop(pinging);
        }
    }
    Ok(())
}

pub(super) fn packet(stage: &Stage) -> Result<()> {
    const ALL: i32 = 0x0300;
    let sniffer = stage
        .server()
        .run(|| Ok(Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ALL)))?))?;
    let to = stage.to(Family::V4, 9000);
    let (client, server) = (any_port(stage.client(), Family::V4)?, datagrams(stage.server(), to)?);
    question_and_answer(&client, &server, to, LEFT, 300)?;
    drop(sniffer);
    Ok(())
}

pub(super) fn unix(_: &Stage) -> Result<()> {
    use std::io::Write as _;
    for _ in 0..LEFT {
        let (left, right) = UnixDatagram::pair()?;
        left.send(&[1; 100])?;
        drop(right);
        let (mut left, right) = UnixStream::pair()?;
        left.write_all(&[1; 100])?;
        drop(right);
        let (left, right) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        left.send(&[1; 100])?;
        drop(right);
    }
    Ok(())
}

/// What `ip monitor` hears, and does not read.
pub(super) fn netlink(stage: &Stage) -> Result<()> {
    const GROUPS: i32 = 1;
    const RTNLGRP_LINK: i32 = 1;
    let monitor = stage.client().run(|| {
        let socket = Socket::new(
            Domain::from(libc::AF_NETLINK),
            Type::RAW,
            Some(Protocol::from(libc::NETLINK_ROUTE)),
        )?;
        tests::net::socket::set_option(&socket, libc::SOL_NETLINK, GROUPS, RTNLGRP_LINK)?;
        Ok(socket)
    })?;
    for mtu in [1400, 1500] {
        stage.client().ip(&[format!("link set dev {DEVICE} mtu {mtu}")])?;
    }
    drop(monitor);
    Ok(())
}

pub(super) fn tun(stage: &Stage) -> Result<()> {
    let peer = Peer::new(stage.client(), stage.second())?;
    let sender = stage
        .client()
        .run(|| Ok(UdpSocket::bind((stage.second().v4(CLIENT), 0))?))?;
    for _ in 0..LEFT {
        sender.send_to(&[3; 50], (stage.second().v4(SERVER), 9))?;
    }
    drop(peer);
    until("the device to go", || {
        let gone = stage
            .client()
            .run(|| Ok(if_nametoindex(tests::net::peer::DEVICE).is_err()))?;
        Ok(gone.then_some(()))
    })
}

pub(super) fn peer_behind_tun(stage: &Stage) -> Result<()> {
    let peer = Peer::new(stage.client(), stage.second())?;
    let listener = listen(stage.client(), (stage.second().v4(CLIENT), 80).into())?;
    for port in [40_000, 40_001] {
        let (server, mut connection) = peer.connect(&listener, port, Offer::default())?;
        connection.send(b"question", 0)?;
        receive(&server, 8)?;
        connection.end()?;
        drop(server);
        connection.acknowledge_end().context("the end of a connection")?;
    }
    Ok(())
}
