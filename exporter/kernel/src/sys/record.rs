//! Which types may be read from a map or an iterator as the bytes they are.
#![expect(unsafe_code, reason = "each impl is a promise about a type's layout")]

use common::{
    drops::{
        DropCounts, DropKey, NamedDropKey,
        capture::{Site, SiteState},
    },
    map::settings::Settings,
    tcp::{
        event::Event,
        group::{AlgorithmCount, GroupCounters, GroupKey, Samples},
        record::FlowRecord,
    },
};

/// A map's key or value, or what an iterator writes.
///
/// # Safety
/// The type is valid for every pattern of bits.
pub(crate) unsafe trait Record: Copy {}

// SAFETY: a number.
unsafe impl Record for u32 {}
// SAFETY: a number.
unsafe impl Record for u64 {}
// SAFETY: two numbers.
unsafe impl Record for [u64; 2] {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for AlgorithmCount {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for DropCounts {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for DropKey {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for NamedDropKey {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for Event {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for FlowRecord {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for GroupCounters {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for GroupKey {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for Samples {}

// SAFETY: `repr(C)` of numbers.
unsafe impl Record for Site {}
// SAFETY: `repr(C)` of numbers.
unsafe impl Record for SiteState {}

/// [`Site`] as aya writes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct SiteRecord(pub(crate) Site);

// SAFETY: `repr(C)` of integers without padding, as the size assertion in `common` proves.
unsafe impl aya::Pod for SiteRecord {}

/// [`SiteState`] as aya writes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct SiteStateRecord(pub(crate) SiteState);

// SAFETY: `repr(C)` of two numbers of the same size.
unsafe impl aya::Pod for SiteStateRecord {}

/// The record that these bytes are; `None` when they are too few.
pub(crate) fn from_bytes<R: Record>(bytes: &[u8]) -> Option<R> {
    let bytes = bytes.get(..size_of::<R>())?;
    // SAFETY: as many bytes as the record has, which is valid for every pattern of bits; they need not be aligned.
    Some(unsafe { bytes.as_ptr().cast::<R>().read_unaligned() })
}

/// [`Settings`] as aya writes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct SettingsRecord(pub(crate) Settings);

// SAFETY: `repr(C)` of integers without padding, as the size assertion in `common` proves.
unsafe impl aya::Pod for SettingsRecord {}
