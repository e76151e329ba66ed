//! One life of the exporter: everything at once for some time, then no traffic, and then its totals.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Result, ensure};
use common::kernel::tracepoints::Tracepoint;
use tests::exporter::exposition::{Format, parse};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, OPEN_METRICS};
use tests::kernel::hook_account::{Account, Outcome};

use super::check::{Checked, Expected, Verdict, fact, holds};
use super::expected::Accounts;
use super::growth::{Growth, growth, watch};
use super::keep::Folder;
use super::scrapers::{self, Scrapes};
use super::stage::Stage;
use super::unseen::Unseen;
use super::workloads::{self, Made, Stop, join};
use super::{receiver, reloads};

/// How often the totals are read until they are what they should be: at rest they can only become it.
const TRIES: usize = 10;

/// The hooks whose events are all accounted for. Live flows are at work when the account ends, and have samples of their own.
const HOOKS: [Tracepoint; 7] = [
    Tracepoint::InetSockSetState,
    Tracepoint::KfreeSkb,
    Tracepoint::TcpSendReset,
    Tracepoint::TcpReceiveReset,
    Tracepoint::TcpRetransmitSkb,
    Tracepoint::TcpRetransmitSynack,
    Tracepoint::TcpCongStateSet,
];

/// Those that come from tasks and from interrupts so often that interrupts must have landed in their programs.
const INTERRUPTED: [Tracepoint; 2] = [Tracepoint::InetSockSetState, Tracepoint::KfreeSkb];

/// What happened under load.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) made: Made,
    pub(crate) scrapes: Scrapes,
    pub(crate) reloads: usize,
    pub(crate) moods: u32,
    pub(crate) growth: Vec<Growth>,
    /// What came of each hook of [`HOOKS`].
    pub(crate) hooks: BTreeMap<&'static str, Outcome>,
}

/// Everything but the live flows, which are somebody else's, for so long.
pub(crate) fn load(stage: &Stage, exporter: &Exporter<'_>, receiver: SocketAddr, length: Duration) -> Result<Load> {
    let (stop, series) = (Stop::default(), AtomicU64::new(0));
    let account = Account::open(exporter, &HOOKS)?;
    scope(|scope| {
        let made = stop.spawn(scope, || workloads::run(stage, &stop));
        let scrapes = stop.spawn(scope, || scrapers::run(exporter, &series, &stop));
        let reloads = stop.spawn(scope, || reloads::run(stage, exporter, receiver, &stop));
        let moods = stop.spawn(scope, || receiver::run(receiver, &stop));
        let looks = stop.spawn(scope, || watch(exporter.process(), &series, &stop));
        stop.pause(length);
        stop.now();
        Ok(Load {
            made: join(made)?,
            scrapes: join(scrapes)?,
            reloads: join(reloads)?,
            moods: join(moods)?,
            growth: growth(&join(looks)?)?,
            hooks: account.close()?,
        })
    })
}

/// Whether interrupts landed in programs, and nothing was lost by it at any hook.
pub(crate) fn interrupts(load: &Load) -> Vec<Checked> {
    let exact = HOOKS.map(|tracepoint| {
        let (name, outcome) = (tracepoint.name(), load.hooks[tracepoint.name()]);
        let exact = if INTERRUPTED.contains(&tracepoint) {
            outcome.require_exact()
        } else {
            outcome.require_taken_over()
        };
        let said = exact.err().map(|error| format!(": {error}"));
        let what = format!(
            "{name} while interrupts land in it{}",
            said.as_deref().unwrap_or_default()
        );
        holds(&what, said.is_none(), "the kernel's trace buffer")
    });
    exact.into()
}

/// The totals of a life, laid beside those of everybody else. `since` is where its account of the live flows begins.
pub(crate) fn totals(
    exporter: &Exporter<'_>,
    accounts: &Accounts<'_>,
    since: Option<&Scrape>,
    withheld: &Unseen,
    receiver: SocketAddr,
    folder: &Folder,
) -> Result<Vec<Checked>> {
    let expected = accounts.expected()?;
    let mut tries = 0;
    let (text, scrape, mut checked) = loop {
        tries += 1;
        // Longer than a snapshot is used again.
        sleep(Duration::from_millis(300));
        let page = exporter.get("/metrics", OPEN_METRICS)?;
        ensure!(page.status == 200, "the scrape failed: {page:?}");
        let scrape = Scrape::new(parse(&page.body, Format::OpenMetrics)?);
        let checked = check(&expected, &scrape, since, withheld)?;
        let is_done = checked.iter().all(|checked| checked.verdict == Verdict::Equal);
        if is_done || tries == TRIES {
            break (page.body, scrape, checked);
        }
    };
    folder.keep("metrics.txt", &text)?;
    folder.keep("exporter.log", &exporter.stderr())?;
    checked.extend(accounts.facts()?);
    checked.extend(nothing_lost(&scrape)?);

    let (compared, differences) = receiver::differences_from(&scrape, receiver)?;
    for (series, scraped, told) in &differences {
        let number = |value: &Option<f64>| value.unwrap_or(f64::NAN);
        checked.push(fact(
            &format!("{series:?}"),
            number(scraped),
            number(told),
            "the receiver of OTLP",
        ));
    }
    let is_told = differences.is_empty() && compared > 0;
    checked.push(holds(
        &format!("{compared} counters over OTLP"),
        is_told,
        "the last scrape",
    ));
    Ok(checked)
}

fn check(expected: &[Expected], scrape: &Scrape, since: Option<&Scrape>, withheld: &Unseen) -> Result<Vec<Checked>> {
    let unseen = withheld.clone().with_skipped(scrape)?;
    let of_live = since.map(|before| scrape.since(before));
    let is_live = |expected: &Expected| expected.cable == "soak-live";
    expected
        .iter()
        .map(|expected| match &of_live {
            Some(since) if is_live(expected) => expected.check(since, &unseen),
            _ => expected.check(scrape, &unseen),
        })
        .collect()
}

/// What has no place of its own, or was not done.
fn nothing_lost(scrape: &Scrape) -> Result<Vec<Checked>> {
    let mut all = Vec::new();
    for metric in ["flows_untracked", "group_overflow", "drop_overflow", "series_overflow"] {
        let metric = format!("tcpvitals_{metric}_total");
        all.push(fact(&metric, 0.0, scrape.sum(&metric, &[])?, "nothing may be lost"));
    }
    let successful = scrape.value("tcpvitals_config_last_reload_successful", &[])?;
    all.push(fact("the last reload", 1.0, successful, "generator"));
    for result in ["success", "failed", "refused"] {
        let number = scrape.value("tcpvitals_otlp_exports_total", &[("result", result)])?;
        all.push(holds(
            &format!("pushes with the result {result}"),
            number > 0.0,
            "the receiver's moods",
        ));
    }
    Ok(all)
}
