//! Sends a dropped packet to `capture`, unless nobody wants it or too many wait already.
#![expect(unsafe_code, reason = "prepares the event in a map value and counts in others")]

use crate::{
    atomic,
    kernel::{
        Device, SkBuff, Sock, now,
        offsets::{CAPTURE_HAS_ADDRESSES, CAPTURE_LENGTH_LIMIT, CAPTURE_QUEUE_LIMIT},
    },
    label::{
        groups,
        packet::{self, ProtocolNumber},
    },
    maps::{CAPTURE_DRAFTS, CAPTURE_PACKETS, CAPTURE_QUEUE, CAPTURE_SITES},
};
use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_get_smp_processor_id};
use common::{
    drops::{
        Direction,
        capture::{Beginning, Draft, Head, MOST_AFTER, MOST_BEFORE, Site, SiteState, queue},
    },
    kernel::{tracepoints::Run, verifier::masked},
    net::address::{Address, SubnetKey},
    workload::Number,
};
use core::{
    ptr::{addr_of, read_volatile},
    slice::from_raw_parts,
};

/// Whose a packet is.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// The number of the workload.
    pub(crate) workload: Number,
    /// The id of the cgroup of its socket, if that is known.
    pub(crate) cgroup: u64,
}

/// Sends a packet that is dropped at `location` for `reason`; `said` is the reason of `kfree_skb`.
#[inline(always)]
pub(crate) fn send(
    packet: SkBuff,
    location: u64,
    reason: u32,
    said: u32,
    direction: Direction,
    owner: Owner,
    run: Run,
) {
    let Some(offsets) = packet.offsets() else { return };
    let beginning = offsets.beginning();
    let ethertype = if beginning.has_header { packet.ethertype() } else { 0 };
    // What Unix and netlink sockets let go has no headers, and never saw a network.
    if ethertype == 0 && !packet.socket().is_some_and(|sock| sock.is_internet()) {
        return;
    }
    let Some(protocol) = wanted_protocol(packet, direction) else {
        return;
    };
    let Some(draft) = CAPTURE_DRAFTS.get_ptr_mut(run as u32) else {
        return;
    };
    let site = Site {
        location,
        reason,
        protocol,
        way: Site::way_of(direction, packet::marks(packet, said, direction, protocol)),
        workload: owner.workload,
        ..site_of_device(packet, direction)
    };
    // SAFETY: a member of the map value of this CPU.
    let site = unsafe {
        (*draft).head.site = site;
        (*draft).head.cgroup = owner.cgroup;
        &(*draft).head.site
    };
    // SAFETY: entries are never removed, so the reference stays valid.
    if let Some(state) = unsafe { CAPTURE_SITES.get(site) }
        && state.refused != 0
    {
        return;
    }
    if !enter_queue() {
        count_tail_drop(site);
    } else if !send_draft(packet, draft, beginning, ethertype) {
        leave_queue();
        count_tail_drop(site);
    }
}

/// The protocol of a packet; `None` when only other addresses are wanted than its own two.
#[inline(always)]
fn wanted_protocol(packet: SkBuff, direction: Direction) -> Option<ProtocolNumber> {
    let (protocol, remote) = packet::protocol_and_remote(packet, direction);
    if !CAPTURE_HAS_ADDRESSES.is_set() {
        return Some(protocol);
    }
    let (_, local) = packet::protocol_and_remote(packet, direction.opposite());
    if is_wanted(remote) || is_wanted(local) {
        Some(protocol)
    } else {
        None
    }
}

#[inline(always)]
fn is_wanted(address: Address) -> bool {
    let subnet = groups::subnet_of(address);
    subnet != SubnetKey::NONE && subnet != SubnetKey::FALLBACK
}

/// What a site says of the device. `dev` first, which is nearest to where the packet is; then that of the route.
#[inline(always)]
fn site_of_device(packet: SkBuff, direction: Direction) -> Site {
    let device = match direction {
        Direction::Receive => packet.receiving_device(),
        Direction::Transmit => match packet.nearest_device() {
            Some(device) => Some(device),
            None => packet.route_device(),
        },
    };
    let mut site = Site {
        ifindex: packet.received_through(),
        hardware_type: Site::NO_DEVICE,
        ..Site::default()
    };
    if let Some(device) = device {
        site.ifindex = device.ifindex().unwrap_or(0);
        site.device = device.name().unwrap_or([0; 2]);
        site.hardware_type = device.hardware_type().unwrap_or(Site::NO_DEVICE);
        site.namespace = device.namespace().unwrap_or(0);
    } else {
        // The packet has forgotten its device, yet its route or its socket is one of the same namespace.
        let of_route = packet.route_device().and_then(Device::namespace);
        let of_socket = || packet.socket().and_then(Sock::namespace);
        site.namespace = of_route.or_else(of_socket).unwrap_or(0);
    }
    site
}

/// Fills in the rest of the event and sends it; false when it does not fit.
#[inline(always)]
fn send_draft(packet: SkBuff, draft: *mut Draft, beginning: Beginning, ethertype: u16) -> bool {
    let limit = CAPTURE_LENGTH_LIMIT.get() as u32;
    let Beginning { before, link, .. } = beginning;
    let before = masked::<{ MOST_BEFORE as usize + 1 }>(before as usize);
    // A link-layer header that means nothing to user space is cut off there.
    let wanted = limit.saturating_add(link).saturating_sub(before as u32);
    let after = packet.length().min(wanted).min(MOST_AFTER);
    // SAFETY: members of the map value of this CPU; the mask bounds `before`.
    unsafe {
        let head = &raw mut (*draft).head;
        (*head).time = now();
        (*head).length = packet.length() + before as u32;
        (*head).after = after;
        (*head).before = before as u16;
        (*head).link = link as u16;
        (*head).ethertype = ethertype;
        (*head).cpu = bpf_get_smp_processor_id() as u16;
        packet.copy_before_data((&raw mut (*draft).before).cast(), before as u32)
            && packet.send(
                addr_of!(CAPTURE_PACKETS).cast_mut().cast(),
                from_raw_parts(draft.cast(), Head::LENGTH + before),
                after,
            )
    }
}

/// Whether the packet may wait with the others. CPUs that ask at once may turn one away that would just have fitted.
#[inline(always)]
fn enter_queue() -> bool {
    let (Some(sent), Some(taken)) = (
        CAPTURE_QUEUE.get_ptr_mut(queue::SENT),
        CAPTURE_QUEUE.get_ptr(queue::TAKEN),
    ) else {
        return false;
    };
    // SAFETY: words of map values.
    unsafe {
        let waiting = atomic::fetch_add(sent, 1) - read_volatile(taken);
        if waiting < CAPTURE_QUEUE_LIMIT.get() {
            return true;
        }
    }
    leave_queue();
    false
}

#[inline(always)]
fn leave_queue() {
    if let Some(sent) = CAPTURE_QUEUE.get_ptr_mut(queue::SENT) {
        // SAFETY: a word of a map value.
        unsafe { atomic::add(sent, u64::MAX) };
    }
}

#[inline(always)]
fn count_tail_drop(site: &Site) {
    if let Some(state) = CAPTURE_SITES.get_ptr_mut(site) {
        // SAFETY: a member of a map value.
        return unsafe { atomic::add(&raw mut (*state).tail_drops, 1) };
    }
    // Another CPU may have been faster: then the entry is there now.
    let none = SiteState::default();
    let _faster = CAPTURE_SITES.insert(site, none, BPF_NOEXIST as u64);
    if let Some(state) = CAPTURE_SITES.get_ptr_mut(site) {
        // SAFETY: as above.
        unsafe { atomic::add(&raw mut (*state).tail_drops, 1) };
    } else if let Some(count) = CAPTURE_QUEUE.get_ptr_mut(queue::TAIL_DROPS_OF_OTHER_SITES) {
        // SAFETY: a word of a map value.
        unsafe { atomic::add(count, 1) };
    }
}
