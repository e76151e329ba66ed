//! The whole run: a life, a kill, and another life that finds the flows of the first.

use std::fs::read_to_string;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::json;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, Launch, free_address};
use tests::kernel::account::End;
use tests::kernel::processes::{programs_of, still_loaded};
use tests::machine::turn;
use tests::machine::wait::{timed, until};

use super::check::{Checked, holds, sum};
use super::expected::{Accounts, Live};
use super::holders::Holders;
use super::keep::Folder;
use super::kernel::Kernel;
use super::life::{interrupts, load, totals};
use super::report::Outcome;
use super::scrapers::Scrapes;
use super::stage::Stage;
use super::sums::Sums;
use super::withheld::Withheld;

/// Runs for so long in all; whether everything was as it should be.
pub(crate) fn run(length: Duration, flows: usize, output: &Path) -> Result<bool> {
    let _turn = turn::shared()?;
    let folder = Folder::new(output)?;
    let stage = Stage::new()?;
    let withheld = Withheld::open();
    let receiver = free_address()?;

    say("the first life begins");
    let exporter = start(&stage, receiver)?;
    let before = Kernel::read(&stage)?;
    let bare = kernel_memory()?;
    let (opening, holders) = timed(|| Holders::start(&stage.live, flows));
    let mut holders = holders?;
    say(&format!("{flows} flows are open after {:.1} s", opening.as_secs_f64()));
    holders.go()?;
    let first_load = load(&stage, &exporter, receiver, length / 2)?;
    let first_sums = holders.rest()?;
    let after = Kernel::read(&stage)?;
    let live = Live {
        sums: first_sums.clone(),
        opened: flows as u64,
        closed: 0,
        open: flows as u64,
    };
    let accounts = Accounts {
        before: &before,
        after: &after,
        made: &first_load.made,
        live: &live,
    };
    let unseen = withheld.so_far()?;
    let own = folder.inside("life-1")?;
    own.keep("config.yaml", &stage.config(first_load.reloads, receiver)?)?;
    let mut checks = totals(&exporter, &accounts, None, &unseen, receiver, &own)?;
    checks.extend(falls(&first_load.scrapes));
    checks.extend(interrupts(&first_load));
    let full = kernel_memory()?;
    let idle = exporter.scrape()?.value("tcpvitals_collect_duration_seconds", &[])?;
    checks.push(kill(exporter)?);
    let without = kernel_memory()?;
    let first = Outcome {
        name: "the first life",
        load: first_load,
        checks,
        withheld: unseen.clone(),
    };
    print(&first.table()?);

    say("killed; the second life begins");
    let exporter = start(&stage, receiver)?;
    let touched = holders.touch()?;
    let before = Kernel::read(&stage)?;
    let adopted = exporter.scrape()?;
    let before_load = exporter.scrape()?.value("tcpvitals_collect_duration_seconds", &[])?;
    let adoption = adoption(&adopted, &touched, &first_sums)?;
    holders.go()?;
    let second_load = load(&stage, &exporter, receiver, length / 2)?;
    holders.rest()?;
    let ended = holders.finish()?;
    let after = Kernel::read(&stage)?;
    let live = Live {
        sums: ended.since(&touched),
        opened: 0,
        closed: flows as u64,
        open: 0,
    };
    let accounts = Accounts {
        before: &before,
        after: &after,
        made: &second_load.made,
        live: &live,
    };
    let own = folder.inside("life-2")?;
    let unseen = withheld.so_far()?.since(&unseen);
    own.keep("config.yaml", &stage.config(second_load.reloads, receiver)?)?;
    let mut checks = totals(&exporter, &accounts, Some(&adopted), &unseen, receiver, &own)?;
    checks.extend(falls(&second_load.scrapes));
    checks.extend(interrupts(&second_load));
    checks.extend(adoption);
    checks.push(kill(exporter)?);
    let second = Outcome {
        name: "the second life",
        load: second_load,
        checks,
        withheld: unseen,
    };
    print(&second.table()?);

    let sockets = 2.0 * flows as f64;
    let figures = json!({
        "flows": flows,
        "opening_seconds": opening.as_secs_f64(),
        "collection_at_rest_after_load_seconds": idle,
        "collection_at_rest_before_load_seconds": before_load,
        "kernel_memory_of_flows_bytes": full - bare,
        "kernel_memory_given_back_by_the_kill_bytes_per_socket": (full - without) / sockets,
    });
    print(&format!(
        "at rest: a collection takes {:.1} ms after the load of the first life, {:.1} ms before that of the second; the flows and the exporter take {:.0} MiB of kernel memory, the kill gave back {:.0} bytes per socket\n",
        1e3 * idle,
        1e3 * before_load,
        (full - bare) / f64::from(1 << 20),
        (full - without) / sockets,
    ));
    let is_good = first.is_good() && second.is_good();
    let result = json!({"is_good": is_good, "figures": figures, "lives": [first.json(), second.json()]});
    folder.keep("result.json", &format!("{result:#}\n"))?;
    print(if is_good { "equal\n" } else { "NOT EQUAL\n" });
    Ok(is_good)
}

fn start(stage: &Stage, receiver: SocketAddr) -> Result<Exporter<'static>> {
    Launch::new(stage.config(0, receiver)?)
        .arguments(&["--web.enable-lifecycle"])
        .start()
}

/// Kills it, and sees whether its programs go with it.
fn kill(exporter: Exporter<'_>) -> Result<Checked> {
    let programs = programs_of(exporter.process())?;
    exporter.stop(Signal::SIGKILL)?;
    let gone = until("the programs to go", || {
        Ok(still_loaded(&programs)?.is_empty().then_some(()))
    });
    // Maps and what hangs on the sockets go later.
    sleep(Duration::from_secs(3));
    Ok(holds("programs gone after the kill", gone.is_ok(), "bpf(2)"))
}

/// That no counter fell, and each that did.
fn falls(scrapes: &Scrapes) -> Vec<Checked> {
    let falls = scrapes.falls.iter().map(|fall| holds(fall, false, "the scrape before"));
    let what = format!("scrapes without a fall, of {}", scrapes.number);
    let whole = holds(
        &what,
        scrapes.falls.is_empty() && scrapes.number > 3,
        "the scrapes before",
    );
    falls.chain([whole]).collect()
}

/// Of flows that are older than the exporter, no more is counted than there was since it began, and both ends of each are there.
fn adoption(scrape: &Scrape, touched: &Sums, before: &Sums) -> Result<Vec<Checked>> {
    let since = touched.since(before);
    let mut all = Vec::new();
    for end in End::BOTH {
        let own = [("role", end.role())];
        for (row, most, _) in since.end(end).rows() {
            let labels: Vec<_> = own.iter().chain(row.labels).copied().collect();
            let got = sum(scrape, "soak-live", row.metric, &labels)?;
            let what = format!("{} of old flows, {labels:?}: {got} of at most {most}", row.metric);
            all.push(holds(&what, got <= most * (1.0 + 1e-9), "TCP_INFO"));
        }
        let live = sum(scrape, "soak-live", "tcpvitals_tcp_connections", &own)?;
        let what = format!("old flows found, {}: {live}", end.role());
        all.push(holds(&what, live == touched.flows as f64, "generator"));
    }
    Ok(all)
}

/// Memory that the kernel has for itself, in bytes: slabs that it cannot give back, and what BPF takes page by page.
fn kernel_memory() -> Result<f64> {
    let text = read_to_string("/proc/meminfo")?;
    let mut sum = 0.0;
    for key in ["SUnreclaim:", "Percpu:", "VmallocUsed:"] {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let number = line.with_context(|| format!("no {key} in /proc/meminfo"))?;
        sum += number.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0;
    }
    Ok(sum)
}

#[expect(clippy::print_stderr, reason = "what is going on, while it does")]
fn say(what: &str) {
    eprintln!("soak: {what}");
}

#[expect(clippy::print_stdout, reason = "the result")]
fn print(text: &str) {
    print!("{text}");
}
