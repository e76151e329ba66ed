//! A TCP peer that follows a script: it says exactly what it is told to, to the real stack of a namespace.
//!
//! It sits behind a TUN device. The kernel handles a packet within the `write` that hands it over, so most steps need no
//! waiting; those that expect an answer wait for it. It never retransmits and never acknowledges of its own accord.

mod connection;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
pub use connection::Connection;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::machine::settings::patience;
use crate::machine::wait::Deadline;
use crate::net::namespace::Namespace;
use crate::net::packet::{Options, Segment, flag};
use crate::net::socket::tun;
use crate::net::subnet::{CLIENT, SERVER, Subnet};
use crate::net::traffic::connect;

/// The device through which the kernel reaches the peer.
pub const DEVICE: &str = "tun0";

/// The peer's first sequence number: soon after the handshake it wraps.
const FIRST: u32 = 0xffff_ff00;

/// What the peer has room for, before scaling.
const WINDOW: u16 = 60_000;

/// What the peer offers when it meets the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Largest payload that it takes.
    pub mss: u16,
    /// It understands SACK.
    pub sack: bool,
    /// It sends timestamps.
    pub timestamps: bool,
    /// Shift of its window field.
    pub window_scale: Option<u8>,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            mss: 1000,
            sack: true,
            timestamps: false,
            window_scale: None,
        }
    }
}

impl Offer {
    fn options(self) -> Options {
        Options {
            mss: Some(self.mss),
            window_scale: self.window_scale,
            sack_permitted: self.sack,
            timestamps: self.timestamps.then_some((1, 0)),
            sack: Vec::new(),
        }
    }
}

/// A host that exists only as a script.
#[derive(Debug)]
pub struct Peer {
    device: File,
    kernel: Ipv4Addr,
    address: Ipv4Addr,
}

impl Peer {
    /// Joins a namespace: the kernel is the subnet's client host there, the peer its server host.
    pub fn new(namespace: &Namespace, subnet: Subnet) -> Result<Self> {
        let (kernel, address) = (subnet.v4(CLIENT), subnet.v4(SERVER));
        let device = namespace.run(|| tun(DEVICE))?;
        // Neither router solicitations nor delayed acknowledgments of data that came out of order may disturb a script.
        namespace.set(&format!("net.ipv6.conf.{DEVICE}.disable_ipv6=1"))?;
        namespace.set("net.ipv4.tcp_comp_sack_nr=0")?;
        namespace.ip(&[
            format!("address add {kernel}/24 dev {DEVICE}"),
            format!("link set dev {DEVICE} up"),
        ])?;
        Ok(Self {
            device,
            kernel,
            address,
        })
    }

    /// The peer's end of a packet.
    pub fn at(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }

    /// The kernel's end of a packet.
    pub fn kernel_at(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.kernel, port)
    }

    /// Hands the kernel a packet as it is.
    pub fn inject(&self, packet: &[u8]) -> Result<()> {
        let written = (&self.device).write(packet).context("write to the TUN device")?;
        ensure!(
            written == packet.len(),
            "the TUN device took {written} of {} bytes",
            packet.len()
        );
        Ok(())
    }

    /// The next TCP segment that the kernel sends to the peer, if one comes within `limit`.
    pub fn next_within(&self, limit: Duration) -> Result<Option<Segment>> {
        let deadline = Deadline::after(limit);
        let mut packet = [0; 1 << 16];
        loop {
            // Rounded up, so that a wait never ends early and a short one does not spin.
            let left = PollTimeout::try_from(deadline.left() + Duration::from_millis(1))?;
            let mut descriptors = [PollFd::new(self.device.as_fd(), PollFlags::POLLIN)];
            if poll(&mut descriptors, left).context("wait for the TUN device")? == 0 {
                return Ok(None);
            }
            let length = (&self.device).read(&mut packet).context("read from the TUN device")?;
            if let Some(segment) = Segment::decode(&packet[..length]) {
                return Ok(Some(segment));
            }
        }
    }

    fn next_for(&self, port: u16, what: &str, wanted: impl Fn(&Segment) -> bool) -> Result<Segment> {
        let deadline = Deadline::after(patience());
        while let Some(segment) = self.next_within(deadline.left())? {
            if segment.destination.port() == port && wanted(&segment) {
                return Ok(segment);
            }
        }
        bail!("the kernel sent no {what} to port {port}")
    }

    /// Lets a socket of the namespace connect to the peer. Gives the kernel's end and the peer's.
    pub fn accept(&self, namespace: &Namespace, port: u16, offer: Offer) -> Result<(TcpStream, Connection<'_>)> {
        thread::scope(|scope| {
            let client = scope.spawn(|| connect(namespace, SocketAddr::V4(self.at(port))));
            let syn = self.next_for(port, "SYN", |segment| segment.flags == flag::SYN)?;
            let mut connection = Connection::new(self, port, &syn, offer);
            connection.say(flag::SYN | flag::ACK, FIRST, offer.options(), &[])?;
            self.next_for(port, "acknowledgment of the SYN", |segment| {
                segment.acknowledgment == connection.next
            })?;
            let client = client
                .join()
                .unwrap_or_else(|_| bail!("the connecting thread panicked"))?;
            // The window of a SYN is not scaled, so the first acknowledgment after it says a new one.
            connection.acknowledge()?;
            Ok((client, connection))
        })
    }

    /// Connects to a listener of the namespace. Gives the kernel's end and the peer's.
    pub fn connect(&self, listener: &TcpListener, port: u16, offer: Offer) -> Result<(TcpStream, Connection<'_>)> {
        let answer = self.knock(listener.local_addr()?.port(), port, offer)?;
        ensure!(
            answer.flags == flag::SYN | flag::ACK,
            "the kernel answers a SYN with flags {:#x}",
            answer.flags
        );
        let mut connection = Connection::new(self, port, &answer, offer);
        connection.acknowledge()?;
        let (server, _) = listener.accept().context("accept the peer's connection")?;
        Ok((server, connection))
    }

    /// Sends a SYN and gives the kernel's answer: SYN-ACK from a listener, RST from a closed port.
    pub fn knock(&self, kernel_port: u16, port: u16, offer: Offer) -> Result<Segment> {
        let syn = Segment {
            source: self.at(port),
            destination: self.kernel_at(kernel_port),
            sequence: FIRST,
            acknowledgment: 0,
            flags: flag::SYN,
            window: WINDOW,
            options: offer.options(),
            payload: Vec::new(),
        };
        self.inject(&syn.encode())?;
        self.next_for(port, "answer to a SYN", |segment| segment.source.port() == kernel_port)
    }
}
