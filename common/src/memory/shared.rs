//! Numbers in map memory that several CPUs read and write at a time. `core::sync::atomic` has none below 64 bits on the BPF target.
#![expect(unsafe_code, reason = "reads and writes a number that others change meanwhile")]

use core::{
    cell::UnsafeCell,
    fmt::{Debug, Formatter, Result},
    ptr::{read_volatile, write_volatile},
};

/// A number that is read and written whole, as by the kernel's `READ_ONCE` and `WRITE_ONCE`, without any order to others. Where two
/// write it, they do so by atomic instructions at [`Shared::as_ptr`].
#[derive(Default)]
#[repr(transparent)]
pub struct Shared<T>(UnsafeCell<T>);

/// A number of the machine: an aligned load or store of it is one access.
pub trait Scalar: Copy + PartialEq {
    /// The sum, wrapping.
    #[must_use]
    fn plus(self, more: Self) -> Self;
}

// SAFETY: every access is one of a whole number.
unsafe impl<T: Scalar> Sync for Shared<T> {}

impl<T: Scalar> Shared<T> {
    /// A number.
    pub const fn new(number: T) -> Self {
        Self(UnsafeCell::new(number))
    }

    /// Its value now.
    #[inline(always)]
    pub fn get(&self) -> T {
        // SAFETY: one load of an aligned number, which the compiler neither splits nor repeats.
        unsafe { read_volatile(self.as_ptr()) }
    }

    /// Gives it another value.
    #[inline(always)]
    pub fn set(&self, number: T) {
        // SAFETY: one store of an aligned number, which the compiler neither splits nor repeats.
        unsafe { write_volatile(self.as_ptr(), number) }
    }

    /// Adds to it, wrapping, where nobody else writes it: others read the old value or the new one.
    #[inline(always)]
    pub fn grow(&self, more: T) {
        self.set(self.get().plus(more));
    }

    /// Where it lies, for atomic instructions.
    #[inline(always)]
    pub const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }
}

impl<T: Scalar + Debug> Debug for Shared<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.get().fmt(f)
    }
}

macro_rules! numbers {
    ($($number:ty)+) => {
        $(
            impl Scalar for $number {
                #[inline(always)]
                fn plus(self, more: Self) -> Self {
                    self.wrapping_add(more)
                }
            }
        )+
    };
}

numbers! { u8 u16 u32 u64 }
