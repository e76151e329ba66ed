//! Releases of the chart besides the one that is tested: every value set of `deploy/chart/ci`, and an upgrade from an older chart.

use std::fs::{create_dir_all, read_to_string, write};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::machine::certificates::Authority;
use tests::machine::wait::until;

use super::Run;
use super::start::{plain_helm, without_version};
use crate::node::{NODE, Node};
use crate::traffic::feed;
use crate::truth::{get, items};

/// The kinds of others that some sets make, with the groups that they are of.
const KINDS: [(&str, &str, &str); 4] = [
    ("monitoring.coreos.com", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "PodMonitor", "podmonitors"),
    ("monitoring.coreos.com", "PrometheusRule", "prometheusrules"),
    (
        "security.openshift.io",
        "SecurityContextConstraints",
        "securitycontextconstraints",
    ),
];

/// Installs the chart with each of its value sets, by Helm 4, and waits until the pod is ready.
pub(super) fn sets(run: &mut Run<'_>) -> Result<String> {
    prepare(run)?;
    let node = &run.node;
    let mut names = Vec::new();
    for entry in node.file("chart/ci").read_dir()? {
        let file = entry?.path();
        let set = file
            .file_stem()
            .context("a file without a name")?
            .to_string_lossy()
            .into_owned();
        let namespace = format!("set-{set}");
        node.run("kubectl", &["create", "namespace", &namespace])?;
        let more = needs_of(node, &set, &namespace)?;
        let (chart, file) = (node.file("chart").display().to_string(), file.display().to_string());
        let arguments = ["install", "set", &chart, "--namespace", &namespace, "--values", &file];
        let arguments: Vec<&str> = arguments.into_iter().chain(more.iter().map(String::as_str)).collect();
        plain_helm(run, "helm-4", &arguments).with_context(|| set.clone())?;
        until_ready(node, &namespace).with_context(|| set.clone())?;
        plain_helm(run, "helm-4", &["uninstall", "set", "--namespace", &namespace])?;
        names.push(format!("`{set}`"));
    }
    names.sort();
    Ok(format!("{} sets: {}", names.len(), names.join(", ")))
}

/// What some sets take for granted.
fn prepare(run: &Run<'_>) -> Result<()> {
    let node = &run.node;
    let kinds = KINDS.map(|(group, kind, plural)| {
        let version = if group.starts_with("security") {
            ("v1", "Cluster")
        } else {
            ("v1", "Namespaced")
        };
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group, "scope": version.1,
                "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
                "versions": [{"name": version.0, "served": true, "storage": true, "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}],
            },
        })
    });
    super::names::create(node, &kinds)?;
    for (_, _, plural) in KINDS {
        until(&format!("{plural} to be known"), || {
            Ok((node.try_run("kubectl", &["get", plural, "--all-namespaces"])?.code == Some(0)).then_some(()))
        })?;
    }
    node.run("kubectl", &["create", "namespace", "monitoring"])?;
    node.run("kubectl", &["label", "node", NODE, "pool=edge"])?;
    let folder = "/var/lib/kubelet/seccomp";
    node.run("mkdir", &["-p", folder])?;
    let profile = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/seccomp/tcpvitals.json")
        .canonicalize()?;
    node.run("cp", &[profile.to_str().context("a path that is text")?, folder])
        .map(drop)
}

/// The objects that a set names, and arguments of Helm for what no cluster has.
fn needs_of(node: &Node, set: &str, namespace: &str) -> Result<Vec<String>> {
    let authority = Authority::new(set)?;
    let signed = authority.sign(&["DNS:tcpvitals"])?;
    let secret = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data});
    let certificates = json!({"ca.crt": authority.certificate, "tls.crt": signed.certificate, "tls.key": signed.key});
    let (objects, more) = match set {
        "existing-secrets" => {
            let tls =
                "tls_server_config: {cert_file: /etc/tcpvitals/otlp/tls.crt, key_file: /etc/tcpvitals/otlp/tls.key}\n";
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "observer", "namespace": namespace}});
            let objects = vec![
                account,
                secret("vitals-web", json!({"web.yaml": tls})),
                secret("vitals-otlp", json!({"headers": "a=b"})),
                secret("vitals-otlp-tls", certificates),
            ];
            (objects, "")
        }
        // Its image is of a registry that does not exist.
        "guarded" => (
            vec![secret("tcpvitals-tls", certificates)],
            "--set=image.repository=tcpvitals,image.digest=",
        ),
        _ => return Ok(Vec::new()),
    };
    super::names::create(node, &objects)?;
    Ok([more]
        .into_iter()
        .filter(|more| !more.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Waits until the one DaemonSet of a namespace has all its pods, of the newest template, and gives its UID.
fn until_ready(node: &Node, namespace: &str) -> Result<String> {
    let mut last = Value::Null;
    let ready = until("the DaemonSet to be ready", || {
        let sets = get(node, &["daemonsets", "--namespace", namespace])?;
        let set = items(&sets).next().context("no DaemonSet")?;
        last = set["status"].clone();
        let is_new = last["observedGeneration"] == set["metadata"]["generation"];
        let is_whole = last["numberReady"] == 1 && last["updatedNumberScheduled"] == 1;
        Ok((is_new && is_whole).then(|| set["metadata"]["uid"].to_string()))
    });
    ready.with_context(|| last.to_string())
}

/// Applies the chart without Helm: a render that kustomize has read, by server-side apply, in which the API server refuses a list
/// that has an entry twice. Twice the same changes nothing, and another value what it is for.
pub(super) fn applied(run: &mut Run<'_>) -> Result<String> {
    const NAMESPACE: &str = "applied";
    let node = &run.node;
    let folder = node.file("kustomize");
    create_dir_all(&folder)?;
    write(folder.join("kustomization.yaml"), "resources: [render.yaml]\n")?;
    let [chart, set] = ["chart", "chart/ci/extras.yaml"].map(|file| node.file(file).display().to_string());
    let kubectl = run.arguments.helm.join("kubectl").canonicalize()?;
    let (kubectl, folder_name) = (kubectl.display().to_string(), folder.display().to_string());
    let all = node.file("applied.yaml").display().to_string();
    let apply = |more: &str| {
        let more = format!("openshift.scc=false,{more}");
        let arguments = [
            "template",
            "vitals",
            &chart,
            "--namespace",
            NAMESPACE,
            "--values",
            &set,
            "--set",
            &more,
        ];
        write(folder.join("render.yaml"), plain_helm(run, "helm-4", &arguments)?)?;
        write(&all, node.run(&kubectl, &["kustomize", &folder_name])?)?;
        node.run("kubectl", &["apply", "--server-side", "--filename", &all])?;
        until_ready(node, NAMESPACE)?;
        let sets = get(node, &["daemonsets", "--namespace", NAMESPACE])?;
        let generation = items(&sets).next().map(|set| set["metadata"]["generation"].clone());
        generation.context("no DaemonSet")
    };
    node.run("kubectl", &["create", "namespace", NAMESPACE])?;
    let generations = [
        apply("podLabels.a=b")?,
        apply("podLabels.a=b")?,
        apply("podLabels.a=c")?,
    ];
    ensure!(generations == [1, 1, 2].map(Value::from), "{generations:?}");
    node.run("kubectl", &["delete", "--filename", &all])?;
    let left = get(
        node,
        &[
            "daemonsets,services,configmaps",
            "--namespace",
            NAMESPACE,
            "--selector",
            "app.kubernetes.io/instance=vitals",
        ],
    )?;
    ensure!(items(&left).next().is_none(), "{left}");
    Ok("the value set `extras`: applied, applied again without a change, changed, deleted".to_owned())
}

/// The last chart before workloads.
const OLDER: &str = "ba35a4c";

/// The older chart, out of git.
fn archived(node: &Node) -> Result<String> {
    let archive = node.file("older.tar").display().to_string();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let top = top.to_str().context("a path that is text")?;
    feed(
        &["git", "-C", top, "archive", "--output", &archive, OLDER, "deploy/chart"],
        "",
    )?;
    Ok(archive)
}

/// Upgrades a release of an older chart to this one, and goes back.
pub(super) fn older(run: &mut Run<'_>) -> Result<String> {
    const NAMESPACE: &str = "older";
    let node = &run.node;
    let archive = match &run.arguments.older {
        Some(archive) => archive.display().to_string(),
        None => archived(node)?,
    };
    feed(
        &[
            "tar",
            "--extract",
            "--file",
            &archive,
            "--directory",
            node.file("").to_str().context("text")?,
        ],
        "",
    )?;
    let old = node.file("deploy/chart");
    let yaml = old.join("Chart.yaml");
    write(&yaml, without_version(&read_to_string(&yaml)?))?;
    let [old, new] = [old, node.file("chart")].map(|chart| chart.display().to_string());
    node.run("kubectl", &["create", "namespace", NAMESPACE])?;
    let mut uids = Vec::new();
    for (program, arguments) in [
        ("helm-3", vec!["install", "vitals", &old]),
        ("helm-3", vec!["upgrade", "vitals", &new]),
        ("helm-4", vec!["rollback", "vitals", "1"]),
        ("helm-4", vec!["upgrade", "vitals", &new]),
    ] {
        let arguments: Vec<&str> = arguments.into_iter().chain(["--namespace", NAMESPACE]).collect();
        plain_helm(run, program, &arguments)?;
        uids.push(until_ready(node, NAMESPACE)?);
    }
    ensure!(
        uids.iter().all(|uid| *uid == uids[0]),
        "the DaemonSet was made anew: {uids:?}"
    );
    plain_helm(run, "helm-3", &["uninstall", "vitals", "--namespace", NAMESPACE])?;
    Ok(format!(
        "from the chart of commit {OLDER} by Helm 3, back and up again by Helm 4: the DaemonSet stays the same object"
    ))
}
