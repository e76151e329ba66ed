//! `xdp_cpumap_enqueue(int map_id, unsigned int processed, unsigned int drops, int to_cpu)`, 5.10 to 7.2. Packets that XDP programs
//! redirected to another CPU are queued there; those that find the queue full are dropped. The device is not said.

use super::xdp_bulk_tx::count_unsent;
use crate::nested::programs;
use aya_ebpf::programs::BtfTracePointContext;
use common::text::{Text, named};

programs!(
    XdpCpumapEnqueue,
    "xdp_cpumap_enqueue",
    xdp_cpumap_enqueue,
    xdp_cpumap_enqueue_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    const PLACE: Text<6> = named("xdp_cpumap_enqueue");
    count_unsent(PLACE, context.arg(2), 0, None);
}
