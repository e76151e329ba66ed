//! Takes the pictures of the web page for the documentation: an exporter that runs, and traffic between two namespaces.
//!
//! A packet filter drops one segment in 67 on its way to `dc-east`, a queue that is too short holds up `branch`, and
//! `office-wifi` has nothing to complain about. `make pictures-page` runs it as root.

use std::env::args;
use std::fs::write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result};
use tests::exporter::start;
use tests::machine::wait::until;
use tests::net::nft;
use tests::net::pair::{Cable, DEVICE, Pair};
use tests::net::subnet::{Family, SERVER, Subnet};
use tests::net::traffic::{Flow, connect, listen, send_datagrams};
use tests::readers::browser::{Browser, View};

const VIEWS: [(&str, View); 3] = [
    ("page-light", DESK),
    ("page-dark", View { dark: true, ..DESK }),
    ("page-narrow", View { width: 360, ..DESK }),
];
const DESK: View = View {
    width: 1120,
    ..View::WIDE
};

fn main() -> Result<()> {
    let folder: PathBuf = args().nth(1).context("which folder do the pictures go to?")?.into();
    let lossy = Pair::with(Cable {
        subnets: 2,
        one_segment_per_packet: true,
        is_spread: false,
    })?;
    let slow = Pair::one_segment_per_packet()?;
    let [east, wifi] = [lossy.subnets[0], lossy.subnets[1]];
    let branch = slow.subnet()?;
    let condition = format!("ip daddr {} tcp dport 443 numgen inc mod 67 == 66", east.v4(SERVER));
    nft::drop_matching(&lossy.server, "input", &condition)?;
    slow.client.exec(&format!(
        "tc qdisc add dev {DEVICE} root tbf rate 20mbit burst 6000 limit 9000"
    ))?;
    let exporter = start(config(&[(east, "dc-east"), (wifi, "office-wifi"), (branch, "branch")]))?;
    let flows = [
        flow(&lossy, east, 443)?,
        flow(&lossy, east, 5432)?,
        flow(&lossy, wifi, 443)?,
        flow(&slow, branch, 443)?,
    ];
    let mut browser = Browser::start(DESK)?;
    browser.open(&format!("http://{}/", exporter.address()))?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for flow in &flows {
            let exchange = || (!done.load(Ordering::Relaxed)).then(|| flow.exchange(200_000, 60_000).ok())?;
            scope.spawn(move || std::iter::from_fn(exchange).count());
        }
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // A port that nobody listens on, and one connection refused.
                send_datagrams(&lossy.client, (wifi.v4(SERVER), 9).into(), 3, 200).ok();
                connect(&lossy.client, (wifi.v4(SERVER), 10).into()).ok();
                thread::sleep(std::time::Duration::from_millis(300));
            }
        });
        let taken = take(&mut browser, &folder);
        done.store(true, Ordering::Relaxed);
        taken
    })
}

/// Each view after a refresh of its own.
fn take(browser: &mut Browser, folder: &std::path::Path) -> Result<()> {
    let window = "document.getElementById('window').textContent";
    for (name, view) in VIEWS {
        browser.show_as(view)?;
        let old = browser.evaluate(&format!(
            "document.getElementById('health-facts').textContent + {window}"
        ))?;
        until("a refresh", || {
            let text = browser.evaluate(&format!(
                "document.getElementById('health-facts').textContent + {window}"
            ))?;
            let live = text.as_str().is_some_and(|text| text.contains("over the last"));
            Ok((live && text != old).then_some(()))
        })?;
        let path = folder.join(name).with_extension("png");
        write(&path, browser.picture()?).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn config(named: &[(Subnet, &str)]) -> String {
    let line = |(subnet, name): &(Subnet, &str)| format!("  - {{name: {name}, cidrs: [{}/24]}}\n", subnet.v4(0));
    let lines: String = named.iter().map(line).collect();
    format!("subnets:\n{lines}  - {{name: loopback, cidrs: [127.0.0.0/8, \"::1/128\"]}}\n")
}

fn flow(pair: &Pair, subnet: Subnet, port: u16) -> Result<Flow> {
    let to = (subnet.address(Family::V4, SERVER), port).into();
    Flow::through(&listen(&pair.server, to)?, pair, to)
}
