//! A drop is never taken for one of another connection, however much alike both are.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use socket2::{Domain, Socket, Type};
use tests::exporter::start;
use tests::kernel::kernel_facts::note;
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::machine::wait::timed;
use tests::net::link::{DEVICE as LINK, Link};
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::packet::{Options, Segment, flag};
use tests::net::peer::Peer;
use tests::net::subnet::{CLIENT, SERVER, Subnet, config};
use tests::net::traffic::{Flow, listen, settle};

use super::at_once::begin_at;
use super::{AFTER_DROP, OF_SITES, is_there};

/// Flows that lose data beyond this host.
const FLOWS: u16 = 16;
/// Bytes that each carries before and during the drops of others.
const VOLUME: u32 = 600_000;
/// What the ring has room for.
const ROOM: u64 = 16_384;
/// Of a dropped segment that a flow sends again, and of others.
const PAYLOAD: u32 = 1000;
const SHORT: u32 = 40;

/// The ends of a flow, and its first sequence number.
#[derive(Clone, Copy, Debug)]
struct Known {
    client: SocketAddrV4,
    server: SocketAddrV4,
    first: u32,
}

impl Known {
    fn segment(&self, sequence: u32, payload: u32) -> Segment {
        Segment {
            source: self.client,
            destination: self.server,
            sequence,
            acknowledgment: 1,
            flags: flag::ACK,
            window: 1000,
            options: Options::default(),
            payload: vec![0; payload as usize],
        }
    }
}

/// Two namespaces with a link that loses one packet in ten, and a third one that drops whatever comes in.
struct Stage {
    client: Namespace,
    server: Namespace,
    _router: Namespace,
    peer: Peer,
    subnets: [Subnet; 3],
    _link: Link,
}

impl Stage {
    fn new() -> Result<Self> {
        let (client, server, router) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
        let subnets = [Subnet::take()?, Subnet::take()?, Subnet::take()?];
        let [near, far, other] = subnets;
        let link = Link::new(&client, &server, 10)?;
        for (namespace, own, theirs) in [(&client, near.v4(CLIENT), far), (&server, far.v4(SERVER), near)] {
            namespace.ip(&[
                format!("address add {own}/24 dev {LINK}"),
                format!("route add {}/24 dev {LINK} src {own}", theirs.v4(0)),
            ])?;
        }
        let peer = Peer::new(&router, other)?;
        nft::drop_matching(&router, "prerouting", "meta l4proto tcp")?;
        Ok(Self {
            client,
            server,
            _router: router,
            peer,
            subnets,
            _link: link,
        })
    }

    fn known(&self, number: u16, first: u32) -> Known {
        let [near, far, _] = self.subnets;
        Known {
            client: SocketAddrV4::new(near.v4(CLIENT), 20_000 + number),
            server: SocketAddrV4::new(far.v4(SERVER), 443),
            first,
        }
    }

    fn open(&self, known: Known) -> Result<Flow> {
        let listener = listen(&self.server, known.server.into())?;
        let client = self.client.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::from(known.client).into())?;
            begin_at(&socket, known.first)?;
            socket
                .connect(&SocketAddr::from(known.server).into())
                .context("connect")?;
            Ok(socket.into())
        })?;
        let (server, _) = listener.accept().context("accept a connection")?;
        Ok(Flow { client, server })
    }
}

/// How many ranges the exporter writes down for a segment: those of 16 KiB that it lies in.
fn ranges(segment: &Segment) -> u64 {
    let block = |sequence: u32| sequence >> 14;
    1 + u64::from(block(segment.sequence) != block(segment.end().wrapping_sub(1)))
}

/// A segment that is like one of a known flow but for one thing, or like none at all.
fn stranger(random: &mut StdRng, flows: &[Known]) -> Segment {
    let known = flows[random.random_range(0..flows.len())];
    let within = known.first.wrapping_add(random.random_range(0..VOLUME * 2));
    let mut segment = known.segment(within, SHORT);
    let address = Ipv4Addr::from(random.random::<u32>() & 0x7fff_ffff | 0x0100_0000);
    let port = random.random_range(1..20_000);
    match random.random_range(0..7) {
        0 => segment.source.set_port(port),
        1 => segment.destination.set_port(port),
        2 => segment.source.set_ip(address),
        3 => segment.destination.set_ip(address),
        4 => std::mem::swap(&mut segment.source, &mut segment.destination),
        // Far behind all that the flow sends.
        5 => segment.sequence = known.first.wrapping_add(random.random_range(1 << 30..1 << 31)),
        _ => {
            segment.source = SocketAddrV4::new(address, port);
            segment.destination.set_port(random.random());
            segment.sequence = random.random();
        }
    }
    segment
}

fn exchange(flows: &[Flow]) -> Result<()> {
    thread::scope(|scope| {
        let exchanges: Vec<_> = flows
            .iter()
            .map(|flow| scope.spawn(move || flow.exchange(VOLUME as usize, 1)))
            .collect();
        exchanges
            .into_iter()
            .try_for_each(|exchange| exchange.join().unwrap_or_else(|_| bail!("an exchange panicked")))
    })
}

#[test]
fn a_million_drops_of_others_and_those_of_the_last_connection_between_the_same_ends_are_not_its_own() -> Result<()> {
    let _turn = turn::alone()?;
    if !is_there()? {
        return Ok(());
    }
    let seed = rand::random();
    note(&format!("seed {seed}"));
    let mut random = StdRng::seed_from_u64(seed);
    let stage = Stage::new()?;
    let exporter = start(config(&stage.subnets))?;
    let known: Vec<Known> = (0..FLOWS).map(|number| stage.known(number, random.random())).collect();
    let mut written = 0;
    // Of connections between the same ends that are over: the very bytes that are lost beyond this host afterwards.
    for known in &known {
        for begin in (0..VOLUME).step_by(PAYLOAD as usize) {
            let segment = known.segment(known.first.wrapping_add(1 + begin), PAYLOAD);
            written += ranges(&segment);
            stage.peer.inject(&segment.encode())?;
        }
    }
    ensure!(written < ROOM, "{written} do not fit");
    let flows: Vec<Flow> = known.iter().map(|known| stage.open(*known)).collect::<Result<_>>()?;
    exchange(&flows)?;
    let others = scaled(1_000_000);
    let (took, injected) = timed(|| {
        thread::scope(|scope| {
            let traffic = scope.spawn(|| exchange(&flows));
            let mut written = 0;
            for _ in 0..others {
                let segment = stranger(&mut random, &known);
                written += ranges(&segment);
                stage.peer.inject(&segment.encode())?;
            }
            traffic.join().unwrap_or_else(|_| bail!("the traffic panicked"))?;
            anyhow::Ok(written)
        })
    });
    written += injected.context("inject")?;
    let ends = settle(&flows)?;
    let repeated: u32 = ends.iter().map(|ends| ends.client.total_retrans).sum();
    let scrape = exporter.scrape()?;
    note(&format!(
        "{others} in {took:?}, {written} ranges in all, {repeated} segments repeated"
    ));
    ensure!(repeated > u32::from(FLOWS) * 20, "{repeated}");
    for subnet in stage.subnets {
        for metric in [AFTER_DROP, OF_SITES] {
            assert_eq!(scrape.sum(metric, &[("subnet", &subnet.name())])?, 0.0, "{metric}");
        }
    }
    // Whoever else on this machine drops data of TCP meanwhile pushes out as much.
    let all = scrape.sum(
        "tcpvitals_dropped_packets_total",
        &[("protocol", "tcp"), ("source", "software")],
    )?;
    let own = scrape.sum(
        "tcpvitals_dropped_packets_total",
        &[("reason", "NETFILTER_DROP"), ("protocol", "tcp")],
    )?;
    let others = all - own;
    let forgotten = scrape.sum("tcpvitals_local_losses_forgotten_total", &[])?;
    let more = forgotten - (written - ROOM) as f64;
    ensure!(
        (0.0..=others * 33.0).contains(&more),
        "{forgotten} forgotten of {written}, with room for {ROOM}; {others} packets of others"
    );
    Ok(())
}
