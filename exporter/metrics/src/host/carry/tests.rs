//! What becomes of devices and counters over readings, one case a test.

use super::{super::causes::Cause, *};
use common::drops::Direction::{Receive, Transmit};

const MISSED: Loss = (Receive, Cause::Missed);

/// A device that has lost so many, after so many packets received.
fn device(parent: &str, index: u32, name: &str, packets: u64, missed: u64) -> Device {
    Device {
        parent: parent.to_owned(),
        index,
        name: name.to_owned(),
        packets: (packets, 1),
        lost: [(MISSED, missed)].into(),
        over_allowance: BTreeMap::new(),
    }
}

/// What is shown after the last of some readings, each a list of devices: label and packets missed.
fn check(readings: &[&[Device]], expected: &[(&str, u64)]) {
    let mut carry = Carry::default();
    let mut before = BTreeMap::new();
    for devices in readings {
        let host = carry.post(Some(Reading {
            devices: Some(devices.to_vec()),
            ..Reading::default()
        }));
        for (key, value) in &before {
            assert!(host.lost[key] >= *value, "{key:?} fell");
        }
        before = host.lost;
    }
    let expected = expected
        .iter()
        .map(|(name, value)| (((*name).to_owned(), MISSED), *value));
    assert_eq!(before, expected.collect());
}

#[test]
fn counters_begin_with_the_exporter_and_those_of_a_new_device_at_zero() {
    let old = |missed| device("pci/1", 2, "eth0", 100 + missed, missed);
    check(&[&[old(7)]], &[("eth0", 0)]);
    check(&[&[old(7)], &[old(9)]], &[("eth0", 2)]);
    let new = device("pci/2", 3, "eth1", 10, 4);
    check(&[&[old(7)], &[old(7), new]], &[("eth0", 0), ("eth1", 4)]);
}

#[test]
fn a_driver_that_begins_anew_goes_on_where_it_was() {
    let at = |packets, missed| device("pci/1", 2, "eth0", packets, missed);
    check(
        &[&[at(100, 7)], &[at(110, 9)], &[at(3, 1)], &[at(5, 4)]],
        &[("eth0", 6)],
    );
    // It has lost more than before already.
    check(&[&[at(100, 7)], &[at(90, 8)]], &[("eth0", 8)]);
}

#[test]
fn a_counter_that_is_less_for_a_moment_counts_again_when_it_is_more() {
    let at = |packets, missed| device("pci/1", 2, "eth0", packets, missed);
    check(&[&[at(100, 7)], &[at(110, 5)], &[at(120, 8)]], &[("eth0", 1)]);
}

#[test]
fn a_device_that_was_away_or_has_another_name_is_counted_once() {
    let at = |index, name: &str, missed| device("pci/1", index, name, 100 + missed, missed);
    // Moved to a pod and back, with the number of before and with another.
    check(&[&[at(2, "eth0", 7)], &[], &[at(2, "eth0", 10)]], &[("eth0", 3)]);
    check(&[&[at(2, "eth0", 7)], &[], &[], &[at(9, "eth0", 10)]], &[("eth0", 3)]);
    check(
        &[&[at(2, "eth0", 7)], &[at(2, "eth0", 8)], &[at(2, "wan", 10)]],
        &[("eth0", 1), ("wan", 2)],
    );
    // Removed and made again.
    let again = device("pci/1", 3, "eth0", 1, 1);
    check(&[&[at(2, "eth0", 7)], &[], &[again]], &[("eth0", 1)]);
}

#[test]
fn two_devices_of_one_piece_of_hardware_are_told_apart() {
    let at = |index, missed| device("pci/1", index, &format!("eth{index}"), 100 + missed, missed);
    check(
        &[&[at(0, 10), at(1, 20)], &[], &[at(0, 11), at(1, 22)]],
        &[("eth0", 1), ("eth1", 2)],
    );
}

#[test]
fn beyond_so_many_names_devices_are_other() {
    let all: Vec<Device> = (0..70)
        .map(|number| device(&format!("pci/{number}"), number, &format!("eth{number:02}"), 10, 2))
        .collect();
    let mut carry = Carry::default();
    let read = |devices: &[Device]| {
        Some(Reading {
            devices: Some(devices.to_vec()),
            ..Reading::default()
        })
    };
    carry.post(read(&[]));
    let host = carry.post(read(&all));
    assert_eq!(host.lost.len(), MOST_NAMES + 1);
    assert_eq!(host.lost[&("other".to_owned(), MISSED)], 12);
    assert_eq!(host.lost.values().sum::<u64>(), 140);
}

#[test]
fn devices_that_are_away_are_remembered_up_to_a_number() {
    let mut devices = Devices::default();
    for number in 0..3000 {
        devices.post(&[device(&format!("pci/{number}"), number, "eth0", 1, 0)], true);
    }
    assert!(devices.known.len() <= MOST_AWAY + 1);
}

#[test]
fn each_way_and_cause_has_a_counter_that_begins_when_it_is_first_seen() {
    let mut one = device("pci/1", 2, "eth0", 1, 0);
    one.lost.insert((Transmit, Cause::Fifo), 5);
    one.over_allowance.insert(Allowance::PacketRate, 1);
    let mut carry = Carry::default();
    let read = |device: &Device| {
        Some(Reading {
            devices: Some(vec![device.clone()]),
            ..Reading::default()
        })
    };
    carry.post(read(&one));
    one.lost.insert((Transmit, Cause::Fifo), 6);
    one.lost.insert((Receive, Cause::Fifo), 3);
    one.over_allowance.insert(Allowance::PacketRate, 9);
    let host = carry.post(read(&one));
    assert_eq!(host.over_allowance[&("eth0".to_owned(), Allowance::PacketRate)], 8);
    let of = |loss| host.lost[&("eth0".to_owned(), loss)];
    assert_eq!(
        (of((Transmit, Cause::Fifo)), of((Receive, Cause::Fifo)), of(MISSED)),
        (1, 0, 0)
    );
    one.lost.insert((Receive, Cause::Fifo), 5);
    let host = carry.post(read(&one));
    assert_eq!(host.lost[&("eth0".to_owned(), (Receive, Cause::Fifo))], 2);
}

#[test]
fn a_cpu_that_is_switched_off_keeps_what_it_had() {
    let mut carry = Carry::default();
    let mut squeezed = |rows: &[(u32, u64)]| {
        let reading = Reading {
            squeezed: Some(rows.iter().copied().collect()),
            ..Reading::default()
        };
        carry.post(Some(reading)).squeezed
    };
    assert_eq!(squeezed(&[(0, 5), (1, 7)]), Some(0));
    assert_eq!(squeezed(&[(0, 6), (1, 9)]), Some(3));
    assert_eq!(squeezed(&[(0, 6)]), Some(3));
    assert_eq!(squeezed(&[(0, 6), (1, 10), (2, 1)]), Some(5));
}

#[test]
fn what_the_kernel_counts_since_the_boot_is_shown_since_the_start() {
    let mut carry = Carry::default();
    let mut failures = |insert_failed| {
        let failures = Failures {
            insert_failed,
            drop: 2,
            early_drop: 3,
        };
        let reading = Reading {
            conntrack: Some(Conntrack {
                entries: 4,
                limit: 5,
                failures: Some(failures),
            }),
            ..Reading::default()
        };
        let conntrack = carry.post(Some(reading)).conntrack.unwrap();
        assert_eq!((conntrack.entries, conntrack.limit), (4, 5));
        let failures = conntrack.failures.unwrap();
        (failures.insert_failed, failures.drop, failures.early_drop)
    };
    assert_eq!(failures(10), (0, 0, 0));
    assert_eq!(failures(12), (2, 0, 0));
    // The module was loaded anew.
    assert_eq!(failures(1), (3, 0, 0));
}

#[test]
fn a_reading_that_failed_is_counted_and_shows_the_last_one() {
    let mut carry = Carry::default();
    let reading = Reading {
        squeezed: Some([(0, 5)].into()),
        ..Reading::default()
    };
    assert_eq!(carry.post(Some(reading)).failed, Some(0));
    let host = carry.post(None);
    assert_eq!((host.failed, host.squeezed), (Some(1), Some(0)));
}
