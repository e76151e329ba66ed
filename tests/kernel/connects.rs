//! Connections that fail, and resets.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use socket2::{Domain, SockRef, Socket, Type};
use tests::exporter::start;
use tests::kernel::counters::Counters;
use tests::kernel::kernel_facts::{has_type_name, skip};
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::pair::{Pair, of_each_family};
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{CLIENT, Family, Subnet, config};
use tests::net::traffic::{Flow, listen};

const FAILED: &str = "tcpvitals_tcp_connections_failed_total";
const RESETS: &str = "tcpvitals_tcp_resets_total";
const RESET_IN_USE: &str = "tcpvitals_tcp_connections_reset_total";

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

/// Lets the server's host answer with an ICMP error.
fn reject(pair: &Pair, answer: &str) -> Result<()> {
    nft::load(
        &pair.server,
        &format!(
            "table inet away {{\n\
             \x20 chain in {{\n\
             \x20   type filter hook input priority 0; policy accept;\n\
             \x20   tcp dport 443 reject with {answer}\n\
             \x20 }}\n\
             }}\n"
        ),
    )
}

#[test]
fn a_router_that_says_no_makes_the_host_or_the_network_unreachable() -> Result<()> {
    check("host_unreachable", 2, |pair| {
        reject(pair, "icmpx type host-unreachable")
    })?;
    check("network_unreachable", 2, |pair| reject(pair, "icmpx type no-route"))
}

#[test]
fn a_router_that_prohibits_says_so_over_ipv6_only() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    reject(&pair, "icmpx type admin-prohibited")?;
    for (family, error) in [(Family::V4, Errno::EHOSTUNREACH), (Family::V6, Errno::EACCES)] {
        let to = pair.to(family, 443)?;
        let failed = pair.client.run(|| Ok(TcpStream::connect(to).err()))?;
        assert_eq!(failed.and_then(|error| error.raw_os_error()), Some(error as i32));
    }
    let scrape = exporter.scrape()?;
    assert_eq!(
        scrape.by(FAILED, "reason", &[("subnet", &subnet)])?,
        [("host_unreachable".to_owned(), 1.0), ("prohibited".to_owned(), 1.0)].into()
    );
    Ok(())
}

/// An application that waits so long for an answer that does not come, and the reason for which it counts.
fn check_impatient(wait: Duration, reason: &str) -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in &pairs {
        let subnet = pair.subnet()?.name();
        let to = pair.to(*family, 443)?;
        nft::drop_matching(&pair.server, "prerouting", "tcp flags syn")?;
        assert!(pair.client.run(|| Ok(TcpStream::connect_timeout(&to, wait).is_err()))?);
        let scrape = exporter.scrape()?;
        let labels = [("subnet", &*subnet), ("role", "client")];
        assert_eq!(scrape.by(FAILED, "reason", &labels)?, [(reason.to_owned(), 1.0)].into());
        let counters = Counters::read(&pair.client)?;
        let repeated = counters.get("TcpExtTCPSynRetrans")?;
        assert_eq!(repeated > 0, reason == "unanswered", "{repeated}");
        let sent_again = "tcpvitals_tcp_handshake_retransmits_total";
        assert_eq!(
            scrape.sum(sent_again, &[labels[0], ("segment", "syn")])?,
            repeated as f64
        );
        assert_eq!(
            counters.get("TcpAttemptFails")?,
            0,
            "the kernel does not call this a failure"
        );
    }
    Ok(())
}

#[test]
fn who_gives_up_after_a_retransmitted_syn_got_no_answer() -> Result<()> {
    check_impatient(Duration::from_millis(1_400), "unanswered")
}

#[test]
fn who_gives_up_at_once_cancels() -> Result<()> {
    check_impatient(Duration::from_millis(200), "cancelled")
}

#[test]
fn a_connect_without_a_free_port_fails_before_its_syn() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in &pairs {
        let subnet = pair.subnet()?.name();
        let to = pair.to(*family, 443)?;
        pair.client.set("net.ipv4.ip_local_port_range=40000 40001")?;
        let listener = listen(&pair.server, to)?;
        let attempts: Vec<_> = pair
            .client
            .run(|| Ok((0..6).map(|_| TcpStream::connect(to)).collect()))?;
        let errors: Vec<_> = attempts
            .iter()
            .filter_map(|attempt| attempt.as_ref().err()?.raw_os_error())
            .collect();
        assert_eq!(errors, [Errno::EADDRNOTAVAIL as i32; 4]);
        // A port of its own choice that the connection is open on already.
        let taken = attempts
            .iter()
            .find_map(|attempt| attempt.as_ref().ok()?.local_addr().ok())
            .context("a connection")?;
        let again = pair.client.run(|| {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&taken.into())?;
            Ok(socket.connect(&to.into()))
        });
        // Some kernels refuse the port at once: then there was no attempt.
        let tried = again.is_ok();
        let scrape = exporter.scrape()?;
        let labels = [("subnet", &*subnet), ("role", "client"), ("app_protocol", "https")];
        let expected = errors.len() + usize::from(tried);
        assert_eq!(
            scrape.by(FAILED, "reason", &labels)?,
            [("no_local_port".to_owned(), expected as f64)].into()
        );
        assert_eq!(Counters::read(&pair.client)?.get("TcpActiveOpens")?, 2);
        drop((listener, attempts));
    }
    Ok(())
}

/// The socket does not leave the state in which it was made, and tells of it when it goes.
#[test]
fn what_the_routing_table_refuses_had_no_route() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    let subnet = pair.subnet()?;
    let to = pair.to(Family::V4, 443)?;
    for (kind, error) in [
        ("unreachable", Errno::EHOSTUNREACH),
        ("prohibit", Errno::EACCES),
        ("blackhole", Errno::EINVAL),
    ] {
        pair.client.exec(&format!("ip route replace {kind} {}/32", to.ip()))?;
        let failed = pair.client.run(|| Ok(TcpStream::connect(to).err()))?;
        assert_eq!(failed.and_then(|failed| failed.raw_os_error()), Some(error as i32));
    }
    let scrape = exporter.scrape()?;
    let mut by_reason = scrape.by(FAILED, "reason", &[("subnet", &subnet.name())])?;
    by_reason.retain(|_, count| *count > 0.0);
    assert_eq!(by_reason, [("no_route".to_owned(), 3.0)].into());
    assert_eq!(Counters::read(&pair.client)?.get("TcpActiveOpens")?, 0);
    Ok(())
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

/// Ends a connection by a reset.
fn reset(stream: TcpStream) -> Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

#[test]
fn resets_of_connections_in_use_are_told_from_those_of_idle_and_closing_ones() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(format!("{config}metrics: {{include: [tcpvitals_*]}}\n"))?;
    for (family, pair) in &pairs {
        let open = |port| Flow::open(pair, *family, port);
        // A peer that crashes, one that does so at once, and a client that gives up.
        let (used, fresh, given_up) = (open(80)?, open(81)?, open(82)?);
        used.exchange(300, 5_000)?;
        reset(used.server)?;
        reset(fresh.server)?;
        given_up.exchange(300, 5_000)?;
        reset(given_up.client)?;
        // One of a pool that nobody has used for a while, and one that its client has closed.
        let (idle, closing) = (open(83)?, open(84)?);
        idle.exchange(300, 5_000)?;
        closing.exchange(300, 5_000)?;
        closing.client.shutdown(Shutdown::Write)?;
        reset(closing.server)?;
        sleep(Duration::from_millis(1_300));
        reset(idle.server)?;
        let scrape = exporter.scrape()?;
        let subnet = pair.subnet()?.name();
        let in_use = scrape.by(RESET_IN_USE, "role", &[("subnet", &subnet)])?;
        assert_eq!(
            in_use,
            [("client".to_owned(), 2.0), ("server".to_owned(), 1.0)].into(),
            "{family:?}"
        );
        let received = scrape.by(RESETS, "role", &[("subnet", &subnet), ("direction", "receive")])?;
        assert_eq!(
            received,
            [("client".to_owned(), 4.0), ("server".to_owned(), 1.0)].into(),
            "{family:?}"
        );
    }
    Ok(())
}
