//! Packets whose headers are wrong.

use anyhow::{Result, ensure};
use tests::net::pair::DEVICE;
use tests::net::subnet::{CLIENT, SERVER};
use tests::net::traffic::send_frames;

use super::{Dropped, Told};
use crate::suite::Stage;
use crate::suite::packets::{ethernet, ethertype, hardware, ipv4, ipv6, protocol, udp_v4, udp_v6};

/// Of each kind.
const COUNT: u32 = 6;

/// Sends packets to the server, and requires that its stack counts each in the counter.
fn sent(stage: &Stage, ethertype: u16, packet: &[u8], counter: &str) -> Result<u64> {
    let frame = ethernet(hardware(SERVER), hardware(CLIENT), ethertype, packet);
    send_frames(stage.client(), DEVICE, COUNT, &frame)?;
    let [_, server] = stage.at_rest()?;
    let lost = server.get(counter)?;
    ensure!(lost == i64::from(COUNT), "the kernel counts {lost} of {counter}");
    Ok(COUNT.into())
}

/// A datagram over IPv4.
fn datagram(stage: &Stage, lifetime: u8) -> Vec<u8> {
    let subnet = stage.subnet();
    let content = udp_v4(1000, 9, &[0; 72]);
    ipv4(subnet.v4(CLIENT), subnet.v4(SERVER), protocol::UDP, lifetime, &content)
}

fn told(stage: &Stage, packets: u64, protocol: &'static str, each: u64) -> Told {
    Told::drops([Dropped::received(stage, "error", packets, packets * each).of(protocol)])
}

pub(super) fn wrong_checksum(stage: &Stage) -> Result<Told> {
    let mut packet = datagram(stage, 64);
    packet[10] ^= 0xff;
    let lost = sent(stage, ethertype::IPV4, &packet, "IpInHdrErrors")?;
    Ok(told(stage, lost, "udp", 100))
}

pub(super) fn wrong_version(stage: &Stage) -> Result<Told> {
    let mut packet = datagram(stage, 64);
    packet[0] = 0x65;
    let lost = sent(stage, ethertype::IPV4, &packet, "IpInHdrErrors")?;
    Ok(without_addresses(told(stage, lost, "ip", 100)))
}

/// What is no header of its kind has no addresses.
fn without_addresses(told: Told) -> Told {
    let drops = told.drops.into_iter().map(|dropped| Dropped {
        subnet: "none".to_owned(),
        ..dropped
    });
    Told::drops(drops.collect::<Vec<_>>())
}

pub(super) fn cut(stage: &Stage) -> Result<Told> {
    let mut packet = datagram(stage, 64);
    // 100 bytes, of which 60 are there.
    packet.truncate(60);
    let lost = sent(stage, ethertype::IPV4, &packet, "IpExtInTruncatedPkts")?;
    Ok(told(stage, lost, "udp", 60))
}

pub(super) fn wrong_version_v6(stage: &Stage) -> Result<Told> {
    let (from, to) = (stage.subnet().v6(CLIENT), stage.subnet().v6(SERVER));
    let mut packet = ipv6(from, to, protocol::UDP, 64, &udp_v6((from, 1000), (to, 9), &[0; 72]));
    packet[0] = 0x40;
    let lost = sent(stage, ethertype::IPV6, &packet, "Ip6InHdrErrors")?;
    Ok(without_addresses(told(stage, lost, "ip", 120)))
}

/// Less of a segment than its header.
pub(super) fn cut_segment(stage: &Stage) -> Result<Told> {
    let subnet = stage.subnet();
    let packet = ipv4(
        subnet.v4(CLIENT),
        subnet.v4(SERVER),
        protocol::TCP,
        64,
        &[0, 1, 0, 80, 0, 0, 0, 1],
    );
    let lost = sent(stage, ethertype::IPV4, &packet, "TcpInSegs")?;
    Ok(told(stage, lost, "tcp", 8))
}

pub(super) fn cut_segment_v6(stage: &Stage) -> Result<Told> {
    let (from, to) = (stage.subnet().v6(CLIENT), stage.subnet().v6(SERVER));
    let packet = ipv6(from, to, protocol::TCP, 64, &[0, 1, 0, 80, 0, 0, 0, 1]);
    let lost = sent(stage, ethertype::IPV6, &packet, "TcpInSegs")?;
    Ok(told(stage, lost, "tcp", 8))
}

/// A datagram behind an option of IPv6 that nobody knows.
fn behind_an_option(stage: &Stage, option: u8) -> Result<Told> {
    let (from, to) = (stage.subnet().v6(CLIENT), stage.subnet().v6(SERVER));
    let header = [protocol::UDP, 0, option, 4, 0, 0, 0, 0];
    let datagram = udp_v6((from, 1000), (to, 9), &[0; 72]);
    let packet = ipv6(from, to, protocol::DESTINATION, 64, &[&header[..], &datagram].concat());
    let lost = sent(stage, ethertype::IPV6, &packet, "Ip6InHdrErrors")?;
    Ok(told(stage, lost, "udp", 88))
}

/// Whoever does not know it must refuse the packet and say so (RFC 8200, 4.2).
pub(super) fn unknown_option(stage: &Stage) -> Result<Told> {
    behind_an_option(stage, 0x80 | 0x1e)
}

/// Whoever does not know it must discard the packet in silence.
pub(super) fn ignoring_option(stage: &Stage) -> Result<Told> {
    behind_an_option(stage, 0x40 | 0x1e)
}

pub(super) fn unknown_next_header(stage: &Stage) -> Result<Told> {
    let (from, to) = (stage.subnet().v6(CLIENT), stage.subnet().v6(SERVER));
    let packet = ipv6(from, to, 252, 64, &[0; 40]);
    let lost = sent(stage, ethertype::IPV6, &packet, "Ip6InUnknownProtos")?;
    Ok(told(stage, lost, "ip", 40))
}
