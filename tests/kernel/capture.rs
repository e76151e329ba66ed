//! Captured packets: as many as were dropped, with the bytes that were sent, and what did not fit is counted.

mod bytes;
mod ends;
mod filters;
mod queue;

use anyhow::Result;
use tests::exporter::capture::Capture;
use tests::net::namespace::Namespace;
use tests::net::pair::Pair;
use tests::net::subnet::{Family, SERVER};

/// The port whose packets a filter drops.
const PORT: u16 = 4000;

/// Captures what is dropped of the server of a pair, of whom every test has its own.
fn capture(pair: &Pair, arguments: &[&str]) -> Result<Capture> {
    let addresses = addresses(pair)?;
    Capture::start(&[&["--address", &addresses], arguments].concat())
}

/// Both addresses of the server.
fn addresses(pair: &Pair) -> Result<String> {
    let subnet = pair.subnet()?;
    Ok(format!(
        "{},{}",
        subnet.address(Family::V4, SERVER),
        subnet.address(Family::V6, SERVER)
    ))
}

/// Sends a datagram of these bytes.
fn send(from: &Namespace, to: std::net::SocketAddr, bytes: &[u8]) -> Result<()> {
    from.run(|| {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        std::net::UdpSocket::bind(any)?.send_to(bytes, to)?;
        Ok(())
    })
}
