//! Answers of Linux 6.18, as they were recorded: the loopback device, two of ifb, and a card of virtio_net, each of whose statistics was
//! replaced by 1000 and its place.

use super::*;
use crate::host::causes::{Allowance, Cause};
use common::drops::Direction::{Receive, Transmit};

const RECORDED: [&[u8]; 3] = [
    include_bytes!("recorded-1.bin"),
    include_bytes!("recorded-2.bin"),
    include_bytes!("recorded-3.bin"),
];

fn recorded() -> Vec<Link> {
    let mut all = Vec::new();
    let states = RECORDED.map(|datagram| links(datagram, &mut all).unwrap());
    assert_eq!(states.map(|dump| dump.is_over), [false, false, true]);
    assert!(states.iter().all(|dump| !dump.was_interrupted));
    all
}

#[test]
fn devices_are_read_with_what_is_behind_them() {
    let all = recorded();
    let said: Vec<(u32, &str, Option<&str>)> = all
        .iter()
        .map(|link| (link.index, link.name.as_str(), link.parent.as_deref()))
        .collect();
    let card = (4, "eth0", Some("virtio/virtio2"));
    assert_eq!(said, [(1, "lo", None), (2, "ifb0", None), (3, "ifb1", None), card]);
}

#[test]
fn every_cause_has_its_own_field() {
    let card = recorded().pop().unwrap();
    let device = card.device("virtio/virtio2", Some("e1000")).unwrap();
    assert_eq!(device.packets, (1000, 1001));
    // The places of `struct rtnl_link_stats64`, include/uapi/linux/if_link.h.
    let expected = [
        ((Receive, Cause::Length), 1010),
        ((Receive, Cause::Over), 1011),
        ((Receive, Cause::Crc), 1012),
        ((Receive, Cause::Frame), 1013),
        ((Receive, Cause::Fifo), 1014),
        ((Receive, Cause::Missed), 1015),
        ((Transmit, Cause::Aborted), 1016),
        ((Transmit, Cause::Carrier), 1017),
        ((Transmit, Cause::Fifo), 1018),
        ((Transmit, Cause::Window), 1020),
    ];
    assert_eq!(device.lost, expected.into());
    let own = card.device("virtio/virtio2", Some("virtio_net")).unwrap();
    assert_eq!(own.lost.len(), device.lost.len() - 1);
    assert!(!own.lost.contains_key(&(Transmit, Cause::Fifo)));
}

#[test]
fn ethtool_adds_what_its_driver_counts() {
    let statistics = [
        ("tx_timeout", 1),
        ("bw_in_allowance_exceeded", 2),
        ("linklocal_allowance_exceeded", 3),
    ];
    let statistics = statistics.map(|(name, value)| (name.to_owned(), value));
    let mut device = Device::default();
    add_ethtool(&statistics, "ena", &mut device);
    let over = [(Allowance::BandwidthIn, 2), (Allowance::LinkLocal, 3)];
    assert_eq!(device.over_allowance, over.into());
    let mut other = Device::default();
    add_ethtool(&statistics, "e1000", &mut other);
    assert_eq!(other, Device::default());
    add_ethtool(&[("rx_discards_phy".to_owned(), 4)], "mlx5_core", &mut other);
    assert_eq!(other.lost, [((Receive, Cause::NoBuffer), 4)].into());
}

#[test]
fn an_error_an_interruption_and_the_end_are_told_apart() {
    let error = message(ERROR, 0, 1, &(-19_i32).to_ne_bytes());
    assert_eq!(links(&error, &mut Vec::new()), Err(Fault::Errno(19)));
    let interrupted = message(DONE, WAS_INTERRUPTED, 1, &[0; 4]);
    let expected = Dump {
        is_over: true,
        was_interrupted: true,
    };
    assert_eq!(links(&interrupted, &mut Vec::new()), Ok(expected));
    assert_eq!(links(&[], &mut Vec::new()), Ok(Dump::default()));
}

#[test]
fn bytes_that_are_cut_off_or_changed_never_panic() {
    for datagram in RECORDED {
        for end in 0..datagram.len().min(2_000) {
            let _cut = links(&datagram[..end], &mut Vec::new());
        }
        for place in 0..datagram.len().min(2_000) {
            for value in [0, 1, 3, 0x7f, 0xff] {
                let mut changed = datagram.to_vec();
                changed[place] = value;
                let mut found = Vec::new();
                let _read = links(&changed, &mut found);
                for link in found {
                    let _device = link.device("", None);
                }
            }
        }
    }
    assert_eq!(links(&[1, 0, 0], &mut Vec::new()), Err(Fault::Malformed));
    // Shorter than a header.
    assert_eq!(
        links(&message(NEW_LINK, 0, 1, &[])[..12], &mut Vec::new()),
        Err(Fault::Malformed)
    );
}

#[test]
fn the_request_is_one_that_the_kernel_took() {
    let request = ask_for_links(7);
    assert_eq!(request.len(), 40);
    assert_eq!(word(&request, 0), Some(40));
    assert_eq!((half(&request, 4), half(&request, 6)), (Some(18), Some(0x301)));
    assert_eq!(
        (half(&request, 32), half(&request, 34), word(&request, 36)),
        (Some(8), Some(29), Some(8))
    );
}
