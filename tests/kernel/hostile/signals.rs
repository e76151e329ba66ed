//! Signals at any moment: SIGHUP reloads and SIGTERM ends in order, also before the exporter is ready for either.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tests::exporter::{FEWEST_PROGRAMS, Launch};
use tests::machine::settings::patience;
use tests::machine::turn;
use tests::machine::wait::{Deadline, moment, until};

/// After the start; a debug build serves after some hundred.
const MOMENTS: [u64; 10] = [3, 5, 10, 20, 40, 80, 150, 300, 600, 1000];

/// From the first instruction of `main` on; before it the system's loader runs.
fn wait_for_main(process: u32) -> Result<()> {
    const SIGTERM: u64 = 1 << 14;
    until("main to begin", || {
        let held = tests::kernel::processes::status(process, "SigBlk")?;
        let caught = tests::kernel::processes::status(process, "SigCgt")?;
        let has = |mask: &str| Ok::<_, anyhow::Error>(u64::from_str_radix(mask.trim(), 16)? & SIGTERM != 0);
        Ok((has(&held)? || has(&caught)?).then_some(()))
    })
}

#[test]
fn hangups_before_it_serves() -> Result<()> {
    let _turn = turn::shared()?;
    for after in MOMENTS {
        let exporter = Launch::new(FEWEST_PROGRAMS).spawn()?;
        wait_for_main(exporter.process())?;
        sleep(Duration::from_millis(after));
        exporter.signal(Signal::SIGHUP)?;
        until("the reload", || {
            Ok(exporter.stderr().contains("configuration reloaded").then_some(()))
        })
        .with_context(|| format!("after {after} ms: {}", exporter.stderr()))?;
        let (status, said) = exporter.stop(Signal::SIGTERM)?;
        assert!(status.success(), "after {after} ms: {status}: {said}");
    }
    Ok(())
}

#[test]
fn storms_of_signals() -> Result<()> {
    let _turn = turn::shared()?;
    for (end, seconds) in [(Signal::SIGTERM, 1), (Signal::SIGINT, 2)] {
        let exporter = Launch::new(FEWEST_PROGRAMS).spawn()?;
        wait_for_main(exporter.process())?;
        let (storm, mut sent) = (Deadline::after(Duration::from_secs(seconds)), 0);
        while !storm.passed() {
            exporter.signal(Signal::SIGHUP)?;
            sent += 1;
            sleep(Duration::from_millis(1));
        }
        // It has served meanwhile, and does what it was told last.
        until("a reload", || {
            Ok(exporter.stderr().contains("configuration reloaded").then_some(()))
        })?;
        let (status, said) = exporter.stop(end)?;
        assert!(status.success(), "{end} after {sent}: {status}: {said}");
        // One is under way and one is to come, whatever came.
        let reloads = said.matches("configuration reloaded").count();
        assert!(sent > 50 && reloads <= sent, "{reloads} reloads for {sent} signals");
    }
    Ok(())
}

#[test]
fn ends_at_any_moment() -> Result<()> {
    let _turn = turn::shared()?;
    for after in MOMENTS {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let exporter = Launch::new(FEWEST_PROGRAMS).spawn()?;
            wait_for_main(exporter.process())?;
            sleep(Duration::from_millis(after));
            let began = moment();
            let (status, said) = exporter.stop(signal)?;
            assert!(status.success(), "{signal} after {after} ms: {status}: {said}");
            let took = began.elapsed();
            assert!(
                took < Duration::from_secs(1).max(patience() / 10),
                "{signal} after {after} ms: {took:?}"
            );
        }
    }
    Ok(())
}
