//! When the kernel began to count under a key: between two readings of the clock around what made the key.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, Map, MapData};
use common::drops::{DropKey, NamedDropKey};
use common::map::catalog::{DROP_SLOTS, GROUP_SLOTS, NAMED_DROP_SLOTS};
use common::tcp::group::GroupKey;
use nix::time::{ClockId, clock_gettime};
use tests::exporter::{Exporter, start};
use tests::kernel::processes::{maps_of, programs_of};
use tests::machine::turn;
use tests::net::devices::xdp::{Mode, Verdict, Xdp};
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, send_datagrams};

/// Bytes of a datagram, and of its frame: with the headers of Ethernet, IPv4 and UDP.
const PAYLOAD: usize = 100;
const FRAME: i32 = 14 + 20 + 8 + 100;

/// Names of maps as the kernel keeps them.
const KEPT: usize = 15;

/// The slots that a table has given out: number and birth.
type Births = BTreeMap<u64, Duration>;

/// The clock by which births are written.
fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into())
}

/// What a table of an exporter holds. Its keys are so many words long.
fn births<const WORDS: usize>(exporter: &Exporter<'_>, table: &str) -> Result<Births> {
    let maps = maps_of(&programs_of(exporter.process())?)?;
    let kept = &table[..table.len().min(KEPT)];
    let found = maps.iter().find(|(_, map)| map.name == kept);
    let (&number, _) = found.with_context(|| format!("no map {kept}"))?;
    let map = Map::HashMap(MapData::from_id(number)?);
    let slots = HashMap::<_, [u64; WORDS], [u64; 2]>::try_from(map)?;
    let births = slots.iter().map(|entry| {
        let (_, [born, number]) = entry?;
        Ok((number, Duration::from_nanos(born)))
    });
    births.collect()
}

/// Requires that `event` makes so many new keys or more, all born meanwhile, and that none changes when it comes again.
fn check<const WORDS: usize>(
    exporter: &Exporter<'_>,
    table: &str,
    least: usize,
    event: impl Fn() -> Result<()>,
) -> Result<()> {
    let began = now()?;
    let before = births::<WORDS>(exporter, table)?;
    event()?;
    let after = births::<WORDS>(exporter, table)?;
    let ended = now()?;
    let new: Vec<_> = after
        .iter()
        .filter(|(number, _)| !before.contains_key(number))
        .collect();
    assert!(new.len() >= least, "{table}: {new:?}");
    for (number, born) in new {
        let meanwhile = began..=ended;
        assert!(
            meanwhile.contains(born),
            "{table}, slot {number}: {born:?} is not in {meanwhile:?}"
        );
    }
    event()?;
    let again = births::<WORDS>(exporter, table)?;
    for (number, born) in &after {
        assert_eq!(again.get(number), Some(born), "{table}, slot {number}");
    }
    Ok(())
}

#[test]
fn a_slot_is_as_old_as_what_first_counted_in_it() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    // The client's labels and the server's.
    check::<{ GroupKey::WORDS }>(&exporter, GROUP_SLOTS.name(), 2, || {
        let flow = Flow::open(&pair, Family::V4, 443)?;
        flow.exchange(1000, 1000)?;
        flow.finish().map(drop)
    })?;
    let to = pair.to(Family::V4, 9)?;
    check::<{ DropKey::WORDS }>(&exporter, DROP_SLOTS.name(), 1, || {
        send_datagrams(&pair.client, to, 3, PAYLOAD)
    })?;
    let xdp = Xdp::attach(
        &pair.server,
        DEVICE,
        Mode::Generic,
        ("aborting", Verdict::Return(0)),
        FRAME,
    )?;
    const WORDS_OF_NAMED: usize = size_of::<NamedDropKey>() / 8;
    check::<WORDS_OF_NAMED>(&exporter, NAMED_DROP_SLOTS.name(), 1, || {
        send_datagrams(&pair.client, to, 3, PAYLOAD)
    })?;
    drop(xdp);
    Ok(())
}
