//! promtool on the rules: it accepts them, each alert fires and stays silent as its tests say, and a wrong rule fails them.

use std::fs::{copy, create_dir, read_to_string, write};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tests::exporter::program::{brought, feed};
use tests::readers::dashboards::folder;
use tests::readers::rules::{rule_files, test_files};

fn promtool(arguments: &[&str], files: &[PathBuf]) -> Result<String> {
    let files: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
    let all: Vec<&str> = arguments
        .iter()
        .copied()
        .chain(files.iter().map(AsRef::as_ref))
        .collect();
    feed(&brought("debian/promtool")?, &all, "")
}

#[test]
fn promtool_accepts_every_rule() -> Result<()> {
    let files = rule_files()?;
    let said = promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &files)?;
    assert_eq!(said.matches("SUCCESS").count(), files.len(), "{said}");
    Ok(())
}

#[test]
fn every_alert_fires_and_stays_silent_as_it_should() -> Result<()> {
    // One by one: each has the time that a program may take.
    for file in test_files()? {
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
        ("tcp", "retransmits", "keep_firing_for: 15m", "keep_firing_for: 1s"),
        ("tcp", "round-trips", "> 0.01 + cluster", "> cluster"),
        ("tcp", "round-trips", "count_rate5m > 1\n", "count_rate5m > 0\n"),
        ("tcp", "connections", "cancelled|other", "cancelled|unanswered"),
        ("tcp", "connections", "role!=\"server\"", "role!=\"client\""),
        ("slo", "slo", "bad_ratio_rate5m > 14.4", "bad_ratio_rate5m > -1"),
        ("slo", "slo", "bad_ratio_rate30m > 6", "bad_ratio_rate30m > -1"),
        ("slo", "slo", "[1h]) > 0.1\n", "[1h]) > 0\n"),
        ("slo", "slo", "offset 30m", "offset 1m"),
        ("slo", "slo", "offset 6h", "offset 1m"),
        ("slo", "slo", "fraction(0, 0.5", "fraction(0, 1"),
        ("causes", "causes", "ratio_rate5m > 0.01", "ratio_rate5m > 0.0001"),
        ("causes", "causes", "segments:rate5m > 1", "segments:rate5m > 0"),
        (
            "causes",
            "causes",
            "unanswered|timed_out\"}[5m])) > 0",
            "unanswered|timed_out\"}[5m])) > -1",
        ),
        ("causes", "causes", "> 0.5\n", "> 0.2\n"),
        ("drops", "drops", "capacity_rate5m > 1", "capacity_rate5m > 0.1"),
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
            "\"TcpvitalsConnectionsFail|TcpvitalsConnectionsBudgetBurns",
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
        ("exporter", "exporter", "|this kernel has no .*", ""),
        (
            "exporter",
            "exporter",
            "and on (cluster, job, instance)",
            "unless on (cluster, job, instance)",
        ),
        ("exporter", "exporter", "for: 15m", "for: 1m"),
    ] {
        let scene = TempDir::new()?;
        let path = |name: &str| scene.path().join(format!("{name}.yaml"));
        for file in rule_files()? {
            let name = file.file_name().context("a file without a name")?;
            copy(&file, scene.path().join(name)).context("copy the rules")?;
        }
        let rule_text = read_to_string(folder().join(format!("rules/{rules}.yaml")))?;
        assert!(rule_text.contains(from), "{rules}.yaml has no {from:?} any more");
        write(path(rules), rule_text.replace(from, to))?;
        create_dir(scene.path().join("tests"))?;
        let copied = path(&format!("tests/{tests}"));
        copy(folder().join(format!("rules/tests/{tests}.yaml")), &copied).context("copy the tests")?;
        let said = promtool(&["test", "rules"], &[copied]);
        assert!(said.is_err(), "nobody sees that {from:?} became {to:?}");
    }
    Ok(())
}
