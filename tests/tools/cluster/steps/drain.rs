//! A node that is emptied for work on it: all pods leave it but those of DaemonSets and those that the kubelet makes by itself.

use std::fs::write;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::machine::wait::{timed, until};

use super::Run;
use crate::exporter::{NAMESPACE, Pod, pod};
use crate::node::{NODE, Node};
use crate::traffic::Account;
use crate::truth::{Talker, talkers};

/// Pods that run again afterwards: two of the Deployment and of the StatefulSet; one of DaemonSet, ReplicaSet and Job; a static one. Nobody
/// makes bare ones again.
const AGAIN: usize = 8;

pub(super) fn drain(run: &mut Run<'_>) -> Result<String> {
    let before = run.exporter()?.clone();
    // The other end of a connection would ask for a pod that has gone until it gives up.
    run.account.release()?;
    run.account.require(&run.node, &before)?;
    let (took, said) = timed(|| {
        let arguments = ["drain", NODE, "--ignore-daemonsets", "--force", "--timeout=300s"];
        run.node.run("kubectl", &arguments)
    });
    let evicted = said?.lines().filter(|line| line.ends_with(" evicted")).count();
    let stayed = talkers(&run.node)?;
    let kinds: Vec<&str> = stayed.iter().map(|talker| &*talker.workload.kind).collect();
    ensure!(kinds.len() == 2 && kinds.contains(&"DaemonSet"), "{kinds:?} are left");
    before.require_same(&run.node)?;
    // What those that have gone did is told as before.
    run.account.round(&stayed, 5, 20_000)?;
    run.account.require(&run.node, &before)?;

    let (took_back, after) = timed(|| evict(&run.node, &before));
    let after = after?;
    meet(&run.node, &after, &stayed)?;
    run.account = Account::begin(&run.node, &after, &stayed)?;
    run.node.run("kubectl", &["uncordon", NODE])?;
    run.talkers = until("pods to be back", || {
        let mut now = talkers(&run.node)?;
        now.retain(|talker| talker.workload.kind != "CronJob");
        Ok((now.len() == AGAIN).then_some(now))
    })?;
    let connections = run.account.round(&run.talkers, 5, 20_000)?;
    run.account.require(&run.node, &after)?;
    after.require_same(&run.node)?;
    run.exporter = Some(after);
    Ok(format!(
        "{evicted} pods evicted in {:.0} s; the exporter stays, and so do the sums of the evicted pods; its own pod, evicted from the cordoned \
         node, is ready again after {:.0} s; {connections} connections of the {AGAIN} pods that came back: {} figures equal",
        took.as_secs_f64(),
        took_back.as_secs_f64(),
        run.account.compared
    ))
}

/// Evicts the exporter's pod, and waits for the next one.
fn evict(node: &Node, exporter: &Pod) -> Result<Pod> {
    let eviction = json!({
        "apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": exporter.name, "namespace": NAMESPACE},
    });
    let file = node.file("eviction.json");
    write(&file, eviction.to_string())?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{}/eviction", exporter.name);
    let file = file.display().to_string();
    node.run("kubectl", &["create", "--raw", &path, "--filename", &file])?;
    until("another pod of the exporter to be ready", || {
        let next = pod(node).ok().filter(|next| next.uid != exporter.uid);
        Ok(next.filter(|next| next.fetch(node, "/readyz").is_ok_and(|(status, _)| status == 200)))
    })
}

/// Has pods that are older than the exporter talk until it knows them, and waits for the end of that.
fn meet(node: &Node, exporter: &Pod, talkers: &[Talker]) -> Result<()> {
    until("older pods to have names", || {
        Account::default().round(talkers, 1, 100)?;
        let scrape = exporter.scrape(node)?;
        let mut all = talkers
            .iter()
            .map(|talker| Account::has_opened(&scrape, &talker.workload));
        Ok(all.try_fold(true, |all, one| anyhow::Ok(all && one?))?.then_some(()))
    })?;
    until("connections to be closed", || {
        let scrape = exporter.scrape(node)?;
        let mut open = talkers.iter().map(|talker| Account::open(&scrape, &talker.workload));
        let open = open.try_fold(0, |all, one| anyhow::Ok(all + one?))?;
        Ok((open == 0).then_some(()))
    })
}
