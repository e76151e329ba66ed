//! Connections that fail, and resets.

use std::collections::BTreeMap;
use std::net::TcpStream;

use anyhow::Result;
use tests::exporter::start;
use tests::kernel_facts::{has_type_name, skip};
use tests::namespace::Namespace;
use tests::pair::{Pair, of_each_family};
use tests::peer::{Offer, Peer};
use tests::subnet::{CLIENT, Subnet, config};
use tests::traffic::listen;
use tests::{nft, turn};

const FAILED: &str = "tcpvitals_tcp_connections_failed_total";
const RESETS: &str = "tcpvitals_tcp_resets_total";

/// Tries to connect in vain, so often, after `prepare`, and requires that just one reason is counted.
fn check(reason: &str, attempts: u32, prepare: impl Fn(&Pair) -> Result<()>) -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in &pairs {
        let subnet = pair.subnet()?.name();
        let to = pair.to(*family, 443)?;
        // One repetition is enough to give up.
        pair.client.set("net.ipv4.tcp_syn_retries=1")?;
        prepare(pair)?;
        for _ in 0..attempts {
            // A blocking call: one with a limit would ask the socket for its error, and give up itself.
            assert!(pair.client.run(|| Ok(TcpStream::connect(to).is_err()))?);
        }
        let scrape = exporter.scrape()?;
        let labels = [("subnet", &*subnet), ("role", "client"), ("app_protocol", "https")];
        assert_eq!(
            scrape.by(FAILED, "reason", &labels)?,
            [(reason.to_owned(), f64::from(attempts))].into()
        );
        assert_eq!(
            scrape.sum("tcpvitals_tcp_connections_opened_total", &[("subnet", &subnet)])?,
            0.0
        );
    }
    Ok(())
}

#[test]
fn a_closed_port_refuses() -> Result<()> {
    check("refused", 3, |_| Ok(()))
}

#[test]
fn silence_times_out() -> Result<()> {
    check("timed_out", 1, |pair| {
        nft::drop_matching(&pair.server, "prerouting", "tcp flags syn")
    })
}

#[test]
fn a_router_that_says_no_makes_the_host_unreachable() -> Result<()> {
    check("unreachable", 2, |pair| {
        nft::load(
            &pair.server,
            "table inet away {\n\
             \x20 chain in {\n\
             \x20   type filter hook input priority 0; policy accept;\n\
             \x20   tcp dport 443 reject with icmpx type host-unreachable\n\
             \x20 }\n\
             }\n",
        )
    })
}

#[test]
fn resets_are_counted_by_direction() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    let exporter = start(config(&[subnet]))?;
    let (_client, connection) = peer.accept(&namespace, 80, Offer::default())?;
    connection.reset()?;
    let listener = listen(&namespace, (subnet.v4(CLIENT), 80).into())?;
    let (_server, connection) = peer.connect(&listener, 41_000, Offer::default())?;
    connection.reset()?;
    for port in 0..5 {
        peer.knock(9, 42_000 + port, Offer::default())?;
    }
    let scrape = exporter.scrape()?;
    let by_direction = scrape.by(RESETS, "direction", &[("subnet", &subnet.name())])?;
    let mut expected = BTreeMap::from([("receive".to_owned(), 2.0)]);
    // The hook got a third argument, the reason, when it began to report these resets.
    if has_type_name("sk_rst_reason")? {
        expected.insert("transmit".to_owned(), 5.0);
    } else {
        skip("resets that are sent: this kernel reports none that belongs to no connection");
    }
    assert_eq!(by_direction, expected);
    let received = scrape.by(RESETS, "role", &[("subnet", &subnet.name()), ("direction", "receive")])?;
    assert_eq!(
        received,
        [("client".to_owned(), 1.0), ("server".to_owned(), 1.0)].into()
    );
    Ok(())
}
