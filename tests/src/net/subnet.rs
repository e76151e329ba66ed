//! Addresses that no other test uses, under the name by which the exporter will label them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result};

static NEXT: AtomicU16 = AtomicU16::new(1);
/// One process draws from as many.
const COUNT: u16 = 1024;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];
}

/// Host number of the client's end of a pair, and of the kernel's end of a scripted peer.
pub const CLIENT: u8 = 1;
/// Host number of the server's end of a pair, and of a scripted peer.
pub const SERVER: u8 = 2;

/// One IPv4 /24 and one IPv6 /64 that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    number: u16,
}

impl Subnet {
    /// Takes the next free one. Two test processes at a time draw from different ranges unless their ids agree modulo 32.
    pub fn take() -> Result<Self> {
        let number = NEXT
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| {
                (number < COUNT).then_some(number + 1)
            })
            .ok()
            .context("this process has used up its subnets")?;
        Ok(Self { number })
    }

    /// The value of the `subnet` label.
    pub fn name(self) -> String {
        format!("net-{}", self.number)
    }

    /// The address of a host.
    pub fn address(self, family: Family, host: u8) -> IpAddr {
        match family {
            Family::V4 => self.v4(host).into(),
            Family::V6 => self.v6(host).into(),
        }
    }

    /// The IPv4 address of a host.
    pub fn v4(self, host: u8) -> Ipv4Addr {
        let [.., process] = process::id().to_be_bytes();
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, 64 + process % 32 * 4 + high, low, host)
    }

    /// The IPv6 address of a host.
    pub fn v6(self, host: u8) -> Ipv6Addr {
        let [.., high, low] = process::id().to_be_bytes();
        let process = u16::from_be_bytes([high, low]);
        Ipv6Addr::new(0xfd74, 0x6376, process, self.number, 0, 0, 0, host.into())
    }

    /// The line of this subnet in the exporter's configuration.
    fn line(self) -> String {
        format!(
            "  - {{name: {}, cidrs: [{}/24, \"{}/64\"]}}",
            self.name(),
            self.v4(0),
            self.v6(0)
        )
    }
}

/// A configuration that names these subnets and nothing else, and answers every scrape with fresh numbers. More keys may
/// be appended.
pub fn config(subnets: &[Subnet]) -> String {
    let mut text = String::from("subnets:\n");
    for subnet in subnets {
        // Writing to a string cannot fail.
        writeln!(text, "{}", subnet.line()).ok();
    }
    text.push_str("collect: {max_age: 1ms}\n");
    text
}
