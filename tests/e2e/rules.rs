//! promtool on the rules: it accepts them once their URLs are set and not before, each alert fires and stays silent as its tests say, and
//! a wrong rule fails them.

use std::fs::{copy, create_dir, read_to_string, write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tests::exporter::program::{brought, feed};
use tests::exporter::run_command;
use tests::readers::dashboards::{files, folder};
use tests::readers::rules::{self, URLS, rule_files, test_files, text};

fn promtool(arguments: &[&str], files: &[PathBuf]) -> Result<String> {
    let files: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
    let all: Vec<&str> = arguments
        .iter()
        .copied()
        .chain(files.iter().map(AsRef::as_ref))
        .collect();
    feed(&brought("debian/promtool")?, &all, "")
}

/// Rules and their tests with the URLs set, as they lie beside each other.
fn scene() -> Result<TempDir> {
    let scene = TempDir::new()?;
    rules::copy(scene.path())?;
    create_dir(scene.path().join("tests"))?;
    for path in test_files()? {
        let name = path.file_name().context("a file without a name")?;
        write(scene.path().join("tests").join(name), text(&path)?)?;
    }
    Ok(scene)
}

fn accepts(folder: &Path) -> Result<()> {
    let files = files(folder, ".yaml")?;
    let said = promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &files)?;
    ensure!(said.matches("SUCCESS").count() == files.len(), "{said}");
    Ok(())
}

/// The first block of shell commands of the documentation that replaces this.
fn documented(placeholder: &str) -> Result<String> {
    let page = read_to_string(folder().join("../docs/dashboards.md"))?;
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let mut commands = blocks.map(|(command, _)| command.to_owned());
    commands
        .find(|command| command.contains(placeholder))
        .context("no command")
}

#[test]
fn promtool_accepts_every_rule_once_the_documented_command_has_set_its_urls() -> Result<()> {
    let scene = TempDir::new()?;
    for file in rule_files()? {
        copy(&file, scene.path().join(file.file_name().unwrap_or_default()))?;
    }
    let refused = format!("{:?}", accepts(scene.path()));
    for (placeholder, _) in URLS {
        let word = placeholder.trim_matches(['{', ' ', '}']);
        assert!(
            refused.contains(&format!("\"{word}\" not defined")),
            "{word}: {refused}"
        );
    }
    let command = documented(URLS[0].0)?.replace("/etc/prometheus/rules", &scene.path().to_string_lossy());
    let finished = run_command(Command::new("sh").args(["-c", &command]))?;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    accepts(scene.path())
}

#[test]
fn every_alert_fires_and_stays_silent_as_it_should() -> Result<()> {
    let scene = scene()?;
    // One by one: each has the time that a program may take.
    for file in files(&scene.path().join("tests"), ".yaml")? {
        promtool(&["test", "rules"], &[file])?;
    }
    Ok(())
}

/// Each of these changes makes at least one test fail, so that a test which can only succeed would be seen.
#[test]
#[ignore = "long: make test-long"]
fn a_changed_rule_fails_its_tests() -> Result<()> {
    for (rules, tests, from, to) in [
        ("tcp", "retransmits", "ratio_rate5m > 0.1\n", "ratio_rate5m > 0.2\n"),
        ("tcp", "retransmits", "> 3 * cluster", "> 30 * cluster"),
        ("tcp", "retransmits", "transmit_rate5m > 10\n", "transmit_rate5m > 1\n"),
        ("tcp", "retransmits", "transmit_rate5m > 20\n", "transmit_rate5m > 10\n"),
        ("tcp", "retransmits", "keep_firing_for: 15m", "keep_firing_for: 1s"),
        ("tcp", "round-trips", "> 0.01 + cluster", "> cluster"),
        ("tcp", "round-trips", "count_rate5m > 1\n", "count_rate5m > 0\n"),
        ("tcp", "connections", "cancelled|other|unanswered|timed_out", "other"),
        ("tcp", "connections", "|unanswered|timed_out", ""),
        ("tcp", "connections", "role!=\"server\"", "role!=\"client\""),
        ("slo", "slo", "bad_ratio_rate5m > 14.4", "bad_ratio_rate5m > -1"),
        ("slo", "slo", "bad_ratio_rate30m > 6", "bad_ratio_rate30m > -1"),
        ("slo", "slo", "[1h]) > 0.1\n", "[1h]) > 0\n"),
        ("slo", "slo", "offset 30m", "offset 1m"),
        ("slo", "slo", "offset 6h", "offset 1m"),
        ("slo", "slo", "fraction(0, 0.5", "fraction(0, 1"),
        ("causes", "causes", "ratio_rate5m > 0.01", "ratio_rate5m > 0.0001"),
        ("causes", "causes", "anywhere_rate5m > 0.2", "anywhere_rate5m > 0"),
        ("causes", "causes", "[5m])) > 10\n", "[5m])) > 1\n"),
        (
            "causes",
            "causes",
            "              - rate(tcpvitals_tcp_locally",
            "              - 0 * rate(tcpvitals_tcp_locally",
        ),
        (
            "causes",
            "causes",
            "            > sum by (cluster, instance, subnet) (rate(tcpvitals_tcp_locally",
            "            < sum by (cluster, instance, subnet) (rate(tcpvitals_tcp_locally",
        ),
        (
            "causes",
            "one-fault",
            "severity=\"critical\"}\n        for: 10m\n        keep_firing_for: 10m\n        labels:\n          severity: warning\n        annotations: *",
            "severity=\"info\"}\n        for: 10m\n        keep_firing_for: 10m\n        labels:\n          severity: warning\n        annotations: *",
        ),
        (
            "tcp",
            "one-fault",
            "\"TcpvitalsRetransmitRatioHigh\", alertstate",
            "\"TcpvitalsDown\", alertstate",
        ),
        (
            "tcp",
            "one-fault",
            "\"TcpvitalsConnectionsBudgetBurns\", alertstate",
            "\"TcpvitalsDown\", alertstate",
        ),
        (
            "tcp",
            "one-fault",
            "\"TcpvitalsRttBudgetBurns\", alertstate",
            "\"TcpvitalsDown\", alertstate",
        ),
        (
            "slo",
            "slo",
            "\"TcpvitalsConnectionsBudgetBurns\", alertstate",
            "\"TcpvitalsDown\", alertstate",
        ),
        ("drops", "drops", "\"TcpvitalsOwnDrops\"", "\"TcpvitalsDown\""),
        ("drops", "drops", "\"TcpvitalsAcceptQueueFull\"", "\"TcpvitalsDown\""),
        (
            "tcp",
            "retransmits",
            "ratio_rate5m > 0.5\n        for",
            "ratio_rate5m > 0.9\n        for",
        ),
        (
            "causes",
            "causes",
            "unanswered|timed_out\"}[5m])) > 0",
            "unanswered|timed_out\"}[5m])) > -1",
        ),
        ("causes", "causes", "> 0.5\n", "> 0.2\n"),
        ("drops", "drops", "unless_alerts > 1", "unless_alerts > 0.1"),
        (
            "workloads",
            "workloads",
            "unless on (cluster, subnet) ALERTS",
            "unless on (workload) ALERTS",
        ),
        (
            "workloads",
            "workloads",
            "AboveBaseline|TcpvitalsRetransmitRatioHigh",
            "AboveBaseline",
        ),
        (
            "workloads",
            "workloads",
            "bad_ratio_rate5m > 0.1)",
            "bad_ratio_rate5m > 2)",
        ),
        ("workloads", "workloads", "|TcpvitalsRttBudgetBurns", ""),
        (
            "workloads",
            "workloads",
            "\"TcpvitalsConnectionsFail|TcpvitalsOpensUnanswered|TcpvitalsConnectionsBudgetBurns",
            "\"TcpvitalsDown",
        ),
        (
            "workloads",
            "workloads",
            "alertname=\"TcpvitalsCapacityDrops\"",
            "alertname=\"TcpvitalsDown\"",
        ),
        (
            "workloads",
            "workloads",
            "\"host|shared|unresolved|other\"",
            "\"shared|unresolved\"",
        ),
        (
            "workloads",
            "workloads",
            "\"|shared|unresolved|other\"",
            "\"shared|unresolved|other\"",
        ),
        (
            "workloads",
            "workloads",
            "node_mean_rate5m > 0.1",
            "node_mean_rate5m > 0",
        ),
        (
            "workloads",
            "workloads",
            "class=\"policy\", direction=\"transmit\"",
            "class=\"policy\"",
        ),
        (
            "tcp",
            "connections",
            "utilization_ratio) > 0.9",
            "utilization_ratio) > 0.4",
        ),
        ("tcp", "connections", ">= 8 *", ">= 7 *"),
        ("tcp", "connections", "for: 5m", "for: 0m"),
        ("exporter", "exporter", "|this kernel.*", ""),
        ("exporter", "exporter", "[a-z_]+[.][a-z_]+ is .*|", ""),
        (
            "exporter",
            "exporter",
            " unless on () ALERTS{alertname=\"TcpvitalsDown\"}",
            "",
        ),
        (
            "exporter",
            "exporter",
            "and on (cluster, job, instance)",
            "unless on (cluster, job, instance)",
        ),
        ("exporter", "exporter", "for: 15m", "for: 1m"),
    ] {
        let scene = scene()?;
        let path = |name: &str| scene.path().join(format!("{name}.yaml"));
        let rule_text = read_to_string(path(rules))?;
        assert!(rule_text.contains(from), "{rules}.yaml has no {from:?} any more");
        write(path(rules), rule_text.replace(from, to))?;
        let said = promtool(&["test", "rules"], &[path(&format!("tests/{tests}"))]);
        assert!(said.is_err(), "nobody sees that {from:?} became {to:?}");
    }
    Ok(())
}
