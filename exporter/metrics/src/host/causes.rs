//! Why a device loses packets, which fields and ethtool statistics say so, and which drivers count something else there.
//! A cause is here only if no sk_buff of the same packet can have been freed as a drop; docs/numbers.md says why, for each.

use common::drops::Direction::{self, Receive, Transmit};
use tcpvitals_config::Class;

/// Why a device lost a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The host had given no buffer.
    Missed,
    /// A FIFO of the device overran, or on transmit ran empty within a frame.
    Fifo,
    /// A ring or a buffer overran.
    Over,
    /// The driver's own counter of packets without a buffer.
    NoBuffer,
    /// The checksum of the frame is wrong.
    Crc,
    /// The frame does not end at a byte.
    Frame,
    /// The frame is too short or too long.
    Length,
    /// The carrier went while it was sent.
    Carrier,
    /// It was given up, mostly after too many collisions.
    Aborted,
    /// A collision came too late to send it again.
    Window,
}

impl Cause {
    /// The value of the label `cause`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Fifo => "fifo",
            Self::Over => "over",
            Self::NoBuffer => "no_buffer",
            Self::Crc => "crc",
            Self::Frame => "frame",
            Self::Length => "length",
            Self::Carrier => "carrier",
            Self::Aborted => "aborted",
            Self::Window => "window",
        }
    }

    /// What it means, in the classes of dropped packets.
    pub const fn class(self) -> Class {
        match self {
            Self::Missed | Self::Fifo | Self::Over | Self::NoBuffer => Class::Capacity,
            Self::Crc | Self::Frame | Self::Length | Self::Carrier | Self::Aborted | Self::Window => Class::Error,
        }
    }
}

/// A limit that a cloud sets an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance {
    BandwidthIn,
    BandwidthOut,
    PacketRate,
    Connections,
    LinkLocal,
}

impl Allowance {
    /// The value of the label `allowance`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BandwidthIn => "bandwidth_in",
            Self::BandwidthOut => "bandwidth_out",
            Self::PacketRate => "packet_rate",
            Self::Connections => "connections",
            Self::LinkLocal => "link_local",
        }
    }
}

/// The fields of `struct rtnl_link_stats64`, each of 64 bits, by their places in it.
pub(super) const RX_PACKETS: usize = 0;
pub(super) const TX_PACKETS: usize = 1;

/// Which of its fields are losses: place, way and cause.
pub(super) const FIELDS: [(usize, Direction, Cause); 10] = [
    (10, Receive, Cause::Length),
    (11, Receive, Cause::Over),
    (12, Receive, Cause::Crc),
    (13, Receive, Cause::Frame),
    (14, Receive, Cause::Fifo),
    (15, Receive, Cause::Missed),
    (16, Transmit, Cause::Aborted),
    (17, Transmit, Cause::Carrier),
    (18, Transmit, Cause::Fifo),
    (20, Transmit, Cause::Window),
];

/// Drivers that count something else in one of these fields.
const LEFT_OUT: [(&str, Direction, Cause); 2] = [
    // drivers/net/virtio_net.c, start_xmit: such a packet is freed by dev_kfree_skb_any, and so a row of dropped_packets.
    ("virtio_net", Transmit, Cause::Fifo),
    // drivers/net/ethernet/freescale/fec_mpc52xx.c, mpc52xx_fec_get_stats: the register that rx_missed_errors shows too.
    ("mpc52xx-fec", Receive, Cause::Fifo),
];

/// Whether a driver counts lost packets in a field, each there alone.
pub(super) fn counts(driver: Option<&str>, direction: Direction, cause: Cause) -> bool {
    let mut left_out = LEFT_OUT.iter();
    !left_out.any(|own| Some(own.0) == driver && (own.1, own.2) == (direction, cause))
}

/// What an ethtool statistic counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Lost(Direction, Cause),
    Over(Allowance),
}

/// Ethtool statistics by driver and name.
const STATISTICS: [(&str, &str, Statistic); 7] = [
    // drivers/net/ethernet/amazon/ena/ena_ethtool.c, ena_stats_eni_strings; what each means:
    // Amazon EC2 User Guide, "Monitor network performance for ENA settings on your EC2 instance".
    (
        "ena",
        "bw_in_allowance_exceeded",
        Statistic::Over(Allowance::BandwidthIn),
    ),
    (
        "ena",
        "bw_out_allowance_exceeded",
        Statistic::Over(Allowance::BandwidthOut),
    ),
    ("ena", "pps_allowance_exceeded", Statistic::Over(Allowance::PacketRate)),
    (
        "ena",
        "conntrack_allowance_exceeded",
        Statistic::Over(Allowance::Connections),
    ),
    (
        "ena",
        "linklocal_allowance_exceeded",
        Statistic::Over(Allowance::LinkLocal),
    ),
    // Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst: packets that a physical port dropped for want of
    // a buffer, before any queue whose losses rx_missed_errors counts.
    (
        "mlx5_core",
        "rx_discards_phy",
        Statistic::Lost(Receive, Cause::NoBuffer),
    ),
    // drivers/net/ethernet/intel/ixgbe/ixgbe_main.c, ixgbe_update_stats: the register QPRDC of each queue; rx_missed_errors has MPC.
    (
        "ixgbe",
        "rx_no_dma_resources",
        Statistic::Lost(Receive, Cause::NoBuffer),
    ),
];

/// Whether ethtool tells of a driver's device what rtnetlink does not.
pub fn has_statistics(driver: &str) -> bool {
    STATISTICS.iter().any(|(own, _, _)| *own == driver)
}

/// What a driver's statistic of this name counts, if it counts losses.
pub(super) fn statistic(driver: &str, name: &str) -> Option<Statistic> {
    let mut known = STATISTICS.iter();
    known
        .find(|(own, own_name, _)| (*own, *own_name) == (driver, name))
        .map(|(_, _, statistic)| *statistic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_a_driver_uses_for_something_else_is_left_out_for_it_alone() {
        assert!(!counts(Some("virtio_net"), Transmit, Cause::Fifo));
        assert!(counts(Some("virtio_net"), Receive, Cause::Fifo));
        assert!(counts(Some("e1000"), Transmit, Cause::Fifo));
        assert!(counts(None, Transmit, Cause::Fifo));
    }

    #[test]
    fn a_statistic_has_its_meaning_by_driver_and_name() {
        assert_eq!(
            statistic("ena", "linklocal_allowance_exceeded"),
            Some(Statistic::Over(Allowance::LinkLocal))
        );
        assert_eq!(statistic("ixgbe", "linklocal_allowance_exceeded"), None);
        assert!(has_statistics("mlx5_core") && !has_statistics("virtio_net"));
    }
}
