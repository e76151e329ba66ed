//! The loaded object: its programs, and its maps by the rows of the catalog. Each map was compared with its row once, at load, so
//! that a row tells the types of what is read and written from then on.
#![expect(unsafe_code, reason = "reads maps as the types that their rows name")]

use super::{
    mapped::Mapped,
    syscall::{self, Batch},
};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, LpmTrie, Map as Untyped, MapData, MapError, MapInfo, MapType},
    programs::Program,
    util::nr_cpus,
};
use common::map::{
    catalog::{LAYOUTS, Layout, Map, PerCpu, Prefix, SETTINGS, Sharded},
    shards,
};
use std::{
    error::Error,
    io,
    os::fd::{AsFd as _, BorrowedFd},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A map that the kernel does not let be used, or that is not as its row says.
#[derive(Debug, thiserror::Error)]
#[error("{map}: {source}")]
pub struct MapFault {
    /// Its name.
    pub map: &'static str,
    /// What is wrong.
    pub source: io::Error,
}

impl MapFault {
    /// What happened to a map.
    pub(crate) fn new<K, V>(map: Map<K, V>, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        fault(map.name(), error)
    }
}

/// A key or a value that is written: bytes without gaps, of which all are valid.
pub(crate) trait Value: Copy + FromBytes + IntoBytes + Immutable + 'static {}

impl<T: Copy + FromBytes + IntoBytes + Immutable + 'static> Value for T {}

/// A value as aya writes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Plain<T>(pub(crate) T);

// SAFETY: what aya asks of a type is what the derives of `zerocopy` have proved for it.
unsafe impl<T: Value> Pod for Plain<T> {}

/// An array that is written.
pub(crate) type ArrayMut<'a, V> = Array<&'a mut MapData, Plain<V>>;
/// A hash that is written.
pub(crate) type HashMut<'a, K, V> = HashMap<&'a mut MapData, Plain<K>, Plain<V>>;
/// A trie that is written.
pub(crate) type TrieMut<'a, K, V> = LpmTrie<&'a mut MapData, Plain<K>, Plain<V>>;

/// The loaded object. Dropping it detaches and unloads the programs.
#[derive(Debug)]
pub(crate) struct Object {
    ebpf: Ebpf,
    cpus: usize,
    /// Maps that were left out, of which only the numbers of their descriptors are left.
    left_out: Vec<Untyped>,
}

impl Object {
    /// Takes over an object that was just loaded.
    ///
    /// # Errors
    /// [`MapFault`] names a map that is not as its row says.
    pub(crate) fn new(ebpf: Ebpf) -> Result<Self, MapFault> {
        for layout in LAYOUTS {
            let map = ebpf.map(layout.name).ok_or_else(|| missing(layout.name))?;
            let info = data(layout.name, map)?
                .info()
                .map_err(|error| fault(layout.name, error))?;
            verify(layout, &Found::of(&info)).map_err(|source| MapFault {
                map: layout.name,
                source,
            })?;
        }
        let cpus = nr_cpus().map_err(|(what, error)| fault("CPUs", format!("{what}: {error}")))?;
        Ok(Self {
            ebpf,
            cpus,
            left_out: Vec::new(),
        })
    }

    /// Gives maps back to the kernel that no program reaches, before the first is loaded. Programs hold the numbers of all their
    /// maps, and the verifier looks each up, though what it leaves out uses it: these numbers stand for another map from now on.
    ///
    /// # Errors
    /// [`MapFault`]
    pub(crate) fn leave_out(&mut self, maps: &[&'static str]) -> Result<(), MapFault> {
        for name in maps {
            let map = self.ebpf.take_map(name).ok_or_else(|| missing(name))?;
            let stand_in = self.descriptor(SETTINGS)?;
            syscall::replace(data(name, &map)?.fd().as_fd(), stand_in).map_err(|error| fault(name, error))?;
            self.left_out.push(map);
        }
        Ok(())
    }

    /// Nobody asks for the numbers of maps that were left out any more.
    pub(crate) fn all_programs_are_loaded(&mut self) {
        self.left_out.clear();
    }

    /// Whether a map is there: it was not left out.
    pub(crate) fn has<K, V>(&self, map: Map<K, V>) -> bool {
        self.ebpf.map(map.name()).is_some()
    }

    /// A program.
    pub(crate) fn program(&self, name: &str) -> Option<&Program> {
        self.ebpf.program(name)
    }

    /// A program, to be loaded and attached.
    pub(crate) fn program_mut(&mut self, name: &str) -> Option<&mut Program> {
        self.ebpf.program_mut(name)
    }

    /// The descriptor of a map.
    ///
    /// # Errors
    /// [`MapFault`] when the map was taken.
    pub(crate) fn descriptor<K, V>(&self, map: Map<K, V>) -> Result<BorrowedFd<'_>, MapFault> {
        let untyped = self.ebpf.map(map.name()).ok_or_else(|| missing(map.name()))?;
        Ok(data(map.name(), untyped)?.fd().as_fd())
    }

    /// Takes a map whose reader aya has.
    ///
    /// # Errors
    /// [`MapFault`] when the map was taken.
    pub(crate) fn take<K, V, M>(&mut self, map: Map<K, V>) -> Result<M, MapFault>
    where
        M: TryFrom<Untyped, Error = MapError>,
    {
        let untyped = self.ebpf.take_map(map.name()).ok_or_else(|| missing(map.name()))?;
        M::try_from(untyped).map_err(|error| fault(map.name(), error))
    }

    /// An array, to be written.
    ///
    /// # Errors
    /// [`MapFault`]
    pub(crate) fn array<V: Value>(&mut self, map: Map<u32, V>) -> Result<ArrayMut<'_, V>, MapFault> {
        self.typed(map)
    }

    /// A hash, to be written.
    ///
    /// # Errors
    /// [`MapFault`]
    pub(crate) fn hash<K: Value, V: Value>(&mut self, map: Map<K, V>) -> Result<HashMut<'_, K, V>, MapFault> {
        self.typed(map)
    }

    /// A trie, to be written.
    ///
    /// # Errors
    /// [`MapFault`]
    pub(crate) fn trie<K: Value, V: Value>(&mut self, map: Map<Prefix<K>, V>) -> Result<TrieMut<'_, K, V>, MapFault> {
        self.typed(map)
    }

    fn typed<'a, K, V, M>(&'a mut self, map: Map<K, V>) -> Result<M, MapFault>
    where
        M: TryFrom<&'a mut Untyped, Error = MapError>,
    {
        let untyped = self.ebpf.map_mut(map.name()).ok_or_else(|| missing(map.name()))?;
        M::try_from(untyped).map_err(|error| fault(map.name(), error))
    }

    /// Sets the value of an array.
    ///
    /// # Errors
    /// [`MapFault`]
    pub(crate) fn set<V: Value>(&mut self, map: Map<u32, V>, index: u32, value: V) -> Result<(), MapFault> {
        let result = self.array(map)?.set(index, Plain(value), 0);
        result.map_err(|error| fault(map.name(), error))
    }

    /// The first `entries` values of an array.
    ///
    /// # Errors
    /// [`MapFault`] when the kernel refuses.
    pub(crate) fn values<V: FromBytes + Copy>(&self, map: Map<u32, V>, entries: u32) -> Result<Vec<V>, MapFault> {
        let mut values = Vec::with_capacity(entries as usize);
        self.each_value(map, entries, 1, |value: &[V]| values.extend_from_slice(value))?;
        Ok(values)
    }

    /// The first `entries` values of a per-CPU array, summed over CPUs.
    ///
    /// # Errors
    /// [`MapFault`] when the kernel refuses.
    pub(crate) fn sums<V: FromBytes + Copy>(
        &self,
        map: Map<u32, PerCpu<V>>,
        entries: u32,
        add: impl Fn(&mut V, &V),
    ) -> Result<Vec<V>, MapFault> {
        let mut sums = Vec::with_capacity(entries as usize);
        self.each_value(map, entries, self.cpus, |of_cpus: &[V]| {
            if let Some((first, rest)) = of_cpus.split_first() {
                let mut sum = *first;
                rest.iter().for_each(|more| add(&mut sum, more));
                sums.push(sum);
            }
        })?;
        Ok(sums)
    }

    /// The first `slots` values of an array in shards, summed over these. In each shard the array has room for `capacity` slots.
    ///
    /// # Errors
    /// [`MapFault`] when the kernel does not let it be mapped.
    pub(crate) fn sums_of_shards<V: FromBytes + Copy>(
        &self,
        map: Map<u32, Sharded<V>>,
        (shards, capacity): (u32, u32),
        slots: u32,
        add: impl Fn(&mut V, &V),
    ) -> Result<Vec<V>, MapFault> {
        let words = size_of::<V>() / size_of::<u64>();
        let (slots, stride) = (slots as usize, shards::stride(capacity) as usize);
        let mut sums = vec![V::new_zeroed(); slots];
        let descriptor = self.descriptor(map)?;
        for shard in 0..shards as usize {
            let mapped = Mapped::new(descriptor, shard * stride * words, slots * words);
            let mapped = mapped.map_err(|error| MapFault::new(map, error))?;
            let mut sums = sums.iter_mut();
            mapped.each_value(|value| {
                if let Some(sum) = sums.next() {
                    add(sum, &value);
                }
            });
        }
        Ok(sums)
    }

    /// Calls `each` with the `per_key` values of each of the first `entries` entries of an array: of one that is per CPU as many as
    /// there are CPUs.
    fn each_value<M, V: FromBytes + Copy>(
        &self,
        map: Map<u32, M>,
        entries: u32,
        per_key: usize,
        mut each: impl FnMut(&[V]),
    ) -> Result<(), MapFault> {
        /// Entries per call: enough to make the call cheap, few enough to keep the buffer small.
        const STEP: u32 = 64;
        let descriptor = self.descriptor(map)?;
        let mut left = entries;
        let mut from = None;
        while left > 0 {
            let count = left.min(STEP);
            // SAFETY: the map is as its row says, by `new`; the callers read a row of `V` once and one of `PerCpu<V>` for each CPU.
            let batch: io::Result<Batch<u32, V>> = unsafe { syscall::lookup_batch(descriptor, from, count, per_key) };
            let batch = batch.map_err(|source| MapFault {
                map: map.name(),
                source,
            })?;
            batch.values.chunks_exact(per_key).for_each(&mut each);
            left -= count;
            match batch.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        Ok(())
    }

    /// Calls `each` for every entry of a hash. An entry that is added meanwhile may be left out, none is given twice unless
    /// the kernel does so.
    ///
    /// # Errors
    /// [`MapFault`] when the kernel refuses.
    pub(crate) fn each_entry<K: FromBytes + Copy, V: FromBytes + Copy>(
        &self,
        map: Map<K, V>,
        mut each: impl FnMut(K, V),
    ) -> Result<(), MapFault> {
        let descriptor = self.descriptor(map)?;
        self.each_batch(map, |from, count| {
            // SAFETY: the map is as its row says, by `new`; a per-CPU map has a row of `PerCpu`, which no bytes make.
            let batch: Batch<K, V> = unsafe { syscall::lookup_batch(descriptor, from, count, 1) }?;
            let entries = batch.keys.into_iter().zip(batch.values);
            entries.for_each(|(key, value)| each(key, value));
            Ok(batch.next)
        })
    }

    /// Looks up a hash, so many entries at most at a time: from the beginning, then from where the last look-up says.
    pub(super) fn each_batch<K, V>(
        &self,
        map: Map<K, V>,
        mut look_up: impl FnMut(Option<u64>, u32) -> io::Result<Option<u64>>,
    ) -> Result<(), MapFault> {
        let mut count = 256;
        let mut from = None;
        loop {
            match look_up(from, count) {
                Ok(None) => return Ok(()),
                Ok(next) => from = next,
                // A bucket is given whole or not at all.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && count < 1 << 20 => count *= 2,
                Err(error) => return Err(MapFault::new(map, error)),
            }
        }
    }
}

/// What the kernel says of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    key: u32,
    value: u32,
    per_cpu: bool,
}

impl Found {
    fn of(info: &MapInfo) -> Self {
        let per_cpu = matches!(
            info.map_type(),
            Ok(MapType::PerCpuArray | MapType::PerCpuHash | MapType::LruPerCpuHash)
        );
        Self {
            key: info.key_size(),
            value: info.value_size(),
            per_cpu,
        }
    }
}

/// Compares a map with its row.
fn verify(layout: &Layout, found: &Found) -> io::Result<()> {
    let Layout {
        name: _,
        key,
        value,
        per_cpu,
    } = *layout;
    if (found.key as usize, found.value as usize, found.per_cpu) == (key, value, per_cpu) {
        return Ok(());
    }
    let said = |key: usize, value: usize, per_cpu| {
        let each = if per_cpu { " on each CPU" } else { "" };
        format!("keys of {key} bytes and values of {value} bytes{each}")
    };
    Err(io::Error::other(format!(
        "the object has {}, the exporter {}; they are not of the same build",
        said(found.key as usize, found.value as usize, found.per_cpu),
        said(key, value, per_cpu)
    )))
}

/// What the kinds of maps that the object has have in common. aya has no kind for storage of tasks.
fn data<'a>(name: &'static str, map: &'a Untyped) -> Result<&'a MapData, MapFault> {
    if let Untyped::Array(data)
    | Untyped::HashMap(data)
    | Untyped::LruHashMap(data)
    | Untyped::LpmTrie(data)
    | Untyped::PerCpuArray(data)
    | Untyped::PerfEventArray(data)
    | Untyped::RingBuf(data)
    | Untyped::SkStorage(data)
    | Untyped::Unsupported(data) = map
    {
        return Ok(data);
    }
    Err(fault(name, "a map of a kind that no row has"))
}

fn missing(map: &'static str) -> MapFault {
    MapFault {
        map,
        source: io::ErrorKind::NotFound.into(),
    }
}

fn fault(map: &'static str, error: impl Into<Box<dyn Error + Send + Sync>>) -> MapFault {
    MapFault {
        map,
        source: io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::OBJECT;
    use common::map::catalog::LOST;

    #[test]
    fn the_object_has_every_map_as_its_row_says() {
        let object = aya_obj::Object::parse(OBJECT).unwrap();
        let kinds = [aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY as u32];
        for layout in LAYOUTS {
            let map = &object.maps[layout.name];
            let found = Found {
                key: map.key_size(),
                value: map.value_size(),
                per_cpu: kinds.contains(&map.map_type()),
            };
            verify(layout, &found).unwrap();
        }
        assert_eq!(
            object.maps.keys().filter(|name| !name.starts_with('.')).count(),
            LAYOUTS.len()
        );
    }

    #[test]
    fn a_map_of_another_size_or_kind_is_refused() {
        let layout = LAYOUTS.iter().find(|layout| layout.name == LOST.name()).unwrap();
        let found = Found {
            key: 4,
            value: u32::try_from(layout.value).unwrap(),
            per_cpu: true,
        };
        verify(layout, &found).unwrap();
        let refused = [
            Found { key: 8, ..found },
            Found {
                value: found.value - 8,
                ..found
            },
            Found {
                per_cpu: false,
                ..found
            },
        ];
        for found in refused {
            let error = verify(layout, &found).unwrap_err().to_string();
            assert!(error.contains("not of the same build"), "{error}");
        }
    }
}
