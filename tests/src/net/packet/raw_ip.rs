//! Whole IP packets, headers included, through raw sockets: for what no socket of the kernel's own would send.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::net::namespace::Namespace;

/// `IPPROTO_RAW`: the header comes with the packet.
const RAW: i32 = 255;

/// Sends packets, each with its own header, to `to`.
pub fn send_packets(namespace: &Namespace, to: IpAddr, packets: &[Vec<u8>]) -> Result<()> {
    namespace.run(|| {
        let to = SocketAddr::new(to, 0);
        let socket = Socket::new(Domain::for_address(to), Type::RAW, Some(Protocol::from(RAW)))?;
        socket.set_broadcast(true)?;
        for packet in packets {
            socket
                .send_to(packet, &to.into())
                .with_context(|| format!("send a packet to {to}"))?;
        }
        Ok(())
    })
}

/// An IPv6 packet: what follows the fixed header is of the kind `next`.
pub fn v6(source: Ipv6Addr, destination: Ipv6Addr, next: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(content);
    packet
}

/// Ports and length of UDP, and nothing that a checksum could be right about.
pub fn udp(port: u16, payload: u16) -> Vec<u8> {
    let mut datagram = [5000, port, 8 + payload, 0].map(u16::to_be_bytes).concat();
    datagram.resize(usize::from(8 + payload), 0);
    datagram
}

/// IPv6 extension headers, by their numbers, and behind the last of them a content of the kind `next`: the first number, and the
/// bytes.
pub fn behind(headers: &[u8], next: u8, content: &[u8]) -> (u8, Vec<u8>) {
    let mut packet = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        let following = headers.get(index + 1).copied().unwrap_or(next);
        packet.extend(match header {
            // A routing header of a type that nobody knows, with nothing left to go to.
            43 => vec![following, 0, 253, 0, 0, 0, 0, 0],
            // The only fragment of its packet.
            44 => vec![following, 0, 0, 0, 0, 0, 0, 9],
            51 => vec![
                following, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
            // Options: only padding, of which the kernel takes seven bytes at most in a row.
            _ => vec![following, 0, 1, 4, 0, 0, 0, 0],
        });
    }
    packet.extend(content);
    (headers.first().copied().unwrap_or(next), packet)
}
