//! `bpf_iter_tcp(struct bpf_iter_meta *meta, struct sock_common *sk_common, uid_t uid)`, 5.10 to 7.2: every TCP socket of the reader's
//! network namespace. Run once at the start, so that the flows that are open then count from then on; those of other
//! namespaces are adopted by the first hook that sees them.
#![expect(
    unsafe_code,
    reason = "the entry of an iterator, whose context aya-ebpf does not know"
)]

use crate::{
    flow::{adopt, listeners, state::Flow},
    kernel::Sock,
};
use common::tcp::state;

/// `struct bpf_iter__tcp`: every member is 8 bytes long.
#[repr(C)]
struct Context {
    meta: *const u8,
    sk_common: *const u8,
    uid: u64,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
extern "C" fn adopt_flows(context: *const Context) -> i32 {
    // SAFETY: the kernel calls with such a context; the socket is NULL at the end of the walk.
    let Some(sock) = (unsafe { Sock::from_pointer((*context).sk_common) }) else {
        return 0;
    };
    let state = sock.state();
    if state::is_connected(state)
        && let Some(tcp) = sock.tcp()
        && Flow::find(tcp.as_sock()).is_none()
    {
        adopt::adopt(tcp.as_sock(), tcp);
    } else if state == state::LISTEN
        && let Some(tcp) = sock.tcp()
    {
        listeners::find_or_begin(tcp.as_sock(), tcp);
    }
    0
}
