//! Access to map memory that others touch, too (hooks, the iterator, interrupts on one CPU): atomic, or plain where it is known that
//! nobody comes between.
#![expect(unsafe_code, reason = "map memory is reached through raw pointers")]

use crate::kernel::offsets::HAS_ONE_RUN_PER_CPU;
use common::{
    kernel::verifier::forgotten,
    memory::shared::{Scalar, Shared},
};
use core::{
    intrinsics::{AtomicOrdering, atomic_cxchg, atomic_or, atomic_xadd},
    ptr::{read_volatile, write_volatile},
};

/// Adds to a counter, wrapping.
///
/// # Safety
/// `counter` points to an aligned word of a map value that the verifier has checked.
#[inline(always)]
pub(crate) unsafe fn add<T: Copy>(counter: *mut T, value: T) {
    // SAFETY: by the contract of this function.
    unsafe { atomic_xadd::<T, T, { AtomicOrdering::Relaxed }>(counter, value) };
}

/// Adds to a number that others write too, wrapping.
#[inline(always)]
pub(crate) fn add_to<T: Scalar>(shared: &Shared<T>, value: T) {
    // SAFETY: a reference to the number, which every CPU reaches as an atomic.
    unsafe { add(shared.as_ptr(), value) };
}

/// Adds to a counter that one program alone writes, wrapping. Where it is this CPU's own and the kernel runs a program once at a time
/// on a CPU, nobody can come between, and what an atomic operation costs is saved.
///
/// # Safety
/// As for [`add`]; besides, one program alone writes the counter, and no other CPU does if `is_own`.
#[inline(always)]
pub(crate) unsafe fn add_of_program(counter: *mut u64, value: u64, is_own: bool) {
    // SAFETY: by the contract of this function.
    unsafe {
        if is_own && HAS_ONE_RUN_PER_CPU.is_set() {
            write_volatile(counter, read_volatile(counter).wrapping_add(value));
        } else {
            add(counter, value);
        }
    }
}

/// Adds to a counter and returns what it was before.
///
/// # Safety
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn fetch_add(counter: *mut u64, value: u64) -> u64 {
    // SAFETY: by the contract of this function.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(counter, value) }
}

/// Sets bits of a word and returns what it was before.
///
/// # Safety
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn fetch_or(word: *mut u64, bits: u64) -> u64 {
    // SAFETY: by the contract of this function.
    unsafe { atomic_or::<u64, u64, { AtomicOrdering::SeqCst }>(word, bits) }
}

/// Reads a word; what is read afterwards is not older. x86_64 reads in the program's order. Other CPUs may read what comes
/// next first, even if it stands behind a condition; of what all kernels have, only an atomic operation that returns the old value
/// stops that. This one changes nothing.
#[inline(always)]
pub(crate) fn read_first(word: &Shared<u32>) -> u32 {
    if cfg!(bpf_target_arch = "x86_64") {
        word.get()
    } else {
        // SAFETY: a reference to the word, which every CPU reaches as an atomic.
        unsafe { atomic_or::<u32, u32, { AtomicOrdering::SeqCst }>(word.as_ptr(), 0) }
    }
}

/// Replaces `old` by `new`; false when the number was not `old`.
#[inline(always)]
pub(crate) fn replace<T: Scalar>(shared: &Shared<T>, old: T, new: T) -> bool {
    // SAFETY: a reference to the number, which every CPU reaches as an atomic.
    unsafe { replace_at(shared.as_ptr(), old, new) }
}

/// [`replace`] through a pointer.
///
/// # Safety
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn replace_at<T: Copy + PartialEq>(word: *mut T, old: T, new: T) -> bool {
    // SAFETY: by the contract of this function.
    unsafe { atomic_cxchg::<T, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(word, old, new).1 }
}

/// The element of an array at an index that is not constant; `None` beyond its end.
///
/// # Safety
/// `array` points to an array within a map value that the verifier has checked.
#[inline(always)]
pub(crate) unsafe fn element<const N: usize>(array: *mut [u64; N], index: usize) -> Option<*mut u64> {
    let index = forgotten(index);
    if index >= N {
        return None;
    }
    // SAFETY: within the array.
    Some(unsafe { array.cast::<u64>().add(index) })
}
