//! What had no room, or no way out of a device.

use std::net::UdpSocket;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::kernel::counters::{Counters, Queue};
use tests::machine::wait::until;
use tests::net::namespace::Namespace;
use tests::net::pair::DEVICE;
use tests::net::peer::Peer;
use tests::net::subnet::{Family, SERVER};
use tests::net::traffic::{send_datagrams, small_udp_receiver};

use super::{Dropped, Told, far};
use crate::suite::Stage;

/// The headers of Ethernet, of IP of a family, and of UDP.
fn headers(family: Family) -> u64 {
    match family {
        Family::V4 => 14 + 20 + 8,
        Family::V6 => 14 + 40 + 8,
    }
}

/// A queueing discipline without room, by its own count.
pub(super) fn full(stage: &Stage, family: Family, words: &str) -> Result<Told> {
    stage
        .client()
        .exec(&format!("tc qdisc add dev {DEVICE} root {words}"))?;
    let to = stage.to(family, 4000);
    let receiver = stage.server().run(|| Ok(UdpSocket::bind(to)?))?;
    send_datagrams(stage.client(), to, 60, 1000)?;
    stage.at_rest()?;
    let drops = Queue::read(stage.client(), DEVICE)?.drops;
    ensure!(drops > 20, "the queue dropped {drops}");
    drop(receiver);
    Ok(Told::drops([Dropped::sent(
        stage,
        "capacity",
        drops,
        drops * (1000 + headers(family)),
    )]))
}

/// Sent packets that a device dropped, as it counts itself.
fn dropped_by(namespace: &Namespace, device: &str) -> Result<u64> {
    let text = namespace.exec(&format!("ip -j -s link show dev {device}"))?;
    let listing: Value = serde_json::from_str(&text)?;
    listing[0]["stats64"]["tx"]["dropped"]
        .as_u64()
        .ok_or_else(|| anyhow::anyhow!("no number in {text}"))
}

/// A TUN device whose program does not read.
pub(super) fn full_tun(stage: &Stage) -> Result<Told> {
    let peer = Peer::new(stage.client(), stage.second())?;
    stage
        .client()
        .ip(&[format!("link set dev {} txqueuelen 10", tests::net::peer::DEVICE)])?;
    let to = (stage.second().v4(SERVER), 9).into();
    send_datagrams(stage.client(), to, 30, 100)?;
    let lost = dropped_by(stage.client(), tests::net::peer::DEVICE)?;
    ensure!(lost == 20, "the device dropped {lost}");
    drop(peer);
    Ok(Told::drops([Dropped {
        subnet: far(stage.second()),
        connection_type: "tunnel",
        ..Dropped::sent(stage, "capacity", lost, lost * (100 + 28))
    }
    .because(&["FULL_RING"])]))
}

/// The other end of the cable is not up, and the kernel has taken the device's queue away, which it does some time later.
pub(super) fn no_carrier(stage: &Stage) -> Result<Told> {
    stage.server().ip(&[format!("link set dev {DEVICE} down")])?;
    until("the device to be down", || {
        let device = stage.client().exec(&format!("ip link show dev {DEVICE}"))?;
        Ok((!device.contains("state UP")).then_some(()))
    })?;
    send_datagrams(stage.client(), stage.to(Family::V4, 9), 5, 100)?;
    Ok(Told::drops([Dropped::sent(
        stage,
        "error",
        5,
        5 * (100 + headers(Family::V4)),
    )
    .because(&["QDISC_DROP"])]))
}

/// A neighbour that does not answer: some datagrams wait for it, and each of them is answered by an ICMP message when it is given
/// up; the others find no room.
pub(super) fn no_neighbour(stage: &Stage) -> Result<Told> {
    let client = stage.client();
    // That also forgets whom it knows.
    client.ip(&[format!("link set dev {DEVICE} arp on")])?;
    client.set(&format!("net.ipv4.neigh.{DEVICE}.retrans_time_ms=100"))?;
    client.set(&format!("net.ipv4.neigh.{DEVICE}.unres_qlen_bytes=4000"))?;
    // The server would answer; it does not know the address any more.
    stage
        .server()
        .ip(&[format!("address del {}/24 dev {DEVICE}", stage.subnet().v4(SERVER))])?;
    let count: u64 = 12;
    send_datagrams(client, stage.to(Family::V4, 9), count.try_into()?, 100)?;
    // One after another: a processor that is busy may take its time between them.
    until("the neighbour to be given up", || {
        Ok((Counters::read(client)?.get("IcmpOutDestUnreachs")? > 0).then_some(()))
    })?;
    let [after, _] = stage.at_rest()?;
    let given_up = after.get("IcmpOutDestUnreachs")?;
    let given_up = u64::try_from(given_up)?;
    ensure!((1..count).contains(&given_up), "{given_up} were given up");
    let each = 100 + 28;
    Ok(Told::drops([
        Dropped::sent(stage, "error", given_up, given_up * each).because(&["NEIGH_FAILED"]),
        Dropped::sent(stage, "capacity", count - given_up, (count - given_up) * each).because(&["NEIGH_QUEUEFULL"]),
    ]))
}

/// Datagrams of many fragments find no room.
pub(super) fn full_buffer_in_fragments(stage: &Stage, family: Family, counter: &str) -> Result<Told> {
    let to = stage.to(family, 4000);
    let receiver = small_udp_receiver(stage.server(), to)?;
    send_datagrams(stage.client(), to, 10, 8000)?;
    let [_, server] = stage.at_rest()?;
    let lost = u64::try_from(server.get(counter)?)?;
    ensure!(lost > 3, "the kernel counts {lost}");
    drop(receiver);
    Ok(Told::drops([
        Dropped::received(stage, "capacity", lost, lost * 8000).because(&["SOCKET_RCVBUFF"])
    ]))
}

/// A ring of a veth that is full; its packets are the sender's own loss.
pub(super) fn full_veth_ring(stage: &Stage) -> Result<Told> {
    use tests::net::socket::{Offload, set_offload};
    use tests::net::traffic::{Flow, settle};
    for end in [stage.client(), stage.server()] {
        end.ip(&[format!("link set dev {DEVICE} mtu 600")])?;
    }
    set_offload(stage.server(), DEVICE, Offload::Gro, true)?;
    let flows = [Flow::open(&stage.pair, Family::V4, 443)?];
    let mut lost = 0;
    for _ in 0..5 {
        if lost == 0 {
            flows[0].exchange(3_000_000, 0)?;
            settle(&flows)?;
            lost = dropped_by(stage.client(), DEVICE)?;
        }
    }
    if lost == 0 {
        tests::kernel::kernel_facts::note("the ring of a veth: it had room for all");
    }
    let [client, _] = stage.at_rest()?;
    let repeated = u64::try_from(client.repeated_after_handshakes()?)?;
    Ok(Told::drops([])
        .and(
            "tcpvitals_tcp_locally_dropped_segments_total",
            &[("role", "client")],
            lost,
        )
        .and(
            "tcpvitals_tcp_retransmitted_segments_total",
            &[("role", "client")],
            repeated,
        )
        .and("tcpvitals_dropped_packets_total", &[("class", "error")], 0)
        .and(
            "tcpvitals_dropped_packets_total",
            &[("class", "capacity"), ("direction", "transmit")],
            lost,
        ))
}
