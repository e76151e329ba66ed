//! Accept queues of listeners, against `ss` and the counters of the namespace.

use std::fs::read_to_string;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, Socket, Type};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, Launch, start};
use tests::kernel::kernel_facts::skip;
use tests::machine::turn;
use tests::machine::wait::{until, until_stable};
use tests::net::namespace::Namespace;
use tests::net::pair::Pair;
use tests::net::socket::set_option;
use tests::net::subnet::Family;
use tests::net::traffic::dual_stack;

use crate::listeners::{TURNED_AWAY, at_rest, begin, is_told, listen_for};

pub(crate) const LISTENERS: &str = "tcpvitals_tcp_listeners";
pub(crate) const WAITING: &str = "tcpvitals_tcp_accept_queue_connections";
pub(crate) const LIMIT: &str = "tcpvitals_tcp_accept_queue_connections_limit";
pub(crate) const FULLNESS: &str = "tcpvitals_tcp_accept_queue_utilization_ratio";
const COOKIES: &str = "tcpvitals_tcp_syn_cookies_sent_total";

/// A port that no other test listens on, and a configuration that gives it a name.
pub(crate) fn served(config: &str, number: u16) -> Result<(u16, String, String)> {
    let port = 28_000 + u16::try_from(process::id() % 500)? * 8 + number;
    let name = format!("queue-{port}");
    let config = format!("{config}app_protocols: [{{name: {name}, ports: [{port}]}}]\n");
    Ok((port, name, config))
}

/// What `ss` shows of the listeners of a port: connections that wait, and most of them.
fn ss(namespace: &Namespace, port: u16) -> Result<Vec<(u32, u32)>> {
    let table = namespace.exec("ss -ltnH")?;
    let rows = table.lines().filter_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (waiting, limit, local) = (columns.next()?, columns.next()?, columns.next()?);
        local.ends_with(&format!(":{port}")).then_some((waiting, limit))
    });
    rows.map(|(waiting, limit)| Ok((waiting.parse()?, limit.parse()?)))
        .collect()
}

/// The same once so many wait.
pub(crate) fn queues(namespace: &Namespace, port: u16, waiting: u32) -> Result<Vec<(u32, u32)>> {
    until("the connections wait", || {
        let queues = ss(namespace, port)?;
        let sum: u32 = queues.iter().map(|(waiting, _)| waiting).sum();
        Ok((sum == waiting).then_some(queues))
    })
}

/// A part in millionths, as it is shown.
pub(crate) fn millionths(waiting: u32, limit: u32) -> f64 {
    (f64::from(waiting) * 1e6 / (f64::from(limit) + 1.0)).floor() / 1e6
}

fn values(scrape: &Scrape, name: &str) -> Result<[f64; 4]> {
    let labels = [("app_protocol", name)];
    Ok([
        scrape.value(LISTENERS, &labels)?,
        scrape.value(WAITING, &labels)?,
        scrape.value(LIMIT, &labels)?,
        scrape.value(FULLNESS, &labels)?,
    ])
}

/// Requires what `ss` shows, and the fullness of the fullest queue.
fn require(scrape: &Scrape, name: &str, queues: &[(u32, u32)], fullness: f64) -> Result<()> {
    let sum = |of: fn(&(u32, u32)) -> u32| f64::from(queues.iter().map(of).sum::<u32>());
    let expected = [
        queues.len() as f64,
        sum(|queue| queue.0),
        sum(|queue| queue.1),
        fullness,
    ];
    assert_eq!(values(scrape, name)?, expected, "{queues:?}");
    Ok(())
}

/// The largest part of any queue that is in use.
fn fullest(queues: &[(u32, u32)]) -> f64 {
    queues
        .iter()
        .map(|(waiting, limit)| millionths(*waiting, *limit))
        .fold(0.0, f64::max)
}

#[test]
fn a_queue_is_as_long_and_as_full_as_the_kernel_says_until_its_listener_closes() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (port, name, config) = served(&pair.config(), 0)?;
    let exporter = start(config)?;
    let counts = is_told(&exporter)?;
    for family in [Family::V4, Family::V6] {
        let before = at_rest(&pair.server, &exporter)?.0.get("TcpExtListenOverflows")?;
        let to = pair.to(family, port)?;
        let listener = listen_for(&pair.server, to, 4)?;
        require(&exporter.scrape()?, &name, &[(0, 4)], 0.0)?;

        let first = begin(&pair.client, to, 3)?;
        let three = queues(&pair.server, port, 3)?;
        require(&exporter.scrape()?, &name, &three, millionths(3, 4))?;

        let accepted = [listener.accept()?, listener.accept()?];
        let one = queues(&pair.server, port, 1)?;
        require(&exporter.scrape()?, &name, &one, millionths(1, 4))?;

        let more = begin(&pair.client, to, 9)?;
        let full = queues(&pair.server, port, 5)?;
        let (counters, scrape) = at_rest(&pair.server, &exporter)?;
        require(&scrape, &name, &full, 1.0)?;
        let overflows = counters.get("TcpExtListenOverflows")?;
        assert!(overflows >= before + 5, "{overflows}");
        if counts {
            let labels = [("app_protocol", &*name), ("cause", "accept_queue_full")];
            assert_eq!(scrape.sum(TURNED_AWAY, &labels)?, overflows as f64);
        }

        drop((listener, first, accepted, more));
        let scrape = exporter.scrape()?;
        assert_eq!(scrape.count(LISTENERS, &[("app_protocol", &*name)])?, 0);
        assert!(values(&scrape, &name).is_err(), "a listener that is gone has a queue");
    }
    Ok(())
}

/// Nobody collects while the queue is full, and the application is back by then.
#[test]
fn a_queue_that_was_full_between_two_collections_was_full() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (port, name, config) = served(&pair.config(), 1)?;
    let exporter = start(config)?;
    let to = pair.to(Family::V4, port)?;
    let listener = listen_for(&pair.server, to, 7)?;
    for burst in [8, 3] {
        require(&exporter.scrape()?, &name, &[(0, 7)], 0.0)?;
        let clients = begin(&pair.client, to, burst)?;
        queues(&pair.server, port, burst)?;
        let accepted: Vec<_> = (0..burst).map(|_| listener.accept()).collect::<Result<_, _>>()?;
        require(
            &exporter.scrape()?,
            &name,
            &queues(&pair.server, port, 0)?,
            millionths(burst, 7),
        )?;
        drop((clients, accepted));
    }
    // The next collection knows nothing of it.
    require(&exporter.scrape()?, &name, &[(0, 7)], 0.0)
}

fn listen_together(namespace: &Namespace, to: SocketAddr, backlog: i32) -> Result<TcpListener> {
    namespace.run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&to.into())?;
        socket.listen(backlog)?;
        Ok(socket.into())
    })
}

#[test]
fn listeners_that_share_a_port_are_summed_and_the_fullest_is_named() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (port, name, config) = served(&pair.config(), 2)?;
    let exporter = start(config)?;
    let to = pair.to(Family::V4, port)?;
    let group = [2, 5, 11].map(|backlog| listen_together(&pair.server, to, backlog));
    let mut group = group.into_iter().collect::<Result<Vec<_>>>()?;
    let clients = begin(&pair.client, to, 12)?;
    let shared = until_stable("the queues", Duration::from_millis(300), || ss(&pair.server, port))?;
    assert_eq!(shared.len(), 3);
    ensure!(
        shared.iter().filter(|(waiting, _)| *waiting != 0).count() > 1,
        "{shared:?}"
    );
    require(&exporter.scrape()?, &name, &shared, fullest(&shared))?;
    // The rest of the group takes over what one of them leaves, or not.
    drop(group.pop());
    let left = until_stable("the queues", Duration::from_millis(300), || ss(&pair.server, port))?;
    assert_eq!(left.len(), 2);
    let shown = values(&exporter.scrape()?, &name)?;
    assert_eq!((shown[0], shown[2]), (2.0, 7.0));
    drop((clients, group));
    Ok(())
}

/// The exporter walks the sockets of its own namespace only, and open files for the others.
#[test]
fn a_listener_that_is_older_than_the_exporter_and_in_another_namespace_is_known() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (port, name, config) = served(&pair.config(), 3)?;
    let listener = listen_for(&pair.server, dual_stack(port), 9)?;
    let clients = begin(&pair.client, pair.to(Family::V6, port)?, 2)?;
    let two = queues(&pair.server, port, 2)?;
    let exporter = start(config)?;
    if !runs(&exporter, "find_listeners")? {
        return Ok(());
    }
    require(&exporter.scrape()?, &name, &two, fullest(&two))?;
    drop((listener, clients));
    Ok(())
}

/// Whether a program runs; says so if not.
pub(crate) fn runs(exporter: &Exporter<'_>, program: &str) -> Result<bool> {
    let scrape = exporter.scrape()?;
    let labels = [("program", program)];
    let (series, attached) = scrape
        .matching("tcpvitals_program_attached", &labels)
        .next()
        .context("no such program")?;
    if attached == 0.0 {
        skip(&format!("{program}: {:?}", series.labels.get("reason")));
    }
    Ok(attached != 0.0)
}

#[test]
fn listeners_that_nobody_wants_to_see_are_not_looked_at() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (port, _, config) = served(&pair.config(), 4)?;
    let exporter = Launch::new(format!("{config}listeners: {{enabled: false}}\n")).start()?;
    let listener = listen_for(&pair.server, pair.to(Family::V4, port)?, 1)?;
    let scrape = exporter.scrape()?;
    for metric in [LISTENERS, WAITING, LIMIT, FULLNESS, TURNED_AWAY, COOKIES] {
        assert_eq!(scrape.matching(metric, &[]).count(), 0, "{metric}");
    }
    for program in ["sample_listeners", "fold_listeners", "find_listeners"] {
        let labels = [("program", program), ("reason", "listeners.enabled is false")];
        assert_eq!(scrape.count("tcpvitals_program_attached", &labels)?, 0, "{program}");
        let labelled = scrape.matching("tcpvitals_program_attached", &labels);
        assert_eq!(labelled.count(), 1, "{program}");
    }
    drop(listener);
    Ok(())
}

fn cookies_sent() -> Result<u64> {
    let text = read_to_string("/proc/net/netstat")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next().context("no names")?, lines.next().context("no values")?);
    let place = names.split_whitespace().position(|name| name == "SyncookiesSent");
    let value = values.split_whitespace().nth(place.context("no cookies")?);
    Ok(value.context("no value")?.parse()?)
}

/// A listener whose handshakes wait in the SYN queue for data: those that find it full are answered by a cookie.
#[test]
fn syn_cookies_are_those_of_the_hosts_namespace() -> Result<()> {
    const TCP_DEFER_ACCEPT: i32 = 9;
    let _turn = turn::alone()?;
    let exporter = start("collect: {max_age: 1ms}\n")?;
    let scrape = exporter.scrape()?;
    let Some((_, shown)) = scrape.matching(COOKIES, &[]).next() else {
        skip("this is not the host's network namespace");
        return Ok(());
    };
    assert_eq!(shown, 0.0);
    let begun = cookies_sent()?;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    set_option(&listener, libc::SOL_TCP, TCP_DEFER_ACCEPT, 3)?;
    listener.listen(1)?;
    let listener = TcpListener::from(listener);
    let clients: Result<Vec<_>, _> = (0..3).map(|_| TcpStream::connect(listener.local_addr()?)).collect();
    let clients = clients?;
    let sent = cookies_sent()? - begun;
    assert!(sent >= 1, "{sent}");
    assert_eq!(exporter.scrape()?.value(COOKIES, &[])?, sent as f64);
    drop(clients);
    Ok(())
}
