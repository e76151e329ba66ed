//! Filters: each lets through what it names, and nothing else.

use anyhow::Result;
use tests::exporter::config_file;
use tests::machine::turn;
use tests::net::nft;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::send_datagrams;

use super::{PORT, capture};

/// Drops 5 datagrams at a filter and 3 for want of a socket, and requires so many of each.
fn check(arguments: &[&str], by_filter: usize, without_socket: usize) -> Result<()> {
    let pair = Pair::new()?;
    nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
    let capture = capture(&pair, arguments)?;
    for _ in 0..5 {
        send_datagrams(&pair.client, pair.to(Family::V4, PORT)?, 1, 100)?;
    }
    for _ in 0..3 {
        send_datagrams(&pair.client, pair.to(Family::V6, 9)?, 1, 100)?;
    }
    let (captured, summary) = capture.stop()?;
    let of = |reason: &str| {
        let packets = captured.packets.iter();
        packets
            .filter(|packet| packet.word("reason") == reason && packet.word("protocol") == "udp")
            .count()
    };
    assert_eq!(
        (of("NETFILTER_DROP"), of("NO_SOCKET")),
        (by_filter, without_socket),
        "{arguments:?}"
    );
    assert_eq!(summary.tail_drops, 0);
    Ok(())
}

#[test]
fn each_filter_lets_through_what_it_names() -> Result<()> {
    let _turn = turn::shared()?;
    check(&[], 5, 3)?;
    check(&["--reason", "NETFILTER_*"], 5, 0)?;
    check(&["--reason", "NO_SOCKET,NETFILTER_DROP"], 5, 3)?;
    check(&["--location", "*udp*"], 0, 3)?;
    check(&["--class", "error"], 0, 3)?;
    check(&["--class", "error", "--class", "policy"], 5, 3)?;
    check(&["--protocol", "tcp"], 0, 0)?;
    check(&["--direction", "transmit"], 0, 0)?;
    check(&["--interface", DEVICE, "--direction", "receive"], 5, 3)?;
    check(&["--interface", "lo"], 0, 0)?;
    check(&["--address", "192.0.2.0/24"], 5, 3)
}

#[test]
fn only_the_addresses_that_are_named_are_captured() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let other = pair.subnet()?.v4(77).to_string();
    let capture = tests::exporter::capture::Capture::start(&["--address", &other, "--protocol", "udp"])?;
    send_datagrams(&pair.client, pair.to(Family::V4, 9)?, 4, 100)?;
    let (captured, _) = capture.stop()?;
    assert!(captured.packets.is_empty(), "{captured:?}");
    Ok(())
}

#[test]
fn a_configuration_ignores_and_classifies() -> Result<()> {
    let _turn = turn::shared()?;
    let config =
        config_file("drops: {ignore: [{reason: NETFILTER_DROP}], classes: [{class: benign, reason: NO_SOCKET}]}")?;
    let path = config.path().to_string_lossy();
    check(&["--config.file", &path], 0, 3)?;
    check(&["--config.file", &path, "--class", "benign"], 0, 3)?;
    check(&["--config.file", &path, "--class", "error"], 0, 0)
}
