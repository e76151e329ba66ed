//! What a dropped packet costs: at a closed port, in a flood of SYN, and at several sites in turn.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::packet::{Options, Segment, flag};

use crate::compare::{Findings, OLDER, OURS_FULL, asked, more_and_less, without_second_programs};
use crate::contestants::{FULL, SITE_AND_REASON, older, ours};
use crate::context::Context;
use crate::pairs::{Contestant, FLOOR, pin, runs};
use crate::peers::bpftrace;
use crate::report::model::{Item, Plot, Target};

/// Packets between two looks at the clock.
const BATCH: usize = 32;
/// Nobody listens there.
const CLOSED: u16 = 9;
/// A packet filter drops what goes there.
const FILTERED: u16 = 4001;
/// Name of the exporter with fewer labels.
const FEW_LABELS: &str = "tcpvitals, site and reason only";

/// What a packet is and where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Site {
    ClosedPort,
    Syn,
    PacketFilter,
    SocketFilter,
    /// A segment with data, which a packet filter drops.
    Data,
}

const CASES: [(&str, &[Site]); 4] = [
    ("UDP to a closed port", &[Site::ClosedPort]),
    ("SYN flood", &[Site::Syn]),
    ("segments with data to a packet filter", &[Site::Data]),
    (
        "sites in turn",
        &[Site::ClosedPort, Site::PacketFilter, Site::Syn, Site::SocketFilter],
    ),
];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let mut found = Findings::new(context, "drop", "A dropped packet", "ns per drop");
    found.note(
        "Packets over loopback, sent and dropped by one thread. A SYN to a closed port is dropped, and so is the reset that \
         answers it. What a segment with data carries is written down, until it is sent again. In turn: a closed UDP port, a packet filter, a closed TCP port, a socket filter.",
    );
    let full = ours(context, OURS_FULL, FULL)?;
    let floor = Contestant::floor(&full, FLOOR)?;
    let few = ours(context, FEW_LABELS, SITE_AND_REASON)?;
    let [floor_of_one, alone] = without_second_programs(&full)?;
    let mut contestants = vec![Contestant::null(), floor, full, few, floor_of_one, alone];
    contestants.extend(more_and_less(context)?);
    contestants.extend(older(context, OLDER, FULL)?);
    let peer = bpftrace("skb:kfree_skb", "@[args.reason] = count();")?;
    found.invite(&mut contestants, peer);
    let namespace = Namespace::new()?;
    filter(&namespace)?;
    for (group, sites) in CASES {
        namespace.run(|| {
            pin(context.processor)?;
            let flood = Flood::new()?;
            let mut next = sites.iter().cycle();
            let mut number = 0;
            let mut operate = || {
                for site in next.by_ref().take(BATCH) {
                    flood.send(*site, number)?;
                    number += 1;
                }
                Ok(BATCH as f64)
            };
            let counted = runs(&contestants[1], &mut operate)?;
            let drops = counted.iter().find(|(name, _)| name == "kfree_skb");
            let drops = drops.map(|(_, runs)| *runs).context("no packet was dropped")?;
            found.note(format!("{group}: {drops:.2} drops for each packet sent."));
            found.measure((group, context.rounds(80), 1.0 / drops), &contestants, operate)
        })?;
        if matches!(sites, [Site::Data]) {
            // Nothing is promised of it.
            continue;
        }
        let few = found.above_floor(group, FEW_LABELS);
        let why = few.map(|few| format!("without the labels that headers and devices tell it is {few:.1} ns"));
        let is_flood = matches!(sites, [Site::Syn]);
        let all_labels = Target {
            why: why.unwrap_or_default(),
            ..asked(
                &format!("one dropped packet, all labels, {group}"),
                if is_flood {
                    "≤ 70 ns above the floor, ratio ≤ 1.08"
                } else {
                    "≤ 70 ns above the floor"
                },
            )
        };
        found.target(all_labels, &format!("{group}: {OURS_FULL}"), |row| {
            let (above, ratio) = (row.above_floor.unwrap_or(f64::NAN), row.ratio.unwrap_or(f64::NAN));
            (
                format!("{above:.1} ns above the floor"),
                above <= 70.0 && (!is_flood || ratio <= 1.08),
            )
        });
        let peer = found.above_floor(group, "bpftrace");
        let why = peer.map(|peer| format!("counting reasons by bpftrace is {peer:.1} ns above the floor"));
        let few_labels = Target {
            why: why.unwrap_or_default(),
            ..asked(&format!("site and reason only, {group}"), "≤ 20 ns above the floor")
        };
        found.target(few_labels, &format!("{group}: {FEW_LABELS}"), |row| {
            let above = row.above_floor.unwrap_or(f64::NAN);
            (format!("{above:.1} ns above the floor"), above <= 20.0)
        });
    }
    let mut item = found.done();
    item.plot = Some(Plot::Ratios);
    Ok(item)
}

/// Has a packet filter of a namespace drop what is sent for it.
pub(super) fn filter(namespace: &Namespace) -> Result<()> {
    nft::drop_matching(
        namespace,
        "input",
        &format!("meta l4proto {{ tcp, udp }} th dport {FILTERED}"),
    )
}

/// Sends what is dropped.
#[derive(Debug)]
pub(super) struct Flood {
    datagrams: UdpSocket,
    /// Takes whole IP packets, and receives none.
    packets: Socket,
    /// From many clients.
    syns: Vec<Vec<u8>>,
    data: Vec<Vec<u8>>,
    to: SockAddr,
    deaf: UdpSocket,
}

impl Flood {
    pub(super) fn new() -> Result<Self> {
        let here = Ipv4Addr::LOCALHOST;
        let packets = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
        let from = |host, port, flags, payload| Segment {
            source: SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, host), 40_000 + u16::from(host)),
            destination: SocketAddrV4::new(here, port),
            sequence: 1,
            acknowledgment: 0,
            flags,
            window: 1024,
            options: Options::default(),
            payload,
        };
        let syns = (0..=u8::MAX).map(|host| from(host, CLOSED, flag::SYN, Vec::new()).encode());
        let data = (0..=u8::MAX).map(|host| from(host, FILTERED, flag::ACK, vec![0; 64]).encode());
        let deaf = UdpSocket::bind((here, 0))?;
        // A filter of one instruction: return 0, accept no byte.
        let (return_constant, nothing) = (u16::try_from(libc::BPF_RET | libc::BPF_K)?, 0);
        let socket: Socket = deaf.try_clone()?.into();
        socket
            .attach_filter(&[SockFilter::new(return_constant, 0, 0, nothing)])
            .context("filter what a socket receives")?;
        Ok(Self {
            datagrams: UdpSocket::bind((here, 0))?,
            packets,
            syns: syns.collect(),
            data: data.collect(),
            to: SocketAddrV4::new(here, 0).into(),
            deaf,
        })
    }

    pub(super) fn send(&self, site: Site, number: usize) -> Result<()> {
        let payload = [0; 64];
        let here = Ipv4Addr::LOCALHOST;
        match site {
            Site::ClosedPort => self.datagrams.send_to(&payload, (here, CLOSED))?,
            Site::PacketFilter => self.datagrams.send_to(&payload, (here, FILTERED))?,
            Site::SocketFilter => self.datagrams.send_to(&payload, self.deaf.local_addr()?)?,
            Site::Syn => self.packets.send_to(&self.syns[number % self.syns.len()], &self.to)?,
            Site::Data => self.packets.send_to(&self.data[number % self.data.len()], &self.to)?,
        };
        Ok(())
    }
}
