//! `bpf_iter_bpf_map(struct bpf_iter_meta *meta, struct bpf_map *map)`, 5.8 to 7.2: every map. Which one does not matter: where the kernel
//! does not let storage be walked, each run of these programs takes the next part of a list of sockets that user space wrote, by the
//! number of the run. So a run that the kernel repeats does the same once more. Of those that find cgroups only the first does something.
#![expect(
    unsafe_code,
    reason = "the entry of an iterator, whose context aya-ebpf does not know, and functions that the verifier checks once"
)]

use crate::{
    flow::{accept_queues, listeners::Listener, record, state::Flow},
    kernel::{Sock, TcpSock},
    label::{cgroups, groups::Group},
    maps::{FLOW_TABLE, LISTENER_TABLE, SCRATCH, WALK, WALK_LIST},
    probes::{bpf_sk_storage_map::visit, inet_sock_set_state},
};
use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_seq_write};
use common::tcp::record::FlowRecord;

/// `struct bpf_iter__bpf_map`: every member is 8 bytes long.
#[repr(C)]
struct Context {
    meta: *const Meta,
    map: *const u8,
}

/// `struct bpf_iter_meta`: every member is 8 bytes long.
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
    session_id: u64,
    seq_num: u64,
}

/// Flows that a run folds.
const FOLDED: u64 = 128;
/// Flows that a run writes: as many as fit into what the kernel gives at once.
const WRITTEN: u64 = 32;

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map")]
extern "C" fn fold_flows_of_table(context: *const Context) -> i32 {
    each(context, FOLDED, |cookie| {
        fold_flow(cookie);
    });
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map")]
extern "C" fn fold_listeners_of_table(context: *const Context) -> i32 {
    each(context, FOLDED, |cookie| {
        fold_listener(cookie);
    });
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map")]
extern "C" fn sample_listeners_of_table(context: *const Context) -> i32 {
    each(context, FOLDED, |cookie| {
        sample_listener(cookie);
    });
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map")]
extern "C" fn dump_flows_of_table(context: *const Context) -> i32 {
    each(context, WRITTEN, |cookie| {
        if write_flow(cookie) != 0
            && let Some(scratch) = SCRATCH.get_ptr_mut(0)
        {
            // SAFETY: a map value that only this program uses; the kernel gives every run a file.
            unsafe { bpf_seq_write((*(*context).meta).seq, scratch.cast(), size_of::<FlowRecord>() as u32) };
        }
    });
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map")]
extern "C" fn find_cgroups(context: *const Context) -> i32 {
    // SAFETY: the kernel calls with such a context; the map is NULL at the end of the walk.
    let is_first = unsafe { !(*context).map.is_null() && (*(*context).meta).seq_num == 0 };
    if is_first {
        cgroups::find_all();
    }
    0
}

/// Visits the next `count` sockets of the list.
#[inline(always)]
fn each(context: *const Context, count: u64, visit: impl Fn(u64)) {
    // SAFETY: the kernel calls with such a context; the map is NULL at the end of the walk.
    let run = unsafe {
        if (*context).map.is_null() {
            return;
        }
        (*(*context).meta).seq_num
    };
    let Some(walk) = WALK.get_ptr_mut(0) else { return };
    // SAFETY: members of a map value, which user space writes between two walks.
    let (first, listed) = unsafe { ((*walk).first + run * count, (*walk).listed) };
    let mut done = 0;
    while done < count {
        let place = first + done;
        if place >= listed {
            break;
        }
        let Some(cookie) = WALK_LIST.get(place as u32) else {
            break;
        };
        visit(*cookie);
        done += 1;
    }
    // SAFETY: as above; one program walks at a time.
    unsafe {
        if (*walk).next < first + count {
            (*walk).next = first + count;
        }
    }
}

/// Folds the flow of a socket. With global linkage: the verifier checks it once, and not for each of a run.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fold_flow(cookie: u64) -> u32 {
    let Some(entry) = FLOW_TABLE.get_ptr_mut(cookie) else {
        return 0;
    };
    // SAFETY: members of a map value.
    let (flow, address, is_gone) = unsafe {
        (
            Flow::from_pointer(&raw mut (*entry).state),
            (*entry).sock.get(),
            (*entry).is_gone.get(),
        )
    };
    let (Some(flow), Some(tcp)) = (flow, TcpSock::at(address)) else {
        return 0;
    };
    let sock = tcp.as_sock();
    if address == 0 || !flow.is_visible() {
        return 0;
    }
    if sock.cookie_field() == cookie {
        visit(sock, tcp, flow, || sock.cookie_field() == cookie);
    } else if is_gone == 0 {
        // The socket has gone, and no hook saw it.
        let (flags, started) = (flow.flags.get(), flow.started.get());
        if flow.end()
            && let Some(group) = Group::at(flow.slot.get())
        {
            inet_sock_set_state::count_end(group, flags, started);
        }
        // SAFETY: a member of a map value.
        unsafe { (*entry).is_gone.set(1) };
    }
    0
}

/// Counts what a listener turns away.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fold_listener(cookie: u64) -> u32 {
    let Some(entry) = LISTENER_TABLE.get_ptr_mut(cookie) else {
        return 0;
    };
    // SAFETY: members of a map value.
    let (listener, address) = unsafe { (Listener::from_pointer(&raw mut (*entry).state), (*entry).sock.get()) };
    if let (Some(listener), Some(tcp)) = (listener, TcpSock::at(address))
        && address != 0
        && tcp.as_sock().cookie_field() == cookie
    {
        listener.fold(tcp.as_sock(), tcp);
    }
    0
}

/// Looks at the accept queue of a listener.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sample_listener(cookie: u64) -> u32 {
    let Some(entry) = LISTENER_TABLE.get_ptr_mut(cookie) else {
        return 0;
    };
    // SAFETY: a member of a map value.
    let address = unsafe { (*entry).sock.get() };
    if let Some(tcp) = TcpSock::at(address)
        && address != 0
        && tcp.as_sock().cookie_field() == cookie
    {
        accept_queues::sample(tcp.as_sock(), tcp);
    }
    0
}

/// Writes the record of a flow; whether there is one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn write_flow(cookie: u64) -> u32 {
    let Some(entry) = FLOW_TABLE.get_ptr_mut(cookie) else {
        return 0;
    };
    // SAFETY: members of a map value.
    let (flow, address) = unsafe { (Flow::from_pointer(&raw mut (*entry).state), (*entry).sock.get()) };
    let (Some(flow), Some(tcp), Some(scratch)) = (flow, TcpSock::at(address), SCRATCH.get_ptr_mut(0)) else {
        return 0;
    };
    let sock: Sock = tcp.as_sock();
    if address == 0 || !flow.is_shown(sock) || sock.cookie_field() != cookie {
        return 0;
    }
    // SAFETY: a map value that only the program that calls this uses; user space runs it once at a time.
    unsafe { record::fill(scratch, sock, cookie, tcp, &flow) };
    (sock.cookie_field() == cookie) as u32
}
