//! Takes the pictures of the web page, of `top` and of `explain` for the documentation: an exporter that runs, and traffic between
//! namespaces.
//!
//! First nothing is wrong. Then five faults begin: a packet filter drops one segment in 67 behind this host on its way to `dc-east`, the
//! queue to `branch-7` is too short, a reader of `kafka` takes 20 kB a second, nobody listens at `payments-api`, and a filter swallows the
//! SYNs to `partner-ldap`. `make pictures-page` runs it as root.

use std::env::args;
use std::fs::write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tests::exporter::{binary, start};
use tests::machine::cgroups::{Cgroup, Cgroups};
use tests::machine::wait::until;
use tests::net::nft;
use tests::net::pair::{Cable, DEVICE, Pair};
use tests::net::subnet::{Family, SERVER, Subnet};
use tests::net::traffic::{Flow, listen, receive, send_datagrams};
use tests::readers::browser::{Browser, View};
use tests::readers::picture::svg;
use tests::readers::tmux::Terminal;

const DESK: View = View {
    width: 1280,
    ..View::WIDE
};
const VIEWS: [(&str, View); 4] = [
    ("page-light", DESK),
    ("page-dark", View { dark: true, ..DESK }),
    ("page-wide", View { width: 1900, ..DESK }),
    ("page-narrow", View { width: 360, ..DESK }),
];
/// Columns and rows of a terminal, as wide as a page of documentation.
const TERMINAL: [u16; 2] = [110, 26];
/// Rows for all that `explain` says.
const ROWS: u16 = 48;
/// The views of `top`, with the keys that lead to them.
const SCREENS: [(&str, &str); 4] = [
    ("top-subnets", "2"),
    ("top-findings", "1"),
    ("top-flows", "4"),
    ("top-drops", "5"),
];
/// How long `top` looks before its pictures: it draws the last two minutes.
const LOOK: Duration = Duration::from_secs(60);
/// How long nothing is wrong, and how long the faults go on before the pictures.
const LENGTHS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(80)];
const PAUSE: Duration = Duration::from_millis(100);

/// Two hosts on a cable, and the names of their subnets.
struct Part {
    pair: Pair,
    names: [&'static str; 2],
}

impl Part {
    fn new(names: [&'static str; 2]) -> Result<Self> {
        let pair = Pair::with(Cable {
            subnets: 2,
            one_segment_per_packet: true,
            is_spread: false,
        })?;
        Ok(Self { pair, names })
    }

    fn at(&self, place: usize, port: u16) -> SocketAddr {
        (self.pair.subnets[place].address(Family::V4, SERVER), port).into()
    }

    /// A connection of a program.
    fn flow(&self, program: &Cgroup, place: usize, port: u16) -> Result<Flow> {
        let to = self.at(place, port);
        program.run(|| Flow::through(&listen(&self.pair.server, to)?, &self.pair, to))
    }

    fn named(&self) -> impl Iterator<Item = (Subnet, &'static str)> {
        self.pair.subnets.iter().copied().zip(self.names)
    }
}

fn main() -> Result<()> {
    let folder: PathBuf = args().nth(1).context("which folder do the pictures go to?")?.into();
    let [east, branch, kafka] = [
        Part::new(["dc-east", "office-wifi"])?,
        Part::new(["branch-7", "partner-ldap"])?,
        Part::new(["kafka", "payments-api"])?,
    ];
    let named: Vec<_> = [&east, &branch, &kafka].into_iter().flat_map(Part::named).collect();
    let exporter = start(config(&named))?;
    let cgroups = Cgroups::of_threads()?;
    let program = |name: &str| cgroups.make(&format!("{name}.service"));
    let [login, payments] = [program("login")?, program("payments")?];
    let busy = [
        east.flow(&program("orders")?, 0, 5432)?,
        east.flow(&program("wiki")?, 1, 443)?,
        branch.flow(&program("backup")?, 0, 443)?,
        branch.flow(&login, 1, 389)?,
        kafka.flow(&payments, 1, 443)?,
    ];
    let slow = kafka.flow(&program("shipping")?, 0, 9092)?;
    let mut browser = Browser::start(DESK)?;
    browser.open(&format!("http://{}/", exporter.address()))?;
    let (is_wrong, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let goes_on = || !is_over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for flow in &busy {
            scope.spawn(move || {
                while goes_on() && flow.exchange(60_000, 20_000).is_ok() {
                    sleep(PAUSE / 4)
                }
            });
        }
        scope.spawn(|| {
            while goes_on() {
                // A reader that takes 20 kB a second, or all there is.
                if is_wrong.load(Ordering::Relaxed) {
                    slow.fill().and_then(|_| receive(&slow.server, 2000)).ok();
                } else {
                    slow.exchange(2000, 200).ok();
                }
                sleep(PAUSE);
            }
        });
        for (program, part, port) in [
            (&payments, &kafka, 8444),
            (&login, &branch, 636),
            (&login, &branch, 636),
        ] {
            let (to, wrong) = (part.at(1, port), &is_wrong);
            scope.spawn(move || {
                program.enter()?;
                while goes_on() {
                    if wrong.load(Ordering::Relaxed) {
                        try_to_open(&part.pair, to);
                    }
                    sleep(PAUSE);
                }
                anyhow::Ok(())
            });
        }
        let done = pictures(&mut browser, &folder, || {
            let condition = format!("ip daddr {} tcp dport 5432 numgen inc mod 67 == 66", east.at(0, 0).ip());
            nft::drop_matching(&east.pair.server, "input", &condition)?;
            nft::drop_matching(&branch.pair.server, "prerouting", "tcp dport 636")?;
            let shaper = format!("tc qdisc add dev {DEVICE} root tbf rate 4mbit burst 3000 limit 5000");
            branch.pair.client.exec(&shaper)?;
            send_datagrams(&east.pair.client, east.at(1, 9), 30, 200)?;
            is_wrong.store(true, Ordering::Relaxed);
            Ok(())
        })
        .and_then(|()| screens(&folder, &config(&named)));
        is_over.store(true, Ordering::Relaxed);
        done
    })
}

/// Those of a host some time after `break_it`.
fn pictures(browser: &mut Browser, folder: &Path, break_it: impl FnOnce() -> Result<()>) -> Result<()> {
    let [fine, wrong] = LENGTHS;
    sleep(fine);
    break_it()?;
    sleep(wrong);
    browser.evaluate("document.querySelector('.finding').open = true; null")?;
    VIEWS
        .into_iter()
        .try_for_each(|(name, view)| take(browser, folder, name, view))
}

/// A view after a refresh of its own.
fn take(browser: &mut Browser, folder: &Path, name: &str, view: View) -> Result<()> {
    browser.show_as(view)?;
    let at = "document.getElementById('main').dataset.at";
    let old = browser.evaluate(at)?;
    until("a refresh", || Ok((browser.evaluate(at)? != old).then_some(())))?;
    let path = folder.join(name).with_extension("png");
    write(&path, browser.picture()?).with_context(|| format!("write {}", path.display()))
}

/// Those of `top` and `explain`.
fn screens(folder: &Path, config: &str) -> Result<()> {
    let home = TempDir::new()?;
    write(home.path().join("config.yaml"), config)?;
    let program = binary()?.canonicalize()?;
    let programs = program.parent().context("a program without a folder")?;
    let [columns, rows] = TERMINAL;
    let terminal = Terminal::open(columns, rows, home.path())?;
    let command = |line: &str| {
        terminal.type_text(line)?;
        terminal.press("Enter")
    };
    command(&format!("PS1='$ '; PATH={}:$PATH; clear", programs.display()))?;
    command("tcpvitals top --config.file config.yaml")?;
    sleep(LOOK);
    for (name, key) in SCREENS {
        terminal.press(key)?;
        terminal.wait_for(name, |screen| screen.contains(&format!("[{key}:")))?;
        save(folder, name, &terminal.coloured_screen()?)?;
    }
    terminal.press("q")?;
    terminal.wait_for("the shell", |screen| screen.trim_end().ends_with('$'))?;
    terminal.resize(columns, ROWS)?;
    command("clear; tcpvitals explain --config.file config.yaml")?;
    // It looks for ten seconds.
    sleep(LOOK / 3);
    terminal.wait_for("the findings", |screen| screen.trim_end().ends_with('$'))?;
    save(folder, "explain", terminal.coloured_screen()?.trim_end())
}

fn save(folder: &Path, name: &str, screen: &str) -> Result<()> {
    let path = folder.join(name).with_extension("svg");
    write(&path, svg(screen)?).with_context(|| format!("write {}", path.display()))
}

/// Gives up after a second.
fn try_to_open(pair: &Pair, to: SocketAddr) {
    let open = || Ok(TcpStream::connect_timeout(&to, Duration::from_millis(2500)).is_ok());
    // That it fails is what is wanted.
    pair.client.run(open).ok();
}

fn config(named: &[(Subnet, &str)]) -> String {
    let line = |(subnet, name): &(Subnet, &str)| format!("  - {{name: {name}, cidrs: [{}/24]}}\n", subnet.v4(0));
    let lines: String = named.iter().map(line).collect();
    format!(
        "subnets:\n{lines}  - {{name: loopback, cidrs: [127.0.0.0/8, \"::1/128\"]}}\n\
         app_protocols: [{{name: orders, ports: [8444]}}, {{name: ldap, ports: [389, 636]}}]\n\
         workloads: {{source: cgroup}}\n\
         labels:\n\
         \x20 tcp: [subnet, app_protocol, role, workload]\n\
         \x20 drops: [location, reason, class, protocol, direction, subnet, workload]\n"
    )
}
