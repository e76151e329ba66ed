//! Exporters that are none: what a command that asks one makes of the answer.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use anyhow::{Result, ensure};
use tests::exporter::{Launch, run};
use tests::machine::turn;

/// Answers one request with these words.
fn answer_once(body: String) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let _read = stream.read(&mut [0; 4096])?;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())
    });
    Ok(address)
}

#[test]
fn exporters_that_write_to_the_terminal() -> Result<()> {
    // In JSON, and raw.
    const ESCAPES: [&str; 3] = ["\\u001b]0;title\\u0007", "\\u202e", "\u{9b}31m"];
    let _turn = turn::shared()?;
    let demonstration = Launch::demonstration().start()?;
    for (command, path, word) in [
        ("cardinality", "/api/v1/cardinality", "\"subnet\""),
        ("cardinality --output=json", "/api/v1/cardinality", "\"subnet\""),
        ("explain", "/api/v1/findings", "\"billing\""),
        ("explain --output=json", "/api/v1/findings", "\"billing\""),
    ] {
        let honest = demonstration.get(path, "*/*")?.body;
        ensure!(honest.contains(word), "{path} has no {word}: {honest}");
        let hostile = honest.replace(word, &format!("\"{}\"", ESCAPES.concat()));
        let from = format!("--from=http://{}", answer_once(hostile)?);
        let arguments: Vec<&str> = command.split(' ').chain([from.as_str()]).collect();
        let finished = run(&arguments)?;
        ensure!(
            finished.stdout.contains("title"),
            "{command} shows nothing of it: {finished:?}"
        );
        for said in [&finished.stdout, &finished.stderr] {
            let odd = said
                .chars()
                .find(|char| (char.is_control() && *char != '\n') || *char == '\u{202e}');
            ensure!(odd.is_none(), "{command} says {odd:?}: {said:?}");
        }
    }
    Ok(())
}
