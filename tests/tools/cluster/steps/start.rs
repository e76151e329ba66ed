//! The cluster, and the exporter in it.

use std::fs::{create_dir_all, read_to_string, write};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::machine::settings::patience;
use tests::machine::wait::until;

use super::Run;
use crate::exporter::{NAMESPACE, RELEASE, pod, rolled_out};
use crate::node::{NODE, NODE_ADDRESS, Node, PODS};
use crate::programs::{self, FIRST_KEY};
use crate::traffic::feed;
use crate::truth::ctr;

/// Starts all programs of the node.
pub(super) fn programs(run: &mut Run<'_>) -> Result<String> {
    let node = &mut run.node;
    node.launch(&programs::etcd(node))?;
    node.launch(&programs::api_server(node, FIRST_KEY))?;
    node.launch(&programs::containerd(node)?)?;
    until("containerd to answer", || {
        Ok(ctr(node, &["version"]).is_ok().then_some(()))
    })?;
    import(node, &node.tool("busybox.tar"))?;
    until_answers(node)?;
    node.launch(&programs::controllers(node))?;
    node.launch(&programs::scheduler(node))?;
    node.launch(&programs::kubelet(node)?)?;
    until("the node to be there", || {
        node.require_all()?;
        Ok((node.try_run("kubectl", &["get", "node", NODE])?.code == Some(0)).then_some(()))
    })?;
    node.run(
        "kubectl",
        &[
            "wait",
            "--for=condition=Ready",
            &format!("--timeout={}s", patience().as_secs()),
            &format!("node/{NODE}"),
        ],
    )?;
    let version = node.run(
        "kubectl",
        &[
            "get",
            "node",
            NODE,
            "--output=jsonpath={.status.nodeInfo.kubeletVersion}",
        ],
    )?;
    Ok(format!("the node is ready, kubelet {version}"))
}

/// Waits until the API server answers.
pub(super) fn until_answers(node: &Node) -> Result<()> {
    until("the API server to answer", || {
        let asked = node.try_run("kubectl", &["get", "--raw", "/readyz"])?;
        Ok((asked.code == Some(0)).then_some(()))
    })
}

fn import(node: &Node, archive: &Path) -> Result<String> {
    let archive = archive.canonicalize().with_context(|| archive.display().to_string())?;
    ctr(
        node,
        &[
            "images",
            "import",
            "--digests=false",
            archive.to_str().context("a path that is text")?,
        ],
    )
}

/// Imports the image, and installs the chart.
pub(super) fn install(run: &mut Run<'_>) -> Result<String> {
    let node = &run.node;
    import(node, &run.arguments.image)?;
    let version = env!("CARGO_PKG_VERSION");
    // A name without a registry is one of this for the kubelet.
    let short = format!("tcpvitals:{version}");
    ctr(
        node,
        &[
            "images",
            "tag",
            "--force",
            &short,
            &format!("docker.io/library/{short}"),
        ],
    )?;
    copy_chart(run)?;
    configure(run, "")?;
    node.run("kubectl", &["create", "namespace", NAMESPACE])?;
    helm(run, "helm-3", &["install"])?;
    rolled_out(node)?;
    let pod = pod(node)?;
    let (status, ready) = pod.fetch(node, "/readyz")?;
    ensure!(status == 200, "{ready}");
    write(node.file("readyz.json"), &ready)?;
    run.exporter = Some(pod);
    Ok(format!(
        "rolled out; `/readyz` says {}",
        ready
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(60)
            .collect::<String>()
    ))
}

/// A copy of the chart that does not ask for a newer Kubernetes than this one.
fn copy_chart(run: &Run<'_>) -> Result<()> {
    let copy = run.node.file("chart");
    let from = run.arguments.chart.to_str().context("a path that is text")?;
    feed(
        &["cp", "--recursive", from, copy.to_str().context("a path that is text")?],
        "",
    )?;
    let file = copy.join("Chart.yaml");
    let text = read_to_string(&file)?;
    Ok(write(file, without_version(&text))?)
}

/// The description of a chart that asks for no particular Kubernetes.
pub(super) fn without_version(chart: &str) -> String {
    let lines = chart.lines().filter(|line| !line.starts_with("kubeVersion:"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Writes the values, of which the configuration ends with these lines of YAML.
pub(super) fn configure(run: &Run<'_>, more: &str) -> Result<()> {
    let subnets = json!([
        {"name": "loopback", "cidrs": ["127.0.0.0/8"]},
        {"name": "pods", "cidrs": [PODS]},
        {"name": "nodes", "cidrs": [format!("{NODE_ADDRESS}/32")]},
    ]);
    create_dir_all(run.node.file("helm"))?;
    let values = format!(
        "config:\n  workloads: {{source: kubernetes}}\n  collect: {{max_age: 1ms}}\n  subnets: {subnets}\n{more}"
    );
    Ok(write(run.node.file("values.yaml"), values)?)
}

/// A command of Helm for the release, with chart and values.
pub(super) fn helm(run: &Run<'_>, program: &str, command: &[&str]) -> Result<String> {
    let node = &run.node;
    let (chart, values) = (node.file("chart"), node.file("values.yaml"));
    let mut arguments = command.to_vec();
    arguments.extend([
        RELEASE,
        chart.to_str().context("a path that is text")?,
        "--namespace",
        NAMESPACE,
        "--values",
    ]);
    arguments.push(values.to_str().context("a path that is text")?);
    plain_helm(run, program, &arguments)
}

/// Any command of Helm.
pub(super) fn plain_helm(run: &Run<'_>, program: &str, arguments: &[&str]) -> Result<String> {
    let program = run
        .arguments
        .helm
        .join(program)
        .canonicalize()
        .context("no Helm: `tests/setup.sh chart`")?;
    run.node
        .run(program.to_str().context("a path that is text")?, arguments)
}
