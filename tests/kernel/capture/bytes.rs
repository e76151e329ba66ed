//! The bytes of captured packets are those that were sent, wherever in the kernel they were dropped.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pcap_file::DataLink;
use tests::exporter::capture::Packet;
use tests::kernel::counters::Queue;
use tests::machine::turn;
use tests::machine::wait::until_stable;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::packet::datagram;
use tests::net::pair::{DEVICE, Pair};
use tests::net::peer::Peer;
use tests::net::subnet::{Family, Subnet};
use tests::net::traffic::{Flow, send_raw};

use super::{PORT, capture, send};

/// An Ethernet header between the two ends of a pair, whose hardware addresses the harness gives.
fn ethernet(ethertype: [u8; 2]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &ethertype].concat()
}

#[track_caller]
fn require(packet: &Packet, [reason, class, direction, protocol]: [&str; 4]) {
    let words = ["reason", "class", "direction", "protocol"].map(|key| packet.word(key));
    assert_eq!(words, [reason, class, direction, protocol], "{}", packet.comment);
    assert_eq!(packet.flags, if direction == "receive" { 1 } else { 2 });
    assert!(!packet.word("location").is_empty() && packet.word("cpu").parse::<u32>().is_ok());
}

#[test]
fn each_datagram_that_a_filter_drops_is_captured_as_it_was_sent() -> Result<()> {
    let _turn = turn::shared()?;
    for (family, ethertype, headers) in [(Family::V4, [8, 0], 20 + 8), (Family::V6, [0x86, 0xdd], 40 + 8)] {
        let pair = Pair::new()?;
        nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
        let capture = capture(&pair, &[])?;
        let sent: Vec<Vec<u8>> = (0..20u8)
            .map(|number| vec![number; 100 + usize::from(number)])
            .collect();
        for bytes in &sent {
            send(&pair.client, pair.to(family, PORT)?, bytes)?;
        }
        let (captured, summary) = capture.stop()?;
        assert_eq!(captured.counted, Some(summary));
        assert_eq!(
            (summary.captured, summary.tail_drops),
            (nft::dropped(&pair.server)?.packets, 0)
        );
        assert_eq!(captured.packets.len(), sent.len());
        for (packet, sent) in captured.packets.iter().zip(&sent) {
            require(packet, ["NETFILTER_DROP", "policy", "receive", "udp"]);
            assert_eq!((packet.interface.as_str(), packet.link), (DEVICE, DataLink::ETHERNET));
            assert_eq!(packet.bytes[..14], ethernet(ethertype));
            assert_eq!(packet.bytes[14 + headers..], *sent.as_slice());
            assert_eq!(packet.length as usize, packet.bytes.len());
        }
        assert!(captured.packets.is_sorted_by_key(|packet| packet.time));
    }
    Ok(())
}

#[test]
fn segments_whose_payload_lies_in_fragments_have_all_of_it() -> Result<()> {
    /// Of a stream in which every eight bytes are a number of their own.
    const WORDS: u64 = 1 << 17;
    let _turn = turn::shared()?;
    for (family, headers) in [(Family::V4, 14 + 20), (Family::V6, 14 + 40)] {
        let pair = Pair::new()?;
        let flow = Flow::open(&pair, family, 443)?;
        // What is longer than a page lies in fragments. Shorter segments pass, so that they get longer on a slow kernel, too.
        nft::drop_matching(
            &pair.server,
            "prerouting",
            "tcp dport 443 meta length > 4200 numgen inc mod 2 == 1",
        )?;
        let capture = capture(&pair, &["--reason", "NETFILTER_DROP"])?;
        let stream: Vec<u8> = (0..WORDS).flat_map(u64::to_be_bytes).collect();
        thread::scope(|scope| {
            let sender = scope.spawn(|| (&flow.client).write_all(&stream));
            let mut received = vec![0; stream.len()];
            (&flow.server).read_exact(&mut received)?;
            assert!(received == stream);
            sender
                .join()
                .map_err(|_panic| anyhow::anyhow!("the sender panicked"))??;
            anyhow::Ok(())
        })?;
        let (captured, summary) = capture.stop()?;
        assert_eq!(summary.captured, nft::dropped(&pair.server)?.packets);
        let mut longest = 0;
        for packet in &captured.packets {
            require(packet, ["NETFILTER_DROP", "policy", "receive", "tcp"]);
            assert_eq!(packet.length as usize, packet.bytes.len());
            let header = usize::from(packet.bytes[headers + 12] >> 4) * 4;
            let payload = &packet.bytes[headers + header..];
            // A word is anywhere from the first to the eighth byte of the payload.
            if payload.len() >= 16 {
                let place = (0..8).find_map(|skip| {
                    let word = u64::from_be_bytes(payload[skip..skip + 8].try_into().ok()?);
                    let begin = usize::try_from(word.checked_mul(8)?).ok()?.checked_sub(skip)?;
                    stream
                        .get(begin..begin + payload.len())
                        .filter(|there| *there == payload)
                });
                place.context("bytes that were never sent")?;
            }
            longest = longest.max(payload.len());
        }
        assert!(longest > 4096, "the longest segment has {longest} bytes");
    }
    Ok(())
}

#[test]
fn packets_without_a_link_layer_are_raw_ip() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    let address = peer.kernel_at(9).ip().to_string();
    let capture = tests::exporter::capture::Capture::start(&["--address", &address, "--direction", "receive"])?;
    let packet = datagram(peer.at(1000), peer.kernel_at(9), b"to a closed port");
    for _ in 0..7 {
        peer.inject(&packet)?;
    }
    let (captured, summary) = capture.stop()?;
    assert_eq!((summary.captured, captured.packets.len()), (7, 7));
    for captured in captured.packets {
        require(&captured, ["NO_SOCKET", "error", "receive", "udp"]);
        assert_eq!((captured.link, captured.bytes), (DataLink::RAW, packet.clone()));
    }
    Ok(())
}

#[test]
fn packets_that_never_came_to_the_link_layer_are_raw_ip_of_the_device_they_were_for() -> Result<()> {
    let _turn = turn::shared()?;
    for (family, version) in [(Family::V4, 4), (Family::V6, 6)] {
        let pair = Pair::new()?;
        nft::drop_matching(&pair.client, "output", &format!("udp dport {PORT}"))?;
        let capture = capture(&pair, &["--direction", "transmit", "--protocol", "udp"])?;
        for _ in 0..5 {
            // The socket is told at once that its packet was dropped.
            let refused = send(&pair.client, pair.to(family, PORT)?, b"never sent");
            assert!(refused.is_err());
        }
        let (captured, _) = capture.stop()?;
        assert_eq!(captured.packets.len() as u64, nft::dropped(&pair.client)?.packets);
        for packet in captured.packets {
            require(&packet, ["NETFILTER_DROP", "policy", "transmit", "udp"]);
            assert_eq!((packet.link, packet.interface.as_str()), (DataLink::RAW, DEVICE));
            assert_eq!(packet.bytes[0] >> 4, version);
            assert!(packet.bytes.ends_with(b"never sent"));
        }
    }
    Ok(())
}

#[test]
fn questions_for_a_hardware_address_are_captured_too() -> Result<()> {
    // These have no address by which the programs could tell them from what other tests drop, which would fill the queue.
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    for end in [&pair.client, &pair.server] {
        end.exec(&format!("ip link set dev {DEVICE} arp on"))?;
    }
    nft::load(
        &pair.server,
        "table arp loss {\n\
         \x20 counter dropped { }\n\
         \x20 chain lossy {\n\
         \x20   type filter hook input priority 0; policy accept;\n\
         \x20   arp operation request counter name dropped drop\n\
         \x20 }\n\
         }\n",
    )?;
    let capture = tests::exporter::capture::Capture::start(&["--protocol", "arp", "--interface", DEVICE])?;
    let nobody = pair.subnet()?.v4(77);
    for _ in 0..3 {
        send(&pair.client, (nobody, PORT).into(), b"where are you?")?;
    }
    // A question is asked again after a second.
    let dropped = until_stable("the questions to end", Duration::from_millis(1500), || {
        nft::dropped(&pair.server)
    })?;
    assert!(dropped.packets > 0);
    let (captured, _) = capture.stop()?;
    let ours: Vec<_> = captured
        .packets
        .iter()
        .filter(|packet| packet.bytes.ends_with(&nobody.octets()))
        .collect();
    assert_eq!(ours.len() as u64, dropped.packets);
    for packet in ours {
        require(packet, ["NETFILTER_DROP", "policy", "receive", "arp"]);
        assert_eq!((packet.link, packet.interface.as_str()), (DataLink::ETHERNET, DEVICE));
        assert_eq!(packet.bytes[..12], [[0xff; 6], [2, 0, 0, 0, 0, 1]].concat());
        assert_eq!(packet.bytes[12..14], [8, 6]);
    }
    Ok(())
}

#[test]
fn what_is_neither_ip_nor_has_a_link_layer_says_its_protocol() -> Result<()> {
    /// For experiments (IEEE 802).
    const EXPERIMENTAL: u16 = 0x88b5;
    const TUN: &str = "tun0";
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let _device = Peer::new(&namespace, Subnet::take()?)?;
    // Longer than the queue will ever let through at once.
    namespace.exec(&format!(
        "tc qdisc add dev {TUN} root tbf rate 8kbit burst 100 limit 1000"
    ))?;
    let capture = tests::exporter::capture::Capture::start(&["--protocol", "other", "--interface", TUN])?;
    let sent = [b"nobody knows this protocol".as_slice(), &[0xee; 400]].concat();
    send_raw(&namespace, TUN, EXPERIMENTAL, 6, &sent)?;
    let (captured, _) = capture.stop()?;
    let ours: Vec<_> = captured
        .packets
        .iter()
        .filter(|packet| packet.bytes.ends_with(&sent))
        .collect();
    assert_eq!(
        (ours.len() as u64, Queue::read(&namespace, TUN)?.drops),
        (6, 6),
        "{captured:?}"
    );
    for packet in ours {
        require(packet, ["QDISC_DROP", "capacity", "transmit", "other"]);
        assert_eq!((packet.link, packet.interface.as_str()), (DataLink::LINUX_SLL2, TUN));
        let (header, bytes) = packet.bytes.split_at(20);
        assert_eq!(bytes, sent);
        assert_eq!(header[..2], EXPERIMENTAL.to_be_bytes());
        // ARPHRD_NONE, and sent by this host.
        assert_eq!(header[8..11], [0xff, 0xfe, 4]);
    }
    Ok(())
}

#[test]
fn packets_are_cut_and_keep_their_length() -> Result<()> {
    let _turn = turn::shared()?;
    for (snaplen, expected) in [("60", 60), ("14", 14), ("1", 1), ("5000", 14 + 20 + 8 + 900)] {
        let pair = Pair::new()?;
        nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
        let capture = capture(&pair, &["--snaplen", snaplen])?;
        send(&pair.client, pair.to(Family::V4, PORT)?, &[7; 900])?;
        let (captured, _) = capture.stop()?;
        let [packet] = captured.packets.as_slice() else {
            anyhow::bail!("{captured:?}");
        };
        assert_eq!((packet.length, packet.bytes.len()), (14 + 20 + 8 + 900, expected));
    }
    Ok(())
}
