//! Counters over readings: what is shown began with the exporter and never falls, whatever devices and drivers do.
//! It must never count a device's packets twice: one that is renamed, or goes to another network namespace and comes back, goes on
//! where it was. From readings; to snapshots.

use super::{
    Device, Host, Loss, Reading,
    causes::Allowance,
    files::{Conntrack, Events, Failures, TcpMemory},
};
use std::collections::{BTreeMap, BTreeSet};

/// Most devices that are told apart by their names; those beyond are `other`.
const MOST_NAMES: usize = 64;

/// Most devices that are remembered while they are away.
const MOST_AWAY: usize = 1024;

/// What is known from all readings so far.
#[derive(Debug, Default)]
pub struct Carry {
    /// There was a reading: what is new since then was zero before.
    has_begun: bool,
    devices: Devices,
    squeezed: BTreeMap<u32, Counter>,
    failures: [Counter; 3],
    events: [Counter; 7],
    cookies_sent: Counter,
    failed: u64,
    last: Host,
}

impl Carry {
    /// Takes a reading, or remembers that there was none; what is to be shown then.
    pub fn post(&mut self, reading: Option<Reading>) -> Host {
        match reading {
            Some(reading) => self.take(reading),
            None => self.failed += 1,
        }
        self.last.failed = Some(self.failed);
        self.last.clone()
    }

    /// Takes a reading that came when nobody waited for it any more.
    pub fn late(&mut self, reading: Reading) {
        self.take(reading);
    }

    fn take(&mut self, reading: Reading) {
        let Reading {
            devices,
            squeezed,
            conntrack,
            memory,
            cookies_sent,
        } = reading;
        let is_new = self.has_begun;
        if let Some(devices) = devices {
            self.devices.post(&devices, is_new);
            self.last.lost.clone_from(&self.devices.lost);
            self.last.over_allowance.clone_from(&self.devices.over_allowance);
        }
        if let Some(squeezed) = squeezed {
            for (cpu, value) in squeezed {
                self.squeezed.entry(cpu).or_default().post(value, is_new);
            }
            // One that is switched off has no row, and keeps what it had.
            self.last.squeezed = Some(self.squeezed.values().map(|counter| counter.total).sum());
        }
        self.last.conntrack = conntrack.map(|conntrack| self.since_the_start(conntrack, is_new));
        self.last.memory = memory.map(|memory| self.events_since_the_start(memory, is_new));
        self.last.cookies_sent = cookies_sent.map(|sent| self.cookies_sent.post(sent, is_new));
        self.has_begun = true;
    }

    fn since_the_start(&mut self, conntrack: Conntrack, is_new: bool) -> Conntrack {
        let [insert_failed, drop, early_drop] = &mut self.failures;
        let failures = conntrack.failures.map(|failures| Failures {
            insert_failed: insert_failed.post(failures.insert_failed, is_new),
            drop: drop.post(failures.drop, is_new),
            early_drop: early_drop.post(failures.early_drop, is_new),
        });
        Conntrack { failures, ..conntrack }
    }

    fn events_since_the_start(&mut self, memory: TcpMemory, is_new: bool) -> TcpMemory {
        let [
            pressures,
            collapsed,
            pruned,
            out_of_order_pruned,
            prunes_failed,
            zero_windows,
            window_probes,
        ] = &mut self.events;
        let post = |counter: &mut Counter, value: Option<u64>| value.map(|value| counter.post(value, is_new));
        let events = Events {
            pressures: post(pressures, memory.events.pressures),
            collapsed: post(collapsed, memory.events.collapsed),
            pruned: post(pruned, memory.events.pruned),
            out_of_order_pruned: post(out_of_order_pruned, memory.events.out_of_order_pruned),
            prunes_failed: post(prunes_failed, memory.events.prunes_failed),
            zero_windows: post(zero_windows, memory.events.zero_windows),
            window_probes: post(window_probes, memory.events.window_probes),
        };
        TcpMemory { events, ..memory }
    }
}

/// A counter of the kernel.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    last: Option<u64>,
    total: u64,
}

impl Counter {
    /// Adds what it has grown by. One that `is_new` was zero when it was not there; one that is less than it was has begun anew.
    fn post(&mut self, value: u64, is_new: bool) -> u64 {
        self.total += match self.last {
            Some(last) if value >= last => value - last,
            Some(_) => value,
            None if is_new => value,
            None => 0,
        };
        self.last = Some(value);
        self.total
    }
}

#[derive(Debug, Default)]
struct Devices {
    /// In the order in which they were last seen.
    known: Vec<Device>,
    names: BTreeSet<String>,
    lost: BTreeMap<(String, Loss), u64>,
    over_allowance: BTreeMap<(String, Allowance), u64>,
}

impl Devices {
    fn post(&mut self, present: &[Device], is_new: bool) {
        let away = self.known.iter().filter(|known| !has(present, known));
        let away: Vec<Device> = away.cloned().collect();
        let mut seen = Vec::new();
        let mut back = BTreeSet::new();
        for device in present {
            let same = self.known.iter().find(|known| is_same(known, device));
            // The hardware is the same, its device is another: it was away, or its driver was bound anew.
            let returned = || {
                let mut away = (0..).zip(&away);
                away.find(|(place, known)| known.parent == device.parent && !back.contains(place))
                    .map(|(place, known)| (Some(place), known))
            };
            let before = same.map(|known| (None, known)).or_else(returned);
            let (place, before) = before.unzip();
            back.extend(place.flatten());
            let label = label(&mut self.names, &device.name);
            let has_begun_anew = before.is_some_and(|before| has_begun_anew(device, before));
            let lost = before.map(|before| &before.lost);
            add(&mut self.lost, &label, &device.lost, lost, has_begun_anew, is_new);
            let (own, over) = (&mut self.over_allowance, before.map(|before| &before.over_allowance));
            add(own, &label, &device.over_allowance, over, has_begun_anew, is_new);
            seen.push(before.map_or_else(|| device.clone(), |before| raised(device, before)));
        }
        let away = (0..).zip(away).filter(|(place, _)| !back.contains(place));
        self.known = away.map(|(_, device)| device).collect();
        let too_many = self.known.len().saturating_sub(MOST_AWAY);
        self.known.drain(..too_many);
        self.known.extend(seen);
    }
}

fn is_same(one: &Device, other: &Device) -> bool {
    (&one.parent, one.index) == (&other.parent, other.index)
}

fn has(devices: &[Device], known: &Device) -> bool {
    devices.iter().any(|device| is_same(device, known))
}

/// A driver that began anew has received or sent less than before.
const fn has_begun_anew(device: &Device, before: &Device) -> bool {
    device.packets.0 < before.packets.0 || device.packets.1 < before.packets.1
}

fn label(names: &mut BTreeSet<String>, name: &str) -> String {
    if !names.contains(name) {
        if names.len() >= MOST_NAMES {
            return "other".to_owned();
        }
        names.insert(name.to_owned());
    }
    name.to_owned()
}

/// Adds what each counter of a device has grown by.
fn add<K: Copy + Ord>(
    totals: &mut BTreeMap<(String, K), u64>,
    label: &str,
    counters: &BTreeMap<K, u64>,
    before: Option<&BTreeMap<K, u64>>,
    has_begun_anew: bool,
    is_new: bool,
) {
    for (key, value) in counters {
        let growth = match before {
            Some(_) if has_begun_anew => *value,
            // What is less for a moment counts again when it is more.
            Some(counters) => counters.get(key).map_or(0, |before| value.saturating_sub(*before)),
            None if is_new => *value,
            None => 0,
        };
        *totals.entry((label.to_owned(), *key)).or_default() += growth;
    }
}

/// A device as it was read, with no counter below what it was, unless it began anew.
fn raised(device: &Device, before: &Device) -> Device {
    let mut device = device.clone();
    if has_begun_anew(&device, before) {
        return device;
    }
    for (loss, value) in &before.lost {
        let own = device.lost.entry(*loss).or_default();
        *own = (*own).max(*value);
    }
    for (allowance, value) in &before.over_allowance {
        let own = device.over_allowance.entry(*allowance).or_default();
        *own = (*own).max(*value);
    }
    device
}

#[cfg(test)]
mod tests;
