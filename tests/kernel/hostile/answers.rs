//! Answers that nobody takes, and bodies that nobody asked for: their memory and their time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};
use tests::exporter::{Exporter, start};
use tests::settings::{patience, scaled};
use tests::tcp_info::TcpInfo;
use tests::turn;
use tests::wait::{Deadline, timed, until};

use super::{
    EACH_ITS_OWN, Flows, Stop, ask, get, of_process, refused, report, require_little_memory, reset_peak, status,
    stay_honest, under,
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
fn trickle(address: SocketAddr, count: u64, request: &str, stop: &Stop) -> Result<()> {
    let mut streams: Vec<TcpStream> = Vec::new();
    while !stop.is_over() {
        for _ in 0..10 {
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
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
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
    under(
        |stop| trickle(address, scaled(200), request, stop),
        || stay_honest(address, ""),
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

/// A client of HTTP/2 that sends frames as it likes.
struct Http2(StreamOwned<ClientConnection, TcpStream>);

/// Types of frames, and flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// SETTINGS_INITIAL_WINDOW_SIZE, SETTINGS_MAX_CONCURRENT_STREAMS
const WINDOW: u16 = 4;
const STREAMS: u16 = 3;

struct Frame {
    kind: u8,
    flags: u8,
    body: Vec<u8>,
}

impl Http2 {
    /// A connection on which the server may send `window` bytes of each answer.
    fn connect(web: &Web, address: SocketAddr, window: u32) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(web.authority.certificate.as_bytes())?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(patience()))?;
        let mut client = Self(StreamOwned::new(session, stream));
        client.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut settings = WINDOW.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        client.send(SETTINGS, 0, 0, &settings)?;
        Ok(client)
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, body: &[u8]) -> Result<()> {
        let length = u32::try_from(body.len())?.to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(body);
        Ok(self.0.write_all(&frame)?)
    }

    /// A request without Huffman codes and without the dynamic table (RFC 7541).
    fn request(&mut self, method: u8, path: &str, stream: u32, flags: u8) -> Result<()> {
        let mut block = vec![0x80 | method, 0x87, 0x04, u8::try_from(path.len())?];
        block.extend(path.as_bytes());
        block.extend([0x01, 9]);
        block.extend(b"localhost");
        self.send(HEADERS, END_HEADERS | flags, stream, &block)
    }

    fn read(&mut self) -> Result<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut body = vec![0; usize::try_from(length)?];
        self.0.read_exact(&mut body)?;
        Ok(Frame {
            kind: head[3],
            flags: head[4],
            body,
        })
    }

    /// A setting of the server.
    fn setting(&mut self, wanted: u16) -> Result<u32> {
        let frame = self.read()?;
        ensure!(
            frame.kind == SETTINGS,
            "the server begins with a frame of type {}",
            frame.kind
        );
        let value = frame.body.chunks_exact(6).find_map(|setting| {
            let (name, value) = setting.split_at(2);
            (name == wanted.to_be_bytes()).then(|| value.try_into().map(u32::from_be_bytes))
        });
        Ok(value.context("no such setting")??)
    }

    /// Answers pings until the server closes the connection.
    fn keep_alive(&mut self, longest: Duration) -> Result<()> {
        let deadline = Deadline::after(longest);
        while !deadline.passed() {
            match self.read() {
                Ok(Frame {
                    kind: PING,
                    flags: 0,
                    body,
                }) => self.send(PING, ACK, 0, &body)?,
                Ok(_) => {}
                Err(_closed) => return Ok(()),
            }
        }
        bail!("the connection is still open after {longest:?}")
    }
}

/// GET and POST in HPACK's static table.
const GET: u8 = 2;
const POST: u8 = 3;

#[test]
fn streams_without_a_window() -> Result<()> {
    let _turn = turn::alone()?;
    let web = Web::new(TLS)?;
    let exporter = web.start_with(EACH_ITS_OWN, &[])?;
    let _flows = Flows::open(scaled(300))?;
    let options = web.trusting(&["--max-time", "10", "--http1.1"])?;
    let url = format!("https://{}/metrics", exporter.address());
    let scrape = || tests::curl::curl(&url, &options.options());
    scrape()?;
    reset_peak(&exporter)?;
    let mut clients = Vec::new();
    for _ in 0..scaled(100) {
        let mut client = Http2::connect(&web, exporter.address(), 0)?;
        for stream in 0..16 {
            client.request(GET, "/metrics", 2 * stream + 1, END_STREAM)?;
        }
        clients.push(client);
        let (took, answer) = timed(scrape);
        ensure!(answer?.status == 200 && took < 10 * super::SCRAPE, "{took:?}");
    }
    ensure!(
        clients.first_mut().context("no client")?.setting(STREAMS)? == 4,
        "other streams"
    );
    require_little_memory(&exporter)
}

#[test]
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
#[ignore = "does not hold yet"]
fn answers_that_nobody_takes() -> Result<()> {
    const DEADLINE: Duration = Duration::from_secs(60);
    let _turn = turn::shared()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let plain = start(EACH_ITS_OWN)?;
    let _flows = Flows::open(scaled(100))?;
    ensure!(plain.get("/metrics", "*/*")?.status == 200, "no scrape");
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let mut stream = narrow(plain.address())?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            stream.set_read_timeout(Some(patience()))?;
            read_slowly(stream, DEADLINE + patience())
        });
        let stuck = scope.spawn(|| {
            let mut client = Http2::connect(&web, exporter.address(), 0)?;
            client.request(GET, "/metrics", 1, END_STREAM)?;
            let (took, closed) = timed(|| client.keep_alive(DEADLINE + patience()));
            closed?;
            Ok::<_, anyhow::Error>(took)
        });
        for (what, attack) in [("HTTP/1.1", slow), ("HTTP/2", stuck)] {
            let took = attack.join().map_err(|_panic| anyhow::anyhow!("{what} panicked"))??;
            report(&format!("{what}: cut off after {took:?}"));
            ensure!(
                took + Duration::from_secs(1) > DEADLINE,
                "{what}: cut off after {took:?}"
            );
        }
        ensure!(
            refused(plain.address(), "answer_time", "")? == 1.0,
            "it was not counted"
        );
        require_warning(&exporter)
    })
}

fn require_warning(exporter: &Exporter<'_>) -> Result<()> {
    let stderr = exporter.stderr();
    ensure!(stderr.contains("an answer was not taken within 60 s"), "{stderr}");
    Ok(())
}

/// A byte a second, until the server has closed the connection; what is with the kernel then is read at once.
fn read_slowly(mut stream: TcpStream, longest: Duration) -> Result<Duration> {
    let deadline = Deadline::after(longest);
    let (took, end) = timed(|| {
        while !deadline.passed() {
            if stream.read(&mut [0])? == 0 || is_reset(&stream)? {
                return Ok(());
            }
            thread::sleep(Duration::from_secs(1));
        }
        bail!("the connection is still open after {longest:?}")
    });
    end?;
    Ok(took)
}

/// Whether the other end has closed it, with or without bytes that nobody has taken.
fn is_reset(stream: &TcpStream) -> Result<bool> {
    const ESTABLISHED: u8 = 1;
    Ok(TcpInfo::of(stream)?.state != ESTABLISHED)
}
