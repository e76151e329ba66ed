//! Events that find no room: received and lost together are those that were made, whoever made them.

use std::fs::File;
use std::io::BufReader;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Result, ensure};
use common::tcp::record::FlowRecord;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use tcpvitals::commands::trace::binary::Reader;
use tcpvitals::commands::trace::item::{Item, remote};
use tests::exporter::trace::{To, Trace, Traced};
use tests::kernel::kernel_facts::has_preemptible_tracepoints;
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::machine::wait::timed;
use tests::net::pair::Pair;
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{Ending, churn};

/// Both ends are established and closed.
const EVENTS_PER_CONNECTION: u64 = 4;

/// The kernel's clock of records, in nanoseconds.
fn now() -> Result<u64> {
    let now: Duration = clock_gettime(ClockId::CLOCK_MONOTONIC)?.into();
    Ok(u64::try_from(now.as_nanos())?)
}

/// Every event of a recorded trace.
fn records(traced: &Traced) -> Result<Vec<FlowRecord>> {
    let mut reader = Reader::new(BufReader::new(File::open(&traced.output)?))?;
    let mut records = Vec::new();
    while let Some(item) = reader.read()? {
        match item {
            Item::Event(_, record) => records.push(record),
            Item::Lost(lost) => ensure!(lost.count == 0, "{lost:?}"),
            Item::Workload(_) | Item::Instance(_) => {}
        }
    }
    Ok(records)
}

/// A trace with little room and a reader that does not read, beside one that takes everything: on a machine where others
/// open and close connections too, that one tells how many events there were.
#[test]
fn received_and_lost_events_are_those_that_were_made() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let all = ["--interval", "0", "--buffer", "64MiB", "--output", "binary"];
    let all = Trace::start(&pair.config(), &all, To::File)?;
    let before = now()?;
    let mut slow = Trace::start(
        &pair.config(),
        &["--interval", "0", "--buffer", "64KiB", "--output", "seed"],
        To::UnreadPipe,
    )?;
    let begun = now()?;
    let to = pair.to(Family::V4, 443)?;
    let connections = scaled(20_000);
    let (time, made) = timed(|| churn(&pair, &[to], 2, Ending::Reset, |number| number < connections));
    let made = made? * EVENTS_PER_CONNECTION;
    let reader = slow.read_pipe();
    let ending = now()?;
    let slow = slow.stop(Signal::SIGTERM)?;
    let ended = now()?;
    let all = all.stop(Signal::SIGTERM)?;
    let printed = reader.map(|reader| reader.join().unwrap_or_default());
    let printed = String::from_utf8(printed.unwrap_or_default())?;

    let (received, lost) = (slow.tally("received")?, slow.tally("lost")?);
    println!(
        "{made} events in {time:?}, {:.0} a second: {received} received, {lost} lost",
        made as f64 / time.as_secs_f64()
    );
    assert_eq!((slow.code, all.code), (Some(0), Some(0)), "{slow:?} {all:?}");
    let (losses, events): (Vec<&str>, Vec<&str>) = printed.lines().partition(|line| line.starts_with('#'));
    assert_eq!(u64::try_from(events.len())?, received);
    let told = losses
        .iter()
        .filter_map(|line| line.strip_prefix("# lost ")?.parse::<u64>().ok());
    assert_eq!(told.sum::<u64>(), lost);
    assert!(lost > 0, "there was room for all");

    assert_eq!(all.tally("lost")?, 0, "{}", all.stderr);
    let records = records(&all)?;
    let subnet = pair.subnet()?;
    let ends = [CLIENT, SERVER].map(|host| subnet.address(Family::V4, host));
    let ours = records.iter().filter(|record| ends.contains(&remote(record).ip()));
    // Linux 7.0 and newer may skip programs, and a trace says how often.
    let may_skip = has_preemptible_tracepoints()?;
    let skipped = |traced: &Traced| match traced.tally("the kernel skipped a program") {
        Ok(skipped) if may_skip => skipped,
        _ => 0,
    };
    let seen = u64::try_from(ours.count())?;
    assert!((seen..=seen + skipped(&all)).contains(&made), "{seen} of {made}");
    // Of the moments in which the slow trace began and ended only the bounds are known; where nobody else uses the machine
    // nothing happens between them, and this is equality.
    let within = |times: RangeInclusive<u64>| records.iter().filter(|record| times.contains(&record.now)).count();
    let (least, most) = (within(begun..=ending), within(before..=ended));
    let total = usize::try_from(received + lost)?;
    let least = least.saturating_sub(usize::try_from(skipped(&slow))?);
    let most = most + usize::try_from(skipped(&all))?;
    assert!((least..=most).contains(&total), "{total} of {least} to {most}");
    Ok(())
}
