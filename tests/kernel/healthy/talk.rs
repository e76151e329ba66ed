//! Ordinary exchanges between two namespaces, in which everything arrives.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use tests::machine::settings::patience;
use tests::net::namespace::Namespace;
use tests::net::subnet::{CLIENT, Family, SERVER, Subnet};
use tests::net::traffic::{Flow, connect, listen, receive, send};

use crate::suite::Stage;

/// A connected pair of streams through a listener of one's own.
pub(super) fn flow(client: &Namespace, server: &Namespace, to: SocketAddr) -> Result<Flow> {
    let listener = listen(server, to)?;
    through(&listener, client, to)
}

/// The same through a listener.
pub(super) fn through(listener: &TcpListener, client: &Namespace, to: SocketAddr) -> Result<Flow> {
    let client = connect(client, to)?;
    Ok(Flow {
        client,
        server: accept(listener)?,
    })
}

/// Accepts a connection whose calls do not wait forever.
pub(super) fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let (server, _) = listener.accept().context("accept a connection")?;
    server.set_read_timeout(Some(patience()))?;
    server.set_write_timeout(Some(patience()))?;
    Ok(server)
}

/// Says `question` bytes, and gets `answer` bytes, over an open connection.
pub(super) fn ask(flow: &Flow, question: usize, answer: usize) -> Result<()> {
    let server = &flow.server;
    thread::scope(|scope| {
        let answering = scope.spawn(|| -> Result<()> {
            receive(server, question)?;
            send(server, answer)
        });
        send(&flow.client, question)?;
        receive(&flow.client, answer)?;
        answering
            .join()
            .unwrap_or_else(|_| bail!("the answering thread panicked"))
    })
}

/// Reads up to the end of the stream, and gives how much there was.
pub(super) fn read_to_end(mut stream: &TcpStream) -> Result<usize> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).context("read up to the end")?;
    Ok(all.len())
}

/// A datagram socket whose calls do not wait forever.
pub(super) fn datagrams(namespace: &Namespace, at: SocketAddr) -> Result<UdpSocket> {
    namespace.run(|| {
        let socket = UdpSocket::bind(at).with_context(|| format!("bind {at}"))?;
        socket.set_read_timeout(Some(patience()))?;
        Ok(socket)
    })
}

/// The same on any port of any address of a family.
pub(super) fn any_port(namespace: &Namespace, family: Family) -> Result<UdpSocket> {
    let at = match family {
        Family::V4 => "0.0.0.0:0",
        Family::V6 => "[::]:0",
    };
    datagrams(namespace, at.parse()?)
}

/// A raw or datagram socket of a protocol whose calls do not wait forever.
pub(super) fn socket(namespace: &Namespace, domain: Domain, kind: Type, protocol: Protocol) -> Result<Socket> {
    namespace.run(|| {
        let socket = Socket::new(domain, kind, Some(protocol))?;
        socket.set_read_timeout(Some(patience()))?;
        Ok(socket)
    })
}

/// Sends datagrams one by one, has each answered by one of the same size, and requires every byte.
pub(super) fn question_and_answer(
    from: &UdpSocket,
    at: &UdpSocket,
    to: SocketAddr,
    rounds: u8,
    size: usize,
) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    for round in 0..rounds {
        from.send_to(&vec![round; size], to)?;
        let (length, sender) = at.recv_from(&mut buffer).context("receive a question")?;
        ensure!(length == size, "a question of {length} bytes");
        at.send_to(&buffer[..length], sender)?;
        let (length, _) = from.recv_from(&mut buffer).context("receive an answer")?;
        ensure!(length == size && buffer[0] == round, "an answer of {length} bytes");
    }
    Ok(())
}

/// Datagrams and two connections between the hosts of a subnet, whatever lies between them.
pub(super) fn everything(stage: &Stage, subnet: Subnet) -> Result<()> {
    between(stage.client(), stage.server(), subnet)
}

/// The same between two namespaces.
pub(super) fn between(client: &Namespace, server: &Namespace, subnet: Subnet) -> Result<()> {
    for family in Family::BOTH {
        over(client, server, subnet, family).with_context(|| format!("over {family:?}"))?;
    }
    Ok(())
}

/// The same over one family.
pub(super) fn over(client: &Namespace, server: &Namespace, subnet: Subnet, family: Family) -> Result<()> {
    let at = |port: u16| SocketAddr::from((subnet.address(family, SERVER), port));
    let receiver = datagrams(server, at(4000))?;
    let sender = datagrams(client, (subnet.address(family, CLIENT), 0).into())?;
    question_and_answer(&sender, &receiver, at(4000), 5, 600)?;
    let flow = flow(client, server, at(8080))?;
    flow.exchange(100_000, 100_000)?;
    flow.finish()?;
    Ok(())
}

/// One request and one response, after which the side that is named first closes, and then the other.
pub(super) fn request(flow: &Flow, server_first: bool) -> Result<()> {
    ask(flow, 100, 3000)?;
    let (first, second) = match server_first {
        true => (&flow.server, &flow.client),
        false => (&flow.client, &flow.server),
    };
    first.shutdown(Shutdown::Write)?;
    ensure!(read_to_end(second)? == 0, "more than was sent");
    second.shutdown(Shutdown::Write)?;
    ensure!(read_to_end(first)? == 0, "more than was sent");
    Ok(())
}

/// Writes all.
pub(super) fn write(mut stream: &TcpStream, bytes: &[u8]) -> Result<()> {
    stream.write_all(bytes).context("write")
}
