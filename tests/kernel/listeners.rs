//! Listeners that turn handshakes away, and handshakes that are reset, against the counters of the namespace.

use std::net::{SocketAddr, TcpListener};
use std::process;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::kernel::counters::Counters;
use tests::kernel::kernel_facts::skip;
use tests::machine::turn;
use tests::machine::wait::until_stable;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::packet::{Options, Segment, flag};
use tests::net::pair::Pair;
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{CLIENT, Family, Subnet, config};
use tests::net::traffic::listen;

pub(crate) const TURNED_AWAY: &str = "tcpvitals_tcp_listen_drops_total";

/// A port that no other test listens on, and a configuration that gives it a name: whose the handshakes were nobody knows, so
/// the subnet cannot tell these tests from others.
fn served(config: &str, number: u16) -> Result<(u16, String, String)> {
    let port = 20_000 + u16::try_from(process::id() % 2_000)? * 4 + number;
    let name = format!("served-{port}");
    let config = format!("{config}app_protocols: [{{name: {name}, ports: [{port}]}}]\n");
    Ok((port, name, config))
}

/// Whether this kernel tells of listeners; says so if not.
pub(crate) fn is_told(exporter: &Exporter<'_>) -> Result<bool> {
    let scrape = exporter.scrape()?;
    let labels = [("program", "fold_listeners")];
    let (series, attached) = scrape
        .matching("tcpvitals_program_attached", &labels)
        .next()
        .context("no such program")?;
    if attached == 0.0 {
        skip(&format!("what listeners turn away: {:?}", series.labels.get("reason")));
    }
    Ok(attached != 0.0)
}

/// Requires what was turned away by cause, and that none of it has labels of somebody else.
fn require(scrape: &Scrape, name: &str, causes: &[(&str, i64)]) -> Result<()> {
    let labels = [("app_protocol", name), ("role", "server"), ("subnet", "none")];
    let expected = causes.iter().map(|(cause, count)| ((*cause).to_owned(), *count as f64));
    assert_eq!(scrape.by(TURNED_AWAY, "cause", &labels)?, expected.collect());
    let all: i64 = causes.iter().map(|(_, count)| count).sum();
    assert_eq!(scrape.sum(TURNED_AWAY, &[("app_protocol", name)])?, all as f64);
    Ok(())
}

/// Begins so many connections and does not wait for them.
pub(crate) fn begin(namespace: &Namespace, to: SocketAddr, count: u32) -> Result<Vec<Socket>> {
    namespace.run(|| {
        (0..count)
            .map(|_| {
                let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                let _in_progress = socket.connect(&to.into());
                Ok(socket)
            })
            .collect()
    })
}

pub(crate) fn listen_for(namespace: &Namespace, to: SocketAddr, backlog: i32) -> Result<TcpListener> {
    namespace.run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&to.into())?;
        socket.listen(backlog)?;
        Ok(socket.into())
    })
}

/// Two values that belong together: what the namespace has turned away does not move between them.
pub(crate) fn at_rest(namespace: &Namespace, exporter: &Exporter<'_>) -> Result<(Counters, Scrape)> {
    let quiet = Duration::from_millis(150);
    until_stable("the listener", quiet, || {
        Counters::read(namespace)?.get("TcpExtListenDrops")
    })?;
    Ok((Counters::read(namespace)?, exporter.scrape()?))
}

#[test]
fn a_full_accept_queue_turns_away_syns_and_last_acks() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (port, name, config) = served(&pair.config(), 0)?;
    let exporter = start(config)?;
    if !is_told(&exporter)? {
        return Ok(());
    }
    for family in [Family::V4, Family::V6] {
        let before = Counters::read(&pair.server)?.get("TcpExtListenDrops")?;
        let to = pair.to(family, port)?;
        let listener = listen_for(&pair.server, to, 1)?;
        let clients = begin(&pair.client, to, 8)?;
        // The first repetition of those SYNs that were turned away.
        sleep(Duration::from_millis(1_200));
        let (counters, scrape) = at_rest(&pair.server, &exporter)?;
        let turned_away = counters.get("TcpExtListenDrops")?;
        assert!(turned_away >= before + 6, "{turned_away}");
        assert_eq!(turned_away, counters.get("TcpExtListenOverflows")?);
        require(&scrape, &name, &[("accept_queue_full", turned_away)])?;
        // What is turned away until the end counts too.
        drop(listener);
        let (counters, scrape) = at_rest(&pair.server, &exporter)?;
        require(
            &scrape,
            &name,
            &[("accept_queue_full", counters.get("TcpExtListenDrops")?)],
        )?;
        drop(clients);
    }
    Ok(())
}

#[test]
fn a_full_syn_queue_turns_away_syns_where_there_are_no_cookies() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (port, name, config) = served(&pair.config(), 1)?;
    let exporter = start(config)?;
    if !is_told(&exporter)? {
        return Ok(());
    }
    pair.server.set("net.ipv4.tcp_syncookies=0")?;
    pair.server.set("net.ipv4.tcp_max_syn_backlog=2")?;
    let to = pair.to(Family::V4, port)?;
    let listener = listen_for(&pair.server, to, 16)?;
    // Their handshakes do not end.
    nft::drop_matching(&pair.client, "prerouting", "tcp flags & (syn | ack) == syn | ack")?;
    let clients = begin(&pair.client, to, 12)?;
    let (counters, scrape) = at_rest(&pair.server, &exporter)?;
    let turned_away = counters.get("TcpExtListenDrops")?;
    assert!(turned_away >= 9, "{turned_away}");
    assert_eq!(counters.get("TcpExtListenOverflows")?, 0);
    require(&scrape, &name, &[("syn_queue_full", turned_away)])?;
    drop((listener, clients));
    Ok(())
}

/// The kernel adds all of these to what a listener dropped, but they turn nobody away.
#[test]
fn resets_of_handshakes_and_other_strays_are_no_handshakes_turned_away() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    let (port, name, config) = served(&config(&[subnet]), 2)?;
    let exporter = start(config)?;
    if !is_told(&exporter)? {
        return Ok(());
    }
    let listener = listen(&namespace, (subnet.v4(CLIENT), port).into())?;
    let of = |source, flags, sequence, acknowledgment| Segment {
        source: peer.at(source),
        destination: peer.kernel_at(port),
        sequence,
        acknowledgment,
        flags,
        window: 1000,
        options: Options::default(),
        payload: Vec::new(),
    };
    for source in 40_000..40_005 {
        let answer = peer.knock(port, source, Offer::default())?;
        // The SYN once more; then the peer thinks better of it.
        peer.knock(port, source, Offer::default())?;
        peer.inject(&of(source, flag::RST, answer.acknowledgment, 0).encode())?;
    }
    // To the listener itself: a reset of nothing, neither SYN nor ACK, and an ACK of nothing, which is answered.
    for source in 41_000..41_003 {
        peer.inject(&of(source, flag::RST, 1, 0).encode())?;
        peer.inject(&of(source, flag::FIN, 1, 0).encode())?;
        peer.inject(&of(source, flag::ACK, 1, 1).encode())?;
    }
    let (counters, scrape) = at_rest(&namespace, &exporter)?;
    assert_eq!(counters.get("TcpExtEmbryonicRsts")?, 5);
    assert_eq!(counters.get("TcpExtListenDrops")?, 0);
    require(&scrape, &name, &[])?;
    let labels = [
        ("subnet", &*subnet.name()),
        ("app_protocol", &*name),
        ("role", "server"),
    ];
    let resets = scrape.by("tcpvitals_tcp_resets_total", "direction", &labels)?;
    assert_eq!(resets.get("receive"), Some(&5.0), "{resets:?}");
    drop(listener);
    Ok(())
}
