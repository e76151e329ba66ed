//! `trace` and `capture`, whose programs are the same: an event of each connection's end, a packet of each drop.

use std::fs::File;
use std::io::BufReader;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use common::kernel::tracepoints::Tracepoint;
use nix::sys::signal::Signal;
use tcpvitals::commands::trace::binary::Reader;
use tcpvitals::commands::trace::item::{Item, remote};
use tests::exporter::capture::Capture;
use tests::exporter::trace::{To, Trace};
use tests::kernel::hook_account::skipped_by;
use tests::kernel::kernel_facts::{has_preemptible_tracepoints, has_threaded_softirqs, note};
use tests::kernel::tracing::ftrace::Buffer;
use tests::machine::settings::scaled;
use tests::machine::wait::timed;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{Ending, churn};

use super::flood::flood;
use super::{fails, over_veth, passes, tell_load, types_without_finder};

/// Both ends are established and closed.
const EVENTS_PER_CONNECTION: u64 = 4;
/// What the sender's filter drops, and what the receiver's.
const PORTS: [u16; 2] = [9011, 9012];
/// How long datagrams are dropped at least.
const STORM: Duration = Duration::from_secs(1);

/// What a command should have seen, and what it has.
struct Seen {
    made: u64,
    seen: u64,
    /// Over threads of the sandbox's init process.
    withheld: u64,
    skipped: u64,
    /// Runs that it says were skipped.
    said: u64,
    is_provoked: bool,
}

impl Seen {
    /// Requires that it has seen all, and that interrupts landed in its programs.
    fn require_exact(&self) -> Result<()> {
        let Self {
            made,
            seen,
            withheld,
            skipped,
            said,
            is_provoked,
        } = *self;
        note(&format!(
            "{made} made, {seen} seen, {withheld} withheld, {skipped} skipped by the first program, {said} said to be"
        ));
        // Runs for other events are skipped, too.
        assert!(
            seen + withheld + said >= made,
            "{seen} of {made} seen, {withheld} withheld, {said} said to be skipped"
        );
        ensure!(is_provoked, "not provoked: the kernel skipped {skipped} runs");
        // Those for other events are said, too.
        ensure!(
            skipped == 0 || said < skipped,
            "second programs did none of {skipped} skipped runs"
        );
        let excused = if has_preemptible_tracepoints()? { said } else { 0 };
        ensure!(
            (seen..=seen + withheld + excused).contains(&made),
            "{seen} of {made} seen, {withheld} withheld"
        );
        Ok(())
    }

    /// Requires that it is exact with second programs, and is not without.
    fn require(&self, has_second_programs: bool) -> Result<()> {
        let exact = self.require_exact();
        if has_second_programs || has_threaded_softirqs() {
            return passes(exact);
        }
        fails(exact)?;
        ensure!(self.is_provoked, "not provoked");
        Ok(())
    }
}

/// Has `run` start a command with these arguments of its own.
fn with_arguments(has_second_programs: bool, run: impl FnOnce(&[&str]) -> Result<Seen>) -> Result<()> {
    let seen = if has_second_programs {
        run(&[])
    } else {
        let btf = types_without_finder()?;
        run(&["--btf", btf.path().to_str().context("a path that is text")?])
    };
    seen?.require(has_second_programs)
}

/// Traces connections from four threads.
fn trace(pair: &Pair, arguments: &[&str]) -> Result<Seen> {
    let usual = ["--interval", "0", "--buffer", "64MiB", "--output", "binary"];
    let trace = Trace::start(&pair.config(), &[&usual[..], arguments].concat(), To::File)?;
    let process = trace.process();
    let withheld = Buffer::of_init("sock/inet_sock_set_state")?;
    let (least, most) = (scaled(20_000), scaled(200_000));
    let is_provoked = AtomicBool::new(false);
    let to = [
        pair.to(Family::V4, 7300)?,
        pair.to(Family::V4, 7301)?,
        pair.to(Family::V4, 7302)?,
    ];
    let more = |number| number < least || number < most && !is_provoked.load(Ordering::Relaxed);
    let (took, made) = thread::scope(|scope| {
        let storm = scope.spawn(|| timed(|| churn(pair, &to, 4, Ending::Reset, more)));
        while !storm.is_finished() {
            is_provoked.store(skipped_by(process, Tracepoint::InetSockSetState)?.1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(100));
        }
        storm.join().map_err(|_panic| anyhow::anyhow!("the storm panicked"))
    })?;
    let made = made?;
    tell_load(made, "connections", took);
    let (skipped, is_provoked) = skipped_by(process, Tracepoint::InetSockSetState)?;
    let withheld = withheld.count()?;
    let traced = trace.stop(Signal::SIGTERM)?;
    ensure!(traced.tally("lost")? == 0, "events found no room: {}", traced.stderr);
    let subnet = pair.subnet()?;
    let ends = [CLIENT, SERVER].map(|host| subnet.address(Family::V4, host));
    let mut reader = Reader::new(BufReader::new(File::open(&traced.output)?))?;
    let mut seen = 0;
    while let Some(item) = reader.read()? {
        if let Item::Event(_, record) = item {
            seen += u64::from(ends.contains(&remote(&record).ip()));
        }
    }
    Ok(Seen {
        made: made * EVENTS_PER_CONNECTION,
        seen,
        withheld,
        skipped,
        said: traced.tally("the kernel skipped a program").unwrap_or(0),
        is_provoked,
    })
}

/// Captures datagrams that two tasks drop on their way out while softirqs drop those of two others on their way in.
fn capture(pair: &Pair, arguments: &[&str]) -> Result<Seen> {
    nft::drop_matching(&pair.client, "output", &format!("udp dport {}", PORTS[0]))?;
    nft::drop_matching(&pair.server, "input", &format!("udp dport {}", PORTS[1]))?;
    let address = pair.to(Family::V4, 0)?.ip().to_string();
    let usual = ["--snaplen", "64", "--address", &address, "--reason", "NETFILTER_DROP"];
    let mut capture = Capture::start(&[&usual[..], arguments].concat())?;
    let process = capture.process();
    let withheld = Buffer::of_init("skb/kfree_skb")?;
    let took = flood(
        pair,
        PORTS.map(|port| (port, Duration::ZERO)),
        STORM,
        Duration::from_millis(50),
        || Ok(skipped_by(process, Tracepoint::KfreeSkb)?.1),
    )?;
    // What a busy machine delivers late.
    thread::sleep(Duration::from_millis(500));
    let made = nft::dropped(&pair.client)?.packets + nft::dropped(&pair.server)?.packets;
    tell_load(made, "packets", took);
    let (skipped, is_provoked) = skipped_by(process, Tracepoint::KfreeSkb)?;
    let withheld = withheld.count()?;
    capture.signal(Signal::SIGINT)?;
    let summary = capture.summary()?;
    note(&format!("{summary:?}"));
    Ok(Seen {
        made,
        seen: summary.all(),
        withheld,
        skipped,
        said: summary.skipped,
        is_provoked,
    })
}

#[test]
fn trace_has_each_event_of_connections() -> Result<()> {
    over_veth(|pair| with_arguments(true, |arguments| trace(pair, arguments)))
}

#[test]
fn without_second_programs_trace_misses_events() -> Result<()> {
    over_veth(|pair| with_arguments(false, |arguments| trace(pair, arguments)))
}

#[test]
fn capture_has_or_counts_each_packet() -> Result<()> {
    over_veth(|pair| with_arguments(true, |arguments| capture(pair, arguments)))
}

#[test]
fn without_second_programs_capture_misses_packets() -> Result<()> {
    over_veth(|pair| with_arguments(false, |arguments| capture(pair, arguments)))
}
