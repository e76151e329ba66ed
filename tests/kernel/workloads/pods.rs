//! Connections of pods whose names are told by the folders of their logs.

use std::fs::create_dir;
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use anyhow::Result;
use tempfile::{TempDir, tempdir};
use tests::exporter::scrape::Scrape;
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::cgroups::{Cgroup, Cgroups};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, listen, receive, send, settle};

use super::*;
use crate::account::{End, require_equal, require_equal_where};

/// An id of a container.
pub(super) const CONTAINER: &str = "4f2c9a0b1d3e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
/// The hash of a static pod's manifest.
const MANIFEST: &str = "902093a5baef883ae52ad163ff157a2b";
const NODE: &str = "node-1";

/// A folder of logs as the kubelet keeps it.
pub(super) struct Logs(TempDir);

impl Logs {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(tempdir()?))
    }

    pub(super) fn tell(&self, namespace: &str, pod: &str, uid: &str) -> Result<()> {
        Ok(create_dir(self.0.path().join(format!("{namespace}_{pod}_{uid}")))?)
    }

    /// Where it is. It may be renamed meanwhile.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn source(&self) -> String {
        let folder = self.0.path().display();
        format!("{{source: pod-logs, pod_logs: \"{folder}\", node: {NODE}}}")
    }
}

/// What is shown of a pod of this workload.
fn of_pod<'a>(subnet: &'a str, namespace: &'a str, workload: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("subnet", subnet),
        ("workload", workload),
        ("workload_kind", "Pod"),
        ("workload_namespace", namespace),
    ]
}

/// The cgroup of a pod as the driver `systemd` names it.
pub(super) fn of_systemd(uid: &str) -> String {
    let uid = uid.replace('-', "_");
    format!(
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/cri-containerd-{CONTAINER}.scope"
    )
}

/// The same of the driver `cgroupfs`.
pub(super) fn of_cgroupfs(uid: &str) -> String {
    format!("kubepods/besteffort/pod{uid}/{CONTAINER}")
}

#[test]
fn pods_are_known_by_the_names_of_both_drivers_and_static_ones_by_their_hash() -> Result<()> {
    const REPLICAS: [&str; 2] = [
        "0c0b2a7e-4f0a-4f5e-8a56-0d6c0f7e9a11",
        "1d1c3b8f-5a1b-4a6f-9b67-1e7d1a8f0b22",
    ];
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let (logs, cgroups) = (Logs::new()?, Cgroups::of_threads()?);
    logs.tell("shop", "web-7d4b9c6f5-x2x9z", REPLICAS[0])?;
    logs.tell("shop", "web-7d4b9c6f5-b4b8k", REPLICAS[1])?;
    logs.tell("kube-system", &format!("etcd-{NODE}"), MANIFEST)?;
    let exporter = start(&config(&pair, &logs.source()))?;
    let listener = listen(&pair.server, pair.to(Family::V4, 443)?)?;
    let mut all = Vec::new();
    for (path, namespace, workload, before) in [
        (of_systemd(REPLICAS[0]), "shop", "web", 0),
        (of_cgroupfs(REPLICAS[1]), "shop", "web", 1),
        (of_cgroupfs(MANIFEST), "kube-system", "etcd", 0),
    ] {
        let pod = make_for_program(&cgroups, &path)?;
        let flow = pod.run(|| Flow::through(&listener, &pair, pair.to(Family::V4, 443)?))?;
        flow.exchange(10_000, 10_000)?;
        let opened = exporter
            .scrape()?
            .count(OPENED, &of_pod(&subnet, namespace, workload))?;
        assert_eq!(opened, before + 1, "{path}");
        all.push(flow);
    }
    let clients: Vec<_> = settle(&all)?.into_iter().map(|ends| ends.client).collect();
    let scrape = exporter.scrape()?;
    // Replicas are one workload.
    require_equal_where(&scrape, &of_pod(&subnet, "shop", "web"), End::Client, &clients[..2])?;
    require_equal_where(
        &scrape,
        &of_pod(&subnet, "kube-system", "etcd"),
        End::Client,
        &clients[2..],
    )
}

#[test]
fn connections_move_to_a_pod_that_is_told_late_and_the_sum_stays() -> Result<()> {
    const UID: &str = "2e2d4c90-6b2c-4b70-8c78-2f8e2b901c33";
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let (logs, cgroups) = (Logs::new()?, Cgroups::of_threads()?);
    let config = config(&pair, &logs.source());
    let exporter = start(&config)?;
    let pod = cgroups.make(&of_systemd(UID))?;
    let flows = [pod.run(|| Flow::open(&pair, Family::V6, 443))?];
    flows[0].exchange(40_000, 50_000)?;
    let require_sum = |scrape: &Scrape| -> Result<()> {
        let ends = settle(&flows)?;
        for end in End::BOTH {
            require_equal(scrape, &subnet, end, &[end.of(&ends[0])])?;
        }
        Ok(())
    };
    let early = settle(&flows)?;
    let before = exporter.scrape()?;
    require_sum(&before)?;
    let unresolved = [
        ("subnet", &*subnet),
        ("workload", "unresolved"),
        ("workload_namespace", "unresolved"),
    ];
    for end in End::BOTH {
        require_equal_where(&before, &unresolved, end, &[end.of(&early[0])])?;
    }

    logs.tell("shop", "web-7d4b9c6f5-x2x9z", UID)?;
    let moved = until_open(&exporter, &subnet, "web", 2)?;
    assert_eq!(moved.count(OPEN, &unresolved)?, 0);
    require_sum(&moved)?;
    flows[0].exchange(70_000, 60_000)?;
    let late = settle(&flows)?;
    let scrape = exporter.scrape()?;
    require_sum(&scrape)?;
    // What was counted before stays where it was, and what follows is the pod's, to the last byte.
    let web = of_pod(&subnet, "shop", "web");
    for end in End::BOTH {
        require_equal_where(&scrape, &unresolved, end, &[end.of(&early[0])])?;
        let sent = end.of(&late[0]).bytes_sent - end.of(&early[0]).bytes_sent;
        let labels: Vec<_> = [("role", end.role()), ("direction", "transmit")]
            .into_iter()
            .chain(web)
            .collect();
        assert_eq!(scrape.count("tcpvitals_tcp_data_bytes_total", &labels)?, sent);
    }
    flows[0].finish()?;
    require_sums_equal_totals(&exporter, &config)
}

/// Opens a connection of a pod that is gone when this returns, with all its cgroups.
fn outlived(cgroups: &Cgroups, uid: &str, flow: impl FnOnce(&Cgroup) -> Result<Flow>) -> Result<Flow> {
    let path = of_systemd(uid);
    let container = make_for_program(cgroups, &path)?;
    let flow = flow(&container)?;
    container.remove()?;
    let (pod, _) = path.rsplit_once('/').unwrap_or_default();
    cgroups.of(pod).remove()?;
    Ok(flow)
}

#[test]
fn what_lingers_of_a_deleted_pod_still_counts_for_it() -> Result<()> {
    const UIDS: [&str; 2] = [
        "3f3e5da1-7c3d-4c81-9d89-3a9f3ca12d44",
        "4a4f6eb2-8d4e-4d92-8e9a-4ba04db23e55",
    ];
    const FIN_WAIT_2: u8 = 5;
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let (logs, cgroups) = (Logs::new()?, Cgroups::of_threads()?);
    logs.tell("shop", "half-closed-7d4b9c6f5-x2x9z", UIDS[0])?;
    logs.tell("shop", "orphan-7d4b9c6f5-x2x9z", UIDS[1])?;
    let exporter = start(&config(&pair, &logs.source()))?;
    // Without what was sent twice: an end that reads nothing is probed with data.
    let sent = |scrape: &Scrape, workload: &str| -> Result<u64> {
        let of = of_pod(&subnet, "shop", workload);
        let transmitted: Vec<_> = [("direction", "transmit")].into_iter().chain(of).collect();
        let all = scrape.count("tcpvitals_tcp_data_bytes_total", &transmitted)?;
        Ok(all - scrape.count("tcpvitals_tcp_retransmitted_bytes_total", &of)?)
    };

    let (half_closed, orphan) = (pair.to(Family::V4, 443)?, pair.to(Family::V6, 443)?);
    let listeners = (listen(&pair.server, half_closed)?, listen(&pair.server, orphan)?);

    // Half closed: it takes what the other end still has to say.
    let flow = outlived(&cgroups, UIDS[0], |pod| {
        let flow = pod.run(|| Flow::through(&listeners.0, &pair, half_closed))?;
        flow.exchange(5_000, 5_000)?;
        flow.client.shutdown(Shutdown::Write)?;
        Ok(flow)
    })?;
    until("the client to wait for the other end", || {
        Ok((TcpInfo::of(&flow.client)?.state == FIN_WAIT_2).then_some(()))
    })?;
    send(&flow.server, 300_000)?;
    receive(&flow.client, 300_000)?;
    let flows = [flow];
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    let half_closed = of_pod(&subnet, "shop", "half-closed");
    require_equal_where(&scrape, &half_closed, End::Client, &[ends[0].client])?;
    assert_eq!(scrape.count(OPEN, &half_closed)?, 1);

    // An orphan: nobody has the socket any more, and the kernel still sends what was written.
    let mut written = 0;
    let flow = outlived(&cgroups, UIDS[1], |pod| {
        let flow = pod.run(|| Flow::through(&listeners.1, &pair, orphan))?;
        written = flow.fill()?;
        Ok(flow)
    })?;
    let Flow { client, server } = flow;
    let before = sent(&exporter.scrape()?, "orphan")?;
    assert!(before < written as u64);
    drop::<TcpStream>(client);
    receive(&server, written)?;
    until("all that was written to be counted as sent", || {
        let sent = sent(&exporter.scrape()?, "orphan")?;
        Ok((sent >= written as u64).then_some(()))
    })?;
    server.shutdown(Shutdown::Write)?;
    let orphan = of_pod(&subnet, "shop", "orphan");
    let scrape = until("the orphan to end", || {
        let scrape = exporter.scrape()?;
        let closed = scrape.count("tcpvitals_tcp_connections_closed_total", &orphan)?;
        Ok((closed == 1).then_some(scrape))
    })?;
    assert_eq!(sent(&scrape, "orphan")?, written as u64);
    assert_eq!(scrape.count(OPEN, &orphan)?, 0);
    Ok(())
}
