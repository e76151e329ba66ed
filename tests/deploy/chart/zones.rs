//! Subnets of zones: off unless the values say otherwise; one pod with rights of its own, whose map all exporters read.

use std::fs::write;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tcpvitals_config::Config;
use tempfile::TempDir;

use super::helm::{RELEASES, documents, only, render};

const NAME: &str = "vitals-tcpvitals-zones";

fn made(values: &str) -> Result<Vec<Value>> {
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    write(&file, values)?;
    documents(&render(RELEASES[1], &file)?)
}

/// The object of a kind with a name.
fn named<'a>(rendered: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    let mut found = rendered
        .iter()
        .filter(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    found.next().with_context(|| format!("no {kind} {name}"))
}

/// Arguments of the one container.
fn arguments(pod: &Value) -> Vec<&str> {
    let list = pod["containers"][0]["args"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn nothing_of_it_is_there_by_default() -> Result<()> {
    let text = made("{}")?.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("-zones") && !text.contains("nodes\"]"), "{text}");
    Ok(())
}

#[test]
fn the_pod_may_see_nodes_and_write_its_map_and_nothing_else() -> Result<()> {
    let rendered = made("zones: {enabled: true}\nconfig: {workloads: {source: none}}")?;
    let whole = format!("net-{NAME}");
    let roles: Vec<&Value> = rendered
        .iter()
        .filter(|document| ["Role", "ClusterRole"].iter().any(|kind| document["kind"] == *kind))
        .collect();
    assert_eq!(roles.len(), 2);
    assert_eq!(
        named(&rendered, "ClusterRole", &whole)?["rules"],
        json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}])
    );
    assert_eq!(
        named(&rendered, "Role", NAME)?["rules"],
        json!([
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [NAME], "verbs": ["patch"]},
        ])
    );
    let subject = json!([{"kind": "ServiceAccount", "name": NAME, "namespace": "net"}]);
    for (kind, name) in [("ClusterRoleBinding", whole.as_str()), ("RoleBinding", NAME)] {
        let binding = named(&rendered, kind, name)?;
        assert_eq!(binding["subjects"], subject);
        assert_eq!(binding["roleRef"]["name"], name);
    }
    let pod = &named(&rendered, "Deployment", NAME)?["spec"]["template"]["spec"];
    assert_eq!(
        (&pod["serviceAccountName"], &pod["automountServiceAccountToken"]),
        (&json!(NAME), &json!(true))
    );
    // The exporters have no token for that.
    let exporters = &only(&rendered, "DaemonSet")?["spec"]["template"]["spec"];
    assert_eq!(exporters["automountServiceAccountToken"], json!(false));
    assert_eq!(exporters["serviceAccountName"], json!("vitals-tcpvitals"));
    let without = made("{zones: {enabled: true}, rbac: {create: false}}")?;
    assert!(without.iter().all(|document| document["kind"] != "Role"));
    Ok(())
}

#[test]
fn what_the_pod_writes_is_what_the_exporters_read() -> Result<()> {
    let rendered = made("zones: {enabled: true, label: pool}\nconfig: {subnets_files: [own.csv]}")?;
    let pod = &named(&rendered, "Deployment", NAME)?["spec"]["template"]["spec"];
    let arguments = arguments(pod);
    for argument in [
        "subnets",
        "--from-kubernetes",
        "--label=pool",
        "--config-map=vitals-tcpvitals-zones",
        "--namespace=net",
    ] {
        assert!(arguments.contains(&argument), "{arguments:?}");
    }
    let exporters = &only(&rendered, "DaemonSet")?["spec"]["template"]["spec"];
    let of = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let volume = json!({"name": "zones", "configMap": {"name": NAME, "optional": true}});
    assert!(of(&exporters["volumes"]).contains(&volume), "{exporters}");
    let mount = json!({"name": "zones", "mountPath": "/etc/tcpvitals/zones", "readOnly": true});
    assert!(
        of(&exporters["containers"][0]["volumeMounts"]).contains(&mount),
        "{exporters}"
    );
    let text = only(&rendered, "ConfigMap")?["data"]["config.yaml"]
        .as_str()
        .context("no configuration")?;
    assert!(text.contains("- own.csv\n- /etc/tcpvitals/zones/*.csv"), "{text}");
    Config::from_yaml(text, "config.yaml").map(drop)?;
    Ok(())
}

#[test]
fn series_have_the_zone_of_their_node_where_that_is_wanted() -> Result<()> {
    let values = "zones: {label: topology.kubernetes.io/zone}\nmonitor: {enabled: true, zoneLabel: true}";
    let rendered = made(values)?;
    let spec = &only(&rendered, "ServiceMonitor")?["spec"];
    assert_eq!(spec["attachMetadata"], json!({"node": true}));
    let source = "__meta_kubernetes_node_label_topology_kubernetes_io_zone";
    let zone = json!({"sourceLabels": [source], "targetLabel": "zone"});
    let all = spec["endpoints"][0]["relabelings"]
        .as_array()
        .context("no relabelings")?;
    assert!(all.contains(&zone) && all.len() == 3, "{all:?}");
    let without = made("monitor: {enabled: true}")?;
    let text = only(&without, "ServiceMonitor")?.to_string();
    assert!(!text.contains("zone") && !text.contains("attachMetadata"), "{text}");
    Ok(())
}

#[test]
fn nothing_that_selects_the_exporters_selects_the_pod() -> Result<()> {
    let rendered =
        made("zones: {enabled: true}\nnetworkPolicy: {enabled: true, egress: []}\nmonitor: {enabled: true}")?;
    let labels = named(&rendered, "Deployment", NAME)?["spec"]["template"]["metadata"]["labels"].clone();
    let selects = |selector: &Value| {
        let wanted = selector.as_object().into_iter().flatten();
        wanted.clone().count() > 0 && wanted.into_iter().all(|(key, value)| labels[key] == *value)
    };
    for (kind, pointer) in [
        ("DaemonSet", "/spec/selector/matchLabels"),
        ("Service", "/spec/selector"),
        ("ServiceMonitor", "/spec/selector/matchLabels"),
    ] {
        let selector = only(&rendered, kind)?.pointer(pointer).context("no selector")?;
        assert!(!selects(selector), "{kind}");
    }
    assert!(!selects(
        &named(&rendered, "NetworkPolicy", "vitals-tcpvitals")?["spec"]["podSelector"]["matchLabels"]
    ));
    let own = &named(&rendered, "NetworkPolicy", NAME)?["spec"];
    assert!(selects(&own["podSelector"]["matchLabels"]));
    let ports = json!([{"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}]);
    assert_eq!((&own["ingress"], &own["egress"]), (&json!([]), &ports));
    Ok(())
}
