//! Events that find no room: received and lost together are those that were made.

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use tests::pair::Pair;
use tests::settings::scaled;
use tests::subnet::Family;
use tests::trace::{To, Trace};
use tests::traffic::{Ending, churn};
use tests::turn;
use tests::wait::timed;

/// How often a trace is tried in which no other connection of this machine shows.
const TRIES: usize = 5;

/// Both ends are established and closed.
const EVENTS_PER_CONNECTION: u64 = 4;

#[test]
fn received_and_lost_events_are_those_that_were_made() -> Result<()> {
    let _turn = turn::alone()?;
    for _ in 0..TRIES {
        let pair = Pair::new()?;
        let arguments = ["--interval", "0", "--buffer", "64KiB"];
        let mut trace = Trace::start(&pair.config(), &arguments, To::UnreadPipe)?;
        let to = pair.to(Family::V4, 443)?;
        let connections = scaled(20_000);
        let (time, made) = timed(|| churn(&pair, &[to], 2, Ending::Reset, |number| number < connections));
        let made = made? * EVENTS_PER_CONNECTION;
        let reader = trace.read_pipe();
        let traced = trace.stop(Signal::SIGTERM)?;
        let bytes = reader
            .map(|reader| reader.join().unwrap_or_default())
            .unwrap_or_default();
        let printed = String::from_utf8(bytes)?;
        let (events, losses): (Vec<&str>, Vec<&str>) = printed.lines().partition(|line| !line.starts_with('#'));
        let (received, lost) = (traced.tally("received")?, traced.tally("lost")?);
        println!(
            "{made} events in {time:?}, {:.0} a second: {received} received, {lost} lost",
            made as f64 / time.as_secs_f64()
        );
        assert_eq!(u64::try_from(events.len())?, received, "{}", traced.stderr);
        let told: u64 = losses
            .iter()
            .filter_map(|line| line.strip_prefix("# lost ")?.parse::<u64>().ok())
            .sum();
        assert_eq!(told, lost);
        let server = format!(" {to} ");
        let ours = |line: &&&str| line.contains(&server);
        if events.iter().filter(ours).count() < events.len() {
            continue;
        }
        assert!(lost > 0, "the reader was not slow enough");
        assert_eq!(received + lost, made);
        return Ok(());
    }
    bail!("other connections of this machine showed in each of {TRIES} traces")
}
