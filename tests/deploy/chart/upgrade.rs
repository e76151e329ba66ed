//! What Kubernetes lets nobody change stays the same from version to version and from value set to value set.

use std::fs::{read_to_string, write};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::exporter::run_command;

use super::helm::{RELEASES, documents, only, render, try_render, value_sets};
use super::{chart, top};

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
            // Those of another type have an address.
            let is_without = service["spec"]["clusterIP"] == "None";
            assert_eq!(is_without, service["spec"]["type"] == "ClusterIP", "{name}");
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

/// The first chart that people may have installed.
const FIRST: &str = "ba35a4c";

/// What Kubernetes lets nobody change of an object that is there, by its kind.
fn immutable(object: &Value) -> Vec<Value> {
    let pointers: &[&str] = match object["kind"].as_str() {
        Some("DaemonSet") => &["/spec/selector"],
        Some("Service") => &["/spec/clusterIP", "/spec/type"],
        Some("Secret") => &["/type", "/immutable"],
        Some("ConfigMap") => &["/immutable"],
        _ => &[],
    };
    let fields = pointers.iter().map(|pointer| object.pointer(pointer));
    fields.map(|field| field.cloned().unwrap_or_default()).collect()
}

/// The value sets of the first chart are taken by this one, each object stays the same one, and what cannot be changed is not.
#[test]
fn a_release_of_the_first_chart_is_upgraded_in_place() -> Result<()> {
    let folder = TempDir::new()?;
    let archive = folder.path().join("first.tar");
    let mut git = Command::new("git");
    git.arg("-C").arg(top()).args(["archive", "--output"]).arg(&archive);
    let archived = run_command(git.args([FIRST, "deploy/chart"]))?;
    ensure!(
        archived.code == Some(0),
        "{FIRST} is not there, so this is no whole clone (git fetch --unshallow): {}",
        archived.stderr
    );
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(&archive).arg("--directory");
    let unpacked = run_command(tar.arg(folder.path()))?;
    ensure!(unpacked.code == Some(0), "{unpacked:?}");
    let first = folder.path().join("deploy/chart");
    let mut compared = 0;
    for entry in first.join("ci").read_dir()? {
        let values = entry?.path();
        let old = try_render(RELEASES[1], &first, Some(&values))?;
        ensure!(old.code == Some(0), "{}", old.stderr);
        let new = documents(&render(RELEASES[1], &values)?)?;
        // Two dashboards have become parts of others.
        let is_left = |object: &Value| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            ["-mine-or-the-networks", "-tcp-by-subnet"]
                .iter()
                .any(|end| name.ends_with(end))
        };
        for old in documents(&old.stdout)?.into_iter().filter(|old| !is_left(old)) {
            let is_it = |new: &&Value| {
                let name = |object: &Value| object["metadata"]["name"].clone();
                let namespace = |object: &Value| object["metadata"]["namespace"].clone();
                new["kind"] == old["kind"] && name(new) == name(&old) && namespace(new) == namespace(&old)
            };
            let new = new.iter().find(is_it).with_context(|| {
                format!(
                    "{}: {} {} is gone",
                    values.display(),
                    old["kind"],
                    old["metadata"]["name"]
                )
            })?;
            assert_eq!(new["apiVersion"], old["apiVersion"], "{}", values.display());
            assert_eq!(immutable(new), immutable(&old), "{}: {}", values.display(), old["kind"]);
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
    Ok(())
}

/// The annotations of the pods, which restart them when they change.
fn annotations(values: &str) -> Result<Value> {
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    write(&file, values)?;
    let rendered = documents(&render(RELEASES[1], &file)?)?;
    let set = only(&rendered, "DaemonSet")?;
    Ok(set["spec"]["template"]["metadata"]["annotations"].clone())
}

/// What a reload refuses, as the exporter lists it.
fn read_at_the_start() -> Result<Vec<String>> {
    let source = read_to_string(top().join("exporter/src/serve/collect/reload.rs"))?;
    let keys = source.lines().filter_map(|line| {
        let (key, rest) = line.trim().strip_prefix("(\"")?.split_once("\", ")?;
        rest.starts_with("old.").then(|| key.to_owned())
    });
    Ok(keys.collect())
}

#[test]
fn what_the_exporter_reads_at_its_start_alone_restarts_the_pods() -> Result<()> {
    let same = annotations("service: {annotations: {a: b}}")?;
    assert_eq!(annotations("{}")?, same);
    let keys = read_at_the_start()?;
    assert!(keys.len() > 8, "{keys:?}");
    let readme = read_to_string(chart().join("README.md"))?;
    for key in keys {
        // A change of each, as the schema allows it.
        let value = match key.as_str() {
            "tcp.detail" => "essential",
            "tcp.memory" | "devices.enabled" => "true",
            "limits.memory" => "64MiB",
            "limits.workloads" => "64",
            "workloads" => "{source: none}",
            _ => "false",
        };
        let nested = match key.split_once('.') {
            Some((section, key)) => format!("{section}: {{{key}: {value}}}"),
            None => format!("{key}: {value}"),
        };
        let values = format!("config: {{{nested}}}");
        assert_ne!(annotations(&values)?, same, "{values}");
        assert!(
            readme.contains(&format!("`{key}`")),
            "the README does not say that {key} restarts pods"
        );
    }
    for values in [
        "config: {workloads: {merge_templates: false}}",
        "otlp: {headers: {a: b}}",
        // A protection that is given up is given up by a restart.
        "webConfig: {config: {basic_auth_users: {a: b}}}",
        "webConfig: {config: {tls_server_config: {cert_file: a, key_file: b}}}",
    ] {
        assert_ne!(annotations(values)?, same, "{values}");
    }
    // The exporter follows what it can.
    for values in [
        "config: {subnets_fallback: x}",
        "config: {limits: {series: 500}, tcp: null}",
        "webConfig: {config: {http_server_config: {http2: false}}}",
    ] {
        assert_eq!(annotations(values)?, same, "{values}");
    }
    let users = |hash: &str| annotations(&format!("webConfig: {{config: {{basic_auth_users: {{a: {hash}}}}}}}"));
    assert_eq!(users("b")?, users("c")?);
    Ok(())
}

#[test]
fn any_change_restarts_the_pods_where_that_is_wanted() -> Result<()> {
    let restarted = |values: &str| annotations(&format!("restartOnChange: true\n{values}"));
    let same = restarted("log: {level: info}")?;
    for values in [
        "config: {subnets_fallback: x}",
        "webConfig: {config: {http_server_config: {http2: false}}}",
        "zones: {enabled: true}",
    ] {
        assert_ne!(restarted(values)?, same, "{values}");
    }
    assert_eq!(restarted("service: {annotations: {a: b}}")?, same);
    Ok(())
}
