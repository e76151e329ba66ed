//! The source of names: which one is in use, whether it says something, and why not, wherever that is asked.

use std::fs::create_dir;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tcpvitals::kubernetes::in_cluster;
use tempfile::tempdir;
use tests::exporter::{config_file, run};
use tests::kernel::btf;
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::Flow;

use super::*;

const UP: &str = "tcpvitals_workloads_source_up";
const LAST_UPDATE: &str = "tcpvitals_workloads_source_last_update_timestamp_seconds";

/// What `/readyz` says of the source in its last line.
pub(super) fn ready(exporter: &Exporter<'_>) -> Result<String> {
    let page = exporter.get("/readyz", "*/*")?;
    let last = page.body.lines().last().context("an empty answer")?;
    Ok(last.to_owned())
}

/// The one series of a source: its reason, and whether it is up.
fn state(scrape: &Scrape, source: &str) -> Result<(String, f64)> {
    let labels = [("source", source)];
    let mut all = scrape.matching(UP, &labels);
    let (series, up) = all.next().context("no source")?;
    let reason = series.labels.get("reason").cloned().unwrap_or_default();
    Ok((reason, up))
}

/// Waits until the source is up, or is not for this reason.
pub(super) fn until_source(exporter: &Exporter<'_>, source: &str, reason: &str) -> Result<Scrape> {
    until(&format!("{source} to be {reason:?}"), || {
        let scrape = exporter.scrape()?;
        let up = if reason.is_empty() { 1.0 } else { 0.0 };
        Ok((state(&scrape, source)? == (reason.to_owned(), up)).then_some(scrape))
    })
}

/// What the doctor says of it.
pub(super) fn diagnosis(config: &str, more: &[&str]) -> Result<Value> {
    let file = config_file(config)?;
    let file = file.path().to_str().context("a path that is text")?;
    let said = run(&[&["doctor", "--output=json", "--config.file", file], more].concat())?;
    let said: Value = serde_json::from_str(&said.stdout).with_context(|| format!("read {said:?}"))?;
    Ok(said["workloads"].clone())
}

#[test]
fn auto_without_a_token_takes_paths_and_says_so() -> Result<()> {
    // The test itself may run in a pod.
    if in_cluster::has_token() {
        return Ok(());
    }
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let config = config(&pair, "{source: auto}");
    // On a machine that has none yet.
    let _cgroups = Cgroups::of_threads()?;
    let exporter = start(&config)?;
    let scrape = until_source(&exporter, "cgroup", "")?;
    assert_eq!(scrape.matching(LAST_UPDATE, &[]).count(), 0);
    let said = ready(&exporter)?;
    assert!(
        said.starts_with("workloads: names from cgroup: workloads.source is auto"),
        "{said}"
    );
    assert!(said.contains("there is no token of a pod"), "{said}");
    let status: Value = serde_json::from_str(&exporter.get("/api/v1/status", "*/*")?.body)?;
    let status = &status["workloads"];
    assert_eq!(
        (&status["source"], &status["up"]),
        (&"cgroup".into(), &true.into()),
        "{status}"
    );
    let diagnosis = diagnosis(&config, &[])?;
    assert_eq!(diagnosis["source"], "cgroup", "{diagnosis}");
    assert!(
        diagnosis["note"].as_str().is_some_and(|note| note.contains("no token")),
        "{diagnosis}"
    );
    Ok(())
}

#[test]
fn a_folder_of_logs_that_cannot_be_read_is_named_until_it_can() -> Result<()> {
    const UID: &str = "5b5a7fc3-9e5f-4ea3-9fab-5cb15ec34f66";
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let folder = tempdir()?;
    let logs = folder.path().join("pods");
    let config = config(
        &pair,
        &format!("{{source: pod-logs, pod_logs: {:?}}}", logs.display().to_string()),
    );
    let exporter = start(&config)?;
    until_source(&exporter, "pod-logs", "unreadable")?;
    let said = ready(&exporter)?;
    assert!(
        said.starts_with("workloads: off: no names from pod-logs since "),
        "{said}"
    );
    let diagnosis = diagnosis(&config, &[])?;
    assert!(
        diagnosis["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("pod_logs")),
        "{diagnosis}"
    );

    create_dir(&logs)?;
    create_dir(logs.join(format!("shop_web-7d4b9c6f5-x2x9z_{UID}")))?;
    // It is looked at while a pod is not known.
    let cgroups = Cgroups::of_threads()?;
    let pod = make_for_program(&cgroups, &format!("kubepods/burstable/pod{UID}"))?;
    let flow = pod.run(|| Flow::open(&pair, Family::V4, 443))?;
    let scrape = until_source(&exporter, "pod-logs", "")?;
    assert_eq!(scrape.matching(LAST_UPDATE, &[]).count(), 1);
    let said = ready(&exporter)?;
    assert!(
        said.starts_with("workloads: names from pod-logs; last update "),
        "{said}"
    );
    drop(flow);
    Ok(())
}

#[test]
fn what_the_kernel_lacks_is_the_reason_of_the_source_too() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let btf = btf::renamed(&[("sk_cgrp_data", "sk_cgrp_gone")])?;
    let btf = ["--btf", btf.path().to_str().context("a path that is text")?];
    let config = config(&pair, "{source: cgroup}");
    let exporter = Launch::new(&config).arguments(&btf).start()?;
    let (reason, up) = state(&exporter.scrape()?, "cgroup")?;
    assert!(reason.contains("SOCK_CGROUP") && up == 0.0, "{reason} {up}");
    let said = ready(&exporter)?;
    assert!(
        said.starts_with("workloads: off: no names from cgroup since ") && said.contains(&reason),
        "{said}"
    );
    let diagnosis = diagnosis(&config, &btf)?;
    assert_eq!(diagnosis["reason"], *reason, "{diagnosis}");
    Ok(())
}

#[test]
fn without_a_source_nothing_is_said_of_one() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(&pair.config())?;
    assert_eq!(exporter.scrape()?.matching(UP, &[]).count(), 0);
    assert!(!ready(&exporter)?.starts_with("workloads"));
    Ok(())
}
