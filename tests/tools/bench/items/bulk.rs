//! What a megabyte costs, in segments as large as the stack likes.

use std::net::Ipv4Addr;

use anyhow::Result;
use tests::net::namespace::Namespace;

use crate::compare::{Findings, usual};
use crate::context::Context;
use crate::pairs::pin;
use crate::peers::bpftrace;
use crate::report::model::{Item, Plot};
use crate::work::Ends;

/// Written at once, and then read.
const BLOCK: usize = 64 << 10;

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let mut found = Findings::new(context, "bulk", "A megabyte", "ns per megabyte");
    found.note("Blocks of 64 KiB over loopback, written and read by one thread; a megabyte is 2²⁰ bytes.");
    let mut contestants = usual(context)?;
    let peer = bpftrace("tcp:tcp_probe", "@ = hist(args.srtt);")?;
    found.invite(&mut contestants, peer);
    Namespace::new()?.run(|| {
        pin(context.processor)?;
        let mut ends = Ends::open(Ipv4Addr::LOCALHOST.into())?;
        let mut buffer = vec![1; BLOCK];
        let operate = || {
            ends.carry(BLOCK, &mut buffer)?;
            Ok(BLOCK as f64 / f64::from(1 << 20))
        };
        found.measure(("", context.rounds(120), 1.0), &contestants, operate)
    })?;
    let mut item = found.done();
    item.plot = Some(Plot::Ratios);
    Ok(item)
}
