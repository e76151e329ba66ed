//! The chart on a real API server: what `exec` and `port-forward` reach, what a change of its values does, and what it leaves.

use std::process::Stdio;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::machine::certificates::Authority;
use tests::machine::wait::{timed, until};

use super::Run;
use super::names::create;
use super::start::{configure, helm, plain_helm};
use crate::exporter::{DAEMON_SET, NAMESPACE, PORT, RELEASE, pod, rolled_out};
use crate::objects::SHOP;
use crate::programs::SYNC;
use crate::truth::{get, items};

const OPENED: &str = "tcpvitals_tcp_connections_opened_total";

pub(super) fn exec(run: &mut Run<'_>) -> Result<String> {
    let (node, exporter) = (&run.node, run.exporter()?);
    let own = |command: &str| {
        let program = [
            "/usr/bin/tcpvitals",
            command,
            "--once",
            "--config.file",
            "/etc/tcpvitals/config/config.yaml",
        ];
        let exec = ["--namespace", NAMESPACE, "exec", &exporter.name, "--"];
        node.run("kubectl", &[&exec[..], &program[..]].concat())
    };
    let drops = own("drops")?;
    ensure!(drops.contains("packets"), "{drops}");
    let top = own("top")?;
    ensure!(top.lines().count() > 3, "{top}");
    let mut forward = node.command("timeout");
    let mut forward = forward
        .args([
            "30",
            "kubectl",
            "--namespace",
            NAMESPACE,
            "port-forward",
            &format!("daemonset/{DAEMON_SET}"),
            &PORT.to_string(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let fetched = (|| {
        let url = |path: &str| format!("http://localhost:{PORT}{path}");
        until("the port to be forwarded", || {
            Ok((node.try_run("curl", &["-sf", &url("/readyz")])?.code == Some(0)).then_some(()))
        })?;
        let drops = node.run("curl", &["-sf", &url("/api/v1/drops?class=policy")])?;
        let closed = node.run(
            "curl",
            &["-s", "-o", "/dev/null", "-w", "%{http_code}", &url("/api/v1/flows")],
        )?;
        anyhow::Ok((drops, closed))
    })();
    forward.kill()?;
    forward.wait()?;
    let (drops, closed) = fetched?;
    let drops: serde_json::Value = serde_json::from_str(&drops)?;
    let rows = drops["drops"].as_array().context("no drops")?;
    let of_shop = rows.iter().filter(|row| row["workload_namespace"] == SHOP).count();
    ensure!(of_shop > 0 && closed == "403", "{closed}; {drops}");
    exporter.require_same(node)?;
    let doctor = doctor(run)?;
    Ok(format!(
        "`/api/v1/drops` has {of_shop} rows of these pods, `/api/v1/flows` is closed (403); `doctor` in a copy of the pod: {doctor}"
    ))
}

/// A copy of the exporter's pod that runs `doctor` and ends, as the runbook of TcpvitalsDown makes it.
fn doctor(run: &Run<'_>) -> Result<String> {
    const COPY: &str = "tcpvitals-doctor";
    let node = &run.node;
    let pod = get(node, &["pod", &run.exporter()?.name, "--namespace", NAMESPACE])?;
    let mut copy = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": COPY, "namespace": NAMESPACE}, "spec": pod["spec"]});
    copy["spec"]["restartPolicy"] = "Never".into();
    let container = copy["spec"]["containers"][0].as_object_mut().context("no container")?;
    container.insert("args".to_owned(), json!(["doctor"]));
    container.retain(|key, _| !key.ends_with("Probe"));
    create(node, &[copy])?;
    let said = until("the doctor to have said what there is", || {
        let pod = get(node, &["pod", COPY, "--namespace", NAMESPACE])?;
        let ended = ["Succeeded", "Failed"]
            .iter()
            .any(|phase| pod["status"]["phase"] == *phase);
        ended
            .then(|| node.run("kubectl", &["--namespace", NAMESPACE, "logs", COPY]))
            .transpose()
    })?;
    node.run("kubectl", &["--namespace", NAMESPACE, "delete", "pod", COPY])?;
    std::fs::write(node.file("doctor.txt"), &said)?;
    let line = said
        .lines()
        .find(|line| line.contains("programs"))
        .or_else(|| said.lines().next());
    Ok(line
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" "))
}

pub(super) fn config_map(run: &mut Run<'_>) -> Result<String> {
    let exporter = run.exporter()?.clone();
    let mut times = Vec::new();
    let pair = run.talkers[..2].to_vec();
    for (protocol, helm_program) in [("talk", "helm-4"), ("other", "helm-3")] {
        if protocol == "talk" {
            configure(run, "  app_protocols: [{name: talk, ports: [9000]}]\n")?;
            helm(run, helm_program, &["upgrade"])?;
        } else {
            plain_helm(run, helm_program, &["rollback", RELEASE, "--namespace", NAMESPACE])?;
        }
        let labels = [("app_protocol", protocol), ("workload_namespace", "shop")];
        let before = exporter.scrape(&run.node)?.count(OPENED, &labels)?;
        // Connections are of the configuration under which they begin.
        let (took, taken) = timed(|| {
            until("the configuration to be taken over", || {
                run.account.round(&pair, 1, 100)?;
                let now = exporter.scrape(&run.node)?.count(OPENED, &labels)?;
                Ok((now > before).then_some(()))
            })
        });
        taken?;
        exporter.require_same(&run.node)?;
        times.push(format!("{:.0} s", took.as_secs_f64()));
    }
    run.account.require(&run.node, &exporter)?;
    Ok(format!(
        "taken over {} after the upgrade by Helm 4 and {} after the rollback by Helm 3, without a restart",
        times[0], times[1]
    ))
}

/// A name that only certificates have.
const NAME: &str = "exporter.test";
/// Who may ask.
const LOGIN: &str = "reader:sesame";

pub(super) fn secret(run: &mut Run<'_>) -> Result<String> {
    let node = &run.node;
    let mut files = Vec::new();
    for name in ["first", "second"] {
        let authority = Authority::new(name)?;
        let signed = authority.sign(&[&format!("DNS:{NAME}")])?;
        for (file, text) in [
            ("ca", &authority.certificate),
            ("crt", &signed.certificate),
            ("key", &signed.key),
        ] {
            std::fs::write(node.file(&format!("{name}.{file}")), text)?;
        }
        files.push(name);
    }
    let secret = |name: &str| -> Result<()> {
        let [certificate, key] = ["crt", "key"].map(|file| node.file(&format!("{name}.{file}")).display().to_string());
        let object = node.run(
            "kubectl",
            &[
                "--namespace",
                NAMESPACE,
                "create",
                "secret",
                "tls",
                "certificates",
                "--dry-run=client",
                "--output=json",
                &format!("--cert={certificate}"),
                &format!("--key={key}"),
            ],
        )?;
        let file = node.file("secret.json");
        std::fs::write(&file, object)?;
        node.run(
            "kubectl",
            &[
                "--namespace",
                NAMESPACE,
                "apply",
                "--filename",
                &file.display().to_string(),
            ],
        )
        .map(drop)
    };
    secret(files[0])?;
    let values = node.file("values.yaml");
    let (user, password) = LOGIN.split_once(':').context("no login")?;
    let users = json!({user: bcrypt::hash(password, 4)?});
    let more = format!(
        "webConfig:\n  tlsSecret: certificates\n  config:\n    tls_server_config: {{cert_file: tls.crt, key_file: tls.key}}\n    \
         basic_auth_users: {users}\n"
    );
    let text = std::fs::read_to_string(&values)? + &more;
    std::fs::write(&values, text)?;
    helm(run, "helm-3", &["upgrade"])?;
    rolled_out(node)?;
    let exporter = until("the exporter's new pod", || Ok(pod(node).ok()))?;
    let ask = |authority: &str, path: &str, more: &[&str]| {
        let ca = node.file(&format!("{authority}.ca")).display().to_string();
        let resolve = format!("{NAME}:{PORT}:{}", exporter.address);
        let url = format!("https://{NAME}:{PORT}{path}");
        let arguments = [
            "-s",
            "-w",
            "\n%{http_code}",
            "--cacert",
            &ca,
            "--resolve",
            &resolve,
            &url,
        ];
        let asked = node.try_run("curl", &[&arguments[..], more].concat())?;
        let (body, status) = asked.stdout.rsplit_once('\n').context("no status")?;
        anyhow::Ok((status.to_owned(), body.to_owned()))
    };
    let serves = |authority: &str| Ok::<_, anyhow::Error>(ask(authority, "/healthz", &["--user", LOGIN])?.0 == "200");
    ensure!(serves(files[0])? && !serves(files[1])?, "it serves another certificate");
    for path in ["/metrics", "/api/v1/flows"] {
        let refused = ask(files[0], path, &[])?;
        ensure!(refused.0 == "401", "{path} without a password: {refused:?}");
    }
    // With a password the addresses of peers are shown.
    let (status, flows) = ask(files[0], "/api/v1/flows", &["--user", LOGIN])?;
    ensure!(status == "200", "{status}: {flows}");
    let flows: serde_json::Value = serde_json::from_str(&flows)?;
    let flows = flows["total"].as_u64().context("no total")?;
    let before = exporter.log(node)?.len();
    secret(files[1])?;
    let (took, served) = timed(|| {
        until("the new certificate to be served", || {
            Ok(serves(files[1])?.then_some(()))
        })
    });
    served?;
    ensure!(!serves(files[0])?, "the old certificate is still served");
    // The kubelet sets the owner of the files anew at each of its rounds, which is no change.
    thread::sleep(3 * SYNC);
    exporter.require_same(node)?;
    let log = exporter.log(node)?;
    let read = log
        .get(before..)
        .unwrap_or_default()
        .matches("web configuration")
        .count();
    ensure!(read == 1, "the web configuration was read {read} times: {log}");
    run.exporter = Some(exporter);
    Ok(format!(
        "401 without the password, with it `/api/v1/flows` has {flows} connections; the new certificate is served {:.0} s after the change, \
         without a restart; read again once, though the kubelet went over its files three times more",
        took.as_secs_f64()
    ))
}

pub(super) fn uninstall(run: &mut Run<'_>) -> Result<String> {
    let uid = run.exporter()?.uid.clone();
    plain_helm(run, "helm-3", &["uninstall", RELEASE, "--namespace", NAMESPACE])?;
    let node = &run.node;
    let selector = format!("app.kubernetes.io/instance={RELEASE}");
    let kinds = "pods,daemonsets,services,endpoints,configmaps,secrets,serviceaccounts,networkpolicies,clusterroles,clusterrolebindings,\
                 controllerrevisions";
    let (took, gone) = timed(|| {
        until("all objects of the release to be gone", || {
            let left = get(node, &[kinds, "--all-namespaces", "--selector", &selector])?;
            Ok(items(&left).next().is_none().then_some(()))
        })
    });
    gone?;
    let folder = node.cgroup()?.join(format!("kubepods/burstable/pod{uid}"));
    let processes = crate::traffic::feed(
        &[
            "sh",
            "-c",
            &format!(
                "cat {0}/cgroup.procs {0}/*/cgroup.procs 2>/dev/null || true",
                folder.display()
            ),
        ],
        "",
    )?;
    ensure!(processes.is_empty(), "processes of the pod live: {processes}");
    let releases = plain_helm(run, "helm-3", &["list", "--all-namespaces", "--short"])?;
    ensure!(releases.trim().is_empty(), "releases: {releases}");
    let rest = get(node, &["pods", "--namespace", NAMESPACE])?;
    ensure!(items(&rest).next().is_none(), "pods are left");
    Ok(format!(
        "no object, release or process is left after {:.0} s",
        took.as_secs_f64()
    ))
}
