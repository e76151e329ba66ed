//! `devlink_trap_report(const struct devlink *devlink, struct sk_buff *skb, const struct devlink_trap_metadata *metadata)`, 5.10
//! to 7.2. A device hands over a packet that it dropped or could not forward, or control traffic, which is no drop.

use crate::{
    drops,
    kernel::{SkBuff, TrapMetadata},
    label::{devices, groups, packet},
    nested::programs,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::drops::{DropSource, NamedDropKey};

programs!(
    DevlinkTrapReport,
    "devlink_trap_report",
    devlink_trap_report,
    devlink_trap_report_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let (Some(packet), Some(trap)) = (SkBuff::argument(context, 1), TrapMetadata::argument(context, 2)) else {
        return;
    };
    if trap.is_control() {
        return;
    }
    let (protocol, remote) = packet::protocol_and_source_of_frame(packet);
    let key = NamedDropKey {
        place: trap.name(),
        group: trap.group(),
        subnet: groups::subnet_of(remote),
        protocol,
        connection: packet.device().map_or(devices::UNKNOWN, devices::of_device),
        source: DropSource::Hardware as u8,
        ..NamedDropKey::default()
    };
    drops::count_named(&key, DropSource::Hardware, 1, packet.length());
}
