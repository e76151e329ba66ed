//! `xdp_exception(const struct net_device *dev, const struct bpf_prog *xdp, u32 act)`, 5.10 to 7.2. A packet is dropped because its
//! XDP program gave up, returned no action, or because the action failed. A packet has no `sk_buff` yet, unless XDP is generic.

use crate::{
    drops::{self, notes},
    kernel::{Device, Program, offsets::HAS_REDIRECT_ERRORS},
    label::devices,
    nested::programs,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::drops::{DropSource, NamedDropKey, xdp_action};

programs!(
    XdpException,
    "xdp_exception",
    xdp_exception,
    xdp_exception_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let action: u32 = context.arg(2);
    // Some drivers report a failing redirect once more, after `xdp_redirect_err`.
    if action == xdp_action::REDIRECT && HAS_REDIRECT_ERRORS.is_set() {
        return;
    }
    count_failure(context, xdp_action::failed(action) as i32, false);
}

/// Counts a packet on which an XDP program failed. The device and the program are the first two arguments of every hook.
#[inline(always)]
pub(super) fn count_failure(context: &BtfTracePointContext, cause: i32, redirect: bool) {
    let (Some(device), Some(program)) = (Device::argument(context, 0), Program::argument(context, 1)) else {
        return;
    };
    let [first, second] = program.name();
    let key = NamedDropKey {
        place: [first, second, 0, 0, 0, 0],
        cause,
        connection: devices::of_device(device),
        source: DropSource::Xdp as u8,
        ..NamedDropKey::default()
    };
    drops::count_named(&key, DropSource::Xdp, 1, 0);
    notes::xdp_failed(device, program, redirect);
}
