//! Frames of the link that are no packets for this host, and whoever looks at frames.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tests::net::pair::DEVICE;
use tests::net::subnet::{CLIENT, SERVER};
use tests::net::traffic::send_frames;

use super::datagrams::FOREIGN;
use super::talk::everything;
use crate::suite::Stage;
use crate::suite::packets::{
    BROADCAST, Hardware, ethernet, ethertype, hardware, ipv4, ipv6, llc, protocol, udp_v4, udp_v6,
};

/// Bridges of IEEE 802.1D listen to it.
const BRIDGES: Hardware = [0x01, 0x80, 0xc2, 0, 0, 0];
const NEAREST_BRIDGE: Hardware = [0x01, 0x80, 0xc2, 0, 0, 0x0e];

/// Takes nothing of a packet.
const NOTHING: SockFilter = SockFilter::new(0x06, 0, 0, 0);

fn frames(stage: &Stage, frame: &[u8]) -> Result<()> {
    send_frames(stage.client(), DEVICE, FOREIGN, frame)
}

pub(super) fn spanning_tree(stage: &Stage) -> Result<()> {
    frames(stage, &llc(BRIDGES, hardware(CLIENT), 0x42, &[0; 35]))
}

pub(super) fn other_llc(stage: &Stage) -> Result<()> {
    // NetBIOS; Cisco's discovery in SNAP.
    frames(stage, &llc(BROADCAST, hardware(CLIENT), 0xf0, &[0; 40]))?;
    let snap = [&[0, 0, 0x0c, 0x20, 0][..], &[0; 40]].concat();
    frames(
        stage,
        &llc([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc], hardware(CLIENT), 0xaa, &snap),
    )
}

pub(super) fn link_discovery(stage: &Stage) -> Result<()> {
    frames(
        stage,
        &ethernet(NEAREST_BRIDGE, hardware(CLIENT), ethertype::LLDP, &[0; 60]),
    )
}

pub(super) fn protocols_without_a_handler(stage: &Stage) -> Result<()> {
    for kind in [ethertype::MPLS, ethertype::PPPOE, ethertype::EXPERIMENTAL] {
        frames(stage, &ethernet(hardware(SERVER), hardware(CLIENT), kind, &[0; 60]))?;
        frames(stage, &ethernet(BROADCAST, hardware(CLIENT), kind, &[0; 60]))?;
    }
    Ok(())
}

/// Requests for others, and what a host says of itself.
pub(super) fn address_resolution(stage: &Stage) -> Result<()> {
    let own = stage.subnet().v4(CLIENT).octets();
    for asked in [stage.subnet().v4(77).octets(), own] {
        let request = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &hardware(CLIENT), &own, &[0; 6], &asked].concat();
        frames(stage, &ethernet(BROADCAST, hardware(CLIENT), ethertype::ARP, &request))?;
    }
    Ok(())
}

/// Packets for another host, which a hub or a mirror brings here.
fn others_unicast(stage: &Stage) -> Result<()> {
    let other = [2, 0, 0, 0, 0, 77];
    let subnet = stage.subnet();
    let (from, to) = (subnet.v4(CLIENT), subnet.v4(77));
    let packet = ipv4(from, to, protocol::UDP, 64, &udp_v4(1, 9, &[0; 60]));
    frames(stage, &ethernet(other, hardware(CLIENT), ethertype::IPV4, &packet))?;
    let (from, to) = (subnet.v6(CLIENT), subnet.v6(77));
    let packet = ipv6(from, to, protocol::UDP, 64, &udp_v6((from, 1), (to, 9), &[0; 60]));
    frames(stage, &ethernet(other, hardware(CLIENT), ethertype::IPV6, &packet))
}

pub(super) fn unicast_of_others(stage: &Stage) -> Result<()> {
    others_unicast(stage)
}

pub(super) fn promiscuous(stage: &Stage) -> Result<()> {
    stage.server().ip(&[format!("link set dev {DEVICE} promisc on")])?;
    others_unicast(stage)
}

/// A sniffer of the server's device.
fn sniffer(stage: &Stage) -> Result<Socket> {
    const ALL: i32 = 0x0300;
    stage.server().run(|| {
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ALL)))?;
        socket.set_recv_buffer_size(1 << 24)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        Ok(socket)
    })
}

pub(super) fn watched(stage: &Stage) -> Result<()> {
    ensure!(stage.server().run(|| Ok(if_nametoindex(DEVICE)?))? > 0, "no device");
    let sniffer = sniffer(stage)?;
    let over = AtomicBool::new(false);
    let frames = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut frames = 0;
            let mut buffer = vec![0; 1 << 17];
            while !over.load(Ordering::Relaxed) {
                frames += u32::from((&sniffer).read(&mut buffer).is_ok());
            }
            frames
        });
        let talked = everything(stage, stage.subnet());
        over.store(true, Ordering::Relaxed);
        let frames = reading.join();
        talked?;
        frames.or_else(|_| bail!("the reading thread panicked"))
    })?;
    ensure!(frames > 20, "only {frames} frames");
    Ok(())
}

/// The filter of a sniffer takes nothing: the copies that it refuses are not lost.
pub(super) fn watched_by_a_filter(stage: &Stage) -> Result<()> {
    let sniffer = sniffer(stage)?;
    sniffer.attach_filter(&[NOTHING])?;
    everything(stage, stage.subnet())?;
    drop(sniffer);
    Ok(())
}
