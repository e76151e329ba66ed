//! The rpm: read, installed, upgraded and erased, by the rpm of Debian, on a machine whose presets are Fedora's.

use std::collections::BTreeSet;
use std::fs::{copy, create_dir, read_to_string, write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::machine::Machine;
use super::{files, machine, package, process, property, say, scrape};
use crate::chart::top;

/// The rpm, and a release after it: both files of its configuration have another text, and its program is a line that runs the
/// other's, because to pack that again takes half a minute.
fn releases() -> Result<TempDir> {
    let folder = TempDir::new()?;
    copy(package("rpm")?, folder.path().join("first.rpm"))?;
    let tree = folder.path().join("tree");
    for name in ["", "exporter", "target", "target/release"] {
        create_dir(tree.join(name))?;
    }
    for name in [
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "dashboards",
        "docs",
        "target/manual",
    ] {
        symlink(top().join(name).canonicalize()?, tree.join(name))?;
    }
    // Paths of the package are looked up beside what these are links to.
    for name in ["Cargo.toml", "exporter/Cargo.toml"] {
        copy(top().join(name), tree.join(name))?;
    }
    let deploy = top().join("deploy").canonicalize()?;
    say(&tree, "cp", &["--recursive", &deploy.display().to_string(), "."])?;
    for name in ["config.yaml", "web.yaml"] {
        let path = tree.join("deploy/packages").join(name);
        write(&path, read_to_string(&path)? + "# Of the second release.\n")?;
    }
    let other = "#!/bin/sh\nexec /usr/local/bin/tcpvitals \"$@\"\n";
    write(tree.join("target/release/tcpvitals"), other)?;
    let tool = top().join("target/tools/bin/cargo-generate-rpm").canonicalize()?;
    let arguments = "generate-rpm --package exporter --output ../second.rpm --payload-compress none --set-metadata";
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.push("version = \"9.8.7\"");
    say(&tree, &tool.display().to_string(), &arguments)?;
    Ok(folder)
}

/// A machine whose presets are those of Fedora, and the folders that its package `filesystem` owns.
fn fedora(packages: &Path) -> Result<Machine> {
    let machine = machine(packages)?;
    machine.must(
        "mkdir -p /usr/lib/systemd/system-preset /etc/systemd/system-preset \
            && echo 'disable *' >/usr/lib/systemd/system-preset/99-default-disable.preset \
            && cd /usr/share && mkdir -p licenses man/man8 zsh/site-functions fish/vendor_completions.d bash-completion/completions",
    )?;
    Ok(machine)
}

/// Whether systemd starts it at a boot.
fn enabled(machine: &Machine) -> Result<String> {
    machine.must("systemctl is-enabled tcpvitals || true")
}

/// What is there, and was not before.
fn left(machine: &Machine, before: &BTreeSet<String>) -> Result<Vec<String>> {
    Ok(files(machine)?.difference(before).cloned().collect())
}

/// Files of a package, by the name in the rpm where that of Debian differs.
fn in_the_deb() -> Result<BTreeSet<String>> {
    let folder = TempDir::new()?;
    let deb = package("deb")?.display().to_string();
    say(folder.path(), "dpkg-deb", &["--extract", &deb, "."])?;
    let found = say(folder.path(), "find", &[".", "-type", "f", "-printf", "/%P\n"])?;
    Ok(found
        .lines()
        .map(|path| {
            path.replace("/zsh/vendor-completions/", "/zsh/site-functions/")
                .replace(
                    "/usr/share/doc/tcpvitals/changelog.gz",
                    "/usr/share/doc/tcpvitals/CHANGELOG.md",
                )
        })
        .collect())
}

fn unchanged(machine: &Machine) -> Result<String> {
    machine.must("rpm --verify --nodeps tcpvitals")
}

#[test]
#[ignore = "make test-packages"]
fn the_rpm_installs_serves_upgrades_and_leaves_what_was_changed() -> Result<()> {
    let releases = releases()?;
    let machine = fedora(releases.path())?;
    let before = files(&machine)?;

    // None of what it requires is an rpm there.
    machine.must("rpm --install --nodeps /run/packages/first.rpm")?;
    assert_eq!(unchanged(&machine)?, "");
    let owner = "stat --format %U:%G:%a /etc/tcpvitals/web.yaml";
    assert_eq!(machine.must(owner)?, "root:tcpvitals:640");
    // Fedora's presets enable what is listed there, and packages start nothing.
    assert_eq!(enabled(&machine)?, "disabled");
    assert_eq!(property(&machine, "ActiveState")?, "inactive");
    machine.must("systemctl enable --now tcpvitals")?;
    let first = process(&machine, "")?;
    assert!(machine.get("/readyz")?.starts_with("ready\n"));
    assert!(scrape(&machine)?.sum("tcpvitals_program_attached", &[])? > 5.0);

    let changed = "collect: {max_age: 2s}";
    machine.must(&format!("echo '{changed}' >>/etc/tcpvitals/config.yaml"))?;
    machine.must("cp /usr/bin/tcpvitals /usr/local/bin/")?;
    machine.must("rpm --upgrade --nodeps /run/packages/second.rpm")?;
    let second = process(&machine, &first)?;
    assert_eq!(machine.must("rpm --query --queryformat %{version} tcpvitals")?, "9.8.7");
    assert_eq!(enabled(&machine)?, "enabled");
    assert!(machine.must("cat /etc/tcpvitals/config.yaml")?.ends_with(changed));
    // What nobody changed is the second release's, and the service can still read it.
    assert!(
        machine
            .must("cat /etc/tcpvitals/web.yaml")?
            .ends_with("# Of the second release.")
    );
    assert_eq!(machine.must(owner)?, "root:tcpvitals:640");
    assert!(unchanged(&machine).is_err_and(|error| error.to_string().contains("config.yaml")));
    machine.must("rm /etc/tcpvitals/config.yaml.rpmnew")?;

    machine.must("rpm --upgrade --nodeps --oldpackage /run/packages/first.rpm")?;
    process(&machine, &second)?;
    assert!(machine.must("cat /etc/tcpvitals/config.yaml")?.ends_with(changed));
    machine.must("rm --force /etc/tcpvitals/config.yaml.rpmnew /usr/local/bin/tcpvitals")?;

    machine.must("rpm --erase tcpvitals")?;
    assert_ne!(machine.run("systemctl is-active tcpvitals")?.code, Some(0));
    let kept = ["/etc/tcpvitals", "/etc/tcpvitals/config.yaml.rpmsave"];
    assert_eq!(left(&machine, &before)?, kept);
    machine.must("rm -r /etc/tcpvitals")?;

    // An administrator's own preset comes first.
    machine.must("echo 'enable tcpvitals.service' >/etc/systemd/system-preset/50-own.preset")?;
    let before = files(&machine)?;
    machine.must("rpm --install --nodeps /run/packages/first.rpm")?;
    assert_eq!(enabled(&machine)?, "enabled");
    assert_eq!(property(&machine, "ActiveState")?, "inactive");
    machine.must("rpm --erase tcpvitals")?;
    assert_eq!(left(&machine, &before)?, [""; 0]);
    Ok(())
}

/// What somebody who packages software reads first.
#[test]
#[ignore = "make test-packages"]
fn the_rpm_holds_what_the_deb_holds() -> Result<()> {
    let rpm: PathBuf = package("rpm")?;
    let folder = rpm.parent().context("no folder")?;
    let machine = Machine::boot(folder)?;
    let query = |what: &str| machine.must(&format!("rpm --query --package {what} /run/packages/*.rpm"));

    let listed = query("--list")?;
    let in_the_rpm: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    let deb = in_the_deb()?;
    let only =
        |one: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> { one.difference(other).cloned().collect() };
    assert_eq!(
        only(&deb, &in_the_rpm),
        ["changelog.Debian.gz", "copyright"].map(|name| format!("/usr/share/doc/tcpvitals/{name}"))
    );
    let licences = ["APACHE", "MIT"].map(|name| format!("/usr/share/licenses/tcpvitals/LICENSE-{name}"));
    assert_eq!(only(&in_the_rpm, &deb), licences);
    assert_eq!(
        query("--configfiles")?,
        "/etc/tcpvitals/config.yaml\n/etc/tcpvitals/web.yaml"
    );
    assert_eq!(query("--queryformat %{license}")?, "MIT OR Apache-2.0");
    let required = query("--requires")?;
    for name in ["/bin/sh", "systemd", "libc.so.6()(64bit)"] {
        assert!(required.lines().any(|line| line == name), "{name}: {required}");
    }
    // One line makes the user, whoever makes it.
    let line = read_to_string(top().join("deploy/packages/tcpvitals.conf"))?;
    assert!(query("--scripts")?.contains(&line), "{line}");
    Ok(())
}
