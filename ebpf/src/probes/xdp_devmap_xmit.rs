//! `xdp_devmap_xmit(const struct net_device *from_dev, const struct net_device *to_dev, int sent, int drops, int err)`, 5.10 to 7.2.
//! Packets that XDP programs redirected to a device are sent together, and those that find no room or no peer are dropped.

use super::xdp_bulk_tx::count_unsent;
use crate::{kernel::Device, nested::programs};
use aya_ebpf::programs::BtfTracePointContext;
use common::text::{Text, named};

programs!(
    XdpDevmapXmit,
    "xdp_devmap_xmit",
    xdp_devmap_xmit,
    xdp_devmap_xmit_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    const PLACE: Text<6> = named("xdp_devmap_xmit");
    count_unsent(PLACE, context.arg(3), context.arg(4), Device::argument(context, 0));
}
