//! Kernel memory of a flow: what a map says that it takes, and by how much the kernel's own memory really grows.

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::MapType;
use tests::exporter::Exporter;
use tests::machine::wait::until;

use crate::context::Context;
use crate::crowd::Crowd;
use crate::figures::{quantile, quartiles};
use crate::report::model::{Item, Target};
use crate::subject::start;

/// Live flows; what grows besides is small against them.
const FLOWS: usize = 100_000;

/// What is freed is given back only some time later.
const SETTLE: Duration = Duration::from_millis(1_500);

/// `BPF_MAP_TYPE_SK_STORAGE`
const SOCKET_STORAGE: &str = "24";

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    require_no_other()?;
    let (mut pages, mut objects, mut memlock) = (Vec::new(), Vec::new(), Vec::new());
    let mut caches = String::new();
    for _ in 0..context.rounds(4) {
        let without = grow(None)?;
        let exporter = start(context, "")?;
        let with = grow(Some(&exporter))?;
        let per_flow = |with: u64, without: u64| (with as f64 - without as f64) / FLOWS as f64;
        pages.push(per_flow(with.pages, without.pages));
        objects.push(per_flow(with.objects.values().sum(), without.objects.values().sum()));
        memlock.push(per_flow(with.memlock, 0));
        caches = largest(&with.objects, &without.objects);
    }
    let figure = quantile(&pages, 0.5);
    Ok(Item {
        id: "kernel-memory".to_owned(),
        title: "Kernel memory of a flow".to_owned(),
        unit: "bytes per flow".to_owned(),
        rows: vec![
            quartiles("growth of Slab and Percpu", &pages),
            quartiles("growth of objects in all slab caches", &objects),
            quartiles("growth of what the map says, memlock", &memlock),
        ],
        targets: vec![Target {
            what: "kernel memory per flow".to_owned(),
            text: "≤ 450 B".to_owned(),
            figure: format!("{figure:.0} B"),
            met: Some(figure <= 450.0),
            why: if figure > 450.0 {
                format!("the kernel makes two objects for each: {caches}")
            } else {
                String::new()
            },
            ..Target::default()
        }],
        notes: vec![
            format!(
                "By how much more the kernel's memory grows with the exporter than without it when {FLOWS} flows are \
                 opened and send a byte each: Slab and Percpu of /proc/meminfo, and objects in use times their size \
                 in /proc/slabinfo. Maps of fixed size are made at the start and are not in it."
            ),
            format!("Slab caches that grew by most for each flow: {caches}."),
            "The kernel counts only the table of socket storage in memlock of its map, no element of it: it does not \
             grow."
                .to_owned(),
        ],
        machine: context.machine.clone(),
        ..Item::default()
    })
}

/// Part of what a socket needs for storage is for all maps together: with another, ours would seem smaller. The map of an exporter
/// that has just ended goes a little later.
fn require_no_other() -> Result<()> {
    let storage = || {
        // One may be gone between the listing and the look.
        let mut maps = aya::maps::loaded_maps().flatten();
        Ok(maps
            .all(|map| !matches!(map.map_type(), Ok(MapType::SkStorage)))
            .then_some(()))
    };
    until("all socket storage of others to go", storage).context("stop other exporters first")
}

/// By how much the kernel's memory grew, in bytes.
struct Growth {
    pages: u64,
    /// By cache.
    objects: BTreeMap<String, u64>,
    memlock: u64,
}

fn grow(exporter: Option<&Exporter<'_>>) -> Result<Growth> {
    let memlock = || exporter.map_or(Ok(0), |exporter| memlock(exporter.process()));
    // Its threads and listeners are there before.
    let mut crowd = Crowd::new(10)?;
    crowd.grow(2)?;
    sleep(SETTLE);
    let (pages, objects, charged) = (pages()?, objects()?, memlock()?);
    crowd.grow(FLOWS)?;
    crowd.round()?;
    if let Some(exporter) = exporter {
        let tracked = exporter.scrape()?.sum("tcpvitals_tcp_connections", &[])?;
        ensure!(tracked >= FLOWS as f64, "only {tracked} flows are tracked");
    }
    sleep(SETTLE);
    let mut grown = self::objects()?;
    for (cache, size) in &mut grown {
        *size = size.saturating_sub(objects.get(cache).copied().unwrap_or(0));
    }
    Ok(Growth {
        pages: self::pages()?.saturating_sub(pages),
        objects: grown,
        memlock: memlock()?.saturating_sub(charged),
    })
}

/// Of all slab caches and per-CPU areas.
fn pages() -> Result<u64> {
    let text = read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let of = |key: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let number = line.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(number.with_context(|| format!("/proc/meminfo has no {key}"))? * 1024)
    };
    Ok(of("Slab")? + of("Percpu")?)
}

/// Bytes of objects in use, by cache.
fn objects() -> Result<BTreeMap<String, u64>> {
    let text = read_to_string("/proc/slabinfo").context("read /proc/slabinfo")?;
    // name, active objects, all objects, size of one
    let cache = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, active, _, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let bytes = active.parse::<u64>().ok()? * size.parse::<u64>().ok()?;
        Some((name.to_owned(), bytes))
    };
    Ok(text.lines().filter_map(cache).collect())
}

/// What the kernel charges for the map of flows.
fn memlock(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/fdinfo");
    for entry in read_dir(&path).with_context(|| format!("list {path}"))? {
        let text = read_to_string(entry?.path())?;
        let of = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        if of("map_type").is_some_and(|kind| kind.trim() == SOCKET_STORAGE) {
            let memlock = of("memlock").context("a map without memlock")?;
            return Ok(memlock.trim().parse()?);
        }
    }
    bail!("process {process} has no socket storage")
}

/// `kmalloc-256: 256 B, …`
fn largest(with: &BTreeMap<String, u64>, without: &BTreeMap<String, u64>) -> String {
    let mut more: Vec<(i64, &String)> = with
        .iter()
        .map(|(cache, &size)| {
            let more = size.cast_signed() - without.get(cache).copied().unwrap_or(0).cast_signed();
            (more / FLOWS.cast_signed() as i64, cache)
        })
        .collect();
    more.sort();
    let largest = more.iter().rev().take(3).filter(|(size, _)| *size > 0);
    let named: Vec<String> = largest.map(|(size, cache)| format!("{cache} {size} B")).collect();
    named.join(", ")
}
