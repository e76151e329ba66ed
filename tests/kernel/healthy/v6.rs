//! What IPv6 does besides: extension headers, neighbours, routers, addresses.

use std::net::Ipv6Addr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, Protocol, Type};
use tests::net::pair::DEVICE;
use tests::net::subnet::{CLIENT, SERVER};
use tests::net::traffic::send_frames;

use super::datagrams::FOREIGN;
use super::talk::{datagrams, everything, socket};
use crate::suite::Stage;
use crate::suite::packets::{ethernet, ethertype, group_v6, hardware, icmp_v6, ipv6, padding, protocol, udp_v6};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const PORT: u16 = 9000;

/// The number of an extension header, and what makes it of the number that is next.
type Extension = (u8, fn(u8) -> [u8; 8]);

/// Datagrams behind these extension headers.
fn behind(stage: &Stage, headers: &[Extension]) -> Result<()> {
    let (from, to) = (stage.subnet().v6(CLIENT), stage.subnet().v6(SERVER));
    let receiver = datagrams(stage.server(), (to, PORT).into())?;
    let mut content = udp_v6((from, 1000), (to, PORT), &[6; 100]);
    let mut next = protocol::UDP;
    for (header, make) in headers.iter().rev() {
        content = [&make(next)[..], &content].concat();
        next = *header;
    }
    let packet = ipv6(from, to, next, 64, &content);
    let sender = socket(
        stage.client(),
        Domain::IPV6,
        Type::RAW,
        Protocol::from(libc::IPPROTO_RAW),
    )?;
    for _ in 0..10 {
        sender.send_to(&packet, &std::net::SocketAddr::from((to, 0)).into())?;
        let length = receiver
            .recv(&mut [0; 200])
            .context("receive what is behind the headers")?;
        ensure!(length == 100, "{length} bytes");
    }
    Ok(())
}

/// A fragment that is the whole.
const fn atomic(next: u8) -> [u8; 8] {
    [next, 0, 0, 0, 0, 0, 0, 7]
}

/// A route that has been followed to its end, of a type that everybody passes over then.
const fn followed(next: u8) -> [u8; 8] {
    [next, 0, 253, 0, 0, 0, 0, 0]
}

pub(super) fn hop_by_hop(stage: &Stage) -> Result<()> {
    behind(stage, &[(protocol::HOP_BY_HOP, padding)])
}

pub(super) fn destination_options(stage: &Stage) -> Result<()> {
    behind(stage, &[(protocol::DESTINATION, padding)])
}

pub(super) fn routing(stage: &Stage) -> Result<()> {
    behind(stage, &[(protocol::ROUTING, followed)])
}

pub(super) fn atomic_fragment(stage: &Stage) -> Result<()> {
    behind(stage, &[(protocol::FRAGMENT, atomic)])
}

pub(super) fn several(stage: &Stage) -> Result<()> {
    behind(
        stage,
        &[
            (protocol::HOP_BY_HOP, padding),
            (protocol::DESTINATION, padding),
            (protocol::FRAGMENT, atomic),
            (protocol::DESTINATION, padding),
        ],
    )
}

/// Sends a message of ICMPv6 to a group or host of the link.
fn message(stage: &Stage, to: Ipv6Addr, kind: u8, content: &[u8]) -> Result<()> {
    let from = stage.subnet().v6(CLIENT);
    let hardware_to = if to.is_multicast() {
        group_v6(to)
    } else {
        hardware(SERVER)
    };
    let packet = ipv6(from, to, protocol::ICMPV6, 255, &icmp_v6(from, to, kind, content));
    let frame = ethernet(hardware_to, hardware(CLIENT), ethertype::IPV6, &packet);
    send_frames(stage.client(), DEVICE, FOREIGN, &frame)
}

/// Of an address that this host has no entry for: RFC 4861, 7.2.5, says that it is silently discarded.
pub(super) fn unsolicited_advertisements(stage: &Stage) -> Result<()> {
    let target = stage.subnet().v6(77).octets();
    let content = [&[0x20, 0, 0, 0][..], &target, &[2, 1], &hardware(CLIENT)].concat();
    message(stage, ALL_NODES, 136, &content)
}

/// Who has an address that is not of this host.
pub(super) fn solicitations_of_others(stage: &Stage) -> Result<()> {
    let target = stage.subnet().v6(77).octets();
    let content = [&[0, 0, 0, 0][..], &target, &[1, 1], &hardware(CLIENT)].concat();
    message(stage, ALL_NODES, 135, &content)
}

/// A member of a group tells the routers that it leaves (MLD).
pub(super) fn leaves_at_a_router(stage: &Stage) -> Result<()> {
    stage.server().set("net.ipv6.conf.all.forwarding=1")?;
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x77, 1).octets();
    message(stage, ALL_ROUTERS, 132, &[&[0, 0, 0, 0][..], &group].concat())
}

/// With all the questions that a device asks which is not told to be silent.
pub(super) fn a_new_device_asks(stage: &Stage) -> Result<()> {
    let (client, server) = (stage.client().name(), stage.server().name());
    tests::net::namespace::host(&format!(
        "ip link add new0 netns {client} type veth peer name new0 netns {server}"
    ))?;
    for (end, host) in [(stage.client(), CLIENT), (stage.server(), SERVER)] {
        end.ip(&["link set dev new0 up".to_owned()])?;
        let subnet = stage.second();
        end.ip(&[
            format!("address add {}/24 dev new0", subnet.v4(host)),
            format!("address add {}/64 dev new0", subnet.v6(host)),
        ])?;
    }
    // Addresses are in question for a second or two, as long as nobody may connect from them.
    let is_tentative = |end: &tests::net::namespace::Namespace| -> Result<bool> {
        Ok(end.exec("ip -6 address show dev new0")?.contains("tentative"))
    };
    tests::machine::wait::until("addresses to be one's own", || {
        Ok((!is_tentative(stage.client())? && !is_tentative(stage.server())?).then_some(()))
    })?;
    everything(stage, stage.second())?;
    sleep(Duration::from_millis(500));
    Ok(())
}

pub(super) fn joins_and_leaves(stage: &Stage) -> Result<()> {
    let index = stage.server().run(|| Ok(nix::net::if_::if_nametoindex(DEVICE)?))?;
    for number in 1..6 {
        let member = datagrams(stage.server(), (Ipv6Addr::UNSPECIFIED, 0).into())?;
        member.join_multicast_v6(&Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x77, number), index)?;
        let member = datagrams(stage.server(), (std::net::Ipv4Addr::UNSPECIFIED, 0).into())?;
        let group = std::net::Ipv4Addr::new(239, 7, 7, u8::try_from(number)?);
        member.join_multicast_v4(&group, &stage.subnet().v4(SERVER))?;
    }
    sleep(Duration::from_millis(300));
    Ok(())
}

pub(super) fn neighbours_found(stage: &Stage) -> Result<()> {
    for end in [stage.client(), stage.server()] {
        // That also forgets whom it knows.
        end.ip(&[format!("link set dev {DEVICE} arp on")])?;
    }
    everything(stage, stage.subnet())
}
