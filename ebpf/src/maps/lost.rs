//! Counts of what the programs could not do.
#![expect(unsafe_code, reason = "a counter is reached through a raw pointer into a map value")]

use super::LOST;
use crate::atomic;
use common::map::lost::Lost;

/// Counts what could not be done.
#[inline(always)]
pub(crate) fn count_lost(lost: Lost) {
    if let Some(counter) = LOST.get_ptr_mut(lost as u32) {
        // SAFETY: a word of a map value.
        unsafe { atomic::add(counter, 1) };
    }
}
