//! The exporter as an ordinary user with a few capabilities, and what it leaves behind.

use std::fs::{Permissions, read_to_string, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tests::exporter::{Launch, binary, config_file, run_command, start};
use tests::kernel::processes::{Capabilities, programs_of, status, still_loaded};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, send_datagrams, settle};

use crate::account::{End, require_equal};

/// A copy of the binary that everybody may run: the build folder may lie where only root may look.
///
/// Another process writes it. If this one did, a test beside this one that starts a process at that moment would hand
/// down the open file, and the kernel runs no file that somebody still has open for writing (`ETXTBSY`).
pub(crate) fn public_binary() -> Result<TempDir> {
    let folder = TempDir::new()?;
    set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let mut install = Command::new("install");
    install
        .arg("--mode=755")
        .arg(binary()?)
        .arg(folder.path().join("tcpvitals"));
    let finished = run_command(&mut install)?;
    ensure!(finished.code == Some(0), "{install:?}: {finished:?}");
    Ok(folder)
}

/// The command that makes an ordinary user with just these capabilities: `+bpf,+perfmon`.
pub(crate) fn as_nobody(capabilities: &str) -> Vec<String> {
    [
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        &format!("--bounding-set=-all,{capabilities}"),
        &format!("--inh-caps=-all,{capabilities}"),
        &format!("--ambient-caps=-all,{capabilities}"),
    ]
    .map(str::to_owned)
    .into()
}

pub(crate) fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[test]
fn two_capabilities_are_enough_and_are_given_up_after_the_start() -> Result<()> {
    let _turn = turn::shared()?;
    for capabilities in ["+bpf,+perfmon", "+bpf,+perfmon,+syslog"] {
        let pair = Pair::new()?;
        let subnet = pair.subnet()?.name();
        let folder = public_binary()?;
        let exporter = Launch::new(pair.config())
            .binary(&folder.path().join("tcpvitals"))
            .wrapped_in(&words(&as_nobody(capabilities)))
            .start()?;
        let held = Capabilities::of(exporter.process())?;
        assert_eq!(
            (held.effective, held.permitted, held.inheritable, held.ambient),
            (0, 0, 0, 0)
        );
        assert_eq!(status(exporter.process(), "NoNewPrivs")?, "1");
        assert!(!status(exporter.process(), "Uid")?.starts_with("0\t"));

        // Without them it still does its work.
        let flows = [Flow::open(&pair, Family::V4, 443)?];
        flows[0].exchange(100_000, 100_000)?;
        let ends = settle(&flows)?;
        let scrape = exporter.scrape()?;
        for end in End::BOTH {
            require_equal(&scrape, &subnet, end, &[end.of(&ends[0])])?;
        }
    }
    Ok(())
}

/// Where the kernel shows its symbols to everybody (`kernel.perf_event_paranoid` below 2), there is nothing to hide; with
/// `kernel.kptr_restrict=2` it shows them to nobody.
#[test]
fn without_the_capability_for_symbols_locations_are_unknown_and_a_warning_says_why() -> Result<()> {
    let _turn = turn::shared()?;
    let paranoid: i32 = read_to_string("/proc/sys/kernel/perf_event_paranoid")?.trim().parse()?;
    let restrict = read_to_string("/proc/sys/kernel/kptr_restrict")?;
    let (shown_to_all, shown_to_some) = (paranoid < 2 && restrict.trim() == "0", restrict.trim() != "2");
    let warning = "the kernel hides its symbol addresses";
    for (capabilities, named) in [
        ("+bpf,+perfmon", shown_to_all),
        ("+bpf,+perfmon,+syslog", shown_to_some),
    ] {
        let pair = Pair::new()?;
        let folder = public_binary()?;
        let exporter = Launch::new(pair.config())
            .binary(&folder.path().join("tcpvitals"))
            .wrapped_in(&words(&as_nobody(capabilities)))
            .start()?;
        nft::drop_matching(&pair.server, "input", "udp dport 4000")?;
        send_datagrams(&pair.client, pair.to(Family::V4, 4000)?, 7, 100)?;
        let name = pair.subnet()?.name();
        let labels = [("subnet", &*name), ("protocol", "udp")];
        let dropped = exporter
            .scrape()?
            .by("tcpvitals_dropped_packets_total", "location", &labels)?;
        assert_eq!(dropped.values().sum::<f64>(), 7.0, "{dropped:?}");
        assert!(
            dropped.keys().all(|location| (location == "unknown") != named),
            "{dropped:?}"
        );
        assert_eq!(exporter.stderr().contains(warning), !named, "{}", exporter.stderr());
    }
    Ok(())
}

#[test]
fn root_keeps_nothing_either() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("")?;
    let held = Capabilities::of(exporter.process())?;
    assert_eq!((held.effective, held.permitted, held.ambient), (0, 0, 0));
    Ok(())
}

#[test]
fn without_capabilities_it_says_which_it_needs() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = public_binary()?;
    let config = config_file("")?;
    for (capabilities, missing) in [("-all", "CAP_BPF"), ("+perfmon", "CAP_BPF"), ("+bpf", "CAP_PERFMON")] {
        let wrapper = as_nobody(capabilities);
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]).arg(folder.path().join("tcpvitals"));
        command
            .args(["serve", "--web.listen-address=127.0.0.1:0", "--config.file"])
            .arg(config.path());
        let finished = run_command(&mut command)?;
        assert_eq!(finished.code, Some(3), "{finished:?}");
        assert!(finished.stderr.contains(missing), "{finished:?}");
        assert_eq!(finished.stdout, "");
    }
    Ok(())
}

#[test]
fn no_program_stays_loaded_after_the_end() -> Result<()> {
    let _turn = turn::shared()?;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let exporter = start("")?;
        let programs = programs_of(exporter.process())?;
        assert!(programs.len() >= 8, "{programs:?}");
        assert_eq!(still_loaded(&programs)?, programs);
        let (status, stderr) = exporter.stop(signal)?;
        assert!(status.success(), "{status}: {stderr}");
        // The kernel takes programs apart in its own time.
        until("the programs to be unloaded", || {
            Ok(still_loaded(&programs)?.is_empty().then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn a_kill_leaves_nothing_either() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("")?;
    let programs = programs_of(exporter.process())?;
    assert_eq!(still_loaded(&programs)?.len(), programs.len());
    assert!(programs.len() >= 8, "{programs:?}");
    drop(exporter);
    until("the programs to be unloaded", || {
        Ok(still_loaded(&programs)?.is_empty().then_some(()))
    })
}
