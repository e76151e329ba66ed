//! What a segment costs that is lost and sent again.

use std::net::Ipv4Addr;

use anyhow::Result;
use tests::namespace::Namespace;
use tests::nft;

use crate::compare::{Findings, usual};
use crate::context::Context;
use crate::pairs::pin;
use crate::peers::bpftrace;
use crate::report::model::{Item, Plot};
use crate::work::Ends;

/// One segment of so many is lost.
const LOST: u32 = 37;
/// Written at once, and then read.
const BLOCK: usize = 128 << 10;
/// Of both ends: a thread that writes a whole block before it reads must not wait for itself.
const BUFFERS: &str = "4096 4194304 8388608";

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let unit = "ns per retransmitted segment";
    let mut found = Findings::new(context, "retransmit", "A retransmitted segment", unit);
    let mut contestants = usual(context)?;
    let peer = bpftrace("tcp:tcp_retransmit_skb", "@[args.state] = count();")?;
    found.invite(&mut contestants, peer);
    let namespace = Namespace::new()?;
    namespace.exec("ip link set dev lo mtu 1500 gso_max_segs 1")?;
    namespace.set(&format!("net.ipv4.tcp_wmem={BUFFERS}"))?;
    namespace.set(&format!("net.ipv4.tcp_rmem={BUFFERS}"))?;
    nft::drop_matching(
        &namespace,
        "input",
        &format!("ip protocol tcp meta length > 1000 numgen inc mod {LOST} == 0"),
    )?;
    namespace.run(|| {
        pin(context.processor)?;
        let mut ends = Ends::open(Ipv4Addr::LOCALHOST.into())?;
        let mut buffer = vec![1; BLOCK];
        let mut before = ends.retransmits()?;
        let first = before;
        let mut bytes = 0;
        let operate = || {
            ends.carry(BLOCK, &mut buffer)?;
            bytes += BLOCK;
            let now = ends.retransmits()?;
            let sent = now.wrapping_sub(before);
            before = now;
            Ok(f64::from(sent))
        };
        found.measure(("", context.rounds(150), 1.0), &contestants, operate)?;
        let each = bytes as f64 / f64::from(before.wrapping_sub(first)) / 1000.0;
        found.note(format!(
            "Blocks of {} KiB over loopback in segments of 1448 bytes, of which a packet filter drops one in {LOST}: {each:.1} kB \
             are carried for each retransmission, and the time of those is part of the figures, as is the drop. Retransmissions \
             by timers run in interrupts over whoever is there, and only those over the thread are measured.",
            BLOCK >> 10
        ));
        Ok(())
    })?;
    let mut item = found.done();
    item.plot = Some(Plot::Ratios);
    Ok(item)
}
