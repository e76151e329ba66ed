//! Traffic in which everything happens that a panel shows: loss, refusals, a reader that does not read, drops of each class. All of it
//! is that of one pod.

use std::fs::create_dir;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::{TempDir, tempdir};
use tests::machine::cgroups::{Cgroup, Cgroups};
use tests::net::devices::xdp::{Mode, Verdict, Xdp};
use tests::net::nft;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, connect, receive, send_datagrams, small_udp_receiver};

/// Labels with workloads, and a view that has all others: what exporters show that do not tell workloads apart.
const LABELS: &str = "\
labels:
  tcp: [subnet, connection_type, app_protocol, role, workload, workload_kind, workload_namespace]
  drops: [location, reason, class, protocol, direction, subnet, connection_type, workload, workload_namespace]
views:
  - name: plain
    labels:
      tcp: [subnet, connection_type, app_protocol, role]
      drops: [location, reason, class, protocol, direction, subnet, connection_type]
";

/// Two namespaces on a cable that loses segments.
#[derive(Debug)]
pub(super) struct Traffic {
    pair: Pair,
    /// The cgroup of the pod.
    cgroup: Cgroup,
    /// The folder of its logs, which tells its name.
    logs: TempDir,
    #[expect(dead_code, reason = "held, not read")]
    cgroups: Cgroups,
    #[expect(dead_code, reason = "held, not read")]
    failing: Xdp,
}

/// The pod's UID.
const UID: &str = "0c0b2a7e-4f0a-4f5e-8a56-0d6c0f7e9a11";

/// Length of the datagrams that XDP fails on; no other packet is as long.
const FAILING: usize = 777;

impl Traffic {
    /// Makes namespaces, loss and an XDP program that fails.
    pub(super) fn new() -> Result<Self> {
        let pair = Pair::one_segment_per_packet()?;
        // Data and SYNs are lost now and then; so is what goes to UDP port 4001, by policy.
        nft::load(
            &pair.server,
            "table inet loss {\n\
             \x20 chain lossy {\n\
             \x20   type filter hook input priority 0; policy accept;\n\
             \x20   tcp dport 443 meta length > 500 numgen random mod 100 < 3 drop\n\
             \x20   tcp dport 443 tcp flags & (syn | ack) == syn numgen inc mod 2 == 0 drop\n\
             \x20   udp dport 4001 drop\n\
             \x20 }\n\
             }\n",
        )?;
        // A filter on the way out.
        nft::load(
            &pair.client,
            "table inet own {\n\
             \x20 chain out { type filter hook output priority 0; policy accept; udp dport 4002 drop; }\n\
             }\n",
        )?;
        // The client's own queue is short.
        pair.client.exec(&format!(
            "tc qdisc add dev {DEVICE} root tbf rate 50mbit burst 5000 limit 20000"
        ))?;
        let frame = i32::try_from(14 + 20 + 8 + FAILING)?;
        let program = ("failing", Verdict::Return(0));
        let failing = Xdp::attach(&pair.server, DEVICE, Mode::Generic, program, frame)?;
        let (cgroups, logs) = (Cgroups::of_threads()?, tempdir()?);
        let cgroup = cgroups.make(&format!("kubepods/besteffort/pod{UID}"))?;
        create_dir(logs.path().join(format!("shop_web-0_{UID}")))?;
        Ok(Self {
            pair,
            cgroup,
            logs,
            cgroups,
            failing,
        })
    }

    /// A configuration that names its subnet and its pod, and tells workloads apart.
    pub(super) fn config(&self) -> String {
        let logs = self.logs.path().display();
        let source = format!("workloads: {{source: pod-logs, pod_logs: \"{logs}\"}}\n");
        self.pair.config() + LABELS + &source
    }

    /// The name of its subnet.
    pub(super) fn subnet(&self) -> Result<String> {
        Ok(self.pair.subnet()?.name())
    }

    /// Does `work` while the traffic goes on.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let over = AtomicBool::new(false);
        let rounds = || {
            while !over.load(Ordering::Relaxed) {
                self.round()?;
            }
            Ok(())
        };
        scope(|scope| {
            let going = scope.spawn(|| self.cgroup.run(rounds));
            let result = work();
            over.store(true, Ordering::Relaxed);
            let ended: Result<()> = going.join().unwrap_or_else(|_| bail!("the traffic panicked"));
            ended.and(result)
        })
    }

    /// Something of everything.
    fn round(&self) -> Result<()> {
        let to = |port| self.pair.to(Family::V4, port);
        // Lossy, both ways; the first SYN of it is sent twice.
        let flow = Flow::open(&self.pair, Family::V4, 443)?;
        flow.exchange(500_000, 50_000)?;
        flow.finish()?;
        // Nobody listens.
        if connect(&self.pair.client, to(81)?).is_ok() {
            bail!("somebody listens on port 81");
        }
        // A reader that does not read, for a while.
        let blocked = Flow::open(&self.pair, Family::V4, 5432)?;
        let taken = blocked.fill()?;
        receive(&blocked.server, taken)?;
        blocked.finish()?;
        // A buffer that is too small, and what is in it when it goes.
        let small = small_udp_receiver(&self.pair.server, to(4000)?)?;
        send_datagrams(&self.pair.client, to(4000)?, 40, 1000)?;
        drop(small);
        // A filter, no socket, an XDP program that fails.
        for (port, size) in [(4001, 100), (9, 100), (9, FAILING)] {
            send_datagrams(&self.pair.client, to(port)?, 10, size)?;
        }
        // Who sends what the own filter drops is refused.
        for _ in 0..10 {
            send_datagrams(&self.pair.client, to(4002)?, 1, 100).ok();
        }
        sleep(Duration::from_millis(100));
        Ok(())
    }
}
