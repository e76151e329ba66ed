//! Workloads: on unless the values say otherwise, and with what asking the API server takes only where it is asked.

use std::fs::write;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tcpvitals_config::{Config, WorkloadSource};
use tempfile::TempDir;

use super::chart;
use super::helm::{RELEASES, documents, only, render, try_render};

/// What the chart makes of values.
struct Made {
    config: Config,
    rendered: Vec<Value>,
}

impl Made {
    fn of(values: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        let file = folder.path().join("values.yaml");
        write(&file, values)?;
        let rendered = documents(&render(RELEASES[1], &file)?)?;
        let map = only(&rendered, "ConfigMap")?;
        let config = map["data"]["config.yaml"].as_str().context("no configuration")?;
        Ok(Self {
            config: Config::from_yaml(config, values)?,
            rendered,
        })
    }

    fn pod(&self) -> Result<&Value> {
        Ok(&only(&self.rendered, "DaemonSet")?["spec"]["template"]["spec"])
    }

    /// Whether pods have a token, whether there are a role and its binding, and where pods may connect to.
    fn access(&self) -> Result<(Value, [usize; 2], Value)> {
        let count = |kind: &str| self.rendered.iter().filter(|document| document["kind"] == kind).count();
        Ok((
            self.pod()?["automountServiceAccountToken"].clone(),
            [count("ClusterRole"), count("ClusterRoleBinding")],
            only(&self.rendered, "NetworkPolicy")?["spec"]["egress"].clone(),
        ))
    }
}

/// A guarded pod that may connect to one place.
const GUARDED: &str = "networkPolicy: {enabled: true, egress: [{to: [{podSelector: {}}]}]}";

#[test]
fn the_source_decides_about_token_rights_and_egress() -> Result<()> {
    let own = json!({"to": [{"podSelector": {}}]});
    let ports = json!({"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]});
    for (config, source, asks) in [
        ("{}", WorkloadSource::Kubernetes, true),
        ("{workloads: {node: node1}}", WorkloadSource::Kubernetes, true),
        ("{workloads: {source: auto}}", WorkloadSource::Auto, true),
        ("{workloads: {source: cgroup}}", WorkloadSource::Cgroup, false),
        ("{workloads: {source: none}}", WorkloadSource::None, false),
        ("{workloads: {source: null}}", WorkloadSource::None, false),
        ("{workloads: {enabled: false}}", WorkloadSource::Kubernetes, false),
        ("{workloads: {enabled: null}}", WorkloadSource::Kubernetes, true),
        ("{workloads: null}", WorkloadSource::None, false),
        ("null", WorkloadSource::None, false),
    ] {
        let made = Made::of(&format!("config: {config}\n{GUARDED}")).context(config)?;
        assert_eq!(made.config.workloads.source, source, "{config}");
        let egress = if asks { json!([own, ports]) } else { json!([own]) };
        let rights = usize::from(asks);
        assert_eq!(made.access()?, (json!(asks), [rights; 2], egress), "{config}");
    }
    Ok(())
}

#[test]
fn the_rights_are_to_list_and_watch_pods() -> Result<()> {
    let made = Made::of("serviceAccount: {create: false, name: observer}")?;
    let role = only(&made.rendered, "ClusterRole")?;
    assert_eq!(
        role["rules"],
        json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}])
    );
    let binding = only(&made.rendered, "ClusterRoleBinding")?;
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "observer", "namespace": "net"}])
    );
    assert_eq!(made.pod()?["serviceAccountName"], "observer");
    let node = json!({"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}});
    let variables = made.pod()?["containers"][0]["env"].as_array();
    assert!(variables.is_some_and(|variables| variables.contains(&node)));
    Ok(())
}

#[test]
fn rights_that_somebody_else_gives_are_not_made() -> Result<()> {
    let made = Made::of(&format!("rbac: {{create: false}}\n{GUARDED}"))?;
    let (token, rights, egress) = made.access()?;
    assert_eq!((token, rights), (json!(true), [0, 0]));
    assert_eq!(egress.as_array().map(Vec::len), Some(2));
    let nowhere = "config: {workloads: {source: none}}\nnetworkPolicy: {enabled: true, egress: []}";
    assert_eq!(Made::of(nowhere)?.access()?.2, json!([]));
    let anywhere = Made::of("networkPolicy: {enabled: true}")?;
    assert_eq!(anywhere.access()?.2, Value::Null);
    let narrow = "networkPolicy: {enabled: true, egress: [], apiServer: [{to: [{ipBlock: {cidr: 192.0.2.1/32}}]}]}";
    assert_eq!(
        Made::of(narrow)?.access()?.2,
        json!([{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}])
    );
    Ok(())
}

#[test]
fn the_account_of_everybody_gets_no_rights() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    write(&file, "serviceAccount: {create: false}")?;
    let finished = try_render(RELEASES[1], &chart(), Some(&file))?;
    assert_ne!(finished.code, Some(0));
    for word in ["serviceAccount.name", "rbac.create", "config.workloads.source"] {
        assert!(finished.stderr.contains(word), "{}", finished.stderr);
    }
    Made::of("serviceAccount: {create: false}\nrbac: {create: false}")?;
    Made::of("serviceAccount: {create: false}\nconfig: {workloads: {source: none}}")?;
    Ok(())
}

#[test]
fn labels_of_workloads_come_on_top_of_the_exporters_own() -> Result<()> {
    let labels = |config: &str| {
        let labels = Made::of(&format!("config: {config}"))?.config.shown.labels;
        let tcp = labels.tcp.iter().map(|label| label.as_str());
        let drops = labels.drops.iter().map(|label| label.as_str());
        anyhow::Ok((words(tcp), words(drops)))
    };
    let own = Config::built_in().shown.labels;
    let own_tcp = || own.tcp.iter().map(|label| label.as_str());
    let own_drops = || own.drops.iter().map(|label| label.as_str());
    let all_tcp = words(own_tcp().chain(["workload", "workload_kind", "workload_namespace"]));
    let all_drops = words(own_drops().chain(["workload", "workload_namespace"]));
    for (config, tcp, drops) in [
        ("{}", all_tcp.clone(), all_drops.clone()),
        ("{workloads: {source: cgroup}}", all_tcp.clone(), all_drops.clone()),
        ("{labels: {tcp: null}}", all_tcp.clone(), all_drops.clone()),
        ("{labels: {tcp: [role]}}", words(["role"]), all_drops),
        ("{labels: {drops: []}}", all_tcp, words([])),
        ("{workloads: {source: none}}", words(own_tcp()), words(own_drops())),
        ("{workloads: {enabled: false}}", words(own_tcp()), words(own_drops())),
    ] {
        assert_eq!(labels(config)?, (tcp, drops), "{config}");
    }
    Ok(())
}

fn words(words: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.sort();
    words
}
