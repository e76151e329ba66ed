//! What a filter, a program or a user of a queue decided to drop.

use anyhow::{Context as _, Result, ensure};
use tests::net::devices::xdp::{Mode, Verdict, Xdp};
use tests::net::nft;
use tests::net::nft::Count;
use tests::net::pair::DEVICE;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, send_datagrams, settle};

use super::{Dropped, Told};
use crate::suite::Stage;

/// A filter of the server or, on the way out, of the client; what it counts itself is expected.
fn filtered(stage: &Stage, at_client: bool, hook: &str, family: Family) -> Result<Told> {
    let end = if at_client { stage.client() } else { stage.server() };
    nft::drop_matching(end, hook, "udp dport 4000")?;
    for size in [0, 1, 100, 1400] {
        // A filter on the way out tells the sender.
        send_datagrams(stage.client(), stage.to(family, 4000), 5, size).err();
    }
    stage.at_rest()?;
    let dropped = nft::dropped(end)?;
    ensure!(dropped.packets > 0, "the filter dropped nothing");
    let make = if at_client { Dropped::sent } else { Dropped::received };
    Ok(Told::drops([
        make(stage, "policy", dropped.packets, dropped.bytes).because(&["NETFILTER_DROP"])
    ]))
}

pub(super) fn input(stage: &Stage, family: Family) -> Result<Told> {
    filtered(stage, false, "input", family)
}

pub(super) fn prerouting(stage: &Stage, family: Family) -> Result<Told> {
    filtered(stage, false, "prerouting", family)
}

pub(super) fn output(stage: &Stage, family: Family) -> Result<Told> {
    filtered(stage, true, "output", family)
}

pub(super) fn postrouting(stage: &Stage, family: Family) -> Result<Told> {
    filtered(stage, true, "postrouting", family)
}

/// The filter tells the sender why.
pub(super) fn rejected(stage: &Stage, family: Family) -> Result<Told> {
    nft::load(
        stage.server(),
        "table inet loss {\n counter dropped { }\n chain lossy {\n type filter hook input priority 0; policy accept;\n \
         udp dport 4000 counter name dropped reject\n }\n}\n",
    )?;
    send_datagrams(stage.client(), stage.to(family, 4000), 7, 100)?;
    stage.at_rest()?;
    let dropped = nft::dropped(stage.server())?;
    ensure!(dropped.packets == 7, "{dropped:?}");
    Ok(Told::drops([Dropped::received(
        stage,
        "policy",
        dropped.packets,
        dropped.bytes,
    )
    .because(&["NETFILTER_DROP"])]))
}

/// A chain of the device, before or after the stack.
fn of_device(stage: &Stage, at_client: bool, hook: &str) -> Result<Told> {
    let end = if at_client { stage.client() } else { stage.server() };
    nft::load(
        end,
        &format!(
            "table netdev loss {{\n counter dropped {{ }}\n chain lossy {{\n type filter hook {hook} device {DEVICE} priority 0; \
             policy accept;\n udp dport 4000 counter name dropped drop\n }}\n}}\n"
        ),
    )?;
    send_datagrams(stage.client(), stage.to(Family::V4, 4000), 9, 100).err();
    stage.at_rest()?;
    let dropped = nft::dropped(end)?;
    ensure!(dropped.packets == 9, "{dropped:?}");
    let make = if at_client { Dropped::sent } else { Dropped::received };
    Ok(Told::drops([
        make(stage, "policy", dropped.packets, dropped.bytes).because(&["NETFILTER_DROP"])
    ]))
}

pub(super) fn ingress(stage: &Stage) -> Result<Told> {
    of_device(stage, false, "ingress")
}

pub(super) fn egress(stage: &Stage) -> Result<Told> {
    of_device(stage, true, "egress")
}

/// A queue to a program that is not there.
pub(super) const QUEUE: &str = "table inet loss {\n counter queued { }\n chain lossy {\n type filter hook input priority 0; policy \
    accept;\n udp dport 4000 counter name queued queue num 7\n }\n}\n";

pub(super) fn queue_without_a_program(stage: &Stage, family: Family) -> Result<Told> {
    nft::load(stage.server(), QUEUE)?;
    send_datagrams(stage.client(), stage.to(family, 4000), 10, 100)?;
    stage.at_rest()?;
    let counters = nft::counters(stage.server())?;
    let queued = counters.get("queued").context("no counter")?;
    ensure!(queued.packets == 10, "{queued:?}");
    Ok(Told::drops([Dropped::received(
        stage,
        "policy",
        queued.packets,
        queued.bytes,
    )]))
}

/// The headers of Ethernet, IPv4 and UDP.
const HEADERS: u64 = 14 + 20 + 8;
const PAYLOAD: u64 = 777;

fn by_xdp(stage: &Stage, mode: Mode, frame: u64) -> Result<Told> {
    const DROP: i32 = 1;
    let length = i32::try_from(HEADERS + PAYLOAD)?;
    let program = Xdp::attach(
        stage.server(),
        DEVICE,
        mode,
        ("dropping", Verdict::Return(DROP)),
        length,
    )?;
    send_datagrams(stage.client(), stage.to(Family::V4, 9), 12, PAYLOAD.try_into()?)?;
    stage.at_rest()?;
    drop(program);
    Ok(Told::drops([Dropped::received(stage, "policy", 12, 12 * frame)]))
}

pub(super) fn xdp_generic(stage: &Stage) -> Result<Told> {
    by_xdp(stage, Mode::Generic, HEADERS - 14 + PAYLOAD)
}

pub(super) fn xdp_driver(stage: &Stage) -> Result<Told> {
    by_xdp(stage, Mode::Driver, HEADERS + PAYLOAD)
}

/// A classifier that drops, on either way.
pub(super) fn classified(stage: &Stage, at_client: bool) -> Result<Told> {
    let (end, way) = if at_client {
        (stage.client(), "egress")
    } else {
        (stage.server(), "ingress")
    };
    end.exec(&format!("tc qdisc add dev {DEVICE} clsact"))?;
    end.exec(&format!(
        "tc filter add dev {DEVICE} {way} protocol ip matchall action drop"
    ))?;
    send_datagrams(stage.client(), stage.to(Family::V4, 4000), 8, 100).err();
    stage.at_rest()?;
    let shown = end.exec(&format!("tc -s filter show dev {DEVICE} {way}"))?;
    ensure!(shown.contains("dropped 8"), "tc says {shown}");
    let told = match at_client {
        true => Dropped::sent(stage, "policy", 8, 8 * (100 + HEADERS)).because(&["TC_EGRESS"]),
        false => Dropped::received(stage, "policy", 8, 8 * (100 + HEADERS - 14)).because(&["TC_INGRESS", "QDISC_DROP"]),
    };
    Ok(Told::drops([told]))
}

/// A transfer of which a filter keeps back some segments; its count, and what the client sent again. Without the filter before the
/// connection closes: of the closing it would count on.
fn transfer(stage: &Stage, family: Family, at_client: bool, hook: &str) -> Result<(Count, u64)> {
    let end = if at_client { stage.client() } else { stage.server() };
    stage.client().ip(&[format!("link set dev {DEVICE} gso_max_segs 1")])?;
    let flows = [Flow::open(&stage.pair, family, 443)?];
    nft::drop_matching(end, hook, "tcp dport 443 numgen random mod 100 < 4")?;
    flows[0].exchange(500_000, 0)?;
    settle(&flows)?;
    let dropped = nft::dropped(end)?;
    nft::flush(end)?;
    ensure!(dropped.packets > 3, "{dropped:?}");
    let [client, _] = stage.at_rest()?;
    Ok((dropped, client.repeated_after_handshakes()?.try_into()?))
}

const OWN: &str = "tcpvitals_tcp_locally_dropped_segments_total";

/// Segments that this host's own filter keeps back: they are not the network's loss.
pub(super) fn own_segments(stage: &Stage, family: Family) -> Result<Told> {
    let (dropped, _) = transfer(stage, family, true, "output")?;
    let told = Told::drops([Dropped::sent(stage, "policy", dropped.packets, dropped.bytes)
        .of("tcp")
        .because(&["NETFILTER_DROP"])]);
    Ok(told
        .and(OWN, &[("role", "client")], dropped.packets)
        .and(OWN, &[("role", "server")], 0))
}

/// Segments that the far end's filter keeps back: here they are sent again, and nobody here dropped them.
pub(super) fn segments_on_arrival(stage: &Stage, family: Family) -> Result<Told> {
    let (dropped, repeated) = transfer(stage, family, false, "prerouting")?;
    let told = Told::drops([Dropped::received(stage, "policy", dropped.packets, dropped.bytes)
        .of("tcp")
        .because(&["NETFILTER_DROP"])]);
    let again = "tcpvitals_tcp_retransmitted_segments_total";
    Ok(told.and(again, &[("role", "client")], repeated).and(OWN, &[], 0))
}
