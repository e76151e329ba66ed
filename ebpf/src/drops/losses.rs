//! Remembers TCP data that this host drops, and finds what of it is retransmitted: [`common::drops::losses`] says how it is kept.
//!
//! A range belongs to its number: whoever writes takes the place by [`Loss::WRITTEN`], and whoever reads believes what it has read only
//! if the number is the same before and after.
//!
//! What the loops do is in functions with global linkage, which the verifier checks once; what these need lies in an entry of this CPU
//! and of this [`Run`], which no other run uses meanwhile.
#![expect(
    unsafe_code,
    reason = "reads and writes map values that other runs use as well, and exports functions by name"
)]

mod attempt;
mod search;

use crate::{
    atomic,
    kernel::{
        SkBuff, now,
        offsets::{REASON_PKT_TOO_BIG, REASON_TCP_OFOMERGE, REASON_TCP_OLD_DATA, REASON_TCP_OLD_SEQUENCE},
    },
    label::{devices, packet},
    maps::{LOSS_CHAINS, LOSS_COUNT, LOSS_DRAFTS, LOSSES, lost::count_lost},
};
use attempt::Attempt;
use aya_ebpf::programs::BtfTracePointContext;
use common::{
    drops::{
        Direction, is_outgoing_copy,
        losses::{self, Loss, MOST_LOSSES, MOST_RANGES, Range, Stream},
    },
    kernel::tracepoints::Run,
    map::lost::Lost,
};
use core::{
    ffi::c_void,
    hint::black_box,
    ptr::{read_volatile, write_volatile},
};
pub(crate) use search::sent_again;

/// What is known of a drop besides its packet.
#[derive(Clone, Copy)]
pub(crate) struct Dropped {
    /// The slot that it counts in.
    pub(crate) slot: u32,
    /// The reason of `kfree_skb`.
    pub(crate) reason: u32,
    /// Which way the packet goes.
    pub(crate) direction: Direction,
}

/// Remembers what a packet that is dropped carries of TCP's data.
#[inline(always)]
pub(crate) fn remember(context: *mut c_void, dropped: Dropped, run: Run) {
    // Most drops carry nothing to remember, which is cheaper to see than where they come from.
    if is_duplicate(dropped.reason) || draft(context, dropped, run) == 0 || is_ours(context) == 0 {
        return;
    }
    black_box(draft_sender(context, run));
    let Some(draft) = LOSS_DRAFTS.get_ptr_mut(run as u32) else {
        return;
    };
    // SAFETY: a member of the map value of this CPU and run.
    let Range {
        mut begin, end: last, ..
    } = unsafe { read_volatile(&raw const (*draft).range) };
    let mut count = 0;
    while count < MOST_RANGES && begin != last {
        let end = losses::end_of_range(begin, last);
        let number = write_loss(run as u32, begin, end);
        // SAFETY: as above.
        let is_first = unsafe { read_volatile(&raw const (*draft).first) } == Loss::FIRST;
        if number == 0 {
            count_lost(Lost::LossesForgotten);
        } else if is_first {
            // SAFETY: as above.
            unsafe { write_volatile(&raw mut (*draft).first, number) };
            black_box(attempt::begin_attempt(context, number));
        }
        begin = end;
        count += 1;
    }
}

/// Whether TCP drops what it has already: the data has arrived.
#[inline(always)]
fn is_duplicate(reason: u32) -> bool {
    REASON_TCP_OLD_DATA.is(reason) || REASON_TCP_OLD_SEQUENCE.is(reason) || REASON_TCP_OFOMERGE.is(reason)
}

/// Whether the sender of a packet may be on this host. This and the next two are functions of their own, as `workload` of `kfree_skb` is,
/// and so that each gives its stack back before the next is called.
#[inline(never)]
fn is_ours(context: *mut c_void) -> u32 {
    let context = BtfTracePointContext::new(context);
    let packet = SkBuff::argument(&context, 0);
    black_box(packet.is_some_and(|packet| !comes_from_outside(packet)) as u32)
}

/// Writes what a packet carries into the draft of this run; 0 if that is nothing to remember.
#[inline(never)]
fn draft(context: *mut c_void, dropped: Dropped, run: Run) -> u32 {
    let Dropped {
        slot,
        reason,
        direction,
    } = dropped;
    let context = BtfTracePointContext::new(context);
    let Some(packet) = SkBuff::argument(&context, 0) else {
        return black_box(0);
    };
    // What a sniffer has no room for goes out all the same.
    if is_outgoing_copy(packet.packet_type()) {
        return black_box(0);
    }
    let header = packet::network_header(packet, matches!(direction, Direction::Receive));
    let Some((stream, range)) = packet.data_of_tcp(header) else {
        return black_box(0);
    };
    let Some(draft) = LOSS_DRAFTS.get_ptr_mut(run as u32) else {
        return black_box(0);
    };
    // What is too large for a link is sent again at once, in smaller parts, and on the clock of what was sent last.
    let is_at_once = REASON_PKT_TOO_BIG.is(reason);
    let now = now();
    // Other clocks than the sender's are ahead.
    let sent = match packet.timestamp() {
        sent if sent != 0 && sent < now => sent,
        _ => Loss::UNKNOWN,
    };
    // SAFETY: members of the map value of this CPU and run.
    unsafe {
        write_volatile(&raw mut (*draft).time, now);
        write_volatile(&raw mut (*draft).sent, sent);
        write_volatile(&raw mut (*draft).is_at_once, is_at_once as u32);
        write_volatile(&raw mut (*draft).stream, stream);
        write_volatile(&raw mut (*draft).range, range);
        write_volatile(&raw mut (*draft).slot, slot);
    }
    black_box(1)
}

/// Adds what the packet's socket and the connection tracking say to the draft of this run.
#[inline(never)]
fn draft_sender(context: *mut c_void, run: Run) -> u32 {
    let context = BtfTracePointContext::new(context);
    let (Some(packet), Some(draft)) = (SkBuff::argument(&context, 0), LOSS_DRAFTS.get_ptr_mut(run as u32)) else {
        return black_box(0);
    };
    // SAFETY: members of the map value of this CPU and run.
    unsafe {
        if let Some(stream) = packet.stream_of_conntrack() {
            write_volatile(&raw mut (*draft).stream, stream);
        }
        let attempt = attempt::attempt(
            packet,
            &read_volatile(&raw const (*draft).stream),
            read_volatile(&raw const (*draft).range.end),
        );
        let Attempt {
            number,
            expected,
            first,
        } = attempt.unwrap_or(Attempt::NONE);
        write_volatile(&raw mut (*draft).attempt, number);
        write_volatile(&raw mut (*draft).unsent, expected);
        write_volatile(&raw mut (*draft).first, first);
    }
    black_box(0)
}

/// Whether a packet came in through a device that leads out of this host: who sent it is not here.
#[inline(always)]
fn comes_from_outside(packet: SkBuff) -> bool {
    packet.received_through() != 0 && packet.receiving_device().is_some_and(devices::leads_out)
}

/// Writes a part of what is in the draft of this run down, and gives its number; 0 when another run was in the way.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn write_loss(run: u32, begin: u32, end: u32) -> u32 {
    write(run, begin, end).unwrap_or(0)
}

/// The number of the range, its lower half.
#[inline(always)]
fn write(run: u32, begin: u32, end: u32) -> Option<u32> {
    /// How often a writer tries to be the newest of a chain: others may be faster.
    const MOST_TRIES: u32 = 4;
    let draft = LOSS_DRAFTS.get_ptr_mut(run)?;
    let count = LOSS_COUNT.get_ptr_mut(0)?;
    // SAFETY: members of map values: of this CPU and run, and a word.
    let (stream, range, number) = unsafe {
        let stream = read_volatile(&raw const (*draft).stream);
        let range = read_volatile(&raw const (*draft).range);
        (stream, Range { begin, end, ..range }, atomic::fetch_add(count, 1) + 1)
    };
    let loss = LOSSES.get_ptr_mut(number as u32 & (MOST_LOSSES - 1))?;
    let chain = LOSS_CHAINS.get_ptr_mut(stream.chain(losses::block(begin)))?;
    // SAFETY: members of map values. Nobody else writes those of the ring while its number says so.
    unsafe {
        let number_at = &raw mut (*loss).number;
        let old = read_volatile(number_at);
        if old == Loss::WRITTEN || !atomic::replace_at(number_at, old, Loss::WRITTEN) {
            return None;
        }
        if old != 0 {
            let before = read_volatile(&raw const (*loss).range);
            if !read_volatile(&raw const (*loss).repeated) & before.all() != 0 {
                count_lost(Lost::LossesForgotten);
            }
        }
        write_volatile(&raw mut (*loss).time, read_volatile(&raw const (*draft).time));
        write_volatile(&raw mut (*loss).sent, read_volatile(&raw const (*draft).sent));
        write_volatile(&raw mut (*loss).repeated, 0);
        write_volatile(&raw mut (*loss).stream, stream);
        write_volatile(&raw mut (*loss).range, range);
        write_volatile(&raw mut (*loss).slot, read_volatile(&raw const (*draft).slot));
        let first = match read_volatile(&raw const (*draft).first) {
            Loss::FIRST => number as u32,
            first => first,
        };
        write_volatile(&raw mut (*loss).first, first);
        write_volatile(&raw mut (*loss).attempt, read_volatile(&raw const (*draft).attempt));
        write_volatile(&raw mut (*loss).unsent, read_volatile(&raw const (*draft).unsent));
        write_volatile(
            &raw mut (*loss).is_at_once,
            read_volatile(&raw const (*draft).is_at_once),
        );
        let mut newest = read_volatile(chain);
        write_volatile(&raw mut (*loss).next, newest);
        let _own = atomic::replace_at(number_at, Loss::WRITTEN, number);
        let mut tries = 0;
        while tries < MOST_TRIES {
            if atomic::replace_at(chain, newest, number) {
                return Some(number as u32);
            }
            newest = read_volatile(chain);
            write_volatile(&raw mut (*loss).next, newest);
            tries += 1;
        }
        // No search finds it. The caller counts that, and whoever uses the place again must not do so once more.
        write_volatile(&raw mut (*loss).repeated, u64::MAX);
    }
    None
}

/// Whether a range is of a connection.
///
/// # Safety
/// It points to a map value.
#[inline(always)]
unsafe fn is_of(loss: *const Loss, stream: &Stream) -> bool {
    let mut difference = 0;
    for (i, word) in stream.words.into_iter().enumerate() {
        // SAFETY: by the contract of this function.
        difference |= word ^ unsafe { read_volatile((&raw const (*loss).stream.words).cast::<u64>().add(i)) };
    }
    difference == 0
}
