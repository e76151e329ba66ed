//! Echo requests that are answered, from every kind of socket.

use std::io::Read as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};
use tests::machine::settings::patience;
use tests::machine::wait::Deadline;
use tests::net::packet::checksum;
use tests::net::subnet::{CLIENT, Family};

use super::talk;
use crate::suite::Stage;

/// Echo requests and replies of ICMP and ICMPv6.
const REQUEST: [u8; 2] = [8, 128];
const REPLY: [u8; 2] = [0, 129];

/// A socket over which one pings.
fn pinging(stage: &Stage, family: Family, kind: Type) -> Result<Socket> {
    let (domain, protocol) = match family {
        Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
        Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
    };
    talk::socket(stage.client(), domain, kind, protocol)
}

fn of(family: Family, [v4, v6]: [u8; 2]) -> u8 {
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

/// Sends requests with so many bytes after the header, and waits for the reply to each.
fn ping(socket: &Socket, family: Family, kind: Type, to: SocketAddr, count: u8, size: usize) -> Result<()> {
    let mut buffer = vec![0_u8; 1 << 16];
    for number in 1..=count {
        let mut message = vec![of(family, REQUEST), 0, 0, 0, 0x7c, 0x11, 0, number];
        message.resize(8 + size, number);
        let sum = checksum(&message);
        // That of IPv6 is the kernel's work.
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        socket.send_to(&message, &to.into()).context("send a request")?;
        let deadline = Deadline::after(patience());
        loop {
            let length = (&mut { socket }).read(&mut buffer).context("wait for a reply")?;
            // A raw socket of IPv4 gets the header, too.
            let skip = if family == Family::V4 && kind == Type::RAW {
                20
            } else {
                0
            };
            let reply = buffer.get(skip..length).unwrap_or_default();
            if reply.first() == Some(&of(family, REPLY)) && reply.get(7) == Some(&number) && reply.len() == 8 + size {
                break;
            }
            if deadline.passed() {
                bail!("no reply to request {number}");
            }
        }
    }
    Ok(())
}

/// Pings over a kind of socket, in one size, over IPv4 and IPv6.
fn check(stage: &Stage, kind: Type, count: u8, size: usize) -> Result<()> {
    stage.client().set("net.ipv4.ping_group_range=0 2147483647")?;
    for family in Family::BOTH {
        let socket = pinging(stage, family, kind)?;
        ping(&socket, family, kind, stage.to(family, 0), count, size).with_context(|| format!("over {family:?}"))?;
    }
    Ok(())
}

pub(super) fn raw(stage: &Stage) -> Result<()> {
    check(stage, Type::RAW, 20, 56)
}

pub(super) fn raw_beside_raw(stage: &Stage) -> Result<()> {
    let idle: Vec<Socket> = Family::BOTH
        .iter()
        .flat_map(|family| [0, 1].map(|_| pinging(stage, *family, Type::RAW)))
        .collect::<Result<_>>()?;
    check(stage, Type::RAW, 5, 56)?;
    drop(idle);
    Ok(())
}

pub(super) fn datagram(stage: &Stage) -> Result<()> {
    check(stage, Type::DGRAM, 20, 56)
}

pub(super) fn empty_and_full(stage: &Stage) -> Result<()> {
    for size in [0, 1400] {
        check(stage, Type::RAW, 3, size)?;
        check(stage, Type::DGRAM, 3, size)?;
    }
    Ok(())
}

pub(super) fn in_fragments(stage: &Stage) -> Result<()> {
    for size in [8000, 60_000] {
        check(stage, Type::RAW, 3, size)?;
    }
    Ok(())
}

pub(super) fn datagram_in_fragments(stage: &Stage) -> Result<()> {
    for size in [8000, 60_000] {
        check(stage, Type::DGRAM, 3, size)?;
    }
    Ok(())
}

pub(super) fn oneself(stage: &Stage) -> Result<()> {
    stage.client().set("net.ipv4.ping_group_range=0 2147483647")?;
    for family in Family::BOTH {
        for kind in [Type::RAW, Type::DGRAM] {
            let socket = pinging(stage, family, kind)?;
            let own = (stage.subnet().address(family, CLIENT), 0).into();
            ping(&socket, family, kind, own, 5, 56)?;
        }
    }
    Ok(())
}
