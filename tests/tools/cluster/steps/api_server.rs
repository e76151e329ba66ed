//! An API server that is out of reach, away, or refuses: names are right again afterwards, and no sum changes.

use std::fs::remove_file;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::machine::wait::{timed, until};

use super::Run;
use super::names::{STATIC, create, create_static};
use super::start::until_answers;
use crate::node::{API_PORT, NODE};
use crate::objects::{PORT, SHOP, bare};
use crate::programs::{FIRST_KEY, TokenKeys, api_server, kubelet};
use crate::traffic::feed;
use crate::truth::{Talker, Workload, talker_by_node, talkers};

/// Waits until a pod runs, by the API server's word.
fn talker(run: &Run<'_>, pod: &str) -> Result<Talker> {
    until(&format!("{pod} to run"), || {
        Ok(talkers(&run.node)?.into_iter().find(|talker| talker.pod == pod))
    })
}

/// One that talked before and that stays.
fn old(run: &Run<'_>) -> Result<Talker> {
    let of_web = run.talkers.iter().find(|talker| talker.workload.name == "web");
    Ok(of_web.context("no pod of the Deployment")?.clone())
}

/// A pod that nobody has told the exporter of talks, and keeps a connection: all of it has no name.
fn talk_unresolved(run: &mut Run<'_>, new: &Talker) -> Result<()> {
    let nameless = Talker {
        workload: Workload::unresolved(),
        ..new.clone()
    };
    let (node, old) = (&run.node, old(run)?);
    run.account.round(&[nameless, old.clone()], 5, 20_000)?;
    run.account.hold(new, &Workload::unresolved(), &old)?;
    let exporter = run.exporter.clone().context("the exporter is not installed")?;
    run.account.require(node, &exporter).map(drop)
}

/// The exporter hears of the pod: the connection that it keeps moves, what follows has its name, and what was counted stays.
fn talk_resolved(run: &mut Run<'_>, new: &Talker) -> Result<String> {
    let (node, old) = (&run.node, old(run)?);
    let exporter = run.exporter.clone().context("the exporter is not installed")?;
    let (took, moved) = timed(|| run.account.until_open(node, &exporter, &new.workload, 1));
    moved?;
    run.account.moved(&new.workload);
    run.account.round(&[new.clone(), old], 5, 20_000)?;
    run.account.require(node, &exporter)?;
    exporter.require_same(node)?;
    Ok(format!("named {:.1} s later", took.as_secs_f64()))
}

pub(super) fn partition(run: &mut Run<'_>) -> Result<String> {
    let address = run.exporter()?.address.clone();
    let rules = format!(
        "table inet partition {{\n\
         chain to {{ type filter hook input priority 0; ip saddr {address} tcp dport {API_PORT} drop; }}\n\
         chain from {{ type filter hook output priority 0; ip daddr {address} tcp sport {API_PORT} drop; }}\n}}\n"
    );
    run.node.within(|| feed(&["nft", "-f", "-"], &rules))?;
    create(&run.node, &[bare("late", PORT)])?;
    run.node.run(
        "kubectl",
        &["--namespace", SHOP, "delete", "pod", "alone", "--wait=false"],
    )?;
    run.talkers.retain(|talker| talker.pod != "alone");
    let late = talker(run, "late")?;
    talk_unresolved(run, &late)?;
    run.node
        .within(|| feed(&["nft", "delete", "table", "inet", "partition"], ""))?;
    talk_resolved(run, &late)
}

pub(super) fn outage(run: &mut Run<'_>) -> Result<String> {
    const AWAY: Duration = Duration::from_secs(20);
    const SECOND: &str = "second";
    let agent = run
        .talkers
        .iter()
        .position(|talker| talker.workload.kind == "DaemonSet");
    let agent = agent.context("no pod of the DaemonSet")?;
    let (took, gone) = timed(|| -> Result<Talker> {
        run.node.kill("kube-apiserver")?;
        create_static(&run.node, SECOND)?;
        remove_file(run.node.file(&format!("manifests/{STATIC}.json")))?;
        run.talkers.retain(|talker| talker.pod != format!("{STATIC}-{NODE}"));
        let pod = format!("{SECOND}-{NODE}");
        let workload = Workload {
            namespace: SHOP.to_owned(),
            kind: "Pod".to_owned(),
            name: SECOND.to_owned(),
        };
        let second = talker_by_node(&run.node, &pod, workload)?;
        talk_unresolved(run, &second)?;
        // A container of a pod that is known begins anew, and keeps the name.
        let before = run.talkers[agent].clone();
        kill(Pid::from_raw(before.process), Signal::SIGKILL)?;
        let after = until("the container to begin anew", || {
            let now = talker_by_node(&run.node, &before.pod, before.workload.clone())?;
            Ok((now.process != before.process).then_some(now))
        })?;
        run.talkers[agent] = after.clone();
        let old = old(run)?;
        run.account.round(&[after, old], 5, 20_000)?;
        let exporter = run.exporter.clone().context("the exporter is not installed")?;
        run.account.require(&run.node, &exporter)?;
        // So long that the exporter has become patient.
        thread::sleep(AWAY);
        Ok(second)
    });
    let second = gone?;
    run.node.launch(&api_server(&run.node, FIRST_KEY))?;
    until_answers(&run.node)?;
    let named = talk_resolved(run, &second)?;
    let told = talker(run, &second.pod)?;
    ensure!(
        told.workload == second.workload,
        "the API server says {:?}",
        told.workload
    );
    Ok(format!("{:.0} s without it; static pod {named}", took.as_secs_f64()))
}

/// Ends the API server and starts it, and with that all watches.
pub(super) fn restart(run: &mut Run<'_>, keys: TokenKeys) -> Result<()> {
    run.node.kill("kube-apiserver")?;
    run.node.launch(&api_server(&run.node, keys))?;
    until_answers(&run.node)
}

/// The verbs that the exporter's role has.
fn allow(run: &Run<'_>, verbs: &str) -> Result<()> {
    let patch = format!(r#"[{{"op": "replace", "path": "/rules/0/verbs", "value": {verbs}}}]"#);
    let role = "tcpvitals-vitals-tcpvitals";
    run.node
        .run(
            "kubectl",
            &["patch", "clusterrole", role, "--type=json", "--patch", &patch],
        )
        .map(drop)
}

pub(super) fn forbidden(run: &mut Run<'_>) -> Result<String> {
    let exporter = run.exporter()?.clone();
    let before = exporter.log(&run.node)?.len();
    allow(run, r#"["get"]"#)?;
    restart(run, FIRST_KEY)?;
    let said = exporter.says(&run.node, "may not watch pods", before)?;
    create(&run.node, &[bare("unseen", PORT)])?;
    let unseen = talker(run, "unseen")?;
    talk_unresolved(run, &unseen)?;
    allow(run, r#"["list", "watch"]"#)?;
    let named = talk_resolved(run, &unseen)?;
    Ok(format!("{named}; it said {}", quoted(&said)))
}

pub(super) fn token(run: &mut Run<'_>) -> Result<String> {
    const SECOND_KEY: TokenKeys = TokenKeys {
        signs: "tokens-2",
        believed: &["tokens-2"],
    };
    let exporter = run.exporter()?.clone();
    let before = exporter.log(&run.node)?.len();
    restart(run, SECOND_KEY)?;
    let said = exporter.says(&run.node, "does not accept the token", before)?;
    create(&run.node, &[bare("unheard", PORT)])?;
    let unheard = talker(run, "unheard")?;
    talk_unresolved(run, &unheard)?;
    // It keeps tokens in its memory, and asks for another one when it has none.
    run.node.kill("kubelet")?;
    run.node.launch(&kubelet(&run.node)?)?;
    let named = talk_resolved(run, &unheard)?;
    Ok(format!("{named}; it said {}", quoted(&said)))
}

/// The sentence of a line of the log.
fn quoted(line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| line.into());
    let fields = &line["fields"];
    let error = ["error", "message"]
        .iter()
        .find_map(|key| fields[key].as_str().or_else(|| line[key].as_str()));
    format!("\"{}\"", error.unwrap_or_default())
}
