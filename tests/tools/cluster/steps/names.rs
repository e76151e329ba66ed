//! Whose traffic it is: pods of every kind, which talk to each other and lose packets.

use std::collections::BTreeSet;
use std::fs::write;

use anyhow::{Result, ensure};
use tests::machine::wait::until;

use super::Run;
use crate::node::Node;
use crate::objects::{SHOP, all, static_pod};
use crate::traffic::{Account, lose};
use crate::truth::{Talker, Workload, talkers};

/// Two of the Deployment and of the StatefulSet; one of DaemonSet, ReplicaSet and Job; a bare one, one on the node's network, a static one.
const PODS: usize = 10;
/// The static pod.
pub(super) const STATIC: &str = "static";

/// Has the API server make something.
pub(super) fn create(node: &Node, objects: &[serde_json::Value]) -> Result<()> {
    let file = node.file("objects.json");
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    write(&file, list.to_string())?;
    node.run("kubectl", &["create", "--filename", &file.display().to_string()])
        .map(drop)
}

/// Has the kubelet make a static pod.
pub(super) fn create_static(node: &Node, name: &str) -> Result<()> {
    Ok(write(
        node.file(&format!("manifests/{name}.json")),
        static_pod(name).to_string(),
    )?)
}

pub(super) fn pods(run: &mut Run<'_>) -> Result<String> {
    create(&run.node, &all())?;
    create_static(&run.node, STATIC)?;
    // The CronJob's comes within a minute, and is waited for by its own step.
    run.talkers = until("pods of every kind to run", || {
        let mut now = talkers(&run.node)?;
        now.retain(|talker| !is_cron(talker));
        Ok((now.len() == PODS).then_some(now))
    })?;
    let distinct: BTreeSet<String> = run.talkers.iter().map(|talker| short(&talker.workload)).collect();
    let distinct: Vec<String> = distinct.into_iter().collect();
    Ok(format!(
        "{} pods of {} workloads: {}",
        run.talkers.len(),
        distinct.len(),
        distinct.join(", ")
    ))
}

fn is_cron(talker: &Talker) -> bool {
    talker.workload.kind == "CronJob"
}

fn short(workload: &Workload) -> String {
    format!("{} `{}`", workload.kind, workload.name)
}

pub(super) fn traffic(run: &mut Run<'_>) -> Result<String> {
    for talker in run.talkers.iter().filter(|talker| !talker.is_on_host()) {
        lose(&run.node, talker)?;
    }
    let exporter = run.exporter()?.clone();
    run.account = Account::begin(&run.node, &exporter, &[])?;
    run.account.ask_for_names(&run.talkers)?;
    let connections = run.account.round(&run.talkers, 20, 200_000)?;
    let scrape = run.account.require(&run.node, &exporter)?;
    let (resent, dropped) = run.account.require_kernels(&scrape, &run.talkers)?;
    ensure!(
        resent >= 100 && dropped >= 100,
        "{resent} sent again, {dropped} dropped: too few"
    );
    let unresolved = scrape.count("tcpvitals_workloads_unresolved_total", &[])?;
    Ok(format!(
        "{connections} connections, {dropped} packets dropped by nftables, {resent} segments sent again: {} figures equal; unresolved since the start: {unresolved}",
        run.account.compared
    ))
}

pub(super) fn cron(run: &mut Run<'_>) -> Result<String> {
    let cron = until("the CronJob's pod to run", || {
        Ok(talkers(&run.node)?.into_iter().find(is_cron))
    })?;
    let talkers = [cron.clone(), run.talkers[0].clone()];
    run.account.round(&talkers, 5, 50_000)?;
    let exporter = run.exporter()?.clone();
    run.account.require(&run.node, &exporter)?;
    // Another one each minute would only be in the way.
    run.node.run(
        "kubectl",
        &["--namespace", SHOP, "delete", "cronjob", "tick", "--wait=false"],
    )?;
    Ok(format!("the pod `{}` counts as {}", cron.pod, short(&cron.workload)))
}
