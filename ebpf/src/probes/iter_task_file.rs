//! `bpf_iter_task_file(struct bpf_iter_meta *meta, struct task_struct *task, u32 fd, struct file *file)`, 5.8 to 7.2: every open file of
//! every task in the reader's PID namespace. Run once at the start: so the listeners of these tasks are known, in whatever network
//! namespace they are. Those of other tasks are known when they next turn a handshake away or repeat a SYN-ACK.
#![expect(
    unsafe_code,
    reason = "the entry of an iterator, whose context aya-ebpf does not know, and a helper"
)]

use crate::{flow::listeners, kernel::Sock};
use aya_ebpf::helpers::generated::bpf_sock_from_file;
use common::tcp::state;

/// `struct bpf_iter__task_file`: every member takes 8 bytes.
#[repr(C)]
struct Context {
    meta: *const u8,
    task: *const u8,
    descriptor: u64,
    file: *mut u8,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn find_listeners(context: *const Context) -> i32 {
    // SAFETY: the kernel calls with such a context; the file is NULL at the end of the walk. The helper checks what file it is, the
    // verifier its type.
    let sock = unsafe {
        let file = (*context).file;
        if file.is_null() {
            return 0;
        }
        Sock::of_socket(bpf_sock_from_file(file.cast()).cast())
    };
    // Sockets of other families listen, too.
    if let Some(sock) = sock
        && sock.state() == state::LISTEN
        && let Some(tcp) = sock.tcp()
    {
        listeners::find_or_begin(tcp.as_sock(), tcp);
    }
    0
}
