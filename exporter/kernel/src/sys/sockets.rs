//! Tables of sockets, and the list by which they are walked.
#![expect(unsafe_code, reason = "reads and writes maps as the types that their rows name")]

use super::{
    object::{MapFault, Object},
    syscall::{self, Batch},
};
use common::map::{catalog::Map, table::Kept};
use std::mem::offset_of;

impl Object {
    /// The sockets in a table, by their cookies: those that are there, and those that have gone.
    ///
    /// # Errors
    /// [`MapFault`] when the kernel refuses.
    pub(crate) fn sockets<S>(&self, map: Map<u64, Kept<S>>) -> Result<(Vec<u64>, Vec<u64>), MapFault> {
        let descriptor = self.descriptor(map)?;
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        let size = size_of::<Kept<S>>();
        let mark = offset_of!(Kept<S>, is_gone);
        self.each_batch(map, |from, count| {
            // SAFETY: the map is as its row says, by `new`; a value is so many bytes.
            let batch: Batch<u64, u8> = unsafe { syscall::lookup_batch(descriptor, from, count, size) }?;
            for (cookie, value) in batch.keys.iter().zip(batch.values.chunks_exact(size)) {
                let is_gone = value.iter().skip(mark).take(size_of::<u32>()).any(|byte| *byte != 0);
                if is_gone { &mut gone } else { &mut there }.push(*cookie);
            }
            Ok(batch.next)
        })?;
        Ok((there, gone))
    }

    /// Removes sockets from a table.
    ///
    /// # Errors
    /// [`MapFault`] when the kernel refuses.
    pub(crate) fn remove_sockets<S>(&self, map: Map<u64, Kept<S>>, cookies: &[u64]) -> Result<(), MapFault> {
        let descriptor = self.descriptor(map)?;
        for cookie in cookies {
            // SAFETY: the map is as its row says, by `new`.
            unsafe { syscall::remove(descriptor, cookie) }.map_err(|error| MapFault::new(map, error))?;
        }
        Ok(())
    }

    /// Sets the first values of an array.
    ///
    /// # Errors
    /// [`MapFault`] when the kernel refuses.
    pub(crate) fn set_first(&self, map: Map<u32, u64>, values: &[u64]) -> Result<(), MapFault> {
        // SAFETY: the map is as its row says, by `new`.
        let set = unsafe { syscall::set_first(self.descriptor(map)?, values) };
        set.map_err(|error| MapFault::new(map, error))
    }
}
