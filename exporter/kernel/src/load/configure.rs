//! Writes the tables of a configuration into the maps: all of them at the start, the differences at a reload.
//! Needs no privileges: a map whose descriptor is open may be written.

use super::lookups::{Lookups, Step};
use crate::{Kernel, load::LoadError, sys::record::SettingsRecord};
use aya::{
    Ebpf,
    maps::{Array, LpmTrie, Map, MapError, lpm_trie::Key},
};
use common::{
    drops::{DROP_TABLE, DropSource},
    kernel::tracepoints::Tracepoint,
};
use ipnet::IpNet;

impl Kernel {
    /// Goes over to other tables, of whatever generation. Live flows follow at the next fold, events from now on.
    ///
    /// # Errors
    /// [`LoadError::Map`] when a map takes no more; what it held before is restored.
    pub fn configure(&mut self, mut wanted: Lookups) -> Result<(), LoadError> {
        let generation = self.lookups.settings.generation + 1;
        wanted.settings.generation = generation;
        let result = write(&mut self.ebpf, &self.lookups, &wanted);
        if result.is_err() {
            // Flows that were labelled meanwhile are labelled once more.
            let mut before = self.lookups.clone();
            before.settings.generation = generation;
            undo(&mut self.ebpf, &wanted, &before);
            self.lookups = before;
            return result;
        }
        self.lookups = wanted;
        Ok(())
    }
}

/// Tells the programs which slots for drops are taken from the start: the slots that are given out begin behind the rows
/// `other`, and slot 0 is never given out.
pub(crate) fn reserve(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    let mut used = typed::<Array<_, u64>>(ebpf, "SLOTS_USED")?;
    let taken = u64::from(DropSource::OTHER_SLOTS - 1);
    put("SLOTS_USED", used.set(DROP_TABLE, taken, 0))
}

/// Tells `find_programs` the number of the first program of a tracepoint.
pub(crate) fn name_program(ebpf: &mut Ebpf, tracepoint: Tracepoint, id: u32) -> Result<(), LoadError> {
    let mut numbers = typed::<Array<_, u64>>(ebpf, "PROGRAM_IDS")?;
    put("PROGRAM_IDS", numbers.set(tracepoint as u32, u64::from(id), 0))
}

/// Writes what is different between two tables.
pub(crate) fn write(ebpf: &mut Ebpf, old: &Lookups, new: &Lookups) -> Result<(), LoadError> {
    for step in old.steps_to(new) {
        take(ebpf, step)?;
    }
    let mut settings = typed::<Array<_, SettingsRecord>>(ebpf, "SETTINGS")?;
    put("SETTINGS", settings.set(0, SettingsRecord(new.settings), 0))
}

/// Takes back what was done of the way from `old` to `new`. A step that was not taken cannot be taken back: that is no
/// error here.
fn undo(ebpf: &mut Ebpf, new: &Lookups, old: &Lookups) {
    for step in new.steps_to(old) {
        if let Err(error) = take(ebpf, step) {
            tracing::debug!(%error, ?step, "while the old configuration is restored");
        }
    }
    let settings = typed::<Array<_, SettingsRecord>>(ebpf, "SETTINGS")
        .and_then(|mut settings| put("SETTINGS", settings.set(0, SettingsRecord(old.settings), 0)));
    if let Err(error) = settings {
        tracing::error!(%error, "the old configuration could not be restored");
    }
}

fn take(ebpf: &mut Ebpf, step: Step) -> Result<(), LoadError> {
    match step {
        Step::SetPort(port, number) => put("PORTS", ports(ebpf)?.set(port.into(), number, 0)),
        Step::RemovePort(port) => put("PORTS", ports(ebpf)?.set(port.into(), 0, 0)),
        Step::SetNetwork(IpNet::V4(network), number) => {
            put("SUBNETS_V4", subnets_v4(ebpf)?.insert(&key_v4(network), number, 0))
        }
        Step::RemoveNetwork(IpNet::V4(network)) => put("SUBNETS_V4", subnets_v4(ebpf)?.remove(&key_v4(network))),
        Step::SetNetwork(IpNet::V6(network), number) => {
            put("SUBNETS_V6", subnets_v6(ebpf)?.insert(&key_v6(network), number, 0))
        }
        Step::RemoveNetwork(IpNet::V6(network)) => put("SUBNETS_V6", subnets_v6(ebpf)?.remove(&key_v6(network))),
    }
}

type Untyped<'a> = &'a mut aya::maps::MapData;

fn ports(ebpf: &mut Ebpf) -> Result<Array<Untyped<'_>, u16>, LoadError> {
    typed(ebpf, "PORTS")
}

fn subnets_v4(ebpf: &mut Ebpf) -> Result<LpmTrie<Untyped<'_>, u32, u32>, LoadError> {
    typed(ebpf, "SUBNETS_V4")
}

fn subnets_v6(ebpf: &mut Ebpf) -> Result<LpmTrie<Untyped<'_>, [u8; 16], u32>, LoadError> {
    typed(ebpf, "SUBNETS_V6")
}

fn key_v4(network: ipnet::Ipv4Net) -> Key<u32> {
    let address = u32::from_ne_bytes(network.network().octets());
    Key::new(u32::from(network.prefix_len()), address)
}

fn key_v6(network: ipnet::Ipv6Net) -> Key<[u8; 16]> {
    Key::new(u32::from(network.prefix_len()), network.network().octets())
}

fn typed<'a, M: TryFrom<&'a mut Map, Error = MapError>>(ebpf: &'a mut Ebpf, map: &'static str) -> Result<M, LoadError> {
    let untyped = ebpf.map_mut(map).ok_or_else(|| LoadError::Map {
        map,
        source: MapError::InvalidName { name: map.to_owned() },
    })?;
    M::try_from(untyped).map_err(|source| LoadError::Map { map, source })
}

fn put(map: &'static str, result: Result<(), MapError>) -> Result<(), LoadError> {
    result.map_err(|source| LoadError::Map { map, source })
}
