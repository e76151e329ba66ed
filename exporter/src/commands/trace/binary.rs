//! The binary form of a trace, byte by byte as docs/trace-format.md has it: a header, then records of one size. All numbers
//! are little-endian, each is written and read by itself.
//!
//! A field is never moved, and a version that was once written is read for ever.

mod coded;
mod fault;

use super::{
    item::{Item, LostEvents, Setting},
    names::TraceNames,
};
use coded::{Coded, put_text, take_checked, take_text};
use common::tcp::{event::EventKind, record::FlowRecord};
use std::{collections::HashMap, io::Read};
use tcpvitals_config::Fallback;
use tcpvitals_metrics::workloads::{Instance, Workload};

pub use fault::Fault;

/// How a trace begins.
const MAGIC: [u8; 8] = *b"TCPVITAL";
/// Of a trace without workloads.
const PLAIN: u16 = 1;
/// Of one with workloads.
const WITH_WORKLOADS: u16 = 2;
/// Of one with their pods and containers too.
const WITH_INSTANCES: u16 = 3;
/// Written as a number: a file in the other byte order has it reversed.
const BYTE_ORDER: u16 = 0xfeff;
/// The fixed part of the header, in bytes.
const HEADER: u32 = 40;
/// A record, in bytes.
const RECORD: u32 = 320;
/// The kind of a record that tells of lost events.
const LOST: u32 = 6;
/// The kind of a record that names a part of a workload, from version 2 on: its namespace, its kind, and last its name.
const WORKLOAD: u32 = 7;
/// The kind of a record that names a pod or a container, from version 3 on: the pod first.
const INSTANCE: u32 = 8;
/// Longest text in a record.
const LONGEST_TEXT: usize = RECORD as usize - 10;
/// Most workloads: a record has 16 bits for their number.
const MOST_WORKLOADS: usize = 1 << 16;
/// Longest header that is read: more names than any configuration has.
const LONGEST_HEADER: u32 = 24 << 20;
/// Most names of one kind, which is as many as a configuration can have.
const MOST_NAMES: u32 = 400_000;

/// The header of a trace.
pub fn header(setting: &Setting) -> Vec<u8> {
    let names = encode_names(&setting.names);
    let length = u32::try_from(names.len()).unwrap_or(LONGEST_HEADER);
    let mut out = MAGIC.to_vec();
    version_of(&setting.names).put(&mut out);
    BYTE_ORDER.put(&mut out);
    (HEADER + length).put(&mut out);
    RECORD.put(&mut out);
    0u32.put(&mut out);
    setting.clock_base.put(&mut out);
    0u64.put(&mut out);
    out.extend(names);
    out
}

/// What has no workloads stays readable for those who know none.
const fn version_of(names: &TraceNames) -> u16 {
    match (&names.workloads, &names.instances) {
        (None, _) => PLAIN,
        (Some(_), None) => WITH_WORKLOADS,
        (Some(_), Some(_)) => WITH_INSTANCES,
    }
}

/// A record of a trace, or those that name a workload.
pub fn record(item: &Item) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD as usize);
    match item {
        Item::Event(kind, record) => {
            (*kind as u32).put(&mut out);
            // A number that was given for it, not the cgroup's id.
            u32::try_from(record.cgroup).unwrap_or(0).put(&mut out);
            record.put(&mut out);
        }
        Item::Lost(LostEvents { now, count }) => {
            LOST.put(&mut out);
            0u32.put(&mut out);
            now.put(&mut out);
            count.put(&mut out);
            out.resize(RECORD as usize, 0);
        }
        Item::Workload(Workload { namespace, kind, name }) => put_parts(WORKLOAD, &[namespace, kind, name], &mut out),
        Item::Instance(Instance { pod, container_id }) => put_parts(INSTANCE, &[pod, container_id], &mut out),
    }
    out
}

/// A record for each part of a name.
fn put_parts(kind: u32, texts: &[&str], out: &mut Vec<u8>) {
    for (part, text) in (0u32..).zip(texts) {
        let end = out.len() + RECORD as usize;
        kind.put(out);
        part.put(out);
        put_text(&text[..text.floor_char_boundary(LONGEST_TEXT)], out);
        out.resize(end, 0);
    }
}

/// Reads a trace item by item.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    at: u64,
    setting: Setting,
    version: u16,
    /// Namespace and kind of a workload whose name follows.
    parts: Vec<String>,
    /// How many workloads were read.
    workloads: usize,
    /// A pod whose container follows.
    pod: Option<String>,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Fault`]
    pub fn new(mut from: R) -> Result<Self, Fault> {
        let fixed = fill(&mut from, 0, HEADER)?;
        if fixed.is_empty() {
            return Err(Fault::Empty);
        }
        if !fixed.starts_with(&MAGIC) {
            let found = fixed.into_iter().take(MAGIC.len()).collect();
            return Err(Fault::Magic { found });
        }
        let mut bytes = fixed.get(MAGIC.len()..).unwrap_or_default();
        let (version, byte_order) = (u16::take(&mut bytes), u16::take(&mut bytes));
        let (length, size) = (u32::take(&mut bytes), u32::take(&mut bytes));
        let _reserved = u32::take(&mut bytes);
        let clock_base = u64::take(&mut bytes);
        // A short file has a short header: its zeros are no version.
        if fixed.len() >= 12 && byte_order != BYTE_ORDER {
            return Err(Fault::ByteOrder { found: byte_order });
        }
        if fixed.len() >= 12 && !(PLAIN..=WITH_INSTANCES).contains(&version) {
            return Err(Fault::Version { found: version });
        }
        if fixed.len() < HEADER as usize {
            let at = fixed.len() as u64;
            return Err(truncated(at, 0, "header"));
        }
        if size != RECORD {
            let what = "the size of a record is not that of this version";
            return Err(Fault::Header { at: 16, what });
        }
        if !(HEADER..=LONGEST_HEADER).contains(&length) {
            let what = "the length of the header is impossible";
            return Err(Fault::Header { at: 12, what });
        }
        let rest = fill(&mut from, HEADER.into(), length - HEADER)?;
        if rest.len() < (length - HEADER) as usize {
            return Err(truncated(u64::from(HEADER) + rest.len() as u64, 0, "header"));
        }
        let mut names = decode_names(&rest).ok_or(Fault::Header {
            at: HEADER.into(),
            what: "the names are cut off, too many or no text",
        })?;
        names.workloads = (version >= WITH_WORKLOADS).then(Vec::new);
        names.instances = (version >= WITH_INSTANCES).then(HashMap::new);
        Ok(Self {
            from,
            at: length.into(),
            setting: Setting { names, clock_base },
            version,
            parts: Vec::new(),
            workloads: 0,
            pod: None,
        })
    }

    /// What the items are shown with.
    pub const fn setting(&self) -> &Setting {
        &self.setting
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// [`Fault`]
    pub fn read(&mut self) -> Result<Option<Item>, Fault> {
        loop {
            let bytes = fill(&mut self.from, self.at, RECORD)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let began = self.at;
            self.at += bytes.len() as u64;
            if bytes.len() < RECORD as usize {
                return Err(truncated(self.at, began, "record"));
            }
            let mut bytes = bytes.as_slice();
            let kind = u32::take(&mut bytes);
            let second = u32::take(&mut bytes);
            match kind {
                LOST => {
                    let (now, count) = (u64::take(&mut bytes), u64::take(&mut bytes));
                    return Ok(Some(Item::Lost(LostEvents { now, count })));
                }
                WORKLOAD if self.version >= WITH_WORKLOADS => {
                    if let Some(workload) = self.part_of_workload(began, second, bytes)? {
                        return Ok(Some(Item::Workload(workload)));
                    }
                }
                INSTANCE if self.version >= WITH_INSTANCES => {
                    if let Some(instance) = self.part_of_instance(began, second, bytes)? {
                        return Ok(Some(Item::Instance(instance)));
                    }
                }
                kind => {
                    let version = self.version;
                    let known = EventKind::from_number(kind);
                    let kind = known.ok_or(Fault::Kind {
                        at: began,
                        kind,
                        version,
                    })?;
                    let cgroup = if version >= WITH_INSTANCES { second.into() } else { 0 };
                    let record = FlowRecord {
                        cgroup,
                        ..FlowRecord::take(&mut bytes)
                    };
                    return Ok(Some(Item::Event(kind, record)));
                }
            }
        }
    }

    /// Takes a part of a workload, and gives that with its last one.
    fn part_of_workload(&mut self, at: u64, part: u32, mut bytes: &[u8]) -> Result<Option<Workload>, Fault> {
        let fault = |what| Fault::Workload { at, what };
        let text = take_text(&mut bytes).ok_or(fault("the name of a workload is cut off or no text"))?;
        if usize::try_from(part).ok() != Some(self.parts.len()) {
            return Err(fault("a part of a workload is not the next one"));
        }
        self.parts.push(text);
        let [namespace, kind, name] = match std::mem::take(&mut self.parts).try_into() {
            Ok(parts) => parts,
            Err(parts) => {
                self.parts = parts;
                return Ok(None);
            }
        };
        self.workloads += 1;
        if self.workloads > MOST_WORKLOADS {
            return Err(fault("there are more workloads than can be"));
        }
        Ok(Some(Workload { namespace, kind, name }))
    }

    /// Takes a pod, and gives it with its container.
    fn part_of_instance(&mut self, at: u64, part: u32, mut bytes: &[u8]) -> Result<Option<Instance>, Fault> {
        let fault = |what| Fault::Workload { at, what };
        let text = take_text(&mut bytes).ok_or(fault("the name of a pod or a container is cut off or no text"))?;
        match (part, self.pod.take()) {
            (0, None) => {
                self.pod = Some(text);
                Ok(None)
            }
            (1, Some(pod)) => Ok(Some(Instance {
                pod,
                container_id: text,
            })),
            _ => Err(fault("a part of a pod and its container is not the next one")),
        }
    }
}

const fn truncated(at: u64, began: u64, part: &'static str) -> Fault {
    Fault::Truncated { at, began, part }
}

/// As many bytes as asked for, or all that are left.
fn fill(from: &mut impl Read, at: u64, length: u32) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = from.take(length.into()).read_to_end(&mut bytes);
    read.map_err(|source| Fault::Read { at, source })?;
    Ok(bytes)
}

/// TraceNames: the fallback, the subnets, the protocols. A text is its length in 16 bits and its bytes.
fn encode_names(names: &TraceNames) -> Vec<u8> {
    let TraceNames {
        subnets,
        protocols,
        fallback,
        // Records tell of them.
        workloads: _,
        instances: _,
    } = names;
    let mut out = Vec::new();
    let (name, ipv4, ipv6) = match fallback {
        Fallback::Name(name) => (name.as_str(), 0, 0),
        Fallback::Auto { ipv4, ipv6 } => ("", *ipv4, *ipv6),
    };
    ipv4.put(&mut out);
    ipv6.put(&mut out);
    put_text(name, &mut out);
    for names in [subnets, protocols] {
        u32::try_from(names.len()).unwrap_or(u32::MAX).put(&mut out);
        for name in names {
            put_text(name, &mut out);
        }
    }
    out
}

fn decode_names(mut bytes: &[u8]) -> Option<TraceNames> {
    let bytes = &mut bytes;
    let (ipv4, ipv6) = (take_checked(bytes)?, take_checked(bytes)?);
    let name = take_text(bytes)?;
    let fallback = match (ipv4, ipv6) {
        (0, 0) => Fallback::Name(name),
        (ipv4, ipv6) => Fallback::Auto { ipv4, ipv6 },
    };
    let mut texts = || {
        let count: u32 = take_checked(bytes).filter(|count| *count <= MOST_NAMES)?;
        (0..count).map(|_| take_text(bytes)).collect::<Option<Vec<_>>>()
    };
    let (subnets, protocols) = (texts()?, texts()?);
    Some(TraceNames {
        subnets,
        protocols,
        fallback,
        workloads: None,
        instances: None,
    })
}

#[cfg(test)]
mod tests;
