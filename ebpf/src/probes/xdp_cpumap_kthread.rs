//! `xdp_cpumap_kthread(int map_id, unsigned int processed, unsigned int drops, int sched, struct xdp_cpumap_stats *xdp_stats)`, 5.10 to
//! 7.2. A CPU takes packets from its queue; those that it finds no memory for are dropped. The device is not said.

use super::xdp_bulk_tx::count_unsent;
use crate::nested::programs;
use aya_ebpf::programs::BtfTracePointContext;
use common::{
    drops::OUT_OF_MEMORY,
    text::{Text, named},
};

programs!(
    XdpCpumapKthread,
    "xdp_cpumap_kthread",
    xdp_cpumap_kthread,
    xdp_cpumap_kthread_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    const PLACE: Text<6> = named("xdp_cpumap_kthread");
    count_unsent(PLACE, context.arg(2), OUT_OF_MEMORY, None);
}
