//! What a process holds: capabilities, kernel programs and their maps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};

use anyhow::{Context as _, Result};
use aya::maps::MapInfo;

use crate::kernel::syscalls::map_keys;

/// The five capability sets of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `CapInh`
    pub inheritable: u64,
    /// `CapPrm`
    pub permitted: u64,
    /// `CapEff`
    pub effective: u64,
    /// `CapBnd`
    pub bounding: u64,
    /// `CapAmb`
    pub ambient: u64,
}

impl Capabilities {
    /// Reads them.
    pub fn of(process: u32) -> Result<Self> {
        let set = |key: &str| {
            let value = status(process, key)?;
            u64::from_str_radix(&value, 16).with_context(|| format!("{key} is {value}"))
        };
        Ok(Self {
            inheritable: set("CapInh")?,
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
            bounding: set("CapBnd")?,
            ambient: set("CapAmb")?,
        })
    }
}

/// One line of `/proc/PID/status`: the text after `key:`.
pub fn status(process: u32, key: &str) -> Result<String> {
    let path = format!("/proc/{process}/status");
    let text = read_to_string(&path).with_context(|| format!("read {path}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
        .with_context(|| format!("{path} has no line {key}"))
}

/// Numbers of the kernel programs that a process keeps loaded, by itself or through a link.
pub fn programs_of(process: u32) -> Result<BTreeSet<u32>> {
    let mut programs = BTreeSet::new();
    for text in descriptors(process)? {
        let number = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
        programs.extend(number.and_then(|number| number.trim().parse::<u32>().ok()));
    }
    Ok(programs)
}

/// How many links to kernel programs a process holds: what it has attached, and not only loaded.
pub fn links_of(process: u32) -> Result<usize> {
    let is_link = |text: &String| text.lines().any(|line| line.starts_with("link_type:"));
    Ok(descriptors(process)?.iter().filter(|text| is_link(text)).count())
}

/// Bytes of kernel memory that the maps of a process take, as the kernel accounts them: since Linux 6.4 all that they take.
pub fn maps_memory_of(process: u32) -> Result<u64> {
    let mut maps = BTreeMap::new();
    for text in descriptors(process)? {
        let of = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        if let (Some(map), Some(memory)) = (of("map_id"), of("memlock")) {
            maps.insert(map.trim().to_owned(), memory.trim().parse::<u64>()?);
        }
    }
    Ok(maps.values().sum())
}

/// What the kernel says of each descriptor of a process.
fn descriptors(process: u32) -> Result<Vec<String>> {
    let path = format!("/proc/{process}/fdinfo");
    let mut said = Vec::new();
    for entry in read_dir(&path).with_context(|| format!("list {path}"))? {
        // A descriptor may be closed between the listing and the reading.
        said.extend(read_to_string(entry?.path()));
    }
    Ok(said)
}

/// Those of `programs` that the kernel still has.
pub fn still_loaded(programs: &BTreeSet<u32>) -> Result<BTreeSet<u32>> {
    let mut loaded = BTreeSet::new();
    for program in aya::programs::loaded_programs() {
        // One may be unloaded between the listing and the look.
        let Ok(program) = program else { continue };
        if programs.contains(&program.id()) {
            loaded.insert(program.id());
        }
    }
    Ok(loaded)
}

/// A map at one moment.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// Its name, as far as the kernel keeps it.
    pub name: String,
    /// Number of its keys, where the kernel lists them and they are not all there from the beginning.
    pub keys: Option<u64>,
}

/// The maps that these programs use, by number.
pub fn maps_of(programs: &BTreeSet<u32>) -> Result<BTreeMap<u32, Map>> {
    let mut numbers = BTreeSet::new();
    for program in aya::programs::loaded_programs() {
        let Ok(program) = program else { continue };
        if programs.contains(&program.id()) {
            numbers.extend(program.map_ids()?.unwrap_or_default());
        }
    }
    let mut maps = BTreeMap::new();
    for number in numbers {
        let info = MapInfo::from_id(number)?;
        let map = Map {
            name: info.name_as_str().unwrap_or_default().to_owned(),
            keys: map_keys(&info)?,
        };
        maps.insert(number, map);
    }
    Ok(maps)
}

/// How many entries the map of this name has that a process uses.
pub fn entries_of(process: u32, name: &str) -> Result<u64> {
    let maps = maps_of(&programs_of(process)?)?;
    let map = maps.into_values().find(|map| map.name == name);
    map.and_then(|map| map.keys).with_context(|| format!("no map {name}"))
}
