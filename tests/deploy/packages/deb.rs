//! The deb: installed, reloaded, killed, stuck, upgraded and purged.

use std::fs::{read_to_string, write};

use anyhow::Result;
use tempfile::TempDir;
use tests::machine::wait::until;

use super::{DROP_IN, files, machine, package, process, property, say, scrape};

/// The deb, and the same under a higher version.
fn releases() -> Result<TempDir> {
    let folder = TempDir::new()?;
    let deb = package("deb")?;
    let say = |program: &str, arguments: &[&str]| say(folder.path(), program, arguments);
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

#[test]
#[ignore = "make test-packages"]
fn the_deb_installs_serves_restarts_upgrades_and_leaves_nothing() -> Result<()> {
    let releases = releases()?;
    let machine = machine(releases.path())?;
    let before = files(&machine)?;

    machine.must("dpkg --install /run/packages/first.deb")?;
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
        "/usr/share/tcpvitals/demo.rec",
        "/usr/share/tcpvitals/dashboards/tcp-health.json",
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
    assert_eq!(reloaded(true)?, "configuration reloaded");
    machine.must("cp /etc/tcpvitals/config.yaml /tmp/ && echo 'collect: {}' >>/etc/tcpvitals/config.yaml && systemctl reload tcpvitals")?;
    assert!(reloaded(false)?.starts_with("reload failed, the old configuration stays"));
    machine.must("cp /tmp/config.yaml /etc/tcpvitals/ && systemctl reload tcpvitals")?;
    assert_eq!(process(&machine, "")?, first);

    // Killed, and then stuck: the watchdog finds that.
    machine.must(&format!("kill -KILL {first}"))?;
    let second = process(&machine, &first)?;
    machine.must(&format!(
        "echo WatchdogSec=2s >>{DROP_IN} && systemctl daemon-reload && systemctl restart tcpvitals"
    ))?;
    let third = process(&machine, &second)?;
    machine.must(&format!("kill -STOP {third}"))?;
    let fourth = process(&machine, &third)?;
    assert!(scrape(&machine)?.sum("tcpvitals_program_attached", &[])? > 5.0);

    machine.must("dpkg --install /run/packages/second.deb")?;
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
