//! How long a request takes to be answered: two threads on one processor.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};
use nix::time::ClockId;
use tests::net::namespace::Namespace;

use crate::compare::{Findings, usual};
use crate::context::Context;
use crate::pairs::{WARM, WINDOW, nanoseconds, now, pin, take_turns, while_lasts};
use crate::peers::bpftrace;
use crate::report::model::{Item, Plot};
use crate::work::Ends;

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let mut found = Findings::new(context, "latency", "Latency of a request", "ns");
    found.note(
        "A request and a response of one byte over loopback between two threads on one processor; time of the monotonic clock, \
         the 50th and the 99th percentile of each window.",
    );
    let mut contestants = usual(context)?;
    let peer = bpftrace("tcp:tcp_probe", "@ = hist(args.srtt);")?;
    found.invite(&mut contestants, peer);
    Namespace::new()?.run(|| {
        pin(context.processor)?;
        let Ends { mut client, mut server } = Ends::open(Ipv4Addr::LOCALHOST.into())?;
        // A child of a pinned thread is pinned to the same processor. It ends when the client is closed.
        let echo = thread::spawn(move || -> Result<()> {
            let mut byte = [0];
            while server.read(&mut byte)? == 1 {
                server.write_all(&byte)?;
            }
            Ok(())
        });
        let window = || {
            while_lasts(WARM, &mut || ask(&mut client))?;
            let mut times = Vec::new();
            let mut measured = || {
                let time = ask(&mut client)?;
                times.push(time);
                Ok(time)
            };
            while_lasts(WINDOW, &mut measured)?;
            times.sort_by(f64::total_cmp);
            let percentile = |number: usize| times.get(times.len() * number / 100).copied();
            let figures = [50, 99].map(percentile).into_iter().collect::<Option<Vec<f64>>>();
            figures.context("no request was answered in a window")
        };
        let outcomes = take_turns(&contestants, context.rounds(120), window)?;
        for (group, outcomes) in ["p50", "p99"].iter().zip(outcomes) {
            found.add(group, &outcomes, 1.0);
        }
        client.shutdown(std::net::Shutdown::Both)?;
        drop(client);
        echo.join().ok().context("the echo ended by a panic")?
    })?;
    let mut item = found.done();
    item.plot = Some(Plot::Ratios);
    Ok(item)
}

/// Nanoseconds from a request to its response.
fn ask(client: &mut TcpStream) -> Result<f64> {
    let start = now(ClockId::CLOCK_MONOTONIC)?;
    let mut byte = [1];
    client.write_all(&byte)?;
    client.read_exact(&mut byte)?;
    Ok(nanoseconds(now(ClockId::CLOCK_MONOTONIC)?.saturating_sub(start)))
}
