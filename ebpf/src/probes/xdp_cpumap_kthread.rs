//! `xdp_cpumap_kthread(int map_id, unsigned int processed, unsigned int drops, int sched, struct xdp_cpumap_stats *xdp_stats)`, 5.10 to
//! 7.2. A CPU takes packets from its queue; those that it finds no memory for are dropped. The device is not said.

use super::xdp_bulk_tx::count_unsent;
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use common::drops::{OUT_OF_MEMORY, Text, named};

#[btf_tracepoint(function = "xdp_cpumap_kthread")]
fn xdp_cpumap_kthread(context: BtfTracePointContext) -> i32 {
    const PLACE: Text<6> = named("xdp_cpumap_kthread");
    count_unsent(PLACE, context.arg(2), OUT_OF_MEMORY, None);
    0
}
