//! Values: the schema knows each, wrong ones are refused with a message that names them, and what is right reaches the exporter.

use std::collections::BTreeSet;
use std::fs::{read_to_string, write};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tcpvitals::serve::web::WebConfig;
use tcpvitals_config::Config;
use tempfile::TempDir;

use super::chart;
use super::helm::{RELEASES, documents, only, render, try_render, value_sets};

/// Wrong values, and the words with which both releases of Helm refuse them.
const WRONG: &[(&str, &[&str])] = &[
    ("porf: 1", &["porf", "not allowed"]),
    ("port: many", &["port", "integer"]),
    ("port: 70000", &["port"]),
    ("image: {tag: 1}", &["image", "tag", "string"]),
    ("image: {digest: sha1:00}", &["digest", "pattern"]),
    ("image: {pullPolicy: Sometimes}", &["pullPolicy", "IfNotPresent"]),
    ("log: {level: loud}", &["level", "debug"]),
    ("tolerations: {operator: Exists}", &["tolerations", "array"]),
    ("updateStrategy: {type: Recreate}", &["updateStrategy", "OnDelete"]),
    ("monitor: {kind: Servicemonitor}", &["monitor", "PodMonitor"]),
    ("resources: {memory: 1Gi}", &["resources", "memory"]),
    (
        "securityContext: {capabilities: {add: [CAP_BPF]}}",
        &["capabilities", "add"],
    ),
    ("webConfig: {config: {basic_auth_user: {a: b}}}", &["basic_auth_user"]),
    // What the selector goes by is the chart's own.
    ("podLabels: {app.kubernetes.io/name: a}", &["app.kubernetes.io/name"]),
    (
        "commonLabels: {app.kubernetes.io/instance: a}",
        &["app.kubernetes.io/instance"],
    ),
    (
        "service: {labels: {app.kubernetes.io/name: a}}",
        &["app.kubernetes.io/name"],
    ),
    // What Helm would make another text of.
    (
        "config: {subnets: [{name: on, cidrs: [10.3.0.0/16]}]}",
        &["config", "subnets", "name", "string", "boolean"],
    ),
    (
        "config: {subnets: [{name: 1.50, cidrs: [10.3.0.0/16]}]}",
        &["config", "subnets", "name", "string", "number"],
    ),
    (
        "config: {app_protocols: [{name: 010, ports: [8444]}]}",
        &["config", "app_protocols", "name", "string"],
    ),
    ("config: {subnets_fallback: no}", &["config", "subnets_fallback"]),
    ("config: {views: [{name: 007}]}", &["config", "views", "name", "string"]),
    (
        "config: {otlp: {headers: {x-scope: 1e3}}}",
        &["config", "otlp", "headers", "x-scope", "string"],
    ),
    (
        "webConfig: {config: {http_server_config: {headers: {X-A: yes}}}}",
        &["webConfig", "X-A", "string"],
    ),
    ("extraEnv: [{name: A, value: 1.50}]", &["extraEnv", "value", "string"]),
    ("enabled: maybe", &["enabled", "boolean"]),
    ("namespaceOverride: Net", &["namespaceOverride"]),
    ("service: {type: ExternalName}", &["service", "type", "NodePort"]),
    ("revisionHistoryLimit: -1", &["revisionHistoryLimit"]),
    ("extraVolumes: [{emptyDir: {}}]", &["extraVolumes", "name"]),
    ("extraVolumeMounts: [{name: a}]", &["extraVolumeMounts", "mountPath"]),
    ("extraContainers: [{image: a}]", &["extraContainers", "name"]),
    ("initContainers: {name: a}", &["initContainers", "array"]),
    ("hostAliases: [{hostnames: [a]}]", &["hostAliases", "ip"]),
    ("dnsConfig: []", &["dnsConfig", "object"]),
    ("restartOnChange: sometimes", &["restartOnChange", "boolean"]),
    ("zones: {label: 1}", &["zones", "label", "string"]),
    // By the exporter's own schema.
    ("config: {subnet: []}", &["config", "subnet"]),
    ("config: {tcp: {detail: all}}", &["config", "detail", "essential"]),
    ("config: {limits: {series: lots}}", &["config", "series"]),
    (
        "config: {workloads: {source: api}}",
        &["config", "source", "kubernetes"],
    ),
    // By the templates.
    (
        "webConfig: {config: {http_server_config: {http2: true}}, existingSecret: a}",
        &["webConfig.existingSecret", "choose one"],
    ),
    ("webConfig: {tls: true}", &["webConfig.tls", "need"]),
    (
        "config: {workloads: {source: pod-logs}}",
        &["config.workloads.source", "choose kubernetes"],
    ),
    (
        "otlp: {headers: {a: b}, existingSecret: c}",
        &["otlp.existingSecret", "choose one"],
    ),
    (
        "openshift: {scc: true}\nserviceAccount: {create: false}\nrbac: {create: false}",
        &["serviceAccount.name", "openshift.scc"],
    ),
    // One name in a list is what the API server knows an entry by.
    (
        "extraEnv: [{name: OTEL_RESOURCE_ATTRIBUTES, value: a=b}]",
        &["extraEnv", "otlp.resourceAttributes"],
    ),
    (
        "extraEnv: [{name: NODE_NAME, value: a}]",
        &["extraEnv", "NODE_NAME", "choose another"],
    ),
    (
        "extraEnv: [{name: OTEL_EXPORTER_OTLP_HEADERS, value: a=b}]\notlp: {headers: {c: d}}",
        &["extraEnv", "OTEL_EXPORTER_OTLP_HEADERS", "choose another"],
    ),
    (
        "extraVolumes: [{name: config, emptyDir: {}}]",
        &["extraVolumes", "config", "choose another"],
    ),
    (
        "extraVolumes: [{name: a, emptyDir: {}}, {name: a, emptyDir: {}}]",
        &["extraVolumes", "name a twice"],
    ),
    (
        "extraVolumeMounts: [{name: a, mountPath: /etc/tcpvitals/config}]",
        &["extraVolumeMounts", "/etc/tcpvitals/config", "choose another"],
    ),
    (
        "extraContainers: [{name: tcpvitals}]",
        &["extraContainers", "tcpvitals", "choose another"],
    ),
    (
        "extraContainers: [{name: a}]\ninitContainers: [{name: a}]",
        &["initContainers", "name a twice"],
    ),
    (
        "hostAliases: [{ip: 192.0.2.1}, {ip: 192.0.2.1}]",
        &["hostAliases", "192.0.2.1 twice"],
    ),
    (
        "imagePullSecrets: [{name: a}, {name: a}]",
        &["imagePullSecrets", "name a twice"],
    ),
    (
        "monitor: {enabled: true}\nservice: {enabled: false}",
        &["service.enabled", "PodMonitor"],
    ),
    (
        "prometheusRule: {enabled: true, runbookUrl: docs/runbooks, dashboardUrl: none}",
        &["runbookUrl", "pattern"],
    ),
];

#[test]
fn wrong_values_are_refused_by_name() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    for (values, words) in WRONG {
        write(&file, values)?;
        for release in RELEASES {
            let finished = try_render(release, &chart(), Some(&file))?;
            assert_ne!(finished.code, Some(0), "{release} takes {values}");
            for word in *words {
                assert!(finished.stderr.contains(word), "{release}: {word}: {}", finished.stderr);
            }
        }
    }
    Ok(())
}

/// A key without a value takes the chart's default away.
#[test]
fn keys_without_a_value_are_no_error() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    for values in [
        "webConfig: {config: null}",
        "monitor: {enabled: true, endpoint: null, spec: null}",
        "prometheusRule: {enabled: true, runbookBase: null}",
        "openshift: {scc: true}\npodSecurityContext: null",
    ] {
        write(&file, values)?;
        for release in RELEASES {
            documents(&render(release, &file).context(values)?)?;
        }
    }
    Ok(())
}

/// Paths of the keys of a mapping, down to where `stops`.
fn paths(value: &Value, path: &str, stops: &dyn Fn(&str) -> bool, found: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        if !stops(&path) {
            paths(value, &path, stops, found);
        }
        found.insert(path);
    }
}

#[test]
fn the_schema_knows_each_value_and_no_other() -> Result<()> {
    let values: Value = serde_yaml::from_str(&read_to_string(chart().join("values.yaml"))?)?;
    let schema: Value = serde_json::from_str(&read_to_string(chart().join("values.schema.json"))?)?;
    let properties = |path: &str| {
        let keys = path.split('.').skip(1);
        keys.fold(&schema, |schema, key| &schema["properties"][key])["properties"].clone()
    };
    let mut known = BTreeSet::new();
    let mut unknown = Vec::new();
    // Where the schema lists no keys, they are those of Kubernetes, or of the exporter.
    let is_free = |path: &str| {
        properties(path).is_null() || [".affinity", ".config", ".webConfig.config", ".securityContext"].contains(&path)
    };
    paths(&values, "", &is_free, &mut known);
    let folders = known.iter().filter(|path| !is_free(path)).map(String::as_str);
    for folder in folders.chain([""]) {
        for key in properties(folder).as_object().into_iter().flatten().map(|(key, _)| key) {
            let path = format!("{folder}.{key}");
            let is_optional = [".global", ".resources.claims"].contains(&&*path);
            if !known.contains(&path) && !is_optional {
                unknown.push(path);
            }
        }
    }
    assert!(unknown.is_empty(), "values.yaml lacks {unknown:?}");
    assert!(known.contains(".image.repository") && known.len() > 50, "{known:?}");
    Ok(())
}

#[test]
fn the_exporter_takes_what_is_rendered() -> Result<()> {
    let mut seen = [0, 0];
    for (name, values) in value_sets()? {
        let rendered = documents(&render(RELEASES[1], &values)?)?;
        let is_its = |document: &&Value| document["data"]["config.yaml"].is_string();
        let map = rendered
            .iter()
            .find(is_its)
            .with_context(|| format!("{name}: no configuration"))?;
        let config = map["data"]["config.yaml"].as_str().unwrap_or_default();
        let config = Config::from_yaml(config, &name)?;
        seen[0] += u8::from(config != Config::built_in());
        let web = rendered
            .iter()
            .find_map(|document| document["stringData"]["web.yaml"].as_str());
        if let Some(web) = web {
            let is_limited = web.contains("rate_limit");
            let web = WebConfig::from_yaml(web, Path::new("web.yaml"))?;
            let probe = probe(&rendered)?;
            let only_connects = probe["tcpSocket"].is_object();
            assert_eq!(only_connects, web.has_auth() || is_limited, "{name}: {probe}");
            seen[1] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    Ok(())
}

fn probe(rendered: &[Value]) -> Result<Value> {
    let container = &only(rendered, "DaemonSet")?["spec"]["template"]["spec"]["containers"][0];
    Ok(container["livenessProbe"].clone())
}

/// The kubelet has neither a password nor a client certificate, and speaks TLS only where it is told to.
#[test]
fn probes_ask_what_they_can() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("values.yaml");
    let tls = "cert_file: a, key_file: b, client_ca_file: c";
    for (values, kind, scheme) in [
        ("{}".to_owned(), "httpGet", None),
        // Nobody sees from here what somebody else's Secret asks for.
        ("webConfig: {existingSecret: a}".to_owned(), "tcpSocket", None),
        (
            "webConfig: {existingSecret: a, auth: false}".to_owned(),
            "httpGet",
            None,
        ),
        (
            "webConfig: {existingSecret: a, tls: true, auth: false}".to_owned(),
            "httpGet",
            Some("HTTPS"),
        ),
        (
            format!("webConfig: {{config: {{tls_server_config: {{{tls}}}}}}}"),
            "httpGet",
            Some("HTTPS"),
        ),
        (
            format!(
                "webConfig: {{config: {{tls_server_config: {{{tls}, client_auth_type: VerifyClientCertIfGiven}}}}}}"
            ),
            "httpGet",
            Some("HTTPS"),
        ),
        (
            format!(
                "webConfig: {{config: {{tls_server_config: {{{tls}, client_auth_type: RequireAndVerifyClientCert}}}}}}"
            ),
            "tcpSocket",
            None,
        ),
    ] {
        write(&file, &values)?;
        let probe = probe(&documents(&render(RELEASES[1], &file)?)?)?;
        assert!(probe[kind].is_object(), "{values}: {probe}");
        assert_eq!(probe[kind]["scheme"].as_str(), scheme, "{values}: {probe}");
    }
    Ok(())
}
