//! What the host says beside the kernel programs: packets that its devices lost, how full its table of connections is, and the memory
//! of its TCP. From bytes of netlink and text of /proc to counters that never fall; who reads those is elsewhere.
//!
//! - `causes`: why a device loses packets, and which drivers count something else there
//! - `netlink`, `files`: messages of rtnetlink, and files of /proc; `carry`: counters over readings

pub mod carry;
pub mod causes;
pub mod files;
pub mod netlink;

use causes::{Allowance, Cause};
use common::drops::Direction;
use files::{Conntrack, TcpMemory};
use std::collections::BTreeMap;

/// A part that is read only where the configuration wants it and the exporter is in the host's network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Devices, softnet and connection tracking.
    Devices,
    /// Memory of TCP.
    TcpMemory,
    /// SYN cookies.
    SynCookies,
}

/// One reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Devices with hardware behind them; `None` where they are not read.
    pub devices: Option<Vec<Device>>,
    /// Times that the work of a softirq was cut short, by CPU.
    pub squeezed: Option<BTreeMap<u32, u64>>,
    /// The table of connections; `None` without one.
    pub conntrack: Option<Conntrack>,
    pub memory: Option<TcpMemory>,
    /// SYN cookies sent, since the boot.
    pub cookies_sent: Option<u64>,
}

/// A device with hardware behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Name of the bus and of the hardware on it: `pci/0000:00:03.0`.
    pub parent: String,
    pub index: u32,
    pub name: String,
    /// Packets received and sent. Only a driver that begins anew lets them fall.
    pub packets: (u64, u64),
    /// What was lost, by cause.
    pub lost: BTreeMap<Loss, u64>,
    /// Packets over an allowance of the cloud.
    pub over_allowance: BTreeMap<Allowance, u64>,
}

/// On which way a device lost packets, and why.
pub type Loss = (Direction, Cause);

/// What is shown: counters since the exporter began, and what holds for the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Packets lost by device, way and cause.
    pub lost: BTreeMap<(String, Loss), u64>,
    /// Packets over an allowance, by device.
    pub over_allowance: BTreeMap<(String, Allowance), u64>,
    pub squeezed: Option<u64>,
    pub conntrack: Option<Conntrack>,
    pub memory: Option<TcpMemory>,
    /// SYN cookies sent.
    pub cookies_sent: Option<u64>,
    /// Readings that failed or came too late; `None` where nothing is read.
    pub failed: Option<u64>,
}
