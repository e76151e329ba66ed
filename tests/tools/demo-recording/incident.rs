//! What goes wrong in the middle: five faults, each with a beginning and an end, that overlap.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Result, bail};
use tests::machine::wait::Deadline;
use tests::net::nft;
use tests::net::pair::DEVICE;
use tests::net::traffic::{Flow, listen, receive};

use crate::scene::Scene;

/// Whether a fault goes on.
type GoesOn<'a> = &'a (dyn Fn() -> bool + Sync);

/// A fault, and when it begins and ends, in thousandths of the recording.
struct Fault {
    from: u32,
    to: u32,
    happen: fn(&Scene, GoesOn<'_>) -> Result<()>,
}

const FAULTS: [Fault; 5] = [
    // The way to another site loses one segment in thirty.
    Fault {
        from: 410,
        to: 600,
        happen: |scene, goes_on| {
            let way = scene.way("dc-west")?;
            way.lose_one_in(30);
            send_much(scene, "dc-west", ("orders", 3306), goes_on)?;
            way.lose_one_in(0);
            Ok(())
        },
    },
    // A shaper of this host's has a queue that is too short for what it sends.
    Fault {
        from: 440,
        to: 620,
        happen: |scene, goes_on| {
            let (pair, _) = scene.cable("branch-7")?;
            let shape = |rate: &str, limit: u32| {
                pair.client.exec(&format!(
                    "tc qdisc change dev {DEVICE} root tbf rate {rate} burst 6000 limit {limit}"
                ))
            };
            shape("6mbit", 4_000)?;
            send_much(scene, "branch-7", ("order-events", 2049), goes_on)?;
            shape("50mbit", 900_000).map(drop)
        },
    },
    // A program at the other end reads 20 kB a second.
    Fault {
        from: 450,
        to: 590,
        happen: |scene, goes_on| {
            let (pair, _) = scene.cable("warehouse")?;
            let to = scene.server("warehouse", 5672)?;
            scene.program("stock-sync")?.run(|| {
                let flow = Flow::through(&listen(&pair.server, to)?, pair, to)?;
                flow.fill()?;
                while goes_on() {
                    receive(&flow.server, 2000)?;
                    flow.fill()?;
                    sleep(PAUSE);
                }
                Ok(())
            })
        },
    },
    // A partner's firewall swallows what would open connections.
    Fault {
        from: 460,
        to: 570,
        happen: |scene, goes_on| {
            let (pair, _) = scene.cable("partner-api")?;
            nft::drop_matching(&pair.server, "prerouting", "tcp dport 8443 tcp flags syn")?;
            try_to_open(scene, "partner-api", 8443, goes_on)?;
            nft::flush(&pair.server)
        },
    },
    // A service is down: nobody listens on its port.
    Fault {
        from: 470,
        to: 560,
        happen: |scene, goes_on| try_to_open(scene, "billing", 8443, goes_on),
    },
];

/// How often something is tried.
const PAUSE: Duration = Duration::from_millis(100);

/// Has every fault happen in its time, in a recording of this length, unless that is over earlier.
pub(crate) fn happen(scene: &Scene, length: Duration, over: &AtomicBool) -> Result<()> {
    let is_over = || over.load(Ordering::Relaxed);
    scope(|scope| {
        let happening = FAULTS.map(|Fault { from, to, happen }| {
            let (begin, end) = (
                Deadline::after(length / 1000 * from),
                Deadline::after(length / 1000 * to),
            );
            scope.spawn(move || {
                wait(&|| !begin.passed() && !is_over());
                if is_over() {
                    Ok(())
                } else {
                    happen(scene, &|| !end.passed() && !is_over())
                }
            })
        });
        happening
            .into_iter()
            .try_for_each(|fault| fault.join().unwrap_or_else(|_| bail!("a fault panicked")))
    })
}

/// A program of the host that copies something large, as fast as it goes.
fn send_much(scene: &Scene, subnet: &str, (program, port): (&str, u16), goes_on: GoesOn<'_>) -> Result<()> {
    let (pair, _) = scene.cable(subnet)?;
    let to = scene.server(subnet, port)?;
    scene.program(program)?.run(|| {
        let listener = listen(&pair.server, to)?;
        let flows = [(); 3].map(|()| Flow::through(&listener, pair, to));
        let flows: Vec<Flow> = flows.into_iter().collect::<Result<_>>()?;
        scope(|scope| {
            let copies: Vec<_> = flows
                .iter()
                .map(|flow| {
                    scope.spawn(|| {
                        while goes_on() {
                            flow.exchange(60_000, 1_000)?;
                            sleep(PAUSE);
                        }
                        Ok(())
                    })
                })
                .collect();
            copies
                .into_iter()
                .try_for_each(|copy| copy.join().unwrap_or_else(|_| bail!("a copy panicked")))
        })
    })
}

fn wait(goes_on: GoesOn<'_>) {
    while goes_on() {
        sleep(PAUSE);
    }
}

/// Some who try to open connections, and give up after two seconds.
fn try_to_open(scene: &Scene, subnet: &str, port: u16, goes_on: GoesOn<'_>) -> Result<()> {
    let (pair, _) = scene.cable(subnet)?;
    let to = scene.server(subnet, port)?;
    scene.program("payments")?.run(|| {
        scope(|scope| {
            let tries = [(); 4].map(|()| {
                scope.spawn(|| {
                    pair.client.run(|| {
                        while goes_on() {
                            let _failed = TcpStream::connect_timeout(&to, Duration::from_secs(2)).is_err();
                            sleep(2 * PAUSE);
                        }
                        Ok(())
                    })
                })
            });
            tries
                .into_iter()
                .try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked")))
        })
    })
}
