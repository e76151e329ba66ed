//! Notes from one hook to the next: some packets are reported by another hook first and by `kfree_skb` right afterwards, on the
//! same CPU. A note keeps the packet from being counted twice, or hands over the better reason.
#![expect(unsafe_code, reason = "reads and writes a map value of this CPU")]

use crate::{
    kernel::{
        Device, Program, SkBuff, now,
        offsets::{HAS_QDISC_REASONS, REASON_NOT_SPECIFIED, REASON_QDISC_DROP, REASON_XDP},
    },
    maps::NOTES,
};
use common::{
    drops::{Note, NoteKind},
    net::connection,
};
use core::ptr::{read_volatile, write_volatile};

/// How long after an XDP program has failed its packet is freed at most, in nanoseconds, interrupts in between included.
const SOON: u64 = 1_000_000;

/// Notes that the kernel is about to free the packet on which this XDP program failed. Without an `sk_buff` it is not, and
/// `kfree_skb` must not wait for one: generic XDP always has it, and of the drivers only veth reports failures so. veth runs programs on
/// frames without one too, so that the note is only good for [`SOON`].
#[inline(always)]
pub(crate) fn xdp_failed(device: Device, program: Program, redirect: bool) {
    let veth = const { connection::name("veth") };
    if device.runs_generic(program) || (!redirect && device.kind() == veth) {
        put(NoteKind::XdpDevice, device.address(), now());
    }
}

/// Notes why a queueing discipline drops a packet.
#[inline(always)]
pub(crate) fn qdisc_drops(packet: SkBuff, reason: u32) {
    put(NoteKind::QdiscPacket, packet.address(), reason as u64);
}

/// The reason to count a packet of `kfree_skb` under; `None` when it has been counted already.
#[inline(always)]
pub(crate) fn reason_of(packet: SkBuff, reason: u32) -> Option<u32> {
    let number = reason as u64;
    let of_xdp = number == REASON_NOT_SPECIFIED.get() || number == REASON_XDP.get();
    if of_xdp
        && let Some(noted) = take(NoteKind::XdpDevice, packet.device_address())
        && now() - noted < SOON
    {
        return None;
    }
    let better = if HAS_QDISC_REASONS.is_set() && number == REASON_QDISC_DROP.get() {
        take(NoteKind::QdiscPacket, packet.address())
    } else {
        None
    };
    Some(better.map_or(reason, |better| better as u32))
}

#[inline(always)]
fn put(kind: NoteKind, address: u64, says: u64) {
    if let Some(note) = NOTES.get_ptr_mut(kind as u32) {
        // SAFETY: members of a map value of this CPU, in whose programs alone it is read and written, word by word.
        unsafe {
            write_volatile(&raw mut (*note).about, address);
            write_volatile(&raw mut (*note).says, says);
        }
    }
}

#[inline(always)]
fn take(kind: NoteKind, address: u64) -> Option<u64> {
    let note: *mut Note = NOTES.get_ptr_mut(kind as u32)?;
    // SAFETY: as above.
    unsafe {
        if address == 0 || read_volatile(&raw const (*note).about) != address {
            return None;
        }
        write_volatile(&raw mut (*note).about, 0);
        Some(read_volatile(&raw const (*note).says))
    }
}
