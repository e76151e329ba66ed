//! Traffic in which everything happens that a panel shows: loss, refusals, a reader that does not read, drops of each class.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Result, bail};
use tests::net::devices::xdp::{Mode, Verdict, Xdp};
use tests::net::nft;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, connect, receive, send_datagrams, small_udp_receiver};

/// Two namespaces on a cable that loses segments.
#[derive(Debug)]
pub(super) struct Traffic {
    pair: Pair,
    #[expect(dead_code, reason = "held, not read")]
    failing: Xdp,
}

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
        // The client's own queue is short.
        pair.client.exec(&format!(
            "tc qdisc add dev {DEVICE} root tbf rate 50mbit burst 5000 limit 20000"
        ))?;
        let frame = i32::try_from(14 + 20 + 8 + FAILING)?;
        let program = ("failing", Verdict::Return(0));
        let failing = Xdp::attach(&pair.server, DEVICE, Mode::Generic, program, frame)?;
        Ok(Self { pair, failing })
    }

    /// A configuration that names its subnet.
    pub(super) fn config(&self) -> String {
        self.pair.config()
    }

    /// The name of its subnet.
    pub(super) fn subnet(&self) -> Result<String> {
        Ok(self.pair.subnet()?.name())
    }

    /// Does `work` while the traffic goes on.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let over = AtomicBool::new(false);
        scope(|scope| {
            let going = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    self.round()?;
                }
                Ok(())
            });
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
        sleep(Duration::from_millis(100));
        Ok(())
    }
}
