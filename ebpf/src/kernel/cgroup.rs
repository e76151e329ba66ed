//! Cgroups and network namespaces: whose a socket is.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

use super::{
    device::Device,
    memory::{address_at, cast::cast, load, load_pointer, word_at},
    offsets::*,
    program::current_task,
    sock::Sock,
};
use aya_ebpf::{
    helpers::{
        bpf_probe_read_kernel,
        generated::{self, bpf_probe_read_kernel_str},
    },
    programs::BtfTracePointContext,
};
use common::{tcp::state, workload::NAME};
use core::ptr::read_volatile;

/// `struct cgroup`.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup(*const u8);

impl Cgroup {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        let pointer: *const u8 = context.arg(n);
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// `kn->id`: the inode of its directory. Not used again before the next boot.
    #[inline(always)]
    pub(crate) fn id(self) -> Option<u64> {
        // SAFETY: a typed pointer from `struct cgroup` to `struct kernfs_node`.
        unsafe { load(load_pointer(self.0, &CGROUP_KN)?, &KERNFS_NODE_ID) }
    }

    /// Where its directory is kept, as a number.
    #[inline(always)]
    pub(crate) fn node(self) -> Option<Node> {
        let offset = CGROUP_KN.offset()?;
        // SAFETY: the helper checks every address. What it reads is a number to the verifier, which a typed pointer is not.
        unsafe { bpf_probe_read_kernel(self.0.add(offset).cast()) }
            .ok()
            .map(Node)
    }

    /// Whether it is of cgroup version 2: the hierarchy of that has the number 0.
    #[inline(always)]
    pub(crate) fn is_unified(self) -> bool {
        // SAFETY: a typed pointer from `struct cgroup` to `struct cgroup_root`.
        let hierarchy =
            unsafe { load_pointer(self.0, &CGROUP_ROOT).and_then(|root| load(root, &CGROUP_ROOT_HIERARCHY_ID)) };
        hierarchy == Some(0)
    }
}

/// The address of a `struct cgroup` in the tree of version 2, which is walked as the kernel walks it: under RCU, which every run of a
/// program holds. 0 stands for none; the verifier of Linux 6.1 follows numbers further than options.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u64);

impl Place {
    /// No cgroup.
    pub(crate) const NONE: Self = Self(0);

    /// The root of the tree, whatever namespace the current task is in.
    #[inline(always)]
    pub(crate) fn root() -> Self {
        let set = number_at(current_task() as u64, &TASK_CSS_SET);
        let root = number_at(number_at(set, &CSS_SET_CGROUP), &CGROUP_ROOT);
        Self(place_of(root, &CGROUP_ROOT_NODE) - place_of(0, &CGROUP_KN))
    }

    /// Whether a cgroup is there: it points to itself.
    #[inline(always)]
    pub(crate) fn is_there(self) -> bool {
        self != Self::NONE && number_at(self.0, &CGROUP_SELF) == self.0
    }

    /// Where its directory is kept.
    #[inline(always)]
    pub(crate) fn node(self) -> Node {
        Node(number_at(self.0, &CGROUP_KN))
    }

    /// The first cgroup in it.
    #[inline(always)]
    pub(crate) fn child(self) -> Self {
        Self::listed(number_at(self.0, &CGROUP_CHILDREN), self)
    }

    /// The next cgroup in the same one.
    #[inline(always)]
    pub(crate) fn sibling(self) -> Self {
        Self::listed(number_at(self.0, &CGROUP_SIBLING), self.parent())
    }

    /// The cgroup that it is in.
    #[inline(always)]
    pub(crate) fn parent(self) -> Self {
        Self(number_at(number_at(self.0, &CGROUP_PARENT), &CGROUP_OF_SUBSYSTEM))
    }

    /// Whether the last that held on to it has let go: `CSS_RELEASED` in `linux/cgroup-defs.h`, the same since Linux 4.0. It is set
    /// before the tracepoint `cgroup_release`.
    #[inline(always)]
    pub(crate) fn is_released(self) -> bool {
        const RELEASED: u64 = 1 << 2;
        // Four bytes, which are the lower half of what is read: numbers are little-endian here.
        read_number(place_of(self.0, &CGROUP_FLAGS)) & RELEASED != 0
    }

    /// By an entry of a list of those in `parent`, whose head is the end.
    #[inline(always)]
    fn listed(entry: u64, parent: Self) -> Self {
        if entry == place_of(parent.0, &CGROUP_CHILDREN) {
            return Self::NONE;
        }
        Self(entry - place_of(0, &CGROUP_SIBLING))
    }
}

/// Where a member of a structure is. The program that asks does not run where the kernel does not have it.
#[inline(always)]
fn place_of<T>(base: u64, field: &Global<T>) -> u64 {
    base.wrapping_add(field.offset().unwrap_or(0) as u64)
}

/// A number or an address in a structure, read at once since another CPU may be writing it; 0 where nothing can be read.
#[inline(always)]
fn number_at(base: u64, field: &Global<u64>) -> u64 {
    read_number(place_of(base, field))
}

#[inline(always)]
fn read_number(address: u64) -> u64 {
    let mut number = 0_u64;
    let place = &raw mut number;
    // SAFETY: the helper checks every address, and writes the number in any case; volatile, since the compiler does not see that.
    unsafe {
        generated::bpf_probe_read_kernel(place.cast(), size_of::<u64>() as u32, address as *const _);
        read_volatile(place)
    }
}

/// The address of a `struct kernfs_node`, of a directory of cgroups.
#[derive(Clone, Copy)]
pub(crate) struct Node(pub(crate) u64);

impl Node {
    /// Its number: the inode of the directory.
    #[inline(always)]
    pub(crate) fn id(self) -> u64 {
        number_at(self.0, &KERNFS_NODE_ID)
    }

    /// The directory above; `None` for the root.
    #[inline(always)]
    pub(crate) fn parent(self) -> Option<Self> {
        let offset = KERNFS_NODE_PARENT
            .offset()
            .or_else(|| KERNFS_NODE_PARENT_BEFORE_6_15.offset())?;
        match address_at(self.0 + offset as u64) {
            None | Some(0) => None,
            Some(parent) => Some(Self(parent)),
        }
    }

    /// Writes its name and a NUL.
    ///
    /// # Safety
    /// `name` points to memory that the verifier has checked and nobody else writes.
    #[inline(always)]
    pub(crate) unsafe fn name(self, name: *mut [u8; NAME]) {
        let Some(offset) = KERNFS_NODE_NAME.offset() else {
            return;
        };
        let address = address_at(self.0 + offset as u64).unwrap_or(0);
        // SAFETY: the helper checks the address, and writes no more than it is told. Where nothing is, it writes zeros.
        unsafe { bpf_probe_read_kernel_str(name.cast(), NAME as u32, address as *const _) };
    }
}

impl Sock {
    /// `sk_cgrp_data.cgroup` of a full socket: that of whoever made it, or made the listener that it comes from.
    #[inline(always)]
    pub(crate) fn cgroup(self) -> Option<Cgroup> {
        // SAFETY: a member of `struct sock`.
        unsafe { load_pointer(self.0, &SOCK_CGROUP) }.map(Cgroup)
    }

    /// Whether it is a whole `struct sock`: neither a request nor what is left of a closed connection.
    #[inline(always)]
    pub(crate) fn is_full(self) -> bool {
        !matches!(self.state(), state::NEW_SYN_RECV | state::TIME_WAIT)
    }

    /// The listener of a request; `None` where addresses cannot be given types, too.
    #[inline(always)]
    pub(crate) fn listener(self) -> Option<Self> {
        if self.state() != state::NEW_SYN_RECV {
            return None;
        }
        // SAFETY: a member of `struct sock_common`, which is the listener in this state. To the verifier it is a number, as the first
        // member of its union is.
        let address = unsafe { load(self.0, &SOCK_COMMON_LISTENER) }?;
        cast(address, &TYPE_TCP_SOCK).map(Self)
    }

    /// `skc_net.net->net_cookie`: no other network namespace has it until the next boot.
    #[inline(always)]
    pub(crate) fn network_cookie(self) -> u64 {
        // SAFETY: a typed pointer from `struct sock_common` to `struct net`.
        unsafe { load_pointer(self.0, &SOCK_COMMON_NET).and_then(|network| load(network, &NET_COOKIE)) }.unwrap_or(0)
    }
}

impl Device {
    /// `nd_net.net->net_cookie`
    #[inline(always)]
    pub(crate) fn network_cookie(self) -> u64 {
        let cookie = || cookie_of(self.network()?);
        cookie().unwrap_or(0)
    }
}

/// `net_cookie` of the `struct net` at an address.
#[inline(always)]
fn cookie_of(network: u64) -> Option<u64> {
    address_at(network + NET_COOKIE.offset()? as u64)
}

/// `net_cookie` of the first network namespace: that of the task with the number 0, which is above all others.
#[inline(always)]
pub(crate) fn cookie_of_initial_network() -> Option<u64> {
    /// Tasks above each other that are looked at.
    const MOST: u32 = 64;
    let (pid, parent) = (TASK_PID.offset()? as u64, TASK_PARENT.offset()?);
    let (namespaces, network) = (TASK_NAMESPACES.offset()? as u64, NSPROXY_NETWORK.offset()? as u64);
    // SAFETY: the helper checks every address. The current task itself is a pointer to the verifier, its parent a number.
    let mut task: u64 = unsafe { bpf_probe_read_kernel(current_task().add(parent).cast()) }.ok()?;
    let mut count = 0;
    while count < MOST {
        if word_at(task + pid) == 0 {
            return cookie_of(address_at(address_at(task + namespaces)? + network)?);
        }
        task = address_at(task + parent as u64)?;
        count += 1;
    }
    None
}
