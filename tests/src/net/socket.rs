//! What the standard library and socket2 cannot ask of sockets and devices.

use std::fs::{File, OpenOptions};
use std::net::IpAddr;
use std::os::fd::AsFd;

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Socket, Type};

use crate::kernel::syscalls;
use crate::net::namespace::Namespace;

/// Sets an option of a socket that is an integer.
pub fn set_option(socket: &impl AsFd, level: i32, name: i32, value: i32) -> Result<()> {
    syscalls::set_option(socket.as_fd(), level, name, value)
}

/// Makes a socket sign its segments to an IPv4 peer, and want those of the peer signed (`TCP_MD5SIG`, RFC 2385).
pub fn sign(socket: &impl AsFd, peer: IpAddr, key: &[u8]) -> Result<()> {
    /// `struct tcp_md5sig`: an address of 128 bytes, flags, the length of a prefix and of the key, a device, the key.
    const KEY: usize = 136;
    let IpAddr::V4(peer) = peer else {
        bail!("{peer} is not of IPv4");
    };
    let mut signature = [0; KEY + 80];
    signature[..2].copy_from_slice(&u16::try_from(libc::AF_INET)?.to_ne_bytes());
    signature[4..8].copy_from_slice(&peer.octets());
    signature[130..132].copy_from_slice(&u16::try_from(key.len())?.to_ne_bytes());
    signature[KEY..KEY + key.len()].copy_from_slice(key);
    syscalls::set_option_bytes(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_MD5SIG, &signature)
}

/// Makes a TUN or TAP device in the thread's namespace, with the flags of `TUNSETIFF`; it lives as long as the file.
pub fn tap(name: &str, flags: i16) -> Result<File> {
    let path = "/dev/net/tun";
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("open {path}"))?;
    syscalls::name_device(&file, name, flags)?;
    Ok(file)
}

/// Makes a TUN device that carries bare IP packets in the thread's namespace; it lives as long as the file.
pub fn tun(name: &str) -> Result<File> {
    tap(name, i16::try_from(libc::IFF_TUN | libc::IFF_NO_PI)?)
}

/// Takes the queue of a TUN or TAP device away, which has been made with several: what it sends has nobody to read it.
pub fn detach_queue(tap: &File) -> Result<()> {
    syscalls::detach_queue(tap)
}

/// Something that a device does for the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Joins received segments.
    Gro,
    /// Cuts sent segments.
    Tso,
}

impl Offload {
    /// `ETHTOOL_SGRO`, `ETHTOOL_STSO`.
    const fn command(self) -> u32 {
        match self {
            Self::Gro => 0x2c,
            Self::Tso => 0x1f,
        }
    }
}

/// Turns an offload of a device on or off.
pub fn set_offload(namespace: &Namespace, device: &str, offload: Offload, on: bool) -> Result<()> {
    namespace.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        syscalls::set_offload(socket.as_fd(), device, offload.command(), on)
    })
}
