//! What a small segment costs: a request and a response of one byte.

use std::net::Ipv4Addr;

use anyhow::Result;
use tests::net::namespace::Namespace;

use crate::compare::{Findings, OURS_ESSENTIAL, OURS_FULL, asked, usual};
use crate::context::Context;
use crate::pairs::pin;
use crate::peers::bpftrace;
use crate::report::model::{Item, Plot};
use crate::work::Ends;

/// Round trips between two looks at the clock.
const BATCH: u32 = 16;

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let mut found = Findings::new(context, "segment", "A small segment", "ns per segment");
    let mut contestants = usual(context)?;
    let peer = bpftrace("tcp:tcp_probe", "@ = hist(args.srtt);")?;
    found.invite(&mut contestants, peer);
    Namespace::new()?.run(|| {
        pin(context.processor)?;
        let mut ends = Ends::open(Ipv4Addr::LOCALHOST.into())?;
        let before = ends.segments()?;
        for _ in 0..1000 {
            ends.round_trip()?;
        }
        let segments = f64::from(ends.segments()?.wrapping_sub(before)) / 1000.0;
        found.note(format!(
            "A request and a response of one byte over loopback, both ends in one thread: {segments:.2} segments a round trip, \
             by `segs_in` of `TCP_INFO`."
        ));
        let operate = || {
            (0..BATCH).try_for_each(|_| ends.round_trip())?;
            Ok(f64::from(BATCH))
        };
        found.measure(("", context.rounds(150), 1.0 / segments), &contestants, operate)
    })?;
    found.target(
        asked("segment path, `essential`", "no program runs: ratio 1.000 ± 0.003"),
        OURS_ESSENTIAL,
        |row| {
            let ratio = row.ratio.unwrap_or(f64::NAN);
            (format!("{ratio:.4}"), (ratio - 1.0).abs() <= 0.003)
        },
    );
    found.target(
        asked("segment path, `full`", "≤ 50 ns above as many empty programs"),
        OURS_FULL,
        |row| {
            let above = row.above_floor.unwrap_or(f64::NAN);
            (format!("{above:.1} ns per segment above the floor"), above <= 50.0)
        },
    );
    let mut item = found.done();
    item.plot = Some(Plot::Ratios);
    Ok(item)
}
