//! The packages, as `make packages` leaves them in `target/packages`, each on a machine with a real systemd.

mod deb;
mod machine;
mod rpm;

use std::collections::BTreeSet;
use std::fs::{read_to_string, write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tests::exporter::exposition::{Format, parse};
use tests::exporter::run_command;
use tests::exporter::scrape::Scrape;
use tests::machine::wait::until;

use crate::chart::top;
use machine::Machine;

/// The only package of a kind.
fn package(extension: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in top()
        .join("target/packages")
        .read_dir()
        .context("no packages: run `make packages`")?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == extension) {
            found.push(path);
        }
    }
    ensure!(found.len() == 1, "packages of kind {extension}: {found:?}");
    Ok(found.swap_remove(0).canonicalize()?)
}

/// What changes the unit on the machines of the tests.
const DROP_IN: &str = "/run/systemd/system/tcpvitals.service.d/test.conf";

/// A machine that sees a folder of packages.
fn machine(packages: &Path) -> Result<Machine> {
    let machine = Machine::boot(packages)?;
    // Where the devices of the machine are mounts of the host's, systemd cannot make others.
    machine.must(&format!(
        "mkdir -p $(dirname {DROP_IN}) && printf '[Service]\\nPrivateDevices=no\\nRestartSec=1s\\n' >{DROP_IN}"
    ))?;
    Ok(machine)
}

/// Requires that a program succeeds in a folder, and gives what it printed.
fn say(folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let finished = run_command(Command::new(program).args(arguments).current_dir(folder))?;
    ensure!(finished.code == Some(0), "{program} {arguments:?}: {finished:?}");
    Ok(finished.stdout)
}

/// Whatever a machine's files are, but what the package manager and systemd note for themselves.
fn files(machine: &Machine) -> Result<BTreeSet<String>> {
    let own = [
        "/var/lib/dpkg/",
        "/var/lib/rpm/",
        "/var/log/",
        "/var/cache/",
        "/var/lib/systemd/",
    ];
    let found = machine.must("find / -xdev -not -path '/run/*'")?;
    let kept = found
        .lines()
        .filter(|path| !own.iter().any(|own| path.starts_with(own)));
    Ok(kept.map(str::to_owned).collect())
}

fn property(machine: &Machine, name: &str) -> Result<String> {
    machine.must(&format!("systemctl show --property={name} --value tcpvitals"))
}

/// The main process, once it serves and is another than before.
fn process(machine: &Machine, before: &str) -> Result<String> {
    until("the service to run anew", || {
        let process = property(machine, "MainPID")?;
        let state = property(machine, "ActiveState")?;
        Ok((state == "active" && process != "0" && process != before).then_some(process))
    })
    .with_context(|| {
        format!(
            "{:?}",
            machine.run("systemctl status --full tcpvitals; journalctl --unit tcpvitals")
        )
    })
}

fn scrape(machine: &Machine) -> Result<Scrape> {
    Ok(Scrape::new(parse(&machine.get("/metrics")?, Format::Prometheus)?))
}

#[test]
#[ignore = "make test-packages"]
fn systemd_understands_the_units() -> Result<()> {
    let folder = TempDir::new()?;
    for unit in ["tcpvitals.service", "socket/tcpvitals.socket"] {
        let text = read_to_string(top().join("deploy/systemd").join(unit))?;
        let name = Path::new(unit).file_name().context("a unit without a name")?;
        // The program is not installed here.
        write(
            folder.path().join(name),
            text.replace("/usr/bin/tcpvitals", "/bin/true"),
        )?;
    }
    let arguments = ["verify", "--man=no", "tcpvitals.service", "tcpvitals.socket"];
    let finished = run_command(
        Command::new("systemd-analyze")
            .args(arguments)
            .current_dir(folder.path()),
    )?;
    // What other units of this machine say is not ours, and systemd before 253 does not know this type.
    let ours = finished.stderr.lines().filter(|line| line.contains("tcpvitals"));
    let ours: Vec<&str> = ours.filter(|line| !line.contains("notify-reload")).collect();
    assert_eq!(ours, [""; 0], "{finished:?}");
    Ok(())
}

#[test]
#[ignore = "make test-packages"]
fn the_unit_is_confined() -> Result<()> {
    let unit = top().join("deploy/systemd/tcpvitals.service");
    let mut analyze = Command::new("systemd-analyze");
    // In tenths.
    analyze.args(["security", "--offline=true", "--threshold=30"]).arg(unit);
    let finished = run_command(&mut analyze)?;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("Overall exposure level"), "{finished:?}");
    Ok(())
}
