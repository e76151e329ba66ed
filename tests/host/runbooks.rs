//! Alerts and their runbooks: each has the other, and promtool's tests know when each fires and when it is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use serde_yaml::Value;
use tcpvitals::cli::Arguments;
use tcpvitals_metrics::findings::rules::rule;
use tests::readers::dashboards::{dashboards, files, list, text};
use tests::readers::rules::{Rule, URLS, rules, test_files};

/// Where runbooks are, from the top of the repository on.
const FOLDER: &str = "docs/runbooks/";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn alerts() -> Result<Vec<(String, Rule)>> {
    let named = |rule: Rule| Some((rule.alert.clone()?, rule));
    Ok(rules()?.into_iter().filter_map(named).collect())
}

#[test]
fn every_alert_says_what_is_wrong_and_how_bad_and_where_to_read_on() -> Result<()> {
    for (alert, rule) in alerts()? {
        let severity = rule.labels.get("severity").map_or("", String::as_str);
        assert!(
            ["info", "warning", "critical"].contains(&severity),
            "{alert}: {severity:?}"
        );
        let said = |key: &str| rule.annotations.get(key).map_or("", String::as_str);
        // OBJECT: symptom and size; and whom to ask, by name.
        assert!(said("summary").contains(": "), "{alert}: {}", said("summary"));
        assert!(
            said("description").contains("First step: "),
            "{alert}: {}",
            said("description")
        );
        assert_eq!(said("runbook_url"), format!("{}/{alert}.md", URLS[0].0), "{alert}");
        // The page of a host that is down shows nothing.
        let has_page = said("summary").contains("$labels.instance") && alert != "TcpvitalsDown";
        assert_eq!(
            said("host_url").starts_with("http://{{ $labels.instance }}/"),
            has_page,
            "{alert}"
        );
        let windows = rule.expr.matches(":bad_ratio_rate").count();
        assert!(
            rule.r#for.is_some() || windows >= 2,
            "{alert} fires at the first evaluation"
        );
    }
    Ok(())
}

/// Name, findings, rate, share, expressions.
type Judged = (&'static str, &'static [&'static str], f64, f64, [&'static str; 2]);

/// Alerts that judge the same as findings: the least rate and share at which they fire, and how their expressions say so.
const AS_FINDINGS: &[Judged] = &[
    (
        "TcpvitalsOwnDrops",
        &["own_queue", "own_filter"],
        0.2,
        0.01,
        ["> 0.2", "> 0.01"],
    ),
    // 1 % of 20 a second.
    (
        "TcpvitalsRetransmitRatioAboveBaseline",
        &["network_loss"],
        0.2,
        0.01,
        ["> 20", "> 0.01"],
    ),
    (
        "TcpvitalsRetransmitRatioHigh",
        &["network_loss"],
        1.0,
        0.1,
        ["> 10", "> 0.1"],
    ),
    (
        "TcpvitalsRttAboveBaseline",
        &["rtt_above_baseline"],
        1.0,
        1.0,
        ["> 1", "> 2 *"],
    ),
    (
        "TcpvitalsConnectionsFail",
        &[
            "refused",
            "reset_at_opening",
            "unreachable",
            "no_route",
            "no_local_port",
        ],
        0.1,
        0.05,
        ["> 0.1", "> 0.05"],
    ),
    (
        "TcpvitalsOpensUnanswered",
        &["unanswered"],
        0.1,
        0.05,
        ["> 0.1", "> 0.05"],
    ),
    // Half of more than one connection.
    (
        "TcpvitalsPeerReadsSlowly",
        &["peer_reads_slowly"],
        0.5,
        0.5,
        ["> 1", "> 0.5"],
    ),
    (
        "TcpvitalsCapacityDrops",
        &[
            "queue_full",
            "socket_buffer_full",
            "backlog_full",
            "ring_full",
            "no_memory",
            "other_capacity",
        ],
        1.0,
        0.0,
        ["> 1", "> 1"],
    ),
];

#[test]
fn no_alert_fires_below_the_floors_of_its_finding() -> Result<()> {
    let alerts = alerts()?;
    for (alert, findings, rate, share, written) in AS_FINDINGS {
        let is_written = |(name, rule): &(String, Rule)| {
            name == alert && written.iter().all(|threshold| rule.expr.contains(threshold))
        };
        assert!(alerts.iter().any(is_written), "{alert} has no longer {written:?}");
        for finding in *findings {
            let floor = rule(finding).with_context(|| format!("no finding {finding}"))?.floor;
            assert!(
                *rate >= floor.rate && *share >= floor.share,
                "{alert} may fire where {finding} is silent: {floor:?}"
            );
        }
    }
    Ok(())
}

/// Names of the variables that a link to a dashboard sets.
fn variables(link: &str) -> impl Iterator<Item = &str> {
    let settings = link.split("var-").skip(1);
    settings.filter_map(|setting| Some(setting.split_once('=')?.0))
}

#[test]
fn every_alert_links_to_a_dashboard_that_has_its_variables() -> Result<()> {
    let dashboards = dashboards()?;
    for (alert, rule) in alerts()? {
        let link = rule.annotations.get("dashboard_url").context(alert.clone())?;
        let path = link
            .strip_prefix(&format!("{}/d/", URLS[1].0))
            .with_context(|| format!("{alert}: {link}"))?;
        let uid = path.split('?').next().unwrap_or_default();
        let dashboard = dashboards
            .iter()
            .find(|dashboard| dashboard.json["uid"] == uid)
            .with_context(|| format!("{alert}: no dashboard {uid}"))?;
        let known: Vec<&str> = list(&dashboard.json["templating"], "list")
            .iter()
            .map(|variable| text(variable, "name"))
            .collect();
        for variable in variables(path) {
            assert!(known.contains(&variable), "{alert}: {uid} has no variable {variable}");
        }
    }
    Ok(())
}

/// What a page has, in this order: the symptom, three questions, what to hand over, what to do, when to be silent, and last the definition.
const PARTS: [&str; 9] = [
    "\n\n",
    "\n## Check now\n",
    "\n1. ",
    "\n2. ",
    "\n3. ",
    "\nHand over with: ",
    "\n## What to do\n",
    "\n## When to silence it\n",
    "\n## Why it fired\n",
];

/// Lines that a terminal shows at once: the questions and their commands are among them.
const FIRST_SCREEN: usize = 40;

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() -> Result<()> {
    let name = |path: &PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    let pages = files(&top().join(FOLDER), ".md")?;
    let pages: BTreeSet<String> = pages.iter().filter_map(name).filter(|page| page != "README").collect();
    let alerts: BTreeSet<String> = alerts()?.into_iter().map(|(alert, _)| alert).collect();
    assert_eq!(pages, alerts);
    let index = read_to_string(top().join(FOLDER).join("README.md"))?;
    for alert in alerts {
        let page = read_to_string(top().join(format!("{FOLDER}{alert}.md")))?;
        let mut rest = page
            .strip_prefix(&format!("# {alert}"))
            .with_context(|| alert.clone())?;
        for part in PARTS {
            let place = rest
                .find(part)
                .with_context(|| format!("{alert} lacks {part:?}, or it is out of order"))?;
            rest = &rest[place..];
        }
        let lines = page
            .lines()
            .take_while(|line| !line.starts_with("Hand over with: "))
            .count();
        assert!(lines < FIRST_SCREEN, "{alert}: the questions take {lines} lines");
        // What is shown first is no definition.
        let symptom = page.lines().nth(2).unwrap_or_default();
        assert!(!symptom.starts_with("For "), "{alert}: {symptom}");
        assert!(index.contains(&format!("]({alert}.md)")), "the index lacks {alert}");
    }
    Ok(())
}

/// Commands of tcpvitals on a page: what stands between backquotes or in a block of shell.
fn commands(page: &str) -> Vec<Vec<String>> {
    let pieces = page.split('`').flat_map(str::lines);
    let own = pieces
        .flat_map(|piece| piece.split(';'))
        .map(|piece| piece.trim().trim_start_matches("sudo "));
    own.filter(|piece| piece.starts_with("tcpvitals "))
        .map(|piece| {
            let plain = piece.split(" #").next().unwrap_or_default();
            plain
                .split_whitespace()
                .map(|word| word.trim_matches(['\'', '"']).to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn runbooks_and_alerts_tell_commands_that_exist() -> Result<()> {
    let mut texts = Vec::new();
    for page in files(&top().join(FOLDER), ".md")? {
        texts.push((page.display().to_string(), read_to_string(&page)?));
    }
    for (alert, rule) in alerts()? {
        let said = rule.annotations.get("description").cloned().unwrap_or_default();
        let parts = said
            .split("{{")
            .map(|part| part.split_once("}}").map_or(part, |(_, rest)| rest));
        // A command ends with its sentence, and a label stands in the place of each template.
        let plain = parts.collect::<Vec<&str>>().join("label");
        let said = plain.split(['.', ',', ':']).map(|part| format!("`{part}`")).collect();
        texts.push((alert, said));
    }
    let mut found = 0;
    for (place, text) in texts {
        for command in commands(&text) {
            let parsed = Arguments::try_parse_from(&command);
            assert!(
                parsed.is_ok(),
                "{place}: {command:?}: {}",
                parsed.err().map(|error| error.to_string()).unwrap_or_default()
            );
            found += 1;
        }
    }
    assert!(found > 40, "only {found} commands");
    Ok(())
}

#[test]
fn every_alert_is_shown_to_fire_and_to_be_silent() -> Result<()> {
    let mut shown: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for path in test_files()? {
        let read: Value = serde_yaml::from_str(&read_to_string(&path)?)?;
        for group in read["tests"].as_sequence().context("no tests")? {
            for case in group["alert_rule_test"].as_sequence().into_iter().flatten() {
                let alert = case["alertname"].as_str().context("a case without an alert")?;
                let fires = !case["exp_alerts"].as_sequence().context("no expectation")?.is_empty();
                let (firing, silent) = shown.entry(alert.to_owned()).or_default();
                *if fires { firing } else { silent } += 1;
            }
        }
    }
    // Of one name may be one that is critical and one that warns.
    let alerts: BTreeSet<String> = alerts()?.into_iter().map(|(alert, _)| alert).collect();
    for alert in &alerts {
        let (firing, silent) = shown.get(alert).copied().unwrap_or_default();
        assert!(
            firing > 0 && silent > 0,
            "{alert}: fires {firing} times, is silent {silent} times"
        );
    }
    assert_eq!(shown.len(), alerts.len(), "a test of an alert that is no more");
    Ok(())
}
