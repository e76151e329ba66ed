//! The dump: one record for each live flow.

use crate::{Kernel, read::ReadError, sys::syscall::MapIterator};
use common::{kernel::programs::DUMP, map::catalog::FLOW_TABLE, tcp::record::FlowRecord};
use std::collections::HashSet;

impl Kernel {
    /// Every established flow: those of [`Self::dump_with_opens`] without opens in progress.
    ///
    /// # Errors
    /// As there.
    pub fn dump(&mut self) -> Result<Vec<FlowRecord>, ReadError> {
        let mut records = self.dump_with_opens()?;
        records.retain(|record| record.flags != 0);
        Ok(records)
    }

    /// Every live flow that the programs know, and every open of this host whose SYN has no answer yet: these have no flags, and
    /// `started` is when the SYN was sent. In no order, and without those that are older than the programs and have been silent
    /// since, unless they were open in this network namespace.
    ///
    /// The kernel gives a few pages at a time. While other flows open and close between two of them, a flow may be left out;
    /// one that is given twice is taken as it was last. Runs once at a time, as the program has one place to write.
    ///
    /// # Errors
    /// [`ReadError::NoDump`] when the program does not run, [`ReadError::Dump`] when the kernel does not let it.
    pub fn dump_with_opens(&mut self) -> Result<Vec<FlowRecord>, ReadError> {
        let Some(dump) = self.dump.clone() else {
            let reason = self.plan.why_off(DUMP).map(ToString::to_string);
            let reason = reason.unwrap_or_else(|| "it is not in the plan".to_owned());
            return Err(ReadError::NoDump(DUMP, reason));
        };
        let mut records: Vec<FlowRecord> = Vec::new();
        let read = |dump: &MapIterator| dump.read().map(|more: Vec<FlowRecord>| records.extend(more));
        self.visit(&dump, FLOW_TABLE, read, ReadError::Dump)?;
        Ok(each_once(records))
    }
}

/// The last record of each socket. In place, since flows are many.
fn each_once(mut records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    let mut seen = HashSet::with_capacity(records.len());
    records.reverse();
    records.retain(|record| seen.insert(record.cookie));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_is_given_twice_is_taken_as_it_was_last() {
        let record = |cookie, segs_out| FlowRecord {
            cookie,
            segs_out,
            ..FlowRecord::default()
        };
        let given = vec![record(1, 5), record(2, 6), record(1, 7)];
        assert_eq!(each_once(given), [record(1, 7), record(2, 6)]);
    }
}
