//! What happens in incidents: programs that talk, and what goes wrong for them.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result};
use socket2::{Domain, SockRef, Socket, Type};

use super::{BUSY_PORT, Course, Place, Script, joined};
use crate::net::namespace::Namespace;
use crate::net::nft;
use crate::net::packet::{Options, Segment, flag};
use crate::net::pair::{DEVICE, Pair};
use crate::net::peer::{DEVICE as SCRIPTED, Offer};
use crate::net::subnet::{CLIENT, Family, SERVER};
use crate::net::traffic::{Flow, connect, listen, receive, send, small_udp_receiver};

const HTTPS: u16 = 443;

/// How often something is tried.
const PAUSE: Duration = Duration::from_millis(100);

/// How long who opens a connection waits for it: longer than until a SYN is repeated.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// What a copy sends in a tenth of a second.
const CHUNK: usize = 40_000;

/// Two things at the same time.
pub(crate) fn beside(one: impl FnOnce() -> Result<()> + Send, other: impl FnOnce() -> Result<()>) -> Result<()> {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        other()?;
        joined(one)
    })
}

/// What is ordinary, until it begins to go wrong: pages that are asked for.
fn ordinary(pair: &Pair, course: &Course) -> Result<()> {
    if course.has_begun() {
        return Ok(());
    }
    let to = pair.to(Family::V4, 80)?;
    let listener = listen(&pair.server, to)?;
    while !course.has_begun() {
        page(pair, &listener, to)?;
        sleep(PAUSE);
    }
    Ok(())
}

/// A page over a connection of its own.
pub(super) fn page(pair: &Pair, listener: &TcpListener, to: SocketAddr) -> Result<()> {
    let flow = Flow::through(listener, pair, to)?;
    flow.exchange(300, 20_000)?;
    flow.finish().map(drop)
}

/// A copy at a steady pace; what goes wrong is begun by `fault`.
pub(super) fn copy(place: &Place, course: &Course, fault: impl FnOnce() -> Result<()>) -> Result<()> {
    let pair = place.pair()?;
    let flow = Flow::open(pair, Family::V4, HTTPS)?;
    let mut fault = Some(fault);
    while course.goes_on() {
        if course.has_begun()
            && let Some(fault) = fault.take()
        {
            fault()?;
        }
        flow.exchange(CHUNK, 100)?;
        sleep(PAUSE);
    }
    Ok(())
}

/// A copy that once it goes wrong is as fast as it can be.
pub(super) fn copies(place: &Place, course: &Course, fault: impl FnOnce() -> Result<()>) -> Result<()> {
    let pair = place.pair()?;
    let flow = Flow::open(pair, Family::V4, HTTPS)?;
    while !course.has_begun() {
        flow.exchange(CHUNK, 100)?;
        sleep(PAUSE);
    }
    fault()?;
    while course.goes_on() {
        flow.exchange(5 * CHUNK, 0)?;
    }
    Ok(())
}

/// Large transfers, some ten megabytes a second.
pub(super) fn much(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    let flow = Flow::open(pair, Family::V4, HTTPS)?;
    while course.goes_on() {
        flow.exchange(10 * CHUNK, 100)?;
        sleep(PAUSE / 4);
    }
    Ok(())
}

/// Has the client's device send by a queue.
pub(super) fn shape(place: &Place, queue: &str) -> Result<()> {
    let pair = place.pair()?;
    pair.client
        .exec(&format!("tc qdisc add dev {DEVICE} root {queue}"))
        .map(drop)
}

/// Drops what matches in a hook.
pub(super) fn filter(namespace: &Namespace, hook: &str, condition: &str) -> Result<()> {
    nft::drop_matching(namespace, hook, condition)
}

/// Has the server's host answer for https with an error, as often as it is asked.
pub(super) fn reject(place: &Place, answer: &str) -> Result<()> {
    let server = &place.pair()?.server;
    server.set("net.ipv4.icmp_ratelimit=0")?;
    nft::load(
        server,
        &format!(
            "table inet away {{\n\
             \x20 chain in {{\n\
             \x20   type filter hook input priority 0; policy accept;\n\
             \x20   tcp dport {HTTPS} reject with {answer}\n\
             \x20 }}\n\
             }}\n"
        ),
    )
}

/// So many who open connections to https in vain, once `fault` is done.
pub(super) fn opens(place: &Place, course: &Course, number: u32, fault: impl FnOnce() -> Result<()>) -> Result<()> {
    let pair = place.pair()?;
    ordinary(pair, course)?;
    course.wait();
    fault()?;
    thread::scope(|scope| {
        let tries: Vec<_> = (0..number)
            .map(|_| scope.spawn(|| try_to_open(pair, HTTPS, course)))
            .collect();
        tries.into_iter().try_for_each(joined)
    })
}

/// Opens connections until the end, ten a second at most, and gives each up after a while.
fn try_to_open(pair: &Pair, port: u16, course: &Course) -> Result<()> {
    let to = pair.to(Family::V4, port)?;
    pair.client.run(|| {
        while course.goes_on() {
            let _given_up = TcpStream::connect_timeout(&to, IMPATIENCE).is_err();
            sleep(PAUSE);
        }
        Ok(())
    })
}

/// Nobody has a port, and somebody asks for it.
pub(super) fn closed_port(place: &Place, course: &Course, port: u16) -> Result<()> {
    course.wait();
    try_to_open(place.pair()?, port, course)
}

/// A server that answers half, and then is no more; the next one listens at once.
pub(super) fn crashes(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    ordinary(pair, course)?;
    course.wait();
    let to = pair.to(Family::V4, HTTPS)?;
    let listener = listen(&pair.server, to)?;
    while course.goes_on() {
        let flow = Flow::through(&listener, pair, to)?;
        flow.exchange(300, 10_000)?;
        SockRef::from(&flow.server).set_linger(Some(Duration::ZERO))?;
        drop(flow.server);
        sleep(2 * PAUSE);
    }
    Ok(())
}

/// Pages over connections of their own, as many as there is time for, by four clients.
pub(super) fn many_short(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    let to = pair.to(Family::V4, 8081 + number)?;
                    let listener = listen(&pair.server, to)?;
                    while course.goes_on() {
                        let client = connect(&pair.client, to)?;
                        let (server, _) = listener.accept().context("accept")?;
                        send(&client, 300)?;
                        receive(&server, 300)?;
                        send(&server, 2_000)?;
                        receive(&client, 2_000)?;
                        sleep(Duration::from_millis(5));
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(joined)
    })
}

/// Three programs of which each reads 20 kB a second of what comes without a pause.
pub(super) fn slow_readers(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    ordinary(pair, course)?;
    course.wait();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|number| {
                scope.spawn(move || {
                    let flow = Flow::open(pair, Family::V4, HTTPS + number)?;
                    flow.fill()?;
                    while course.goes_on() {
                        receive(&flow.server, 2000)?;
                        flow.fill()?;
                        sleep(PAUSE);
                    }
                    Ok(())
                })
            })
            .collect();
        readers.into_iter().try_for_each(joined)
    })
}

/// Datagrams to a program that does not read.
pub(super) fn unread(place: &Place, course: &Course) -> Result<()> {
    ordinary(place.pair()?, course)?;
    course.wait();
    datagrams(place, course, 5353)
}

/// Datagrams to a socket of the server that nobody reads.
pub(super) fn datagrams(place: &Place, course: &Course, port: u16) -> Result<()> {
    let pair = place.pair()?;
    let to = pair.to(Family::V4, port)?;
    let _unread = small_udp_receiver(&pair.server, to)?;
    send_until_the_end(&pair.client, to, 20, course)
}

/// So many datagrams in a tenth of a second, whatever becomes of them.
fn send_until_the_end(namespace: &Namespace, to: SocketAddr, number: u32, course: &Course) -> Result<()> {
    let socket = namespace.run(|| Ok(UdpSocket::bind(("0.0.0.0", 0))?))?;
    while course.goes_on() {
        for _ in 0..number {
            // Whoever is not there may be reported.
            let _lost = socket.send_to(&[1; 1000], to).is_err();
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// A program with room for sixteen connections takes none of them.
pub(super) fn full_accept_queue(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    ordinary(pair, course)?;
    course.wait();
    let to = pair.to(Family::V4, BUSY_PORT)?;
    let _full: TcpListener = pair.server.run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&to.into())?;
        socket.listen(16)?;
        Ok(socket.into())
    })?;
    // Those that wait in the queue.
    let _waiting: Vec<TcpStream> = (0..17).map(|_| connect(&pair.client, to)).collect::<Result<_>>()?;
    thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| try_to_open(pair, BUSY_PORT, course)))
            .collect();
        tries.into_iter().try_for_each(joined)
    })
}

/// Datagrams into a device whose other side nobody reads.
pub(super) fn fill_the_ring(place: &Place, course: &Course) -> Result<()> {
    let Script { namespace, subnet, .. } = place.script()?;
    course.wait();
    namespace.ip(&[format!("link set dev {SCRIPTED} txqueuelen 10")])?;
    send_until_the_end(namespace, (subnet.v4(SERVER), 5353).into(), 20, course)
}

/// Two local ports, and both are taken.
pub(super) fn no_local_port(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    ordinary(pair, course)?;
    course.wait();
    pair.client.set("net.ipv4.ip_local_port_range=30000 30001")?;
    let to = pair.to(Family::V4, HTTPS)?;
    let _listener = listen(&pair.server, to)?;
    // Ports of connections before may be taken for another minute.
    let _taken: Vec<TcpStream> = pair.client.run(|| {
        Ok((0..2)
            .filter_map(|_| TcpStream::connect_timeout(&to, IMPATIENCE).ok())
            .collect())
    })?;
    try_to_open(pair, HTTPS, course)
}

/// The route to the server says no.
pub(super) fn no_route(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    ordinary(pair, course)?;
    course.wait();
    let to = pair.to(Family::V4, HTTPS)?;
    pair.client
        .exec(&format!("ip route replace unreachable {}/32", to.ip()))?;
    try_to_open(pair, HTTPS, course)
}

/// A program that gives its socket next to no buffer, and a slow link. The sender waits for room only from a segment on that is sent while
/// the program waits, so each segment is a packet of its own.
pub(super) fn no_buffer(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    ordinary(pair, course)?;
    course.wait();
    pair.client.ip(&[format!("link set dev {DEVICE} gso_max_segs 1")])?;
    shape(place, "tbf rate 4mbit burst 3000 limit 60000")?;
    let flow = Flow::open(pair, Family::V4, HTTPS)?;
    SockRef::from(&flow.client).set_send_buffer_size(1)?;
    while course.goes_on() {
        flow.exchange(CHUNK, 0)?;
    }
    Ok(())
}

/// Datagrams to an address that no host has.
pub(super) fn nobody_there(place: &Place, course: &Course) -> Result<()> {
    let pair = place.pair()?;
    ordinary(pair, course)?;
    course.wait();
    pair.client.ip(&[format!("link set dev {DEVICE} arp on")])?;
    let nobody = (pair.subnet()?.v4(SERVER + 7), 5353).into();
    // Fewer than wait for a neighbor.
    send_until_the_end(&pair.client, nobody, 1, course)
}

/// The namespace's listener of a script.
fn scripted_listener(script: &Script) -> Result<TcpListener> {
    listen(&script.namespace, (script.subnet.v4(CLIENT), HTTPS).into())
}

/// Segments with a wrong checksum.
pub(super) fn corrupted(place: &Place, course: &Course) -> Result<()> {
    let script = place.script()?;
    let listener = scripted_listener(script)?;
    let (_server, mut connection) = script.peer.connect(&listener, 40_000, Offer::default())?;
    course.wait();
    while course.goes_on() {
        connection.spoil(b"damaged", 2)?;
        sleep(PAUSE);
    }
    Ok(())
}

/// Who begins a handshake, and then thinks better of it.
pub(super) fn reset_in_mid_handshake(place: &Place, course: &Course) -> Result<()> {
    let script = place.script()?;
    let Script { peer, .. } = script;
    let _listener = scripted_listener(script)?;
    course.wait();
    for port in (40_000..60_000).cycle() {
        if !course.goes_on() {
            break;
        }
        let answer = peer.knock(HTTPS, port, Offer::default())?;
        let reset = Segment {
            source: peer.at(port),
            destination: peer.kernel_at(HTTPS),
            sequence: answer.acknowledgment,
            acknowledgment: 0,
            flags: flag::RST,
            window: 0,
            options: Options::default(),
            payload: Vec::new(),
        };
        peer.inject(&reset.encode())?;
        sleep(PAUSE);
    }
    Ok(())
}

/// Who begins handshakes and says no more.
pub(super) fn never_finished(place: &Place, course: &Course) -> Result<()> {
    let script = place.script()?;
    let _listener = scripted_listener(script)?;
    course.wait();
    for port in (40_000..60_000).cycle() {
        if !course.goes_on() {
            break;
        }
        script.peer.knock(HTTPS, port, Offer::default())?;
        sleep(2 * PAUSE);
    }
    // What it still says.
    while script.peer.next_within(PAUSE)?.is_some() {}
    Ok(())
}
