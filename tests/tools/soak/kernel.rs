//! What the kernel counted in the namespaces of all cables, and by how much that grew.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tests::kernel::account::End;
use tests::kernel::counters::Counters;
use tests::net::nft;
use tests::net::nft::Count;

use super::stage::Stage;

/// All counters at a moment without traffic.
#[derive(Debug)]
pub(crate) struct Kernel {
    stacks: BTreeMap<&'static str, [Counters; 2]>,
    filters: BTreeMap<&'static str, Count>,
}

impl Kernel {
    pub(crate) fn read(stage: &Stage) -> Result<Self> {
        let (mut stacks, mut filters) = (BTreeMap::new(), BTreeMap::new());
        for (name, pair) in stage.pairs() {
            stacks.insert(
                name,
                [Counters::at_rest(&pair.client)?, Counters::at_rest(&pair.server)?],
            );
            let mut all = Count::default();
            for namespace in [&pair.client, &pair.server] {
                for count in nft::counters(namespace)?.values() {
                    all.packets += count.packets;
                    all.bytes += count.bytes;
                }
            }
            filters.insert(name, all);
        }
        Ok(Self { stacks, filters })
    }

    /// By how much a counter of the network stack at one end of a cable has grown since `before`.
    pub(crate) fn grown(&self, before: &Self, cable: &str, end: End, counter: &str) -> Result<f64> {
        let of = |kernel: &Self| -> Result<i64> {
            let [client, server] = kernel.stacks.get(cable).with_context(|| format!("no cable {cable}"))?;
            match end {
                End::Client => client,
                End::Server => server,
            }
            .get(counter)
        };
        Ok((of(self)? - of(before)?) as f64)
    }

    /// Packets and bytes that the filters of a cable have dropped since `before`.
    pub(crate) fn filtered(&self, before: &Self, cable: &str) -> Result<[f64; 2]> {
        let of = |kernel: &Self| {
            let count = kernel.filters.get(cable).copied();
            count.with_context(|| format!("no cable {cable}"))
        };
        let (now, then) = (of(self)?, of(before)?);
        Ok([(now.packets - then.packets) as f64, (now.bytes - then.bytes) as f64])
    }
}
