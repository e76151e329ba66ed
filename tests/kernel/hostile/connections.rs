//! Connections: idle, silent, busy and given up, from one address and from loopback.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use tests::exporter::{Exporter, FEWEST_PROGRAMS, Launch, start};
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::settings::{patience, scaled};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::Namespace;

use super::http2::{over_tls, tls};
use super::{
    ATTACK, Honest, Stop, ask, get, of_process, refused, require_little_memory, reset_peak, status, stay_honest, under,
};
use crate::web::{TLS, Web};

/// Holds `count` connections, and opens another for each that is closed. Each says `words` from time to time.
fn hold(address: SocketAddr, count: u64, words: &[u8], stop: &Stop) -> Result<()> {
    let mut held: Vec<TcpStream> = Vec::new();
    while !stop.is_over() {
        held.retain_mut(|stream| is_open(stream) && stream.write_all(words).is_ok());
        while held.len() < usize::try_from(count)? && !stop.is_over() {
            let Ok(stream) = TcpStream::connect(address) else { break };
            stream.set_nonblocking(true)?;
            held.push(stream);
            // An attacker elsewhere would not take the server's processors.
            if held.len().is_multiple_of(64) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Reads what has come, and tells whether more may.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn idle_connections() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start(FEWEST_PROGRAMS)?;
    let address = exporter.address();
    under(
        |stop| hold(address, scaled(3000), b"", stop),
        || stay_honest(address, ""),
    )?;
    ensure!(refused(address, "connections", "")? > 0.0, "nobody had to make room");
    ensure!(
        exporter.stderr().matches("all 496 connections are taken").count() == 1,
        "{}",
        exporter.stderr()
    );
    Ok(())
}

#[test]
fn busy_connections() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start(FEWEST_PROGRAMS)?;
    let address = exporter.address();
    let words = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    under(
        |stop| hold(address, scaled(600), words, stop),
        || stay_honest(address, ""),
    )
}

#[test]
fn handshakes_that_do_not_begin() -> Result<()> {
    let _turn = turn::alone()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let address = exporter.address();
    let honest = Honest::new(over_tls(&web, address))?;
    under(|stop| hold(address, scaled(600), b"", stop), || honest.stay(ATTACK))
}

#[test]
#[ignore = "long: make test-long"]
fn connections_that_outlast_a_certificate() -> Result<()> {
    let _turn = turn::shared()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let mut streams = [
        tls(&web, exporter.address(), Some("http/1.1"))?,
        tls(&web, exporter.address(), Some("http/1.1"))?,
    ];
    let mut answer = [0; 4096];
    for stream in &mut streams {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        ensure!(stream.read(&mut answer)? > 0, "no answer");
    }
    // One that is wrong changes nothing.
    web.change(&exporter, "tls_server_config: {}\n")?;
    streams[0].write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    ensure!(
        streams[0].read(&mut answer)? > 0,
        "it was closed for a configuration that is wrong"
    );
    web.change(&exporter, &format!("{TLS}  min_version: TLS13\n"))?;
    for stream in &mut streams {
        // TLS may end with words of its own before.
        while stream.read(&mut answer).is_ok_and(|read| read > 0) {}
        let closed = || Ok((TcpInfo::of(&stream.sock)?.state != ESTABLISHED).then_some(()));
        until("the connection to be closed", closed)?;
    }
    Ok(())
}

/// An exporter on every address of a namespace with two addresses that are not loopback ones.
struct Elsewhere {
    namespace: Namespace,
}

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 3);

impl Elsewhere {
    fn new() -> Result<Self> {
        let namespace = Namespace::new()?;
        let add = |address| format!("address add {address}/24 dev lo");
        namespace.ip(&[SERVER, PEER, OTHER].map(add))?;
        Ok(Self { namespace })
    }

    fn connect(&self, from: Ipv4Addr, exporter: &Exporter<'_>) -> Result<TcpStream> {
        let to = SocketAddr::from((SERVER, exporter.address().port()));
        self.namespace.run(|| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((from, 0)).into())?;
            socket.set_recv_buffer_size(4096)?;
            socket.connect(&to.into())?;
            socket.set_read_timeout(Some(patience()))?;
            Ok(socket.into())
        })
    }

    /// Status code and text of the answer to one request from an address.
    fn ask(&self, from: Ipv4Addr, exporter: &Exporter<'_>, path: &str) -> Result<(u16, String)> {
        let mut stream = self.connect(from, exporter)?;
        stream.write_all(get(path, "").as_bytes())?;
        let mut answer = Vec::new();
        // Whoever is closed for another gets none.
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Ok((status(&answer), answer))
    }
}

/// Of `TCP_INFO`.
const ESTABLISHED: u8 = 1;

#[test]
fn a_peer_with_many_connections() -> Result<()> {
    let _turn = turn::alone()?;
    let elsewhere = Elsewhere::new()?;
    let limit = |most: u32| format!("{FEWEST_PROGRAMS}limits: {{connections_per_peer: {most}}}\n");
    let launch = Launch::new(limit(5)).inside(&elsewhere.namespace).on_every_address();
    let exporter = launch.arguments(&["--web.enable-lifecycle"]).start()?;
    let open = |streams: &mut Vec<TcpStream>| -> Result<usize> {
        for stream in &*streams {
            stream.set_nonblocking(true)?;
        }
        Ok(streams
            .iter_mut()
            .filter_map(|stream| is_open(stream).then_some(()))
            .count())
    };
    // Idle ones: the longest idle goes for each that is too many.
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(elsewhere.connect(PEER, &exporter)?);
    }
    until(
        "all but five to be closed",
        || Ok((open(&mut idle)? == 5).then_some(())),
    )?;
    ensure!(
        open(&mut idle.split_off(95))? == 5,
        "another than the longest idle was closed"
    );
    for from in [PEER, OTHER] {
        ensure!(elsewhere.ask(from, &exporter, "/metrics")?.0 == 200, "{from}");
    }
    // Busy ones: nobody takes their answers. Beyond these, only health is answered.
    let mut busy: Vec<TcpStream> = Vec::new();
    let refusal = until("the peer to be refused", || {
        // Whoever was not busy yet went for another.
        busy.retain(|stream| TcpInfo::of(stream).is_ok_and(|info| info.state == ESTABLISHED));
        while busy.len() < 5 {
            let mut stream = elsewhere.connect(PEER, &exporter)?;
            for _ in 0..40 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")?;
            }
            busy.push(stream);
        }
        thread::sleep(Duration::from_millis(500));
        let (code, text) = elsewhere.ask(PEER, &exporter, "/metrics")?;
        Ok((code == 503).then_some(text))
    })?;
    ensure!(refusal.to_ascii_lowercase().contains("retry-after: 1"), "{refusal}");
    ensure!(refusal.contains("limits.connections_per_peer"), "{refusal}");
    for path in ["/healthz", "/readyz"] {
        ensure!(elsewhere.ask(PEER, &exporter, path)?.0 == 200, "{path}");
    }
    ensure!(elsewhere.ask(OTHER, &exporter, "/metrics")?.0 == 200, "another peer");
    let stderr = exporter.stderr();
    let lines = stderr
        .lines()
        .filter(|line| line.contains("limits.connections_per_peer"));
    let lines: Vec<&str> = lines.collect();
    ensure!(
        lines.len() == 1 && lines.concat().contains(&PEER.to_string()),
        "{stderr}"
    );
    // A reload changes the bound.
    drop(busy);
    exporter.reload(&limit(50))?;
    let mut more = Vec::new();
    for _ in 0..50 {
        more.push(elsewhere.connect(PEER, &exporter)?);
    }
    ensure!(elsewhere.ask(OTHER, &exporter, "/metrics")?.0 == 200, "another peer");
    ensure!(open(&mut more)? == 50, "the bound is still the old one");
    Ok(())
}

/// Opens connections that send a header of thousands of lines, as much as is taken, and then a line from time to time.
fn send_headers(address: SocketAddr, count: u64, lines: &[u8], stop: &Stop, sent: &AtomicU64) -> Result<()> {
    let mut held: Vec<TcpStream> = Vec::new();
    while !stop.is_over() {
        held.retain_mut(|stream| is_open(stream) && stream.write(b"x: y\r\n").is_ok());
        while held.len() < usize::try_from(count)? && !stop.is_over() {
            let Ok(mut stream) = TcpStream::connect(address) else {
                break;
            };
            stream.set_nonblocking(true)?;
            // It may have been closed already.
            if stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
                .is_ok()
            {
                sent.fetch_add(u64::try_from(stream.write(lines).unwrap_or(0))?, Ordering::Relaxed);
                held.push(stream);
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn headers_that_do_not_end() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start("")?;
    let address = exporter.address();
    reset_peak(&exporter)?;
    // Too many lines, too long ones, and both just within what is allowed.
    for lines in [
        "a: b\r\n".repeat(10_000),
        format!("a: {}\r\n", "b".repeat(1 << 20)),
        format!("a: {}\r\n", "b".repeat(300)).repeat(45),
    ] {
        let sent = AtomicU64::new(0);
        under(
            |stop| send_headers(address, scaled(600), lines.as_bytes(), stop, &sent),
            || stay_honest(address, ""),
        )?;
        let sent = sent.load(Ordering::Relaxed);
        ensure!(sent > scaled(1 << 20), "{sent} bytes of headers are no attack");
    }
    require_little_memory(&exporter)
}

#[test]
#[ignore = "long: make test-long"]
fn a_header_that_does_not_end() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start(FEWEST_PROGRAMS)?;
    let mut slow = TcpStream::connect(exporter.address())?;
    slow.set_read_timeout(Some(2 * patience()))?;
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n")?;
    let mut answer = Vec::new();
    // The server closes without a word, or says that it was too slow.
    slow.read_to_end(&mut answer).context("the connection is still open")?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    Ok(())
}

#[test]
fn requests_that_are_given_up() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start("collect: {max_age: 0}\n")?;
    let address = exporter.address();
    let before = of_process(&exporter, "Threads")?;
    let attack = |stop: &Stop| {
        while !stop.is_over() {
            let Ok(mut stream) = TcpStream::connect(address) else {
                continue;
            };
            let linger = libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            setsockopt(&stream, Linger, &linger)?;
            // It may have been closed already.
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .ok();
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    under(attack, || stay_honest(address, ""))?;
    let after = of_process(&exporter, "Threads")?;
    ensure!(after <= before + 4, "{before} threads before, {after} after");
    ensure!(
        status(&ask(address, &get("/metrics", ""))?) == 200,
        "no scrape afterwards"
    );
    Ok(())
}
