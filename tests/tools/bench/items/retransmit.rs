//! What a segment costs that is lost and sent again.

use std::net::Ipv4Addr;

use anyhow::Result;
use tests::net::namespace::Namespace;
use tests::net::nft;

use crate::compare::{Findings, more_and_less, usual};
use crate::context::Context;
use crate::pairs::pin;
use crate::peers::bpftrace;
use crate::report::model::{Item, Plot};
use crate::work::Ends;

/// One segment of so many is lost.
const LOST: u32 = 37;
/// Written or read at once.
const BLOCK: usize = 16 << 10;
/// Shortest time-out, in microseconds, where the namespace has it: a pause for each is long enough.
const SHORT_TIMEOUT: &str = "net.ipv4.tcp_rto_min_us=5000";

/// A namespace whose loopback loses segments.
pub(super) fn lossy() -> Result<Namespace> {
    let namespace = Namespace::new()?;
    namespace.exec("ip link set dev lo mtu 1500 gso_max_segs 1")?;
    if namespace.has(SHORT_TIMEOUT)? {
        namespace.set(SHORT_TIMEOUT)?;
    }
    nft::drop_matching(
        &namespace,
        "input",
        &format!("ip protocol tcp meta length > 1000 numgen inc mod {LOST} == 0"),
    )?;
    Ok(namespace)
}

/// A transfer in the calling thread's namespace.
#[derive(Debug)]
pub(super) struct Transfer {
    ends: Ends,
    block: Vec<u8>,
}

impl Transfer {
    /// Over loopback.
    pub(super) fn open() -> Result<Self> {
        let ends = Ends::open(Ipv4Addr::LOCALHOST.into())?;
        ends.client.set_nonblocking(true)?;
        ends.server.set_nonblocking(true)?;
        let block = vec![1; BLOCK];
        Ok(Self { ends, block })
    }

    /// Goes on until something is retransmitted: how many segments were, and how many bytes have arrived.
    pub(super) fn until_retransmit(&mut self) -> Result<(u32, usize)> {
        self.ends.until_retransmit(&mut self.block)
    }
}

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let unit = "ns per retransmitted segment";
    let mut found = Findings::new(context, "retransmit", "A retransmitted segment", unit);
    let mut contestants = usual(context)?;
    contestants.extend(more_and_less(context)?);
    let peer = bpftrace("tcp:tcp_retransmit_skb", "@[args.state] = count();")?;
    found.invite(&mut contestants, peer);
    lossy()?.run(|| {
        pin(context.processor)?;
        let mut transfer = Transfer::open()?;
        let (mut segments, mut bytes) = (0, 0);
        let operate = || {
            let (sent_again, arrived) = transfer.until_retransmit()?;
            segments += sent_again;
            bytes += arrived;
            Ok(f64::from(sent_again))
        };
        found.measure(("", context.rounds(150), 1.0), &contestants, operate)?;
        let each = bytes as f64 / f64::from(segments) / 1000.0;
        found.note(format!(
            "Bytes over loopback in segments of 1448 bytes, of which a packet filter drops one in {LOST}: {each:.1} kB arrive for \
             each retransmission, and their time is part of the figures, as is the drop. What timers send again in interrupts \
             over somebody else is not."
        ));
        Ok(())
    })?;
    let mut item = found.done();
    item.plot = Some(Plot::Ratios);
    Ok(item)
}
