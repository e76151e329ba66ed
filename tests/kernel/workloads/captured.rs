//! Dropped packets that are captured: their comments say whose they are, and filters choose by it.

use std::net::UdpSocket;

use anyhow::{Context as _, Result};
use tests::exporter::capture::{Capture, Packet};
use tests::exporter::config_file;
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::send_datagrams;

use super::pods::{CONTAINER, Logs, of_systemd};
use super::*;

const UID: &str = "8e8dacf6-cb82-4bd6-92de-8fe48bf67c99";
const POD: &str = "web-7d4b9c6f5-x2x9z";
const PORT: u16 = 4001;

/// Datagrams of a pod, of a unit and of nobody in particular that a filter drops, and those of them that these arguments let through.
fn captured(arguments: &[&str]) -> Result<Vec<Packet>> {
    let pair = Pair::new()?;
    let (logs, cgroups) = (Logs::new()?, Cgroups::of_threads()?);
    logs.tell("shop", POD, UID)?;
    let config = config_file(&format!("workloads: {}\n", logs.source()))?;
    let path = config.path().to_str().context("a path that is text")?;
    nft::drop_matching(&pair.client, "output", &format!("udp dport {PORT}"))?;
    nft::drop_matching(&pair.server, "input", "udp dport 9")?;
    let older = cgroups.make("system.slice/sender.service")?;
    let to = pair.to(Family::V4, PORT)?;
    let server = to.ip().to_string();
    let arguments = [&["--config.file", path, "--address", &server], arguments].concat();
    let capture = Capture::start(&arguments)?;
    let pod = make_for_program(&cgroups, &of_systemd(UID))?;
    for (cgroup, count) in [(&older, 3), (&pod, 5)] {
        cgroup.run(|| {
            let socket = pair.client.run(|| Ok(UdpSocket::bind("0.0.0.0:0")?))?;
            for _ in 0..count {
                // The filter refuses it at once.
                socket.send_to(&[0; 100], to).ok();
            }
            Ok(())
        })?;
    }
    // What comes in and is dropped before anybody asks for whom it is.
    send_datagrams(&pair.client, pair.to(Family::V4, 9)?, 2, 100)?;
    let (captured, _) = capture.stop()?;
    Ok(captured.packets)
}

fn count(packets: &[Packet], words: &[(&str, &str)]) -> usize {
    let fits = |packet: &&Packet| words.iter().all(|(key, value)| packet.word(key) == *value);
    packets.iter().filter(fits).count()
}

#[test]
fn a_comment_says_whose_a_packet_is() -> Result<()> {
    let _turn = turn::shared()?;
    let packets = captured(&["--reason=NETFILTER_DROP"])?;
    let of_unit = [
        ("workload", "sender.service"),
        ("workload_namespace", "\"\""),
        ("pod", ""),
    ];
    let of_pod = [
        ("workload", "web"),
        ("workload_namespace", "shop"),
        ("pod", POD),
        ("container_id", CONTAINER),
    ];
    assert_eq!(count(&packets, &of_unit), 3, "{packets:#?}");
    assert_eq!(count(&packets, &of_pod), 5, "{packets:#?}");
    assert_eq!(
        count(&packets, &[("direction", "receive"), ("pod", "")]),
        2,
        "{packets:#?}"
    );
    assert_eq!(packets.len(), 10);
    Ok(())
}

#[test]
fn packets_of_a_workload_are_captured_and_no_others() -> Result<()> {
    let _turn = turn::shared()?;
    for (arguments, workload, expected) in [
        (["--workload=sender*"], "sender.service", 3),
        (["--workload-namespace=shop,kube-system"], "web", 5),
    ] {
        let packets = captured(&arguments)?;
        assert_eq!(count(&packets, &[("workload", workload)]), expected, "{packets:#?}");
        assert_eq!(packets.len(), expected, "{packets:#?}");
    }
    Ok(())
}
