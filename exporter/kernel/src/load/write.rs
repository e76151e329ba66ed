//! Writes the tables of a configuration into the maps: all of them at the start, the differences at a reload.

use super::lookups::{Lookups, Step};
use crate::sys::object::{MapFault, Object, Plain};
use aya::maps::{MapError, lpm_trie::Key};
use common::{
    drops::DropSource,
    kernel::tracepoints::Tracepoint,
    map::{
        catalog::{ACCEPT_QUEUES, Map, PORTS, PROGRAM_IDS, SETTINGS, SLOTS_USED, SUBNETS_V4, SUBNETS_V6},
        settings::Settings,
        slots::Table,
    },
    tcp::accept_queue::{AcceptQueues, OTHER_LISTENERS},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use zerocopy::transmute;

/// Tells the programs which slots for drops are taken from the start: the slots that are given out begin behind the rows
/// `other`, and slot 0 is never given out. Makes the entry of other listeners, which a full map would not take any more.
pub(super) fn reserve(object: &mut Object) -> Result<(), MapFault> {
    let taken = u64::from(DropSource::OTHER_SLOTS - 1);
    object.set(SLOTS_USED, Table::Drops as u32, taken)?;
    if !object.has(ACCEPT_QUEUES) {
        return Ok(());
    }
    let none = Plain(AcceptQueues::default());
    let result = object.hash(ACCEPT_QUEUES)?.insert(Plain(OTHER_LISTENERS), none, 0);
    done(ACCEPT_QUEUES, result)
}

/// Tells `find_programs` the number of the first program of a tracepoint.
pub(super) fn program_id(object: &mut Object, tracepoint: Tracepoint, id: u32) -> Result<(), MapFault> {
    object.set(PROGRAM_IDS, tracepoint as u32, u64::from(id))
}

/// Writes what is different between two tables.
pub(super) fn lookups(object: &mut Object, old: &Lookups, new: &Lookups) -> Result<(), MapFault> {
    for step in old.steps_to(new) {
        take(object, step)?;
    }
    set_settings(object, old.settings.generation, new.settings)
}

/// Writes the settings that a generation labels by, and only then the generation: a program may read a value while it is written, and a flow
/// that has the new generation must have been labelled by the new settings.
fn set_settings(object: &mut Object, old: u64, new: Settings) -> Result<(), MapFault> {
    let contents = Settings { generation: old, ..new };
    object.set(SETTINGS, 0, contents)?;
    object.set(SETTINGS, 0, new)
}

/// Takes back what was done of the way from `old` to `new`. A step that was not taken cannot be taken back: that is no
/// error here.
pub(super) fn undo(object: &mut Object, new: &Lookups, old: &Lookups) {
    for step in new.steps_to(old) {
        if let Err(error) = take(object, step) {
            tracing::debug!(%error, ?step, "while the old configuration is restored");
        }
    }
    if let Err(error) = set_settings(object, new.settings.generation, old.settings) {
        tracing::error!(%error, "the old configuration could not be restored");
    }
}

fn take(object: &mut Object, step: Step) -> Result<(), MapFault> {
    match step {
        Step::SetPort(port, number) => object.set(PORTS, port.into(), number),
        Step::RemovePort(port) => object.set(PORTS, port.into(), 0),
        Step::SetNetwork(IpNet::V4(network), number) => {
            let result = object.trie(SUBNETS_V4)?.insert(&key_v4(network), Plain(number), 0);
            done(SUBNETS_V4, result)
        }
        Step::RemoveNetwork(IpNet::V4(network)) => {
            let result = object.trie(SUBNETS_V4)?.remove(&key_v4(network));
            done(SUBNETS_V4, result)
        }
        Step::SetNetwork(IpNet::V6(network), number) => {
            let result = object.trie(SUBNETS_V6)?.insert(&key_v6(network), Plain(number), 0);
            done(SUBNETS_V6, result)
        }
        Step::RemoveNetwork(IpNet::V6(network)) => {
            let result = object.trie(SUBNETS_V6)?.remove(&key_v6(network));
            done(SUBNETS_V6, result)
        }
    }
}

fn done<K, V>(map: Map<K, V>, result: Result<(), MapError>) -> Result<(), MapFault> {
    result.map_err(|error| MapFault::new(map, error))
}

fn key_v4(network: Ipv4Net) -> Key<Plain<u32>> {
    let address = u32::from_ne_bytes(network.network().octets());
    Key::new(u32::from(network.prefix_len()), Plain(address))
}

fn key_v6(network: Ipv6Net) -> Key<Plain<[u32; 4]>> {
    Key::new(
        u32::from(network.prefix_len()),
        Plain(transmute!(network.network().octets())),
    )
}
