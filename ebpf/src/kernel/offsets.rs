//! Every kernel field we read and every fact about the running kernel, as read-only globals that the exporter fills in
//! before loading. What is not filled in is absent.
#![expect(
    unsafe_code,
    reason = "globals are exported by name and read volatile, so that the compiler does not fold them"
)]

use common::kernel::fields::FieldOffset;
use core::{
    marker::PhantomData,
    ptr::{from_ref, read_volatile},
};

/// The offset of a field of type `T`.
#[repr(transparent)]
pub(crate) struct Global<T>(u64, PhantomData<T>);

impl<T> Global<T> {
    const ABSENT: Self = Self(FieldOffset::ABSENT, PhantomData);

    /// Where the field lies on the running kernel, to the bit; `None` when that kernel does not have it.
    #[inline(always)]
    pub(crate) fn bits(&self) -> Option<FieldOffset> {
        // SAFETY: a reference to a static of this object.
        FieldOffset::decode(unsafe { read_volatile(from_ref(&self.0)) })
    }

    /// The offset alone, of a field that is no bit-field: the lower half of the global, which takes fewer instructions.
    #[inline(always)]
    pub(crate) fn offset(&self) -> Option<usize> {
        // SAFETY: as above; numbers are little-endian here.
        FieldOffset::decode_offset(unsafe { read_volatile(from_ref(&self.0).cast()) }).map(|offset| offset as usize)
    }
}

macro_rules! globals {
    ($($global:ident: $type:ty = $structure:literal . $member:literal;)+) => {
        $(
            #[doc = concat!("`", $structure, ".", $member, "`")]
            #[unsafe(no_mangle)]
            pub(crate) static $global: Global<$type> = Global::ABSENT;
        )+
    };
}

common::kernel_fields!(globals);

/// A number that the exporter sets.
#[repr(transparent)]
pub(crate) struct Fact(u64);

impl Fact {
    /// Its value.
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        // SAFETY: a reference to a static of this object.
        unsafe { read_volatile(from_ref(&self.0)) }
    }

    /// Whether it is set.
    #[inline(always)]
    pub(crate) fn is_set(&self) -> bool {
        self.get() != 0
    }

    /// Whether it is set to this number.
    #[inline(always)]
    pub(crate) fn is(&self, number: u32) -> bool {
        self.is_set() && number as u64 == self.get()
    }
}

macro_rules! facts {
    ($($(#[$doc:meta])* $fact:ident;)+) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            pub(crate) static $fact: Fact = Fact(0);
        )+
    };
}

common::kernel_facts!(facts);
