//! The steps, in their order, each with what it does; and the run of them.

mod answers;
mod api_server;
mod chart;
mod drain;
mod names;
mod releases;
mod start;

use std::fs::{read_to_string, write};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::machine::wait::timed;

use crate::Arguments;
use crate::exporter::Pod;
use crate::node::Node;
use crate::page::{Row, Setting, text};
use crate::traffic::{Account, feed};
use crate::truth::{Talker, get};

/// What a step finds, and leaves to the next.
pub(crate) struct Run<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) node: Node,
    pub(crate) account: Account,
    /// The pod of the exporter, since it is installed.
    pub(crate) exporter: Option<Pod>,
    /// Pods that talk.
    pub(crate) talkers: Vec<Talker>,
}

impl Run<'_> {
    pub(crate) fn exporter(&self) -> Result<&Pod> {
        self.exporter.as_ref().context("the exporter is not installed")
    }
}

struct Step {
    name: &'static str,
    does: &'static str,
    is_needed: bool,
    work: fn(&mut Run<'_>) -> Result<String>,
}

const fn needed(name: &'static str, does: &'static str, work: fn(&mut Run<'_>) -> Result<String>) -> Step {
    Step {
        name,
        does,
        is_needed: true,
        work,
    }
}

const fn step(name: &'static str, does: &'static str, work: fn(&mut Run<'_>) -> Result<String>) -> Step {
    Step {
        name,
        does,
        is_needed: false,
        work,
    }
}

const STEPS: &[Step] = &[
    needed(
        "start",
        "etcd, API server, controllers, scheduler, containerd and kubelet, until the node is ready",
        start::programs,
    ),
    needed(
        "install",
        "import of the image, `helm install`, `rollout status`",
        start::install,
    ),
    needed("pods", "pods of every kind, until they run", names::pods),
    needed(
        "names",
        "each pod talks to the next while filters drop packets in both; comparison of the metrics by workload with owners and UIDs of the API server, `/proc/net/snmp` and nftables in each pod",
        names::traffic,
    ),
    step("cron", "the same with the pod of a CronJob's Job", names::cron),
    step(
        "partition",
        "the exporter does not reach the API server while a pod comes and another goes",
        api_server::partition,
    ),
    step(
        "outage",
        "the API server is killed; a static pod comes, another goes, a container is restarted; the API server starts again",
        api_server::outage,
    ),
    step(
        "forbidden",
        "the ClusterRole loses `list` and `watch` while the API server starts again, and gets them back",
        api_server::forbidden,
    ),
    step(
        "token",
        "the key that signed the exporter's token is removed, and the kubelet brings a new token",
        api_server::token,
    ),
    step(
        "answers",
        "the fake API server of `make test` and the real one get the same requests",
        answers::answers,
    ),
    step(
        "exec",
        "`drops`, `top` by `kubectl exec`; `/readyz` and the API by `kubectl port-forward`",
        chart::exec,
    ),
    step(
        "configmap",
        "`helm upgrade` with another configuration, and `helm rollback`",
        chart::config_map,
    ),
    step(
        "drain",
        "`kubectl drain` of the node, eviction of the exporter's pod there, and `kubectl uncordon`",
        drain::drain,
    ),
    step(
        "secret",
        "TLS and a password by a web configuration, with a certificate of a Secret, and replacement of that certificate",
        chart::secret,
    ),
    step("uninstall", "`helm uninstall`", chart::uninstall),
    step(
        "sets",
        "each value set of `deploy/chart/ci`, installed by Helm 4 until its pod is ready",
        releases::sets,
    ),
    step(
        "applied",
        "a render of the chart by `kubectl kustomize`, applied by the server (`kubectl apply --server-side`)",
        releases::applied,
    ),
    step(
        "older",
        "`helm upgrade` of a release of an older chart, `helm rollback`, and `helm upgrade` again",
        releases::older,
    ),
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut rows = Vec::new();
    let mut run = Run {
        arguments,
        node: Node::start(&arguments.output, &arguments.tools)?,
        account: Account::default(),
        exporter: None,
        talkers: Vec::new(),
    };
    let mut setting = None;
    for Step {
        name,
        does,
        is_needed,
        work,
    } in STEPS
    {
        if !is_needed && !arguments.only.is_empty() && !arguments.only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        println!("{name} … {does}");
        let (took, seen) = timed(|| work(&mut run));
        run.node.require_all()?;
        let seen = seen.with_context(|| format!("step {name}"))?;
        println!("{name} … {:.1} s: {seen}", took.as_secs_f64());
        rows.push(Row {
            step: name,
            does,
            took,
            seen,
        });
        if setting.is_none() {
            setting = Some(say_setting(&run)?);
        }
    }
    let (took, ()) = timed(|| drop(run));
    println!("end … {:.1} s", took.as_secs_f64());
    if let (Some(page), Some(setting)) = (&arguments.page, &setting) {
        let before = read_to_string(page).unwrap_or_default();
        write(page, text(&before, setting, &rows)?)?;
    }
    let all: Duration = rows.iter().map(|row| row.took).sum();
    println!("cluster: {} steps passed in {:.0} s", rows.len(), all.as_secs_f64());
    Ok(())
}

fn say_setting(run: &Run<'_>) -> Result<Setting> {
    let helm = run.arguments.helm.join("helm-3");
    let helm = feed(
        &[
            helm.to_str().context("a path that is text")?,
            "version",
            "--template={{.Version}}",
        ],
        "",
    )?;
    let version = get(&run.node, &["nodes"])?;
    let containerd = run.node.run("containerd", &["--version"])?;
    Ok(Setting {
        date: feed(&["date", "--utc", "+%F"], "")?.trim().to_owned(),
        kernel: read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        kubernetes: version["items"][0]["status"]["nodeInfo"]["kubeletVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        containerd: format!(
            "containerd {}",
            containerd.split_whitespace().nth(2).unwrap_or_default()
        ),
        helm: format!("Helm {}", helm.trim()),
        cgroups: run.node.cgroup_versions(),
    })
}
