//! What Kubernetes lets nobody change stays the same from version to version and from value set to value set.

use std::fs::{read_to_string, write};
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::exporter::run_command;

use super::chart;
use super::helm::{RELEASES, documents, only, render, try_render, value_sets};

/// The labels that a DaemonSet of the release `vitals` was selected by from the first version on.
fn selector() -> Value {
    json!({"app.kubernetes.io/instance": "vitals", "app.kubernetes.io/name": "tcpvitals"})
}

/// The labels selected by, in a DaemonSet whose pods have them.
fn selected(documents: &[Value]) -> Result<&Value> {
    let set = only(documents, "DaemonSet")?;
    let selected = &set["spec"]["selector"]["matchLabels"];
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    for (label, value) in selected.as_object().into_iter().flatten() {
        ensure!(labels[label] == *value, "the pods lack {label}: {labels}");
    }
    Ok(selected)
}

#[test]
fn no_value_set_changes_the_selector() -> Result<()> {
    for (name, values) in value_sets()? {
        let rendered = documents(&render(RELEASES[1], &values)?)?;
        assert_eq!(*selected(&rendered)?, selector(), "{name}");
        if let Ok(service) = only(&rendered, "Service") {
            assert_eq!(service["spec"]["selector"], selector(), "{name}");
            assert_eq!(service["spec"]["clusterIP"], "None", "{name}");
        }
    }
    Ok(())
}

#[test]
fn another_version_keeps_the_selector_and_restarts_the_pods() -> Result<()> {
    let folder = TempDir::new()?;
    let mut copy = Command::new("cp");
    let copied = run_command(copy.arg("--recursive").arg(chart()).arg(folder.path().join("chart")))?;
    ensure!(copied.code == Some(0), "{copied:?}");
    let description = folder.path().join("chart/Chart.yaml");
    let text = read_to_string(&description)?;
    let newer: Vec<&str> = text
        .lines()
        .map(|line| match line.split_once(": ") {
            Some(("version", _)) => "version: 9.8.7",
            Some(("appVersion", _)) => "appVersion: 9.8.7",
            _ => line,
        })
        .collect();
    write(&description, newer.join("\n"))?;
    let before = documents(&try_render(RELEASES[1], &chart(), None)?.stdout)?;
    let after = documents(&try_render(RELEASES[1], &folder.path().join("chart"), None)?.stdout)?;
    assert_eq!(selected(&after)?, selected(&before)?);
    let image = |documents: &[Value]| {
        let set = only(documents, "DaemonSet")?;
        anyhow::Ok(set["spec"]["template"]["spec"]["containers"][0]["image"].clone())
    };
    assert_eq!(image(&after)?, "tcpvitals:9.8.7");
    assert_ne!(image(&before)?, image(&after)?);
    Ok(())
}

#[test]
fn what_is_read_at_the_start_restarts_the_pods() -> Result<()> {
    let folder = TempDir::new()?;
    let annotations = |values: &str| {
        let file = folder.path().join("values.yaml");
        write(&file, values)?;
        let rendered = documents(&render(RELEASES[1], &file)?)?;
        let set = only(&rendered, "DaemonSet")?;
        anyhow::Ok(set["spec"]["template"]["metadata"]["annotations"].clone())
    };
    let same = annotations("service: {annotations: {a: b}}")?;
    assert_eq!(annotations("{}")?, same);
    for values in [
        "config: {tcp: {detail: 'off'}}",
        "config: {drops: {enabled: false}}",
        "config: {limits: {memory: 64MiB}}",
        "config: {limits: {workloads: 64}}",
        "config: {workloads: {source: none}}",
        "config: {workloads: {merge_templates: false}}",
        "otlp: {headers: {a: b}}",
        "webConfig: {config: {http_server_config: {http2: false}}}",
    ] {
        assert_ne!(annotations(values)?, same, "{values}");
    }
    // The exporter follows what it can.
    for values in [
        "config: {subnets_fallback: x}",
        "config: {limits: {series: 500}, tcp: null}",
    ] {
        assert_eq!(annotations(values)?, same, "{values}");
    }
    Ok(())
}
