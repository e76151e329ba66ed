//! Drops by application protocol, against the counters of nftables.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};

use anyhow::Result;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Launch, start};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::dual_stack;

const PACKETS: &str = "tcpvitals_dropped_packets_total";
const LABELS: &str = "labels: {drops: [reason, class, direction, protocol, subnet, app_protocol]}\n";

/// One end of what is dropped: from this port to that one, so many datagrams.
type Sent = (u16, u16, u64);

/// A counter for each kind that is dropped, by its name.
fn ruleset(hook: &str, rules: &[(&str, &str)]) -> String {
    let counters: String = rules
        .iter()
        .map(|(name, _)| format!("  counter {name} {{ }}\n"))
        .collect();
    let drops: String = rules
        .iter()
        .map(|(name, condition)| format!("    {condition} counter name {name} drop\n"))
        .collect();
    format!(
        "table inet loss {{\n{counters}  chain lossy {{\n    type filter hook {hook} priority 0; policy accept;\n{drops}  }}\n}}\n"
    )
}

/// What is told apart: DNS and QUIC by either end, and what has no name.
const RULES: &[(&str, &str)] = &[
    ("dns", "udp dport 53"),
    ("dns_answers", "udp sport 53"),
    ("quic", "udp dport 443"),
    ("quic_answers", "udp sport 443"),
    ("nameless", "udp dport 4321"),
];

/// Each kind as often as no other.
const SENT: &[Sent] = &[
    (40_001, 53, 3),
    (53, 40_002, 5),
    (40_003, 443, 7),
    (443, 40_004, 11),
    (4_322, 4_321, 13),
];

fn send(from: &Namespace, to: impl Fn(u16) -> Result<SocketAddr> + Sync) -> Result<()> {
    from.run(|| {
        for &(source, destination, count) in SENT {
            let socket = UdpSocket::bind(dual_stack(source))?;
            for _ in 0..count {
                // What the own filter drops is an error of the call.
                let _refused = socket.send_to(b"12345678", to(destination)?);
            }
        }
        Ok(())
    })
}

/// IPv4 as a dual-stack socket wants it.
fn mapped(to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(to) => (to.ip().to_ipv6_mapped(), to.port()).into(),
        SocketAddr::V6(_) => to,
    }
}

fn by_protocol(scrape: &Scrape, subnet: &str, direction: &str) -> Result<BTreeMap<String, f64>> {
    let labels = [
        ("subnet", subnet),
        ("direction", direction),
        ("protocol", "udp"),
        ("reason", "NETFILTER_DROP"),
    ];
    scrape.by(PACKETS, "app_protocol", &labels)
}

/// What nftables has dropped of each application protocol.
fn of_nft(namespace: &Namespace) -> Result<BTreeMap<String, f64>> {
    let counters = nft::counters(namespace)?;
    let sum = |names: &[&str]| names.iter().map(|name| counters[*name].packets as f64).sum();
    Ok([
        ("dns".to_owned(), sum(&["dns", "dns_answers"])),
        ("https".to_owned(), sum(&["quic", "quic_answers"])),
        ("other".to_owned(), sum(&["nameless"])),
    ]
    .into())
}

#[test]
fn dns_and_quic_are_told_apart_by_either_port_in_either_direction() -> Result<()> {
    let _turn = turn::shared()?;
    for (hook, direction) in [("input", "receive"), ("output", "transmit")] {
        let pair = Pair::new()?;
        let exporter = start(format!("{}{LABELS}", pair.config()))?;
        let sender = &pair.client;
        let filter = if hook == "input" { &pair.server } else { sender };
        nft::load(filter, &ruleset(hook, RULES))?;
        for family in [Family::V4, Family::V6] {
            send(sender, |port| Ok(mapped(pair.to(family, port)?)))?;
        }
        let both: u64 = SENT.iter().map(|(.., count)| 2 * count).sum();
        until("all are dropped", || {
            let sum: u64 = nft::counters(filter)?.values().map(|count| count.packets).sum();
            Ok((sum == both).then_some(()))
        })?;
        let subnet = pair.subnet()?.name();
        assert_eq!(
            by_protocol(&exporter.scrape()?, &subnet, direction)?,
            of_nft(filter)?,
            "{hook}"
        );
        let rows = exporter.get("/api/v1/drops?app_protocol=dns&limit=100", "application/json")?;
        assert!(rows.body.contains("\"app_protocol\":\"dns\""), "{}", rows.body);
    }
    Ok(())
}

/// Only the first fragment has ports; the others are of nobody.
#[test]
fn fragments_behind_the_first_have_no_application() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(format!("{}{LABELS}", pair.config()))?;
    // Before anything puts fragments together.
    let rules = [
        ("first", "ip frag-off & 0x1fff == 0 udp dport 443"),
        ("later", "ip frag-off & 0x1fff != 0"),
    ];
    let ruleset = ruleset("prerouting", &rules).replace("priority 0", "priority -450");
    nft::load(&pair.server, &ruleset)?;
    pair.client.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        for _ in 0..4 {
            socket.send_to(&[0; 4000], pair.to(Family::V4, 443)?)?;
        }
        Ok(())
    })?;
    let counters = until("all are dropped", || {
        let counters = nft::counters(&pair.server)?;
        Ok((counters["first"].packets == 4 && counters["later"].packets >= 8).then_some(counters))
    })?;
    let expected = [("https", "first"), ("other", "later")];
    let expected = expected.map(|(name, counter)| (name.to_owned(), counters[counter].packets as f64));
    let shown = by_protocol(&exporter.scrape()?, &pair.subnet()?.name(), "receive")?;
    assert_eq!(shown, expected.into());
    Ok(())
}

#[test]
fn nobody_looks_for_ports_unless_asked() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = Launch::new(pair.config())
        .arguments(&["--web.enable-lifecycle"])
        .start()?;
    nft::load(&pair.server, &ruleset("input", RULES))?;
    send(&pair.client, |port| Ok(mapped(pair.to(Family::V4, port)?)))?;
    let all: u64 = SENT.iter().map(|(.., count)| count).sum();
    let subnet = pair.subnet()?.name();
    let of_subnet = [("subnet", &*subnet), ("protocol", "udp"), ("reason", "NETFILTER_DROP")];
    let scrape = until("all are counted", || {
        let scrape = exporter.scrape()?;
        Ok((scrape.sum(PACKETS, &of_subnet)? == all as f64).then_some(scrape))
    })?;
    let mut rows = scrape.matching(PACKETS, &of_subnet);
    assert!(rows.all(|(series, _)| !series.labels.contains_key("app_protocol")));
    // Asked for by a reload, what is dropped from then on is told apart.
    exporter.reload(&format!("{}{LABELS}", pair.config()))?;
    send(&pair.client, |port| Ok(mapped(pair.to(Family::V4, port)?)))?;
    until("all are counted", || {
        let sum: u64 = nft::counters(&pair.server)?.values().map(|count| count.packets).sum();
        Ok((sum == 2 * all).then_some(()))
    })?;
    let shown = by_protocol(&exporter.scrape()?, &subnet, "receive")?;
    let expected = [("dns", 8.0), ("https", 18.0), ("other", 13.0 + all as f64)];
    assert_eq!(shown, expected.map(|(name, count)| (name.to_owned(), count)).into());
    Ok(())
}
