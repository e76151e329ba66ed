//! Loads from kernel memory: at places that the verifier knows, and at addresses that it takes for numbers.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

pub(super) mod cast;

use super::offsets::{Global, TYPE_IN6_ADDR};
use aya_ebpf::helpers::{bpf_probe_read_kernel, generated};
use cast::cast;
use core::ptr::read_volatile;

/// Loads a field at a place the verifier knows.
///
/// # Safety
/// `base` points to the structure that `field` is a member of, as the verifier has typed it.
#[inline(always)]
pub(super) unsafe fn load<T: Copy>(base: *const u8, field: &Global<T>) -> Option<T> {
    let offset = field.offset()?;
    // SAFETY: by the contract of this function; volatile, so that the load stays where it is written.
    Some(unsafe { read_volatile(base.add(offset).cast()) })
}

/// The same for a bit-field that lies within one byte.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
pub(super) unsafe fn load_bits(base: *const u8, field: &Global<u8>) -> Option<u8> {
    let field = field.bits()?;
    // SAFETY: by the contract of this function.
    let byte = unsafe { read_volatile(base.add(field.offset as usize)) };
    if field.width == 0 {
        return Some(byte);
    }
    Some((byte >> (field.shift & 7)) & ((1u16 << (field.width & 15)) - 1) as u8)
}

/// The same for an array of words; zero when the field is absent.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
pub(super) unsafe fn load_words<T: Copy + Default, const N: usize>(base: *const u8, field: &Global<[T; N]>) -> [T; N] {
    let offset = field.offset();
    core::array::from_fn(|i| match offset {
        // SAFETY: by the contract of this function; the array lies within the structure.
        Some(offset) => unsafe { read_volatile(base.add(offset + i * size_of::<T>()).cast()) },
        None => T::default(),
    })
}

/// Loads a pointer; `None` when it is NULL or the field is absent.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
pub(super) unsafe fn load_pointer(base: *const u8, field: &Global<u64>) -> Option<*const u8> {
    let offset = field.offset()?;
    // SAFETY: by the contract of this function.
    let pointer: *const u8 = unsafe { read_volatile(base.add(offset).cast()) };
    if pointer.is_null() { None } else { Some(pointer) }
}

/// `N` words at an address that the verifier does not know as a pointer. Where it can be given a type, memory that is not there
/// reads as zero; elsewhere it is `None`.
#[inline(always)]
pub(crate) fn words_at<const N: usize>(address: u64) -> Option<[u32; N]> {
    if !TYPE_IN6_ADDR.is_set() {
        // SAFETY: the helper checks every address.
        return unsafe { bpf_probe_read_kernel(address as *const [u32; N]) }.ok();
    }
    let mut words = [0; N];
    let mut first = 0;
    while first < N {
        let part = cast(address + 4 * first as u64, &TYPE_IN6_ADDR)?.cast::<u32>();
        let mut i = 0;
        while i < 4 && first + i < N {
            // SAFETY: one of the four words of the type; volatile, so that each is loaded once.
            words[first + i] = unsafe { read_volatile(part.add(i)) };
            i += 1;
        }
        first += 4;
    }
    Some(words)
}

/// A word at an address that the verifier does not know as a pointer; memory that is not there reads as zero. There is no branch on
/// that: the compiler would look at the word before it knows that it is one, which the verifier refuses.
#[inline(always)]
pub(crate) fn word_at(address: u64) -> u32 {
    if TYPE_IN6_ADDR.is_set() {
        return words_at(address).map_or(0, |[word]| word);
    }
    let mut word = 0_u32;
    let place = &raw mut word;
    // SAFETY: the helper checks every address, and writes the word in any case; volatile, since the compiler does not see that.
    unsafe {
        generated::bpf_probe_read_kernel(place.cast(), size_of::<u32>() as u32, address as *const _);
        read_volatile(place)
    }
}

/// An address that lies at an address of this kind.
#[inline(always)]
pub(super) fn address_at(address: u64) -> Option<u64> {
    words_at(address).map(|[low, high]: [u32; 2]| (high as u64) << 32 | low as u64)
}
