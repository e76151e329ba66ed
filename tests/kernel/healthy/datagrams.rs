//! Datagrams that arrive, and those that are not meant for this host.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use nix::net::if_::if_nametoindex;
use socket2::SockRef;
use tests::net::pair::DEVICE;
use tests::net::socket::set_option;
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::send_frames;

use super::talk::{any_port, datagrams, question_and_answer};
use crate::suite::Stage;
use crate::suite::packets::{
    BROADCAST, ethernet, ethertype, group_v4, group_v6, hardware, ipv4, ipv6, protocol, udp_v4, udp_v6,
};

/// Where mDNS is spoken.
const MDNS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const MDNS: u16 = 5353;

/// Of each kind of what is not for this host.
pub(super) const FOREIGN: u32 = 37;

/// So many questions of one size, each answered, over both families.
fn ask(stage: &Stage, port: u16, rounds: u8, size: usize) -> Result<()> {
    for family in Family::BOTH {
        let to = stage.to(family, port);
        let server = datagrams(stage.server(), to)?;
        question_and_answer(&any_port(stage.client(), family)?, &server, to, rounds, size)?;
    }
    Ok(())
}

pub(super) fn dns(stage: &Stage) -> Result<()> {
    ask(stage, 53, 20, 60)
}

pub(super) fn dns_in_fragments(stage: &Stage) -> Result<()> {
    ask(stage, 53, 5, 4000)
}

pub(super) fn ntp(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let to = stage.to(family, 123);
        let server = datagrams(stage.server(), to)?;
        let client = datagrams(stage.client(), (stage.subnet().address(family, CLIENT), 123).into())?;
        client.connect(to)?;
        // Both take the time of arrival from the kernel, and chrony also that of departure.
        for socket in [&client, &server] {
            set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        }
        for _ in 0..5 {
            client.send(&[0x23; 48])?;
            let (length, from) = server.recv_from(&mut [0; 48])?;
            ensure!(length == 48, "{length} bytes");
            server.send_to(&[0x24; 48], from)?;
            ensure!(client.recv(&mut [0; 48])? == 48, "an answer of another length");
        }
    }
    Ok(())
}

pub(super) fn departure_times(stage: &Stage) -> Result<()> {
    const SOFTWARE: i32 = 1 << 1 | 1 << 4;
    for family in Family::BOTH {
        let to = stage.to(family, 319);
        let (client, server) = (any_port(stage.client(), family)?, datagrams(stage.server(), to)?);
        set_option(&client, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, SOFTWARE)?;
        for _ in 0..10 {
            client.send_to(&[1; 44], to)?;
            ensure!(server.recv(&mut [0; 64])? == 44, "a message of another length");
        }
        // What the error queue has of it goes with the socket, unread.
    }
    Ok(())
}

pub(super) fn mdns(stage: &Stage) -> Result<()> {
    let (client, server) = (stage.subnet().v4(CLIENT), stage.subnet().v4(SERVER));
    let member = datagrams(stage.server(), (Ipv4Addr::UNSPECIFIED, MDNS).into())?;
    member.join_multicast_v4(&MDNS_V4, &server)?;
    let sender = datagrams(stage.client(), (client, MDNS).into())?;
    SockRef::from(&sender).set_multicast_if_v4(&client)?;
    receive_all(&sender, (MDNS_V4, MDNS).into(), &member)?;
    // The wildcard of IPv6 wants the same port.
    drop(member);

    let index = |end: &tests::net::namespace::Namespace| end.run(|| Ok(if_nametoindex(DEVICE)?));
    let member = datagrams(stage.server(), (Ipv6Addr::UNSPECIFIED, MDNS).into())?;
    member.join_multicast_v6(&MDNS_V6, index(stage.server())?)?;
    let sender = datagrams(stage.client(), (stage.subnet().v6(CLIENT), 0).into())?;
    SockRef::from(&sender).set_multicast_if_v6(index(stage.client())?)?;
    receive_all(&sender, (MDNS_V6, MDNS).into(), &member)
}

fn receive_all(sender: &UdpSocket, to: SocketAddr, member: &UdpSocket) -> Result<()> {
    for _ in 0..10 {
        sender.send_to(&[7; 40], to)?;
        ensure!(
            member.recv(&mut [0; 64]).context("hear a group")? == 40,
            "another length"
        );
    }
    Ok(())
}

/// A packet of the client, to a hardware address.
fn foreign(stage: &Stage, to: [u8; 6], ethertype: u16, packet: &[u8]) -> Result<()> {
    send_frames(
        stage.client(),
        DEVICE,
        FOREIGN,
        &ethernet(to, hardware(CLIENT), ethertype, packet),
    )
}

pub(super) fn mdns_of_a_neighbour(stage: &Stage) -> Result<()> {
    let from = stage.subnet().v4(CLIENT);
    let packet = ipv4(from, MDNS_V4, protocol::UDP, 255, &udp_v4(MDNS, MDNS, &[7; 40]));
    foreign(stage, group_v4(MDNS_V4), ethertype::IPV4, &packet)
}

pub(super) fn mdns_of_a_neighbour_v6(stage: &Stage) -> Result<()> {
    let from = stage.subnet().v6(CLIENT);
    let datagram = udp_v6((from, MDNS), (MDNS_V6, MDNS), &[7; 40]);
    foreign(
        stage,
        group_v6(MDNS_V6),
        ethertype::IPV6,
        &ipv6(from, MDNS_V6, protocol::UDP, 255, &datagram),
    )
}

pub(super) fn ssdp_of_a_neighbour(stage: &Stage) -> Result<()> {
    let group = Ipv4Addr::new(239, 255, 255, 250);
    let packet = ipv4(
        stage.subnet().v4(CLIENT),
        group,
        protocol::UDP,
        2,
        &udp_v4(1900, 1900, &[7; 90]),
    );
    foreign(stage, group_v4(group), ethertype::IPV4, &packet)
}

pub(super) fn membership_reports_of_a_neighbour(stage: &Stage) -> Result<()> {
    let [a, b, c, d] = MDNS_V4.octets();
    let mut report = vec![0x16, 0, 0, 0, a, b, c, d];
    let sum = tests::net::packet::checksum(&report);
    report[2..4].copy_from_slice(&sum.to_be_bytes());
    let packet = ipv4(stage.subnet().v4(CLIENT), MDNS_V4, protocol::IGMP, 1, &report);
    foreign(stage, group_v4(MDNS_V4), ethertype::IPV4, &packet)
}

pub(super) fn broadcast_of_a_neighbour(stage: &Stage) -> Result<()> {
    let from = stage.subnet().v4(CLIENT);
    let packet = ipv4(
        from,
        Ipv4Addr::BROADCAST,
        protocol::UDP,
        64,
        &udp_v4(138, 138, &[7; 180]),
    );
    foreign(stage, BROADCAST, ethertype::IPV4, &packet)
}

pub(super) fn broadcast_of_the_subnet(stage: &Stage) -> Result<()> {
    neighbours_are_asked_for(stage)?;
    let sender = any_port(stage.client(), Family::V4)?;
    sender.set_broadcast(true)?;
    for _ in 0..FOREIGN {
        sender.send_to(&[7; 50], (stage.subnet().v4(255), 137))?;
    }
    Ok(())
}

/// A device that does not ask sends broadcasts to itself.
fn neighbours_are_asked_for(stage: &Stage) -> Result<()> {
    [stage.client(), stage.server()]
        .iter()
        .try_for_each(|end| end.ip(&[format!("link set dev {DEVICE} arp on")]))
}

pub(super) fn dhcp(stage: &Stage) -> Result<()> {
    let bound = |end: &tests::net::namespace::Namespace, port| -> Result<UdpSocket> {
        let socket = datagrams(end, (Ipv4Addr::UNSPECIFIED, port).into())?;
        socket.set_broadcast(true)?;
        SockRef::from(&socket).bind_device(Some(DEVICE.as_bytes()))?;
        Ok(socket)
    };
    let (client, server) = (bound(stage.client(), 68)?, bound(stage.server(), 67)?);
    neighbours_are_asked_for(stage)?;
    // Discover, offer, request, acknowledgment.
    for _ in 0..2 {
        client.send_to(&[1; 300], (Ipv4Addr::BROADCAST, 67))?;
        ensure!(
            server.recv(&mut [0; 512]).context("hear a question")? == 300,
            "another length"
        );
        server.send_to(&[2; 300], (Ipv4Addr::BROADCAST, 68))?;
        ensure!(
            client.recv(&mut [0; 512]).context("hear an offer")? == 300,
            "another length"
        );
    }
    Ok(())
}

pub(super) fn large(stage: &Stage) -> Result<()> {
    ask(stage, 9000, 10, 8000)?;
    ask(stage, 9001, 5, 60_000)
}

pub(super) fn segmented(stage: &Stage) -> Result<()> {
    const UDP_SEGMENT: i32 = 103;
    const UDP_GRO: i32 = 104;
    for family in Family::BOTH {
        let to = stage.to(family, 9000);
        let (client, server) = (any_port(stage.client(), family)?, datagrams(stage.server(), to)?);
        set_option(&client, libc::SOL_UDP, UDP_SEGMENT, 1000)?;
        set_option(&server, libc::SOL_UDP, UDP_GRO, 1)?;
        thread::scope(|scope| {
            let reading = scope.spawn(|| -> Result<()> {
                let mut left = 50_000;
                while left > 0 {
                    let length = server.recv(&mut [0; 1 << 16])?;
                    left -= length.min(left);
                }
                Ok(())
            });
            for _ in 0..5 {
                client.send_to(&[3; 10_000], to)?;
            }
            reading.join().unwrap_or_else(|_| bail!("the reading thread panicked"))
        })?;
    }
    Ok(())
}

pub(super) fn through_loopback(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let at = SocketAddr::from((stage.subnet().address(family, CLIENT), 9000));
        let receiver = datagrams(stage.client(), at)?;
        question_and_answer(&any_port(stage.client(), family)?, &receiver, at, 10, 2000)?;
    }
    Ok(())
}

pub(super) fn one_group_several_members(stage: &Stage) -> Result<()> {
    let members: Vec<UdpSocket> = (0..3)
        .map(|_| {
            let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, MDNS));
            stage.server().run(|| {
                let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
                socket.set_reuse_address(true)?;
                socket.bind(&at.into())?;
                socket.join_multicast_v4(&MDNS_V4, &stage.subnet().v4(SERVER))?;
                socket.set_read_timeout(Some(tests::machine::settings::patience()))?;
                Ok(socket.into())
            })
        })
        .collect::<Result<_>>()?;
    let sender = datagrams(stage.client(), (stage.subnet().v4(CLIENT), 0).into())?;
    SockRef::from(&sender).set_multicast_if_v4(&stage.subnet().v4(CLIENT))?;
    for _ in 0..10 {
        sender.send_to(&[7; 40], (MDNS_V4, MDNS))?;
        for member in &members {
            ensure!(
                member.recv(&mut [0; 64]).context("hear a group")? == 40,
                "another length"
            );
        }
    }
    Ok(())
}
