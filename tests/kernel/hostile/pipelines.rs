//! Requests one after the other, as fast as one can send them: whether their answers are read or not.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::exporter::start;
use tests::machine::settings::scaled;
use tests::machine::turn;

use super::http2::{END_STREAM, GET, Http2, over_tls};
use super::{Honest, Stop, ask, get, report, require_little_memory, reset_peak, under};
use crate::web::{TLS, Web};

/// How long each of several attacks goes on.
const EACH: Duration = Duration::from_secs(4);

/// Requests of one connection in a row.
const ROW: usize = 1000;

/// What is asked for: what is refused costs least to send and to answer, so that most of it is under way.
const ASKED: [(&str, &str); 4] = [
    ("/metrics", "another.host"),
    ("/metrics", "localhost"),
    ("/nowhere", "localhost"),
    ("/", "localhost"),
];

fn row(path: &str, host: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        .repeat(ROW)
        .into_bytes()
}

fn stay_honest(address: SocketAddr) -> Result<()> {
    Honest::new(|path| ask(address, &get(path, "")))?.stay(EACH)
}

#[test]
#[ignore = "long: make test-long"]
fn rows_of_requests_that_nobody_reads() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start("")?;
    let address = exporter.address();
    reset_peak(&exporter)?;
    for (path, host) in ASKED {
        let (row, count) = (row(path, host), AtomicU64::new(0));
        report(&format!("{path} of {host}"));
        under(|stop| send_rows(address, &row, stop, &count), || stay_honest(address))?;
        let count = count.load(Ordering::Relaxed);
        report(&format!("{count} connections"));
        ensure!(count > scaled(1000), "{count} connections are no attack");
    }
    require_little_memory(&exporter)
}

/// Opens connection after connection, and sends what the kernel takes of a row. The oldest are given up for others, as an attacker has
/// descriptors for so many.
fn send_rows(address: SocketAddr, row: &[u8], stop: &Stop, count: &AtomicU64) -> Result<()> {
    const MOST: usize = 700;
    let mut held = VecDeque::new();
    while !stop.is_over() {
        let Ok(mut stream) = TcpStream::connect(address) else {
            continue;
        };
        stream.set_nonblocking(true)?;
        // It takes what there is room for, if it has not been closed already.
        stream.write_all(row).ok();
        held.push_back(stream);
        if held.len() > MOST {
            held.pop_front();
        }
        // An attacker elsewhere would not take the server's processors.
        if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

#[test]
#[ignore = "long: make test-long"]
fn rows_of_requests_without_an_end() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start("")?;
    let address = exporter.address();
    reset_peak(&exporter)?;
    for (path, host) in ASKED {
        // A part of a request stays behind each write.
        let (row, bytes) = (row(path, host), AtomicU64::new(0));
        report(&format!("{path} of {host}"));
        under(|stop| answer_rows(address, &row, stop, &bytes), || stay_honest(address))?;
        let bytes = bytes.load(Ordering::Relaxed);
        report(&format!("{bytes} bytes of answers"));
        ensure!(bytes > scaled(100_000), "{bytes} bytes of answers are no attack");
    }
    require_little_memory(&exporter)
}

/// Sends on all of its connections without an end, and reads whatever comes.
fn answer_rows(address: SocketAddr, row: &[u8], stop: &Stop, read: &AtomicU64) -> Result<()> {
    let mut held: Vec<(TcpStream, usize)> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while !stop.is_over() {
        while held.len() < usize::try_from(scaled(300))? && !stop.is_over() {
            let Ok(stream) = TcpStream::connect(address) else { break };
            stream.set_nonblocking(true)?;
            held.push((stream, 0));
        }
        held.retain_mut(|(stream, at)| {
            // Some take what the kernel takes, some a few bytes at a time.
            let rest = row.get(*at..).unwrap_or_default();
            let part = if *at % 2 == 0 {
                rest
            } else {
                rest.get(..7).unwrap_or(rest)
            };
            if let Ok(sent) = stream.write(part) {
                *at = (*at + sent) % row.len();
            }
            match stream.read(&mut buffer) {
                Ok(bytes) => {
                    read.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
                    bytes > 0
                }
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            }
        });
        thread::sleep(Duration::from_millis(1));
    }
    for (stream, _) in held {
        stream.shutdown(Shutdown::Both).ok();
    }
    Ok(())
}

#[test]
fn rows_of_streams() -> Result<()> {
    let _turn = turn::alone()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let address = exporter.address();
    let honest = Honest::new(over_tls(&web, address))?;
    reset_peak(&exporter)?;
    let asked = AtomicU64::new(0);
    let attack = |stop: &Stop| {
        let mut clients: Vec<(Http2, u32)> = Vec::new();
        while !stop.is_over() {
            while clients.len() < usize::try_from(scaled(60))? && !stop.is_over() {
                let Ok(client) = Http2::connect(&web, address, 1 << 20) else {
                    break;
                };
                client.limit_time(Duration::from_millis(1))?;
                clients.push((client, 1));
            }
            clients.retain_mut(|(client, stream)| {
                // As many as are allowed at a time; nobody waits for the answers.
                for _ in 0..4 {
                    if client.request(GET, "/metrics", *stream, END_STREAM).is_err() {
                        return false;
                    }
                    *stream += 2;
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                true
            });
        }
        Ok(())
    };
    under(attack, || honest.stay(EACH))?;
    let asked = asked.load(Ordering::Relaxed);
    report(&format!("{asked} streams"));
    ensure!(asked > scaled(200), "{asked} streams are no attack");
    require_little_memory(&exporter)
}
