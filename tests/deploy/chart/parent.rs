//! The chart as a part of others: of a parent that switches it, in another namespace, beside other containers.

use std::collections::BTreeSet;
use std::fs::{create_dir_all, write};
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::exporter::run_command;

use super::helm::{RELEASES, documents, only, render, try_render};
use super::{chart, top};

/// A chart that has this one as a dependency, by its own name and by another.
fn parent(values: &str) -> Result<TempDir> {
    let folder = TempDir::new()?;
    let charts = folder.path().join("charts");
    create_dir_all(&charts)?;
    let mut copy = Command::new("cp");
    let copied = run_command(copy.arg("--recursive").arg(chart()).arg(charts.join("tcpvitals")))?;
    ensure!(copied.code == Some(0), "{copied:?}");
    let version = env!("CARGO_PKG_VERSION");
    let one = |more: &str| format!("  - {{name: tcpvitals, version: {version:?}, {more}}}\n");
    let description = format!(
        "apiVersion: v2\nname: parent\nversion: 0.1.0\ndependencies:\n{}{}",
        one("condition: tcpvitals.enabled"),
        one("alias: second, condition: second.enabled"),
    );
    write(folder.path().join("Chart.yaml"), description)?;
    write(folder.path().join("values.yaml"), values)?;
    Ok(folder)
}

/// Names of the DaemonSets that a parent with these values has.
fn sets(release: &str, values: &str) -> Result<BTreeSet<String>> {
    let folder = parent(values)?;
    let finished = try_render(release, folder.path(), None)?;
    ensure!(finished.code == Some(0), "{release}: {values}: {}", finished.stderr);
    let rendered = documents(&finished.stdout)?;
    let sets = rendered.iter().filter(|document| document["kind"] == "DaemonSet");
    Ok(sets
        .filter_map(|set| set["metadata"]["name"].as_str().map(str::to_owned))
        .collect())
}

#[test]
fn a_parent_switches_it() -> Result<()> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    for release in RELEASES {
        for (values, expected) in [
            ("second: {enabled: false}", names(&["vitals-tcpvitals"])),
            (
                "tcpvitals: {enabled: true}\nsecond: {enabled: true, global: {a: b}}\nglobal: {imageRegistry: registry.local}",
                names(&["vitals-tcpvitals", "vitals-second"]),
            ),
            ("tcpvitals: {enabled: false}\nsecond: {enabled: false}", names(&[])),
        ] {
            assert_eq!(sets(release, values)?, expected, "{release}: {values}");
        }
        // A wrong value is named by its whole path.
        let folder = parent("tcpvitals: {port: many}")?;
        let finished = try_render(release, folder.path(), None)?;
        assert!(
            finished.stderr.contains("tcpvitals") && finished.stderr.contains("port"),
            "{}",
            finished.stderr
        );
    }
    Ok(())
}

/// What the chart makes of values.
fn made(values: &Value) -> Result<Vec<Value>> {
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    write(&file, values.to_string())?;
    documents(&render(RELEASES[1], &file)?)
}

#[test]
fn everything_can_go_to_another_namespace() -> Result<()> {
    let rendered = made(&json!({
        "namespaceOverride": "elsewhere",
        "zones": {"enabled": true},
        "monitor": {"enabled": true},
        "prometheusRule": {"enabled": true},
        "dashboards": {"enabled": true},
        "networkPolicy": {"enabled": true},
        "openshift": {"scc": true},
        "webConfig": {"config": {"basic_auth_users": {"a": "b"}}},
        "otlp": {"headers": {"a": "b"}},
    }))?;
    let of_cluster = ["ClusterRole", "ClusterRoleBinding", "SecurityContextConstraints"];
    for document in &rendered {
        let is_of_cluster = of_cluster.iter().any(|kind| document["kind"] == *kind);
        let namespace = &document["metadata"]["namespace"];
        assert_eq!(is_of_cluster, namespace.is_null(), "{document}");
        assert!(is_of_cluster || *namespace == "elsewhere", "{document}");
        // The namespace of the release is `net`.
        let text = document.to_string();
        for trace in ["\"net\"", "net-vitals", ":net:", "--namespace=net\""] {
            assert!(!text.contains(trace), "{trace}: {text}");
        }
    }
    Ok(())
}

/// A name that YAML takes for a number is text all the same.
#[test]
fn names_stay_text() -> Result<()> {
    let rendered = made(&json!({
        "fullnameOverride": "123",
        "nameOverride": "010",
        "namespaceOverride": "456",
        "priorityClassName": "1e3",
        "serviceAccount": {"name": "789"},
        "monitor": {"enabled": true},
    }))?;
    for document in &rendered {
        assert!(document["metadata"]["name"].is_string(), "{document}");
        let labels = document["metadata"]["labels"].as_object();
        assert!(
            labels.is_some_and(|labels| labels.values().all(Value::is_string)),
            "{document}"
        );
    }
    let pod = &only(&rendered, "DaemonSet")?["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "789");
    assert_eq!(pod["priorityClassName"], "1e3");
    let spec = &only(&rendered, "ServiceMonitor")?["spec"];
    assert_eq!(spec["namespaceSelector"], json!({"matchNames": ["456"]}));
    assert_eq!(spec["selector"]["matchLabels"]["app.kubernetes.io/name"], "010");
    Ok(())
}

#[test]
fn the_exporter_stays_the_first_container() -> Result<()> {
    let values = std::fs::read_to_string(top().join("deploy/chart/ci/extras.yaml"))?;
    let rendered = made(&serde_yaml::from_str(&values)?)?;
    let pod = &only(&rendered, "DaemonSet")?["spec"]["template"]["spec"];
    let names = |list: &Value| -> Vec<String> {
        let entries = list.as_array().into_iter().flatten();
        entries
            .map(|entry| entry["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(names(&pod["containers"]), ["tcpvitals", "beside"]);
    assert_eq!(names(&pod["initContainers"]), ["prepare"]);
    assert_eq!(names(&pod["volumes"]), ["config", "types", "scratch"]);
    let scc = only(&rendered, "SecurityContextConstraints")?;
    assert_eq!(
        scc["volumes"],
        json!(["configMap", "emptyDir", "hostPath", "projected", "secret"])
    );
    assert_eq!(scc["allowHostDirVolumePlugin"], true);
    Ok(())
}

/// Nodes on which no pod of a DaemonSet can run would hold up `helm --wait` for ever.
#[test]
fn nodes_that_run_nothing_are_left_out() -> Result<()> {
    let required = "/spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let excluded = json!({"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]},
        {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]},
    ]}]});
    let by_default = made(&json!({}))?;
    assert_eq!(only(&by_default, "DaemonSet")?.pointer(required), Some(&excluded));
    let without = made(&json!({"affinity": null}))?;
    assert_eq!(
        only(&without, "DaemonSet")?.pointer("/spec/template/spec/affinity"),
        None
    );
    Ok(())
}
