//! The deb, as `make packages` leaves it in `target/packages`, on a machine with a real systemd; the rpm, as far as it can be read.

mod machine;

use std::collections::BTreeSet;
use std::fs::{read_to_string, write};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tests::exporter::run_command;
use tests::exposition::{Format, parse};
use tests::scrape::Scrape;
use tests::wait::until;

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

/// The deb, and the same under a higher version.
fn releases() -> Result<TempDir> {
    let folder = TempDir::new()?;
    let deb = package("deb")?;
    let say = |program: &str, arguments: &[&str]| {
        let finished = run_command(Command::new(program).args(arguments).current_dir(&folder))?;
        ensure!(finished.code == Some(0), "{program} {arguments:?}: {finished:?}");
        Ok(())
    };
    say("cp", &[&deb.display().to_string(), "first.deb"])?;
    say("dpkg-deb", &["--raw-extract", "first.deb", "tree"])?;
    let control = folder.path().join("tree/DEBIAN/control");
    let text = read_to_string(&control)?;
    let newer: Vec<&str> = text
        .lines()
        .map(|line| {
            if line.starts_with("Version: ") {
                "Version: 9.8.7-1"
            } else {
                line
            }
        })
        .collect();
    write(&control, newer.join("\n") + "\n")?;
    say(
        "dpkg-deb",
        &["--root-owner-group", "-Znone", "--build", "tree", "second.deb"],
    )?;
    Ok(folder)
}

/// Whatever a machine's files are, but what the package manager and systemd note for themselves.
fn files(machine: &Machine) -> Result<BTreeSet<String>> {
    let own = ["/var/lib/dpkg/", "/var/log/", "/var/cache/", "/var/lib/systemd/"];
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
fn the_deb_installs_serves_restarts_upgrades_and_leaves_nothing() -> Result<()> {
    let releases = releases()?;
    let machine = Machine::boot(releases.path())?;
    // Where the devices of the machine are mounts of the host's, systemd cannot make others.
    machine.must("mkdir -p /run/systemd/system/tcpvitals.service.d")?;
    let drop_in = "/run/systemd/system/tcpvitals.service.d/test.conf";
    machine.must(&format!(
        "printf '[Service]\\nPrivateDevices=no\\nRestartSec=1s\\n' >{drop_in}"
    ))?;
    let before = files(&machine)?;

    machine.must("dpkg --install /run/deb/first.deb")?;
    let first = process(&machine, "")?;
    assert_eq!(machine.must("systemctl is-enabled tcpvitals")?, "enabled");
    assert_eq!(
        machine.must("stat --format %U:%G:%a /etc/tcpvitals/web.yaml")?,
        "root:tcpvitals:640"
    );
    // Small machines leave pages out as they unpack, so the list is asked and not the disk.
    let listed = machine.must("dpkg --listfiles tcpvitals")?;
    for file in [
        "/usr/share/man/man8/tcpvitals.8.gz",
        "/usr/share/bash-completion/completions/tcpvitals",
        "/usr/share/zsh/vendor-completions/_tcpvitals",
        "/usr/share/fish/vendor_completions.d/tcpvitals.fish",
        "/usr/share/doc/tcpvitals/docs/troubleshooting.md",
        "/usr/share/tcpvitals/dashboards/tcp-by-subnet.json",
        "/usr/share/tcpvitals/rules/tcp.yaml",
    ] {
        assert!(listed.lines().any(|line| line == file), "{file}: {listed}");
    }
    let status = machine.must(&format!("cat /proc/{first}/status"))?;
    for line in [
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    // Whoever asks is counted too: a scrape shows the connections of those before.
    let opened = || {
        scrape(&machine)?.sum(
            "tcpvitals_tcp_connections_opened_total",
            &[("connection_type", "loopback")],
        )
    };
    let before_it = opened()?;
    until("a scrape to count the one before", || {
        Ok((opened()? > before_it).then_some(()))
    })?;
    // It is ready when systemd says so, and knows its functions' names by CAP_SYSLOG.
    assert!(machine.get("/readyz")?.starts_with("ready\n"));
    assert_eq!(
        machine.must("journalctl --unit tcpvitals --grep 'hides its symbol' | grep -c hides || true")?,
        "0"
    );

    // A reload ends when the exporter says so.
    let reloaded = |good: bool| {
        let shown = scrape(&machine)?.sum("tcpvitals_config_last_reload_successful", &[])?;
        assert_eq!(shown, f64::from(u8::from(good)));
        property(&machine, "StatusText")
    };
    machine.must("echo 'collect: {max_age: 2s}' >>/etc/tcpvitals/config.yaml && systemctl reload tcpvitals")?;
    assert_eq!(reloaded(true)?, "the configuration is reloaded");
    machine.must("cp /etc/tcpvitals/config.yaml /tmp/ && echo 'collect: {}' >>/etc/tcpvitals/config.yaml && systemctl reload tcpvitals")?;
    assert!(reloaded(false)?.starts_with("the configuration stays as it was"));
    machine.must("cp /tmp/config.yaml /etc/tcpvitals/ && systemctl reload tcpvitals")?;
    assert_eq!(process(&machine, "")?, first);

    // Killed, and then stuck: the watchdog finds that.
    machine.must(&format!("kill -KILL {first}"))?;
    let second = process(&machine, &first)?;
    machine.must(&format!(
        "echo WatchdogSec=2s >>{drop_in} && systemctl daemon-reload && systemctl restart tcpvitals"
    ))?;
    let third = process(&machine, &second)?;
    machine.must(&format!("kill -STOP {third}"))?;
    let fourth = process(&machine, &third)?;
    assert!(scrape(&machine)?.sum("tcpvitals_program_attached", &[])? > 5.0);

    machine.must("dpkg --install /run/deb/second.deb")?;
    process(&machine, &fourth)?;
    assert_eq!(
        machine.must("dpkg-query --show --showformat '${Version}' tcpvitals")?,
        "9.8.7-1"
    );
    assert!(
        machine
            .must("cat /etc/tcpvitals/config.yaml")?
            .ends_with("collect: {max_age: 2s}")
    );

    machine.must("dpkg --purge tcpvitals && rm -f /tmp/config.yaml")?;
    assert_ne!(machine.run("systemctl is-active tcpvitals")?.code, Some(0));
    assert_ne!(machine.run("getent passwd tcpvitals")?.code, Some(0));
    let left: Vec<String> = files(&machine)?.difference(&before).cloned().collect();
    assert!(left.is_empty(), "{left:?}");
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

/// A host with Debian's tools alone cannot install it; its header and the names of its files are what rpm reads first.
#[test]
#[ignore = "make test-packages"]
fn the_rpm_holds_what_the_deb_holds() -> Result<()> {
    let bytes = std::fs::read(package("rpm")?)?;
    // The lead's magic, and names in the header.
    assert!(bytes.starts_with(&[0xed, 0xab, 0xee, 0xdb]));
    let header = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 20)]);
    for name in [
        "/usr/bin/",
        "tcpvitals.service",
        "config.yaml",
        "web.yaml",
        "MIT OR Apache-2.0",
        "systemd-sysusers",
    ] {
        assert!(header.contains(name), "{name}");
    }
    Ok(())
}
