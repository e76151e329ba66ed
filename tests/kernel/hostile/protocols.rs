//! Floods of frames, handshakes and bodies that never end: what HTTP and TLS allow a client to do to a server.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::exporter::start;
use tests::machine::settings::scaled;
use tests::machine::turn;

use super::http2::{ACK, DATA, END_HEADERS, END_STREAM, GET, HEADERS, Http2, PING, SETTINGS, block, frame, over_tls};
use super::{ATTACK, Honest, Stop, of_process, report, require_little_memory, reset_peak, stay_honest, under};
use crate::web::{TLS, Web};

/// Types of frames that only floods send.
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 99;

/// The frames of a flood: once, and then again and again, on the stream of that number.
type Flood = (&'static str, fn(u32) -> Result<Vec<u8>>, fn(u32) -> Result<Vec<u8>>);

fn nothing(_stream: u32) -> Result<Vec<u8>> {
    Ok(Vec::new())
}

fn request(stream: u32) -> Result<Vec<u8>> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(GET, "/metrics")?)
}

/// A request whose headers go on in other frames.
fn half_a_request(stream: u32) -> Result<Vec<u8>> {
    frame(HEADERS, END_STREAM, stream, &block(GET, "/metrics")?)
}

const FLOODS: &[Flood] = &[
    ("rapid reset", nothing, |stream| {
        Ok([request(stream)?, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])?].concat())
    }),
    ("more streams than allowed", nothing, request),
    ("settings", nothing, |_| {
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])
    }),
    ("settings that nobody asked to confirm", nothing, |_| {
        frame(SETTINGS, ACK, 0, &[])
    }),
    ("pings", nothing, |_| frame(PING, 0, 0, &[0; 8])),
    ("priorities", nothing, |stream| {
        frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1])
    }),
    ("windows", request, |_| frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
    (
        "empty data",
        |_| frame(HEADERS, END_HEADERS, 1, &block(GET, "/metrics")?),
        |_| frame(DATA, 0, 1, &[]),
    ),
    ("headers without an end", half_a_request, |_| {
        frame(CONTINUATION, 0, 1, &b"\x00\x01a\x01b".repeat(3000))
    }),
    ("headers without an end, in empty frames", half_a_request, |_| {
        frame(CONTINUATION, 0, 1, &[])
    }),
    ("headers that unpack to more than they are", nothing, |stream| {
        let name = [b"\x40\x01x\x7f\xa1\x1e".to_vec(), vec![b'y'; 4000]].concat();
        let first = if stream == 1 { name } else { Vec::new() };
        let body = [block(GET, "/metrics")?, first, vec![0xbe; 12_000]].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &body)
    }),
    ("frames of an unknown type", nothing, |_| {
        frame(UNKNOWN, 0, 0, &[0; 100])
    }),
];

#[test]
fn floods_of_frames() -> Result<()> {
    const EACH: Duration = Duration::from_secs(1);
    let _turn = turn::alone()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let address = exporter.address();
    let honest = Honest::new(over_tls(&web, address))?;
    reset_peak(&exporter)?;
    for (name, once, again) in FLOODS {
        let frames = AtomicU64::new(0);
        let attack = |stop: &Stop| {
            while !stop.is_over() {
                // The server may refuse, and does.
                flood(&web, address, *once, *again, stop, &frames).ok();
            }
            Ok(())
        };
        report(name);
        under(attack, || honest.stay(EACH))?;
        let sent = frames.load(Ordering::Relaxed);
        report(&format!("{sent} frames"));
        ensure!(sent > 0, "{name}: nothing was sent");
    }
    let warnings = exporter.stderr().matches(" WARN ").count();
    ensure!(warnings < 5, "{warnings} warnings");
    require_little_memory(&exporter)
}

/// One connection's part, until the server ends it.
fn flood(
    web: &Web,
    address: SocketAddr,
    once: fn(u32) -> Result<Vec<u8>>,
    again: fn(u32) -> Result<Vec<u8>>,
    stop: &Stop,
    frames: &AtomicU64,
) -> Result<()> {
    let mut client = Http2::connect(web, address, 65_535)?;
    client.limit_time(Duration::from_millis(200))?;
    client.send_raw(&once(1)?)?;
    let mut stream = 1;
    while !stop.is_over() {
        let mut many = Vec::new();
        for _ in 0..100 {
            many.extend(again(stream)?);
            stream += 2;
        }
        client.send_raw(&many)?;
        frames.fetch_add(100, Ordering::Relaxed);
    }
    Ok(())
}

#[test]
#[ignore = "long: make test-long"]
fn handshakes_that_do_not_end() -> Result<()> {
    let _turn = turn::alone()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let address = exporter.address();
    // The head of a ClientHello of 512 bytes, byte for byte.
    let hello: Vec<u8> = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), vec![7; 400]].concat();
    let attack = |stop: &Stop| {
        let mut held: Vec<(TcpStream, usize)> = Vec::new();
        while !stop.is_over() {
            while held.len() < usize::try_from(scaled(300))? {
                let Ok(stream) = TcpStream::connect(address) else { break };
                held.push((stream, 0));
            }
            held.retain_mut(|(stream, sent)| {
                *sent += 1;
                hello
                    .get(*sent - 1)
                    .is_some_and(|byte| stream.write_all(&[*byte]).is_ok())
            });
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    };
    let honest = Honest::new(over_tls(&web, address))?;
    under(attack, || honest.stay(ATTACK))
}

/// A ClientHello that asks for thousands of hosts and lacks its last byte: nearly as much as TLS allows.
fn hello_to_many_hosts() -> Result<Vec<u8>> {
    let with_length =
        |bytes: &[u8]| Ok::<_, anyhow::Error>([&u16::try_from(bytes.len())?.to_be_bytes(), bytes].concat());
    let mut hosts = Vec::new();
    for number in 10_000..13_300 {
        hosts.push(0);
        hosts.extend(with_length(format!("{number}.example").as_bytes())?);
    }
    let names = [&[0, 0], &*with_length(&with_length(&hosts)?)?].concat();
    // Version, random, no session, one suite, no compression.
    let head = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    let body = [head, with_length(&names)?].concat();
    let hello = [
        &[1],
        &u32::try_from(body.len())?.to_be_bytes()[1..],
        &body[..body.len() - 1],
    ]
    .concat();
    let records = hello
        .chunks(1 << 14)
        .map(|part| Ok([&[0x16, 3, 1], &*with_length(part)?].concat()));
    Ok(records.collect::<Result<Vec<_>>>()?.concat())
}

#[test]
fn handshakes_of_many_bytes() -> Result<()> {
    let _turn = turn::alone()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let address = exporter.address();
    let honest = Honest::new(over_tls(&web, address))?;
    let hello = hello_to_many_hosts()?;
    reset_peak(&exporter)?;
    let (before, count) = (of_process(&exporter, "VmRSS")?, AtomicU64::new(0));
    let attack = |stop: &Stop| {
        let mut held = VecDeque::new();
        while !stop.is_over() {
            let Ok(mut stream) = TcpStream::connect(address) else {
                continue;
            };
            stream.set_nonblocking(true)?;
            // It takes what there is room for, if it has not been closed already.
            stream.write_all(&hello).ok();
            held.push_back(stream);
            if held.len() > 600 {
                held.pop_front();
            }
            if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    };
    under(attack, || honest.stay(ATTACK))?;
    let (peak, count) = (of_process(&exporter, "VmHWM")?, count.load(Ordering::Relaxed));
    report(&format!("{count} connections: {before} KiB, at most {peak} KiB"));
    ensure!(count > scaled(600), "{count} connections are no attack");
    // Each of the 496 waits with a part only.
    ensure!(peak < before + (26 << 10), "{before} KiB, at most {peak} KiB");
    Ok(())
}

/// Heads of requests whose bodies do not come, or do not end; and what is sent of these again and again.
const BODIES: [(&str, &[u8]); 5] = [
    ("Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n"),
    ("Transfer-Encoding: chunked\r\n", b"fffff;extension=value\r\n"),
    ("Content-Length: 1000000000000\r\n", &[b'x'; 1000]),
    ("Expect: 100-continue\r\nContent-Length: 1000000000000\r\n", b""),
    ("Transfer-Encoding: chunked\r\nTrailer: a\r\n", b"0\r\na: b\r\n"),
];

#[test]
#[ignore = "long: make test-long"]
fn bodies_that_never_end() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start("")?;
    let address = exporter.address();
    reset_peak(&exporter)?;
    let attack = |stop: &Stop| {
        let mut held: Vec<(TcpStream, &[u8])> = Vec::new();
        let mut next = 0;
        while !stop.is_over() {
            while held.len() < usize::try_from(scaled(100))? {
                let Ok(mut stream) = TcpStream::connect(address) else {
                    break;
                };
                let (head, body) = BODIES[next % BODIES.len()];
                let method = ["POST /-/reload", "GET /metrics", "PUT /nowhere"][next % 3];
                let head = format!("{method} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n");
                next += 1;
                if stream.write_all(head.as_bytes()).is_ok() {
                    stream.set_nonblocking(true)?;
                    held.push((stream, body));
                }
            }
            held.retain_mut(|(stream, body)| {
                // What is answered is read, so that only the body keeps it.
                let open = !matches!(stream.read(&mut [0; 65536]), Ok(0));
                let sent = stream.write(body);
                open && !sent.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
            });
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    };
    under(attack, || stay_honest(address, ""))?;
    require_little_memory(&exporter)
}
