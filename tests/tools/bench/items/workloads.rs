//! What it costs to tell workloads apart: a connection, a segment, a drop and the fold with and without the labels, in one run, and
//! what maps take.

use std::net::{IpAddr, Ipv4Addr};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use common::drops::{DropCounts, DropKey};
use common::map::slots::Slot;
use common::tcp::group::{GroupCounters, GroupKey};
use tests::exporter::Exporter;
use tests::kernel::processes::maps_memory_of;
use tests::machine::cgroups::{Cgroup, Cgroups};
use tests::net::namespace::Namespace;

use super::drop::{Flood, Site};
use crate::compare::{Findings, OURS_FULL};
use crate::contestants::{FULL, ours, ours_of_a_unit};
use crate::context::Context;
use crate::crowd::Crowd;
use crate::figures::{quantile, quartiles};
use crate::pairs::{Contestant, FLOOR, pin, runs};
use crate::report::model::{Item, Plot, Row};
use crate::scraper::{FORMS, Scraper};
use crate::subject::{start, value};
use crate::work::{Churn, End, Ends};

/// The exporter that tells workloads apart.
const TOLD_APART: &str = "tcpvitals, `full`, by workload";

/// All labels of workloads, as the chart has them.
const BY_WORKLOAD: &str = "\
tcp: {detail: full}
workloads: {source: cgroup}
labels:
  tcp: [subnet, connection_type, app_protocol, role, workload, workload_kind, workload_namespace]
  drops: [location, reason, class, protocol, direction, subnet, connection_type, workload, workload_namespace]
";

/// Whose everything here is.
const UNIT: &str = "bench.service";

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Live flows of the fold.
const FLOWS: usize = 50_000;

/// How old a snapshot may be that is given again.
const MAX_AGE: Duration = Duration::from_millis(100);

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let mut found = Findings::new(context, "workloads", "Workloads told apart", "ns per operation");
    found.note(
        "Everything is done by one systemd unit, which the exporter has found before it is measured. One exporter has no label of \
         workloads, the other all of them, as the chart has it (`workloads.source: cgroup`).",
    );
    let cgroups = Cgroups::of_threads()?;
    let unit = cgroups.make(&format!("system.slice/{UNIT}"))?;
    let without = ours(context, OURS_FULL, FULL)?;
    let with = ours_of_a_unit(context, TOLD_APART, BY_WORKLOAD, &unit, UNIT)?;
    let floor = Contestant::floor(&without, FLOOR)?;
    let contestants = [Contestant::null(), floor, without, with];
    unit.run(|| {
        connections(context, &mut found, &contestants)?;
        segments(context, &mut found, &contestants)?;
        drops(context, &mut found, &contestants)
    })?;
    // The kernel frees programs and maps of contestants before two exporters run beside each other.
    drop(contestants);
    let fold = fold(context, &mut found, &unit)?;
    let mut item = found.done();
    item.rows.extend(fold);
    item.plot = Some(Plot::Ratios);
    Ok(item)
}

fn connections(context: &Context, found: &mut Findings, contestants: &[Contestant]) -> Result<()> {
    const BATCH: u32 = 4;
    let namespace = Namespace::new()?;
    namespace.set("net.ipv4.tcp_max_tw_buckets=0")?;
    for (group, end) in [("connection, FIN", End::Fin), ("connection, RST", End::Rst)] {
        namespace.run(|| {
            pin(context.processor)?;
            let churn = Churn::new(HERE, end)?;
            let operate = || {
                (0..BATCH).try_for_each(|_| churn.connection())?;
                Ok(f64::from(BATCH))
            };
            found.measure((group, context.rounds(60), 1.0), contestants, operate)
        })?;
        compare(found, group);
    }
    Ok(())
}

fn segments(context: &Context, found: &mut Findings, contestants: &[Contestant]) -> Result<()> {
    const GROUP: &str = "two segments";
    const BATCH: u32 = 16;
    Namespace::new()?.run(|| {
        pin(context.processor)?;
        let mut ends = Ends::open(HERE)?;
        let operate = || {
            (0..BATCH).try_for_each(|_| ends.round_trip())?;
            Ok(f64::from(BATCH))
        };
        found.measure((GROUP, context.rounds(60), 1.0), contestants, operate)
    })?;
    compare(found, GROUP);
    Ok(())
}

fn drops(context: &Context, found: &mut Findings, contestants: &[Contestant]) -> Result<()> {
    const BATCH: usize = 32;
    let namespace = Namespace::new()?;
    super::drop::filter(&namespace)?;
    for (group, site) in [
        ("drop without a socket, at a closed port", Site::ClosedPort),
        ("drop of a socket, at a packet filter", Site::PacketFilter),
    ] {
        namespace.run(|| {
            pin(context.processor)?;
            let flood = Flood::new()?;
            let mut operate = || {
                (0..BATCH).try_for_each(|number| flood.send(site, number))?;
                Ok(BATCH as f64)
            };
            let counted = runs(&contestants[1], &mut operate)?;
            let drops = counted.iter().find(|(name, _)| name == "kfree_skb");
            let drops = drops.map(|(_, runs)| *runs).context("no packet was dropped")?;
            found.measure((group, context.rounds(80), 1.0 / drops), contestants, operate)
        })?;
        compare(found, group);
    }
    Ok(())
}

/// Says how much more it is by workload.
fn compare(found: &mut Findings, group: &str) {
    let median = |label: &str| Some(found.row(&format!("{group}: {label}"))?.median);
    if let (Some(without), Some(with)) = (median(OURS_FULL), median(TOLD_APART)) {
        found.note(format!("{group}: {:.1} ns more by workload.", with - without));
    }
}

/// Two exporters beside each other, which take turns in collecting what the same flows have done.
fn fold(context: &Context, found: &mut Findings, unit: &Cgroup) -> Result<Vec<Row>> {
    let max_age = format!("collect: {{max_age: {}ms}}\n", MAX_AGE.as_millis());
    let labels = [OURS_FULL, TOLD_APART];
    let exporters = [FULL, BY_WORKLOAD]
        .map(|config| start(context, &format!("{config}{max_age}")))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let memory = exporters
        .iter()
        .map(|exporter| maps_memory_of(exporter.process()))
        .collect::<Result<Vec<_>>>()?;
    found.note(format!(
        "Maps take {} bytes without labels of workloads and {} with them, by the kernel's account (`memlock`). A slot of TCP is {} \
         bytes of counters in each shard, and {} of key and number; one of drops {} and {}. The number of the workload lies in bytes \
         of the key that are there in any case.",
        memory[0],
        memory[1],
        size_of::<GroupCounters>(),
        8 * GroupKey::WORDS + size_of::<Slot>(),
        size_of::<DropCounts>(),
        8 * DropKey::WORDS + size_of::<Slot>(),
    ));
    unit.run(|| {
        let mut crowd = Crowd::new(1)?;
        let nothing = collect(context, &mut crowd, &exporters)?;
        crowd.grow(FLOWS)?;
        let whole = collect(context, &mut crowd, &exporters)?;
        let rows = labels
            .iter()
            .zip(nothing.iter().zip(&whole))
            .map(|(label, (nothing, whole))| {
                let nothing = quantile(nothing, 0.5);
                let each: Vec<f64> = whole.iter().map(|time| (time - nothing) / FLOWS as f64).collect();
                quartiles(format!("fold of a flow, {FLOWS} flows: {label}"), &each)
            });
        Ok(rows.collect())
    })
}

/// Nanoseconds of each collection of each exporter, by its own clock, after a byte each way over each connection.
fn collect(context: &Context, crowd: &mut Crowd, exporters: &[Exporter<'_>]) -> Result<Vec<Vec<f64>>> {
    let scrapers: Vec<Scraper> = exporters.iter().map(Scraper::new).collect();
    let mut figures = vec![Vec::new(); exporters.len()];
    for round in 0..context.rounds(20) {
        crowd.round()?;
        for turn in 0..scrapers.len() {
            // Who comes first in a round finds the sockets in no cache.
            let who = (round + turn) % scrapers.len();
            sleep(MAX_AGE + MAX_AGE / 2);
            let body = scrapers[who].scrape(FORMS[0])?.body;
            let took = value(&body, "tcpvitals_collect_duration_seconds")?;
            ensure!(took > 0.0, "nothing was collected");
            figures[who].push(1e9 * took);
        }
    }
    Ok(figures)
}
