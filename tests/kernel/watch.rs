//! Files that change are read again: by their bytes, whatever changes them and however.

use std::fs::{create_dir, read, remove_file, rename, write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;
use tests::exporter::{Exporter, Launch};
use tests::machine::certificates::Authority;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::pair::Pair;
use tests::net::subnet::{Family, SERVER};
use tests::net::traffic::Flow;

/// Two looks at a file, and more.
const SOME_LOOKS: Duration = Duration::from_secs(6);

fn reloads(exporter: &Exporter<'_>) -> usize {
    exporter.stderr().matches("configuration reloaded").count()
}

fn wait_for_reload(exporter: &Exporter<'_>, count: usize) -> Result<()> {
    until("the configuration to be reloaded", || {
        Ok((reloads(exporter) == count).then_some(()))
    })
}

/// A folder as the kubelet makes it: every file is a link into a folder that is exchanged as a whole.
fn mount(folder: &Path, version: &str, config: &str) -> Result<()> {
    create_dir(folder.join(version))?;
    write(folder.join(version).join("config.yaml"), config)?;
    symlink(version, folder.join("..new"))?;
    Ok(rename(folder.join("..new"), folder.join("..data"))?)
}

#[test]
fn a_changed_configuration_is_followed_and_one_that_was_only_touched_is_not() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    mount(folder.path(), "..1", "subnets_fallback: first")?;
    symlink("..data/config.yaml", folder.path().join("config.yaml"))?;
    let exporter = Launch::new("")
        .config_at(&folder.path().join("config.yaml"))
        .arguments(&["--config.watch"])
        .start()?;
    let name = || exporter.scrape()?.value("tcpvitals_config_last_reload_successful", &[]);

    mount(folder.path(), "..2", "subnets_fallback: second")?;
    wait_for_reload(&exporter, 1)?;
    assert!(exporter.stderr().contains("a file changed"), "{}", exporter.stderr());

    // A new folder with the same text, and the same text written once more.
    mount(folder.path(), "..3", "subnets_fallback: second")?;
    let file = folder.path().join("..data/config.yaml");
    write(&file, read(&file)?)?;
    sleep(SOME_LOOKS);
    assert_eq!(reloads(&exporter), 1, "{}", exporter.stderr());

    // In place, and wrong: once, and not again at every look.
    write(&file, "subnet: []")?;
    until("the log to say so", || {
        Ok(exporter
            .stderr()
            .contains("reload failed, the old configuration stays")
            .then_some(()))
    })?;
    assert_eq!(name()?, 0.0);
    sleep(SOME_LOOKS);
    assert_eq!(
        exporter
            .stderr()
            .matches("reload failed, the old configuration stays")
            .count(),
        1
    );
    write(&file, "subnets_fallback: third")?;
    wait_for_reload(&exporter, 2)?;
    assert_eq!(name()?, 1.0);
    Ok(())
}

#[test]
fn without_the_flag_only_keys_and_certificates_are_followed() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let path = |name: &str| folder.path().join(name);
    write(path("ca.pem"), Authority::new("first")?.certificate)?;
    let config = "otlp: {endpoint: 'https://localhost:1', interval: 1h, tls: {ca_file: ca.pem}}\n";
    write(path("config.yaml"), config)?;
    let exporter = Launch::new("").config_at(&path("config.yaml")).start()?;
    let read_again = |count| {
        until("the certificate to be read again", || {
            let stderr = exporter.stderr();
            Ok((stderr
                .matches("keys and certificates of the push were read again")
                .count()
                == count)
                .then_some(()))
        })
    };
    write(path("ca.pem"), Authority::new("second")?.certificate)?;
    read_again(1)?;
    write(path("ca.pem"), "no certificate")?;
    until("the log to say so", || {
        let stderr = exporter.stderr();
        Ok(stderr
            .contains("keys or certificates of the push are wrong; those before stay")
            .then_some(()))
    })?;
    write(path("ca.pem"), Authority::new("third")?.certificate)?;
    read_again(2)?;
    write(path("config.yaml"), "{}")?;
    sleep(SOME_LOOKS);
    assert_eq!(reloads(&exporter), 0, "{}", exporter.stderr());
    Ok(())
}

#[test]
fn files_of_networks_are_followed_when_they_change_come_and_go() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let folder = TempDir::new()?;
    let config = folder.path().join("config.yaml");
    write(
        &config,
        "{subnets: [], subnets_files: [\"*.csv\"], collect: {max_age: 1ms}}\n",
    )?;
    let [first, second, third, _] = pair.subnet()?.v4(SERVER).octets();
    let (wide, narrow) = (
        format!("{first}.{second}.0.0/16"),
        format!("{first}.{second}.{third}.0/24"),
    );
    write(folder.path().join("a.csv"), format!("cidr,name\n{wide},far\n"))?;
    let exporter = Launch::new("")
        .config_at(&config)
        .arguments(&["--config.watch"])
        .start()?;
    let opened = || {
        Flow::open(&pair, Family::V4, 443)?.finish()?;
        exporter
            .scrape()?
            .by("tcpvitals_tcp_connections_opened_total", "subnet", &[])
    };
    assert_eq!(opened()?.get("far"), Some(&2.0));

    write(folder.path().join("b.csv"), format!("{narrow},\"near, by\"\n"))?;
    wait_for_reload(&exporter, 1)?;
    assert_eq!(opened()?.get("near, by"), Some(&2.0));

    write(folder.path().join("b.csv"), format!("{narrow},next\n"))?;
    wait_for_reload(&exporter, 2)?;
    assert_eq!(opened()?.get("next"), Some(&2.0));

    // Wrong in its second line: named, and nothing changes.
    write(folder.path().join("b.csv"), format!("{narrow},other-name\nnowhere,x\n"))?;
    until("the log to say what is wrong", || {
        Ok(exporter
            .stderr()
            .contains("b.csv:2: \"nowhere\" is not a network")
            .then_some(()))
    })?;
    assert_eq!(opened()?.get("next"), Some(&4.0));

    remove_file(folder.path().join("b.csv"))?;
    wait_for_reload(&exporter, 3)?;
    let opened = opened()?;
    assert_eq!([opened.get("far"), opened.get("next")], [Some(&4.0), Some(&4.0)]);
    Ok(())
}
