//! Clients that speak TLS, and HTTP/2 frame by frame as they like.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};
use tests::machine::settings::patience;
use tests::machine::wait::Deadline;

use super::get;
use crate::web::Web;

/// A connection with TLS.
pub(super) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects and trusts the folder's authority; the handshake comes with the first bytes.
pub(super) fn tls(web: &Web, address: SocketAddr, protocol: Option<&str>) -> Result<TlsStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(web.authority.certificate.as_bytes())?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocol.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience()))?;
    Ok(StreamOwned::new(session, stream))
}

/// Asks over HTTP/1.1 and TLS, on a connection for each request.
pub(super) fn over_tls(web: &Web, address: SocketAddr) -> impl Fn(&str) -> Result<String> {
    move |path| {
        let mut stream = tls(web, address, Some("http/1.1"))?;
        stream.write_all(get(path, "").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// A client of HTTP/2 that sends frames as it likes.
pub(super) struct Http2(TlsStream);

/// Types of frames, and flags.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// SETTINGS_INITIAL_WINDOW_SIZE, SETTINGS_MAX_CONCURRENT_STREAMS
pub(super) const WINDOW: u16 = 4;
pub(super) const STREAMS: u16 = 3;

pub(super) struct Frame {
    kind: u8,
    flags: u8,
    body: Vec<u8>,
}

impl Http2 {
    /// Longest time for one read or write.
    pub(super) fn limit_time(&self, longest: Duration) -> Result<()> {
        self.0.sock.set_read_timeout(Some(longest))?;
        Ok(self.0.sock.set_write_timeout(Some(longest))?)
    }

    /// Sends frames as they are.
    pub(super) fn send_raw(&mut self, frames: &[u8]) -> Result<()> {
        Ok(self.0.write_all(frames)?)
    }

    /// A connection on which the server may send `window` bytes of each answer.
    pub(super) fn connect(web: &Web, address: SocketAddr, window: u32) -> Result<Self> {
        let mut client = Self(tls(web, address, Some("h2"))?);
        client.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut settings = WINDOW.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        client.send(SETTINGS, 0, 0, &settings)?;
        Ok(client)
    }

    pub(super) fn send(&mut self, kind: u8, flags: u8, stream: u32, body: &[u8]) -> Result<()> {
        self.send_raw(&frame(kind, flags, stream, body)?)
    }

    /// A request without Huffman codes and without the dynamic table (RFC 7541).
    pub(super) fn request(&mut self, method: u8, path: &str, stream: u32, flags: u8) -> Result<()> {
        self.send(HEADERS, END_HEADERS | flags, stream, &block(method, path)?)
    }

    pub(super) fn read(&mut self) -> Result<Frame> {
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
    pub(super) fn setting(&mut self, wanted: u16) -> Result<u32> {
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
    pub(super) fn keep_alive(&mut self, longest: Duration) -> Result<()> {
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
pub(super) const GET: u8 = 2;
pub(super) const POST: u8 = 3;

/// A frame's bytes.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(body.len())?.to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(body);
    Ok(frame)
}

/// The headers of a request.
pub(super) fn block(method: u8, path: &str) -> Result<Vec<u8>> {
    let mut block = vec![0x80 | method, 0x87, 0x04, u8::try_from(path.len())?];
    block.extend(path.as_bytes());
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    Ok(block)
}
