//! Clients that hold up or break off: nobody else notices, and they do not hold up the end.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use anyhow::Result;
use nix::sys::signal::Signal;
use tests::exporter::{FEWEST_PROGRAMS, start};
use tests::machine::settings::patience;
use tests::machine::turn;
use tests::readers::curl::curl;

use super::{TLS, Web, https};

#[test]
fn silent_handshakes_hold_up_neither_others_nor_the_end() -> Result<()> {
    let _turn = turn::shared()?;
    let web = Web::new(TLS)?;
    let exporter = web.start_with(FEWEST_PROGRAMS, &["--log.level=debug"])?;
    let mut silent = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(exporter.address())?;
        // Some say half a word, some that of another protocol.
        let words: [&[u8]; 3] = [b"", b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\n\r\n"];
        stream.write_all(words[number % words.len()])?;
        silent.push(stream);
    }
    for _ in 0..5 {
        assert_eq!(
            curl(&https(&exporter, "/metrics"), &web.trusting(&[])?.options())?.status,
            200
        );
    }
    // They are still there, and are left behind at once.
    let (status, stderr) = exporter.stop(Signal::SIGTERM)?;
    assert!(status.success(), "{status}: {stderr}");
    assert!(stderr.contains("the TLS handshake failed"), "{stderr}");
    // No time to finish was given to who had not even begun.
    assert!(!stderr.contains("cut off"), "{stderr}");
    drop(silent);
    Ok(())
}

#[test]
fn half_a_request_does_not_hold_up_the_end_for_long() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start(FEWEST_PROGRAMS)?;
    let mut half = TcpStream::connect(exporter.address())?;
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n")?;
    // The server takes connections in their order, so it has this one.
    assert_eq!(exporter.get("/healthz", "*/*")?.status, 200);
    let (status, stderr) = exporter.stop(Signal::SIGTERM)?;
    assert!(status.success(), "{status}: {stderr}");
    Ok(())
}

#[test]
fn whatever_is_sent_it_goes_on() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start(FEWEST_PROGRAMS)?;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000));
    let odd: &[&[u8]] = &[
        b"\0\0\0\0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://localhost:99999/ HTTP/1.1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nAuthorization: Basic \xff\xff\r\nAccept: \xff\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for words in odd {
        let mut stream = TcpStream::connect(exporter.address())?;
        stream.set_read_timeout(Some(patience()))?;
        // The server may close before it has read everything.
        stream.write_all(words).ok();
        stream.shutdown(Shutdown::Write).ok();
        stream.read_to_end(&mut Vec::new()).ok();
        assert_eq!(exporter.get("/healthz", "*/*")?.status, 200);
    }
    assert!(!exporter.stderr().contains("panicked"), "{}", exporter.stderr());
    Ok(())
}
