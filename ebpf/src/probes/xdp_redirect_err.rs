//! `xdp_redirect_err(const struct net_device *dev, const struct bpf_prog *xdp, const void *tgt, int err, enum bpf_map_type map_type,
//! u32 map_id, u32 index)`, 5.10 to 7.2. A packet is dropped because it could not be redirected; also through a map:
//! `xdp_redirect_map_err`, which kernels up to 6.12 have as well, is kept there for old programs and reports nothing.

use super::xdp_exception::count_failure;
use crate::nested::programs;
use aya_ebpf::programs::BtfTracePointContext;

programs!(
    XdpRedirectErr,
    "xdp_redirect_err",
    xdp_redirect_err,
    xdp_redirect_err_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    count_failure(context, context.arg(3), true);
}
