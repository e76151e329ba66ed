//! Reads what a collection saw of listeners.

use super::{
    ReadError,
    reading::{GroupReading, Listeners},
};
use crate::Kernel;
use common::{
    map::catalog::{ACCEPT_QUEUES, PEAKS},
    tcp::{
        accept_queue::{AcceptQueues, ListenerKey, peak_before},
        group::Role,
    },
};
use std::collections::BTreeMap;

impl Kernel {
    /// Reads the map that was just written, and how full connections found the queues since the collection before.
    pub(super) fn read_listeners(
        &self,
        epoch: u64,
        slots: u32,
        groups: &BTreeMap<u32, GroupReading>,
    ) -> Result<Listeners, ReadError> {
        let mut listeners = Listeners::new();
        if self.sample_listeners.is_none() {
            return Ok(listeners);
        }
        self.object.each_entry(ACCEPT_QUEUES, |key, queues: AcceptQueues| {
            if queues.epoch == epoch {
                listeners.insert(ListenerKey::from_number(key), queues);
            }
        })?;
        let peaks = (0..).zip(self.object.values(PEAKS, slots)?);
        for (slot, peaks) in peaks {
            if let Some(group) = groups.get(&slot) {
                add_peak(&mut listeners, group, peak_before(&peaks, epoch));
            }
        }
        Ok(listeners)
    }
}

/// The connections of a listener are those of servers of its application protocol and workload.
fn add_peak(listeners: &mut Listeners, group: &GroupReading, fullness: u32) {
    let key = match group.key {
        Some(key) if key.role != Role::Server as u8 => return,
        Some(key) => Some(ListenerKey {
            protocol: key.protocol,
            workload: key.workload,
        }),
        None => None,
    };
    // The listener may be gone.
    if let Some(queues) = listeners.get_mut(&key) {
        queues.meet(fullness);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::tcp::group::GroupKey;

    #[test]
    fn a_peak_belongs_to_the_listeners_of_its_port_and_workload() {
        let group = |protocol, role| GroupReading {
            key: Some(GroupKey {
                protocol,
                role: role as u8,
                workload: 3,
                ..GroupKey::default()
            }),
            born: 0,
            counters: Default::default(),
            samples: Default::default(),
        };
        let key = |protocol| Some(ListenerKey { protocol, workload: 3 });
        let queues = AcceptQueues {
            epoch: 6,
            listeners: 1,
            fullness: 10,
            ..AcceptQueues::default()
        };
        let mut listeners = Listeners::from([(key(1), queues), (key(2), queues)]);
        for (protocol, role, found) in [
            (1, Role::Server, 40),
            (1, Role::Server, 30),
            (2, Role::Client, 50),
            (2, Role::Server, 5),
            (4, Role::Server, 60),
        ] {
            add_peak(&mut listeners, &group(protocol, role), found);
        }
        let fullness = |protocol| listeners[&key(protocol)].fullness;
        assert_eq!((fullness(1), fullness(2), listeners.len()), (40, 10, 2));
    }
}
