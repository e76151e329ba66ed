//! No mapping is rendered with a key twice, whatever keys the values share, and kustomize takes every render.

use std::collections::BTreeSet;
use std::fs::{read_to_string, write};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::chart;
use super::helm::{RELEASES, documents, kustomize, only, render, value_sets};

/// Paths of the values that are mappings with keys of the reader's own choice.
fn maps(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        maps(property, &path, found);
        let is_map = property["type"] == "object" || property["type"] == json!(["object", "null"]);
        if is_map && property["additionalProperties"] != false {
            found.push(path);
        }
    }
}

/// Sets a value, with the mappings above it.
fn set(values: &mut Value, path: &str, value: Value) {
    let place = path.split('/').skip(1).fold(values, |place, key| {
        if !place.is_object() {
            *place = json!({});
        }
        &mut place[key]
    });
    *place = value;
}

/// All keys of all mappings.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A key that two values share is twice in a mapping that both go into, whatever the others hold. So one render in which every value has
/// every key shows each pair.
#[test]
fn no_key_is_rendered_twice_whatever_values_share() -> Result<()> {
    let schema: Value = serde_json::from_str(&read_to_string(chart().join("values.schema.json"))?)?;
    let validator = jsonschema::draft7::new(&schema)?;
    let mut maps = Vec::new();
    self::maps(&schema, "", &mut maps);
    // The exporter's configuration is one value, and a parent's is not read.
    maps.retain(|path| !path.starts_with("/config/") && path != "/global");
    assert!(maps.len() > 25, "{maps:?}");
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    for (name, path) in value_sets()? {
        let values: Value = serde_yaml::from_str(&read_to_string(&path)?)?;
        let mut candidates = BTreeSet::from(["shared".to_owned(), "example.org/shared".to_owned()]);
        documents(&render(RELEASES[1], &path)?)?
            .iter()
            .for_each(|document| keys(document, &mut candidates));
        let mut all = values.clone();
        let mut shared = 0;
        for map in &maps {
            let section = map.split('/').nth(1).unwrap_or_default();
            // Where somebody else's Secret is named, the chart makes none.
            if values[section]["existingSecret"].is_string() && (map.contains("/config/") || map.ends_with("/headers"))
            {
                continue;
            }
            let mut filled = values
                .pointer(map)
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            for key in &candidates {
                let fits = [json!([]), json!("text")].into_iter().find(|value| {
                    let mut one = json!({});
                    set(
                        &mut one,
                        map,
                        Value::Object(Map::from_iter([(key.clone(), value.clone())])),
                    );
                    validator.is_valid(&one)
                });
                if let Some(value) = fits {
                    filled.entry(key).or_insert(value);
                    shared += 1;
                }
            }
            set(&mut all, map, Value::Object(filled));
        }
        assert!(shared > 20 * maps.len(), "{name}: {shared}");
        // Parts that are off by default, and what a template takes apart.
        for (path, value) in [
            ("/monitor/enabled", json!(true)),
            ("/prometheusRule/enabled", json!(true)),
            ("/dashboards/enabled", json!(true)),
            ("/zones/enabled", json!(true)),
            ("/service/enabled", json!(true)),
            ("/networkPolicy/enabled", json!(true)),
            ("/openshift/scc", json!(true)),
        ] {
            set(&mut all, path, value);
        }
        write(&file, serde_json::to_string(&all)?)?;
        let rendered = render(RELEASES[1], &file).with_context(|| name.clone())?;
        documents(&rendered).with_context(|| format!("{name}: {rendered}"))?;
    }
    Ok(())
}

#[test]
fn the_narrower_value_counts_and_what_is_selected_by_stays() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    let values = json!({
        "commonLabels": {"a": "all", "b": "all", "app.kubernetes.io/version": "mine"},
        "podLabels": {"a": "pods"},
        "podAnnotations": {"checksum/at-start": "mine", "c": "pods"},
        "service": {"labels": {"a": "service"}},
        "monitor": {
            "enabled": true,
            "labels": {"a": "monitor"},
            "endpoint": {"path": "/mine", "honorLabels": false},
            "spec": {"namespaceSelector": {"any": true}},
        },
        "otlp": {"resourceAttributes": {"host.name": "mine", "k8s.cluster.name": "a,b"}},
    });
    write(&file, values.to_string())?;
    let rendered = documents(&render(RELEASES[1], &file)?)?;
    let set = only(&rendered, "DaemonSet")?;
    let template = &set["spec"]["template"];
    for (labels, a) in [
        (&set["metadata"]["labels"], "all"),
        (&template["metadata"]["labels"], "pods"),
        (&only(&rendered, "Service")?["metadata"]["labels"], "service"),
        (&only(&rendered, "ServiceMonitor")?["metadata"]["labels"], "monitor"),
    ] {
        assert_eq!((&labels["a"], &labels["b"]), (&json!(a), &json!("all")), "{labels}");
        assert_eq!(labels["app.kubernetes.io/version"], "mine", "{labels}");
        assert_eq!(labels["app.kubernetes.io/instance"], "vitals", "{labels}");
    }
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["c"], "pods");
    assert_ne!(annotations["checksum/at-start"], "mine");
    let spec = &only(&rendered, "ServiceMonitor")?["spec"];
    assert_eq!(spec["namespaceSelector"], json!({"any": true}));
    assert_eq!(spec["endpoints"][0]["path"], "/mine");
    assert_eq!(spec["endpoints"][0]["port"], "http");
    assert_eq!(spec["endpoints"][0]["honorLabels"], false);
    let variables = template["spec"]["containers"][0]["env"]
        .as_array()
        .context("no variables")?;
    let attributes: Vec<&Value> = variables
        .iter()
        .filter(|variable| variable["name"] == "OTEL_RESOURCE_ATTRIBUTES")
        .map(|variable| &variable["value"])
        .collect();
    assert_eq!(
        attributes,
        [
            "host.name=mine,k8s.cluster.name=a%2Cb,k8s.namespace.name=$(POD_NAMESPACE),k8s.node.name=$(NODE_NAME),k8s.pod.name=$(POD_NAME)"
        ]
    );
    Ok(())
}

#[test]
fn kustomize_takes_every_value_set() -> Result<()> {
    for (name, values) in value_sets()? {
        let rendered = render(RELEASES[1], &values)?;
        let finished = kustomize(&rendered)?;
        assert_eq!(finished.code, Some(0), "{name}: {}", finished.stderr);
        assert_eq!(
            documents(&finished.stdout)?.len(),
            documents(&rendered)?.len(),
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn a_key_that_is_twice_is_found() -> Result<()> {
    let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    b: c\n    b: d\n";
    assert!(documents(twice).is_err());
    assert_ne!(kustomize(twice)?.code, Some(0));
    documents(&twice.replace("b: d", "e: d")).map(drop)
}
