//! UDP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::limit;
use crate::kernel::syscalls::send_through;
use crate::net::namespace::Namespace;

/// Sends so many datagrams of so many bytes, whatever becomes of them. The socket is not connected, so that an answer by
/// ICMP does not end the sending.
pub fn send_datagrams(namespace: &Namespace, to: SocketAddr, count: u32, size: usize) -> Result<()> {
    namespace.run(|| {
        let socket = UdpSocket::bind((unspecified(to), 0))?;
        for _ in 0..count {
            socket
                .send_to(&vec![0; size], to)
                .with_context(|| format!("send to {to}"))?;
        }
        Ok(())
    })
}

/// Sends so many packets of a type of Ethernet's out of a device, without a link-layer header.
pub fn send_raw(namespace: &Namespace, device: &str, ethertype: u16, count: u32, bytes: &[u8]) -> Result<()> {
    send_packets(namespace, device, Type::DGRAM, ethertype, count, bytes)
}

/// Sends the same frame of Ethernet out of a device so many times.
pub fn send_frames(namespace: &Namespace, device: &str, count: u32, frame: &[u8]) -> Result<()> {
    send_packets(namespace, device, Type::RAW, 0, count, frame)
}

fn send_packets(
    namespace: &Namespace,
    device: &str,
    kind: Type,
    ethertype: u16,
    count: u32,
    bytes: &[u8],
) -> Result<()> {
    namespace.run(|| {
        let socket = Socket::new(Domain::PACKET, kind, None)?;
        let device = if_nametoindex(device).with_context(|| format!("look for {device}"))?;
        for _ in 0..count {
            send_through(socket.as_fd(), device, ethertype, bytes)?;
        }
        Ok(())
    })
}

/// A UDP socket whose receive buffer holds a few datagrams of 1000 bytes, but not twenty.
pub fn small_udp_receiver(namespace: &Namespace, address: SocketAddr) -> Result<UdpSocket> {
    namespace.run(|| {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(8192)?;
        socket.bind(&SockAddr::from(address))?;
        socket.set_read_timeout(limit())?;
        Ok(socket.into())
    })
}

fn unspecified(to: SocketAddr) -> IpAddr {
    match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
