//! `xdp_bulk_tx(const struct net_device *dev, int sent, int drops, int err)`, 5.10 to 7.2. A driver sends the packets together that
//! XDP programs returned to it (`XDP_TX`), and drops those that find no room or no peer.

use crate::{drops, kernel::Device, label::devices, nested::programs};
use aya_ebpf::programs::BtfTracePointContext;
use common::{
    drops::{DropSource, NamedDropKey, unsent},
    text::{Text, named},
};

programs!(XdpBulkTx, "xdp_bulk_tx", xdp_bulk_tx, xdp_bulk_tx_nested, on_event);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    const PLACE: Text<6> = named("xdp_bulk_tx");
    count_unsent(PLACE, context.arg(2), context.arg(3), Device::argument(context, 0));
}

/// Counts packets that came in by a device, if it is known, and were not sent on.
#[inline(always)]
pub(super) fn count_unsent(place: Text<6>, packets: i32, error: i32, device: Option<Device>) {
    if packets <= 0 {
        return;
    }
    let key = NamedDropKey {
        place,
        cause: unsent(error),
        connection: device.map_or(devices::UNKNOWN, devices::of_device),
        source: DropSource::Xdp as u8,
        ..NamedDropKey::default()
    };
    drops::count_named(&key, DropSource::Xdp, packets.unsigned_abs() as u64, 0);
}
