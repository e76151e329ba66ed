//! Workloads: whose a flow or a packet is, by the cgroup of its socket; without one by the network namespace.
#![expect(
    unsafe_code,
    reason = "reads and writes map values, fills in memory of a ring buffer, and exports functions by name"
)]

use crate::{
    kernel::{
        SkBuff, Sock,
        cgroup::{Cgroup, Node, Place, cookie_of_initial_network},
        jiffies,
        offsets::HAS_WORKLOADS,
    },
    maps::{CGROUP_BIRTHS, CGROUPS, INITIAL_NETWORK, NETWORKS, lost::count_lost},
};
use aya_ebpf::bindings::{BPF_EXIST, BPF_NOEXIST};
use common::{
    map::lost::Lost,
    workload::{
        CgroupState, LEVELS, NAME, Number,
        number::{HOST, SHARED, UNRESOLVED},
    },
};
use core::ptr::{read_volatile, write_volatile};

/// Of a socket in any state.
#[inline(always)]
pub(crate) fn of_socket(sock: Sock) -> Number {
    if !HAS_WORKLOADS.is_set() {
        return UNRESOLVED;
    }
    if sock.is_full() {
        return of_full_socket(sock);
    }
    match sock.listener() {
        Some(listener) => of_full_socket(listener),
        None => of_network(sock.network_cookie()),
    }
}

/// Of a socket that is a whole `struct sock`.
#[inline(always)]
pub(crate) fn of_full_socket(sock: Sock) -> Number {
    if !HAS_WORKLOADS.is_set() {
        return UNRESOLVED;
    }
    let Some(cgroup) = sock.cgroup() else { return HOST };
    let Some(id) = cgroup.id() else { return UNRESOLVED };
    let number = number_of(id, sock.network_cookie());
    if number == UNKNOWN {
        meet(cgroup);
        return UNRESOLVED;
    }
    number as Number
}

/// The id of the cgroup of a socket that is a whole `struct sock`; 0 where workloads are not told apart.
#[inline(always)]
pub(crate) fn cgroup_of(sock: Sock) -> u64 {
    if !HAS_WORKLOADS.is_set() {
        return 0;
    }
    match sock.cgroup() {
        Some(cgroup) => cgroup.id().unwrap_or(0),
        None => 0,
    }
}

/// The same of a socket in any state; of a request that of its listener.
#[inline(always)]
pub(crate) fn cgroup_of_any(sock: Sock) -> u64 {
    if sock.is_full() {
        return cgroup_of(sock);
    }
    match sock.listener() {
        Some(listener) => cgroup_of(listener),
        None => 0,
    }
}

/// Of a listener or a flow that is shown, again and again: that nobody knows yet whose it is counts only once something happens to it.
#[inline(always)]
pub(crate) fn of_shown_socket(sock: Sock) -> Number {
    if !HAS_WORKLOADS.is_set() {
        return UNRESOLVED;
    }
    let Some(cgroup) = sock.cgroup() else { return HOST };
    let Some(id) = cgroup.id() else { return UNRESOLVED };
    match CGROUPS.get_ptr(id) {
        // SAFETY: a member of a map value.
        Some(state) => (unsafe { read_volatile(&raw const (*state).number) }) as Number,
        None => {
            meet(cgroup);
            UNRESOLVED
        }
    }
}

/// Of a packet, by its own socket, or by where it is.
#[inline(always)]
pub(crate) fn of_packet(packet: SkBuff) -> Number {
    if !HAS_WORKLOADS.is_set() {
        return UNRESOLVED;
    }
    match sender(packet) {
        Some(sock) => of_socket(sock),
        None => of_namespace(packet),
    }
}

/// The socket that a packet has. That of a tun device is where packets of the device come from, not who sent this one.
#[inline(always)]
pub(crate) fn sender(packet: SkBuff) -> Option<Sock> {
    let sock = packet.socket()?;
    if sock.has_family() { Some(sock) } else { None }
}

/// Of a packet, by the network namespace in which it is.
#[inline(always)]
pub(crate) fn of_namespace(packet: SkBuff) -> Number {
    match packet.nearest_device() {
        Some(device) => of_network(device.network_cookie()),
        None => HOST,
    }
}

/// A cgroup was made.
#[inline(always)]
pub(crate) fn begin(cgroup: Cgroup) {
    // Those of version 1 have numbers of their own.
    if cgroup.is_unified() {
        meet(cgroup);
    }
}

/// The last that held on to a cgroup has let go of it.
#[inline(always)]
pub(crate) fn end(cgroup: Cgroup) {
    if cgroup.is_unified()
        && let Some(id) = cgroup.id()
    {
        let _gone = CGROUPS.remove(id);
    }
}

/// No number: the cgroup has not been met yet.
const UNKNOWN: u32 = u32::MAX;

/// The number of a cgroup, and [`UNKNOWN`] before it was met. Notes that it has a socket in a network namespace. With global linkage:
/// the verifier checks it once, and not again on every path that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn number_of(id: u64, network: u64) -> u32 {
    let Some(state) = CGROUPS.get_ptr_mut(id) else {
        count_lost(Lost::Unresolved);
        return UNKNOWN;
    };
    // SAFETY: members of a map value. Two CPUs may note the same at the same time, once more or less.
    unsafe {
        let number = read_volatile(&raw const (*state).number);
        if number == UNRESOLVED {
            count_lost(Lost::Unresolved);
        } else {
            let (last, noted) = (&raw mut (*state).network, &raw mut (*state).noted);
            let now = period();
            // Once in a period also for the same one, because the map forgets entries that are not looked up. User space clears both
            // words when it gives another number.
            if read_volatile(last) != network || read_volatile(noted) != now {
                note_owner(network, number);
                write_volatile(last, network);
                write_volatile(noted, now);
            }
        }
        number as u32
    }
}

/// The period of time that it is now: 1024 jiffies, one to ten seconds.
#[inline(always)]
fn period() -> u32 {
    (jiffies() >> 10) as u32
}

/// Notes whose the sockets in a network namespace are: of the first that has one there, and of nobody alone once another has. The first
/// network namespace is the host's, whoever is in it. The host owns no other one: the kernel's own sockets, which are the host's,
/// answer in all of them.
#[inline(always)]
fn note_owner(network: u64, number: Number) {
    if network == 0 || number == HOST || network == initial_network() {
        return;
    }
    // SAFETY: a value of a map, which is replaced as a whole.
    match unsafe { NETWORKS.get(network) } {
        Some(owner) if *owner == number || *owner == SHARED => {}
        Some(_) => {
            let _replaced = NETWORKS.insert(network, SHARED, BPF_EXIST as u64);
        }
        None => {
            let _made = NETWORKS.insert(network, number, BPF_NOEXIST as u64);
        }
    }
}

#[inline(always)]
fn of_network(cookie: u64) -> Number {
    // SAFETY: a value of a map, which is replaced as a whole.
    unsafe { NETWORKS.get(cookie) }.map_or(HOST, |owner| *owner)
}

/// The cookie of the first network namespace; 0 where the kernel does not tell.
#[inline(always)]
fn initial_network() -> u64 {
    let Some(place) = INITIAL_NETWORK.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: a word of a map value, to which everybody writes the same.
    let known = unsafe { read_volatile(place) };
    if known != 0 {
        return known;
    }
    let cookie = cookie_of_initial_network().unwrap_or(0);
    // SAFETY: as above.
    unsafe { write_volatile(place, cookie) };
    cookie
}

#[inline(always)]
fn meet(cgroup: Cgroup) {
    if let (Some(id), Some(node)) = (cgroup.id(), cgroup.node())
        && announce(id, node.0) == NO_ROOM
    {
        count_lost(Lost::CgroupsUntracked);
    }
}

/// Looks at a cgroup of the tree, and announces one that was not met yet. False when there is no room for it now.
#[inline(always)]
pub(crate) fn find(place: Place) -> bool {
    let node = place.node();
    let id = node.id();
    if id == 0 || CGROUPS.get_ptr_mut(id).is_some() {
        return true;
    }
    let done = announce(id, node.0);
    // One that goes meanwhile may have been removed before it was entered.
    if done == ANNOUNCED && place.is_released() {
        let _gone = CGROUPS.remove(id);
    }
    done != NO_ROOM
}

/// What [`announce`] has done.
const KNOWN: u32 = 0;
const ANNOUNCED: u32 = 1;
const NO_ROOM: u32 = 2;

/// Makes the entry of a cgroup and tells user space its path. With global linkage for the same reason as [`number_of`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn announce(id: u64, node: u64) -> u32 {
    let Some(mut entry) = CGROUP_BIRTHS.reserve(0) else {
        return NO_ROOM;
    };
    if let Err(error) = CGROUPS.insert(id, CgroupState::default(), BPF_NOEXIST as u64) {
        entry.discard(0);
        const EXISTS: i32 = -17;
        return if error == EXISTS { KNOWN } else { NO_ROOM };
    }
    let birth = entry.as_mut_ptr();
    // SAFETY: memory of the ring buffer that is this program's until it is submitted. The names that are counted are written.
    unsafe {
        write_volatile(&raw mut (*birth).id, id);
        let parent = Node(node).parent().map_or(0, Node::id);
        write_volatile(&raw mut (*birth).parent, parent);
        let names = (&raw mut (*birth).names).cast::<[u8; NAME]>();
        let mut at = Some(Node(node));
        let mut level = 0;
        while level < LEVELS {
            let Some(node) = at else { break };
            node.name(names.add(level));
            at = node.parent();
            level += 1;
        }
        write_volatile(&raw mut (*birth).levels, level as u64);
    }
    entry.submit(0);
    ANNOUNCED
}
