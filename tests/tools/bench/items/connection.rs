//! What a connection costs from its first segment to its last.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use tests::net::namespace::Namespace;

use crate::compare::{Findings, OURS_FULL, asked, usual};
use crate::contestants::{STORAGE, storage_alone};
use crate::context::Context;
use crate::pairs::{FLOOR, pin, processor_time};
use crate::peers::{absent, bpftrace, command};
use crate::processes::take_turns;
use crate::report::model::{Item, Plot};
use crate::work::{Churn, End};

/// Connections between two looks at the clock.
const BATCH: u32 = 4;

const CASES: [(&str, IpAddr, End); 4] = [
    ("FIN, IPv4", IpAddr::V4(Ipv4Addr::LOCALHOST), End::Fin),
    ("RST, IPv4", IpAddr::V4(Ipv4Addr::LOCALHOST), End::Rst),
    ("FIN, IPv6", IpAddr::V6(Ipv6Addr::LOCALHOST), End::Fin),
    ("RST, IPv6", IpAddr::V6(Ipv6Addr::LOCALHOST), End::Rst),
];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let mut found = Findings::new(context, "connection", "A connection", "ns per connection");
    found.note(
        "Opened, accepted and closed over loopback by one thread, without data. The namespace keeps no `TIME_WAIT` \
         (`tcp_max_tw_buckets=0`), so that ports do not run out.",
    );
    found.note(
        "Socket storage alone is one program, on `inet_sock_set_state`, that only has the kernel make storage for the two sockets of \
         a connection, as large as ours: it is what a state for each connection costs, whatever is done with it.",
    );
    let mut contestants = usual(context)?;
    contestants.push(storage_alone(context)?);
    let peer = bpftrace("sock:inet_sock_set_state", "@[args.newstate] = count();")?;
    found.invite(&mut contestants, peer);
    let mut processes = Vec::new();
    for name in ["tcplife", "tcpstates"] {
        match command(&format!("usr/sbin/{name}-libbpf")) {
            Some(command) => processes.push((name, command)),
            None => found.note(absent(name)),
        }
    }
    let namespace = Namespace::new()?;
    namespace.set("net.ipv4.tcp_max_tw_buckets=0")?;
    for (group, to, end) in CASES {
        namespace.run(|| {
            pin(context.processor)?;
            let churn = Churn::new(to, end)?;
            let mut operate = || {
                (0..BATCH).try_for_each(|_| churn.connection())?;
                Ok(f64::from(BATCH))
            };
            found.measure((group, context.rounds(60), 1.0), &contestants, &mut operate)?;
            for (name, command) in &processes {
                match take_turns(
                    name,
                    command,
                    context.rounds(40).div_ceil(8),
                    processor_time(&mut operate),
                )? {
                    Ok(outcomes) => found.add_process(group, &outcomes),
                    Err(why) => found.note(why),
                }
            }
            Ok(())
        })?;
        let ratio = |found: &Findings, name: &str| found.row(&format!("{group}: {name}")).and_then(|row| row.ratio);
        let (floor, storage) = (ratio(&found, FLOOR), ratio(&found, STORAGE));
        let base = floor
            .zip(storage)
            .map_or(f64::NAN, |(floor, storage)| floor + storage - 1.0);
        let asked = asked(
            &format!("one connection open + close, {group}"),
            "≤ 1.03 of one with as many empty programs and with the kernel's socket storage",
        );
        found.target(asked, &format!("{group}: {OURS_FULL}"), |row| {
            let above = row.ratio.unwrap_or(f64::NAN) / base;
            (format!("{above:.3} of {base:.3}"), above <= 1.03)
        });
    }
    let mut item = found.done();
    item.plot = Some(Plot::Ratios);
    Ok(item)
}
