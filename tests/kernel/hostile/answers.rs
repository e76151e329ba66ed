//! Answers that nobody takes, and bodies that nobody asked for: their memory and their time.

use std::fs::read_to_string;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tests::exporter::{Exporter, start};
use tests::machine::settings::{patience, scaled};
use tests::machine::turn;
use tests::machine::wait::{Deadline, timed, until};

use super::http2::{DATA, END_STREAM, GET, Http2, POST, STREAMS, WINDOW};
use super::{
    ATTACK, EACH_ITS_OWN, Flows, Honest, Stop, ask, get, of_process, refused, report, require_little_memory,
    reset_peak, status, stay_honest, under,
};
use crate::web::{TLS, Web};

/// A connection whose kernel takes little.
fn narrow(address: SocketAddr) -> Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}

/// Asks on `count` connections, one after the other, and reads a byte a second of each.
pub(super) fn trickle(address: SocketAddr, count: u64, request: &str, stop: &Stop) -> Result<()> {
    let mut streams: Vec<TcpStream> = Vec::new();
    while !stop.is_over() {
        for _ in 0..20 {
            if streams.len() < usize::try_from(count)?
                && let Ok(mut stream) = narrow(address)
            {
                stream.write_all(request.as_bytes())?;
                stream.set_nonblocking(true)?;
                streams.push(stream);
            }
        }
        // One that was cut off makes room for another.
        streams.retain_mut(|stream| match stream.read(&mut [0]) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

#[test]
fn slow_readers_over_http_1() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start(EACH_ITS_OWN)?;
    let address = exporter.address();
    let _flows = Flows::open(scaled(300))?;
    let plain = ask(
        address,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    report(&format!("one answer: {} bytes", plain.len()));
    reset_peak(&exporter)?;
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // Over some collections: an answer of each might stay.
    let honest = Honest::new(|path| ask(address, &get(path, "")))?;
    under(
        |stop| trickle(address, scaled(200), request, stop),
        || honest.stay(2 * ATTACK),
    )?;
    require_little_memory(&exporter)?;
    let open = || Ok((of_process(&exporter, "VmRSS")? < 50 << 10).then_some(()));
    until("the memory to be given back", open)
}

#[test]
fn slow_readers_of_own_answers() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start("")?;
    let address = exporter.address();
    let _flows = Flows::open(scaled(2000))?;
    let request = "GET /api/v1/flows?limit=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let first = get("/api/v1/flows?limit=10000", "");
    ensure!(status(&ask(address, &first)?) == 200, "no flows");
    reset_peak(&exporter)?;
    under(
        |stop| trickle(address, scaled(100), request, stop),
        || stay_honest(address, ""),
    )?;
    ensure!(
        scaled(100) < 100 || refused(address, "answer_memory", "")? > 0.0,
        "all had room"
    );
    require_little_memory(&exporter)
}

/// What is asked for where nothing may be sent.
const ROUTES: [&str; 9] = [
    "/metrics",
    "/",
    "/api/v1/flows",
    "/api/v1/drops",
    "/api/v1/status",
    "/api/v1/cardinality",
    "/api/v1/findings",
    "/docs",
    "/readyz",
];

#[test]
fn streams_without_a_window() -> Result<()> {
    let _turn = turn::alone()?;
    let web = Web::new(TLS)?;
    let exporter = web.start_with(EACH_ITS_OWN, &[])?;
    let _flows = Flows::open(scaled(300))?;
    let options = web.trusting(&["--max-time", "10", "--http1.1"])?;
    let url = format!("https://{}/metrics", exporter.address());
    let scrape = || tests::readers::curl::curl(&url, &options.options());
    scrape()?;
    reset_peak(&exporter)?;
    let mut clients = Vec::new();
    for number in 0..scaled(100) {
        let mut client = Http2::connect(&web, exporter.address(), 0)?;
        // Another route on each stream, and another first on each connection.
        let routes = ROUTES.iter().cycle().skip(usize::try_from(number)? % ROUTES.len());
        for (stream, route) in (0..16).zip(routes) {
            client.request(GET, route, 2 * stream + 1, END_STREAM)?;
        }
        clients.push(client);
        if number % 4 == 0 {
            let (took, answer) = timed(scrape);
            ensure!(answer?.status == 200 && took < 10 * super::SCRAPE, "{took:?}");
        }
    }
    ensure!(
        clients.first_mut().context("no client")?.setting(STREAMS)? == 4,
        "other streams"
    );
    require_little_memory(&exporter)
}

#[test]
#[ignore = "long: make test-long"]
fn bodies_that_nobody_asked_for() -> Result<()> {
    let _turn = turn::alone()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    reset_peak(&exporter)?;
    let mut clients = Vec::new();
    for _ in 0..scaled(50) {
        let mut client = Http2::connect(&web, exporter.address(), 65_535)?;
        let window = client.setting(WINDOW)?;
        ensure!(window == 16 << 10, "a window of {window}");
        for stream in 0..4 {
            client.request(POST, "/-/reload", 2 * stream + 1, 0)?;
            // All that the server takes.
            client
                .send(DATA, 0, 2 * stream + 1, &vec![0; usize::try_from(window)?])
                .ok();
        }
        clients.push(client);
    }
    require_little_memory(&exporter)
}

#[test]
#[ignore = "long: make test-long"]
fn answers_that_nobody_takes() -> Result<()> {
    const DEADLINE: Duration = Duration::from_secs(60);
    let _turn = turn::shared()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let plain = start(EACH_ITS_OWN)?;
    let _flows = Flows::open(scaled(300))?;
    ensure!(plain.get("/metrics", "*/*")?.status == 200, "no scrape");
    // The kernel has room for the whole answer.
    let small = start("")?;
    thread::scope(|scope| {
        let drop_by_drop = scope.spawn(|| read_slowly(narrow(plain.address())?, DEADLINE + patience()));
        let held = scope.spawn(|| read_slowly(narrow(small.address())?, DEADLINE + patience()));
        let stuck = scope.spawn(|| {
            let mut client = Http2::connect(&web, exporter.address(), 0)?;
            client.request(GET, "/metrics", 1, END_STREAM)?;
            let (took, closed) = timed(|| client.keep_alive(DEADLINE + patience()));
            closed?;
            Ok::<_, anyhow::Error>(took)
        });
        for (what, attack) in [
            ("a byte a second", drop_by_drop),
            ("a small answer", held),
            ("HTTP/2", stuck),
        ] {
            let took = attack.join().map_err(|_panic| anyhow::anyhow!("{what} panicked"))??;
            report(&format!("{what}: cut off after {took:?}"));
            ensure!(
                took + Duration::from_secs(2) > DEADLINE,
                "{what}: cut off after {took:?}"
            );
        }
        for exporter in [&plain, &small] {
            ensure!(
                refused(exporter.address(), "answer_time", "")? == 1.0,
                "it was not counted: {}",
                exporter.stderr()
            );
            require_warning(exporter)?;
        }
        require_warning(&exporter)
    })
}

#[test]
#[ignore = "long: make test-long"]
fn answers_that_are_taken_slowly_again() -> Result<()> {
    let seconds = Duration::from_secs;
    let _turn = turn::shared()?;
    let exporter = start("")?;
    let mut stream = narrow(exporter.address())?;
    stream.set_read_timeout(Some(patience()))?;
    let (took, first) = timed(|| take(&mut stream, seconds(10)));
    first?;
    let mut since = took;
    while since < seconds(35) {
        let (took, next) = timed(|| {
            thread::sleep(seconds(8));
            take(&mut stream, Duration::ZERO)
        });
        next?;
        since += took;
    }
    // By now it is more than a minute since the window was too small for the first time.
    take(&mut stream, seconds(75).saturating_sub(since))?;
    ensure!(refused(exporter.address(), "answer_time", "")? == 0.0, "it was cut off");
    Ok(())
}

/// Asks for the metrics three times at once, and takes the answers whole: slowly for a while, then as they come.
fn take(stream: &mut TcpStream, slowly: Duration) -> Result<()> {
    const COUNT: usize = 3;
    for _ in 0..COUNT {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    }
    let slow = Deadline::after(slowly);
    let (mut bytes, mut whole) = (Vec::new(), 0);
    while whole < COUNT {
        let mut piece = vec![0; 1 << 16];
        if !slow.passed() {
            thread::sleep(Duration::from_millis(500));
            piece.truncate(512);
        }
        let read = stream
            .read(&mut piece)
            .with_context(|| format!("{whole} answers came"))?;
        ensure!(read > 0, "{whole} answers came");
        bytes.extend_from_slice(&piece[..read]);
        while let Some(length) = length_of_answer(&bytes) {
            bytes.drain(..length);
            whole += 1;
        }
    }
    Ok(())
}

/// Bytes of the first answer, if it is whole.
fn length_of_answer(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let length = head + length.parse::<usize>().ok()?;
    (bytes.len() >= length).then_some(length)
}

fn require_warning(exporter: &Exporter<'_>) -> Result<()> {
    let stderr = exporter.stderr();
    ensure!(stderr.contains("an answer was not taken within 60 s"), "{stderr}");
    Ok(())
}

/// Asks for the metrics and reads a byte a second, until the server has no such connection any more: a client whose window
/// is closed does not learn of it.
fn read_slowly(mut stream: TcpStream, longest: Duration) -> Result<Duration> {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (server, client) = (stream.peer_addr()?, stream.local_addr()?);
    let deadline = Deadline::after(longest);
    let (took, end) = timed(|| {
        while !deadline.passed() {
            let is_over = match stream.read(&mut [0]) {
                Ok(read) => read == 0,
                // The kernel waits with what the window has no room for.
                Err(error) => error.kind() != ErrorKind::WouldBlock,
            };
            if is_over || !has_connection(server, client)? {
                return Ok(());
            }
            thread::sleep(Duration::from_secs(1));
        }
        bail!("the connection is still open after {longest:?}")
    });
    end?;
    Ok(took)
}

/// Whether the kernel knows a connection, by the ports of its end at the server.
fn has_connection(server: SocketAddr, client: SocketAddr) -> Result<bool> {
    let ports = [server, client].map(|end| format!(":{:04X}", end.port()));
    let table = read_to_string("/proc/net/tcp")?;
    Ok(table.lines().any(|line| {
        let mut ends = line.split_whitespace().skip(1);
        ports
            .iter()
            .all(|port| ends.next().is_some_and(|end| end.ends_with(port)))
    }))
}
