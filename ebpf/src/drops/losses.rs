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

use crate::{
    atomic, drops,
    flow::state::Flow,
    kernel::{
        SkBuff, Sock, TcpSock,
        offsets::{Fact, REASON_PKT_TOO_BIG, REASON_TCP_OFOMERGE, REASON_TCP_OLD_DATA, REASON_TCP_OLD_SEQUENCE},
    },
    label::{devices, packet},
    maps::{LOSS_CHAINS, LOSS_COUNT, LOSS_DRAFTS, LOSS_SEARCHES, LOSSES, lost::count_lost},
};
use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::BtfTracePointContext};
use common::{
    drops::{
        Direction,
        losses::{self, LOSSES as MOST_LOSSES, Loss, MOST_RANGES, MOST_STEPS, Range, Search, Stream},
    },
    kernel::tracepoints::Run,
    map::lost::Lost,
    tcp::state,
};
use core::{
    ffi::c_void,
    hint::black_box,
    ptr::{read_volatile, write_volatile},
};

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
    let Some(draft) = LOSS_DRAFTS.get_ptr(run as u32) else {
        return;
    };
    // SAFETY: a member of the map value of this CPU and run.
    let Range {
        mut begin, end: last, ..
    } = unsafe { read_volatile(&raw const (*draft).range) };
    let mut count = 0;
    while count < MOST_RANGES && begin != last {
        let end = losses::end_of_range(begin, last);
        if write_loss(run as u32, begin, end) == 0 {
            count_lost(Lost::LossesForgotten);
        }
        begin = end;
        count += 1;
    }
}

/// Whether TCP drops what it has already: the data has arrived.
#[inline(always)]
fn is_duplicate(reason: u32) -> bool {
    is(reason, &REASON_TCP_OLD_DATA) || is(reason, &REASON_TCP_OLD_SEQUENCE) || is(reason, &REASON_TCP_OFOMERGE)
}

#[inline(always)]
fn is(reason: u32, fact: &Fact) -> bool {
    fact.is_set() && reason as u64 == fact.get()
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
    let header = packet::network_header(packet, matches!(direction, Direction::Receive));
    let Some((stream, range)) = packet.data_of_tcp(header) else {
        return black_box(0);
    };
    let Some(draft) = LOSS_DRAFTS.get_ptr_mut(run as u32) else {
        return black_box(0);
    };
    // What is too large for a link is sent again at once, in smaller parts, and on the clock of what was sent last.
    let is_at_once = is(reason, &REASON_PKT_TOO_BIG);
    // SAFETY: members of the map value of this CPU and run; the helper takes nothing.
    unsafe {
        write_volatile(&raw mut (*draft).time, bpf_ktime_get_ns());
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
        let (is_new, unsent) = attempt(packet, read_volatile(&raw const (*draft).range));
        write_volatile(&raw mut (*draft).unsent, unsent);
        write_volatile(&raw mut (*draft).is_new, is_new);
        if let Some(stream) = packet.stream_of_conntrack() {
            write_volatile(&raw mut (*draft).stream, stream);
        }
    }
    black_box(0)
}

/// Whether a packet came in through a device that leads out of this host: who sent it is not here.
#[inline(always)]
fn comes_from_outside(packet: SkBuff) -> bool {
    packet.received_through() != 0 && packet.receiving_device().is_some_and(devices::leads_out)
}

/// Whether the packet's own socket is just sending the range for the first time, and what is unsent of it if TCP takes it for sent.
#[inline(always)]
fn attempt(packet: SkBuff, range: Range) -> (u32, u32) {
    let of_sender = || {
        if packet.received_through() != 0 {
            return None;
        }
        let sock = packet.socket()?;
        if !state::is_connected(sock.state()) {
            return None;
        }
        let tcp = sock.full_tcp()?;
        let next = tcp.snd_nxt()?;
        if !losses::is_before(next, range.end) {
            return None;
        }
        let unsent = losses::unsent(tcp.bytes_sent()?, tcp.bytes_retrans()?, next);
        Some(unsent.wrapping_sub(range.end.wrapping_sub(range.begin)))
    };
    of_sender().map_or((0, 0), |unsent| (1, unsent))
}

/// Writes a part of what is in the draft of this run down; 0 when another run was in the way.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn write_loss(run: u32, begin: u32, end: u32) -> u32 {
    write(run, begin, end).is_some() as u32
}

#[inline(always)]
fn write(run: u32, begin: u32, end: u32) -> Option<()> {
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
        write_volatile(&raw mut (*loss).repeated, 0);
        write_volatile(&raw mut (*loss).stream, stream);
        write_volatile(&raw mut (*loss).range, range);
        write_volatile(&raw mut (*loss).slot, read_volatile(&raw const (*draft).slot));
        write_volatile(&raw mut (*loss).unsent, read_volatile(&raw const (*draft).unsent));
        write_volatile(&raw mut (*loss).is_new, read_volatile(&raw const (*draft).is_new));
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
                return Some(());
            }
            newest = read_volatile(chain);
            write_volatile(&raw mut (*loss).next, newest);
            tries += 1;
        }
    }
    None
}

/// The number of segments that a socket has just retransmitted and whose transmission before this host had dropped. Each counts for
/// the site of that drop, too. A function of its own, as [`draft`] is.
#[inline(never)]
pub(crate) fn sent_again(context: *mut c_void, run: Run) -> u32 {
    let context = BtfTracePointContext::new(context);
    let (Some(sock), Some(packet)) = (Sock::argument(&context, 0), SkBuff::argument(&context, 1)) else {
        return black_box(0);
    };
    let (Some(tcp), Some(sent)) = (sock.known_tcp(), packet.data_of_queue()) else {
        return black_box(0);
    };
    black_box(find(sock, sent, tcp, run).unwrap_or(0))
}

#[inline(always)]
fn find(sock: Sock, sent: Range, tcp: TcpSock, run: Run) -> Option<u32> {
    if sent.begin == sent.end {
        return None;
    }
    let stream = sock.stream();
    // The kernel reads its clock once for all that it retransmits in a row: of these, each began after the one before.
    let clock = tcp.clock()?;
    let (established, since) = match Flow::find(sock) {
        Some(flow) => {
            let before = flow.retransmitted_at.get();
            // SAFETY: a helper without arguments.
            flow.retransmitted_at.set(unsafe { bpf_ktime_get_ns() });
            (flow.started.get(), clock.max(before))
        }
        None => (0, clock),
    };
    let search = LOSS_SEARCHES.get_ptr_mut(run as u32)?;
    let block = losses::block(sent.begin);
    // SAFETY: members of the map value of this CPU and run.
    unsafe {
        write_volatile(&raw mut (*search).established, established);
        write_volatile(&raw mut (*search).since, since);
        write_volatile(&raw mut (*search).number, newest(&stream, block));
        write_volatile(&raw mut (*search).done, 0);
        write_volatile(&raw mut (*search).stream, stream);
        write_volatile(&raw mut (*search).sent, sent);
        write_volatile(&raw mut (*search).block, block);
        let unsent = losses::unsent(tcp.bytes_sent()?, tcp.bytes_retrans()?, tcp.snd_nxt()?);
        write_volatile(&raw mut (*search).unsent, unsent);
    }
    let mut steps = 0;
    while steps < MOST_STEPS && search_loss(run as u32) != 0 {
        steps += 1;
    }
    if steps == MOST_STEPS {
        count_lost(Lost::LossesForgotten);
    }
    // SAFETY: as above.
    Some(unsafe { read_volatile(&raw const (*search).done) }.count_ones())
}

/// Looks at the next range for the search of this run; 0 when there is none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn search_loss(run: u32) -> u32 {
    step(run).is_some() as u32
}

#[inline(always)]
fn step(run: u32) -> Option<()> {
    let search = LOSS_SEARCHES.get_ptr_mut(run)?;
    // SAFETY: members of the map value of this CPU and run.
    let (number, stream, sent) = unsafe {
        (
            read_volatile(&raw const (*search).number),
            read_volatile(&raw const (*search).stream),
            read_volatile(&raw const (*search).sent),
        )
    };
    // SAFETY: as above.
    let number_at = unsafe { &raw mut (*search).number };
    if number == 0 {
        // SAFETY: as above.
        unsafe {
            let block = read_volatile(&raw const (*search).block);
            if block == losses::block(sent.end.wrapping_sub(1)) {
                return None;
            }
            let block = losses::next_block(block);
            write_volatile(&raw mut (*search).block, block);
            write_volatile(number_at, newest(&stream, block));
        }
        return Some(());
    }
    let loss = LOSSES.get_ptr_mut(number as u32 & (MOST_LOSSES - 1))?;
    // SAFETY: members of a map value.
    let (before, known, range, slot, next) = unsafe {
        (
            read_volatile(&raw const (*loss).number),
            is_lost(loss, search, &stream),
            read_volatile(&raw const (*loss).range),
            read_volatile(&raw const (*loss).slot),
            read_volatile(&raw const (*loss).next),
        )
    };
    // SAFETY: as above.
    let after = unsafe { read_volatile(&raw const (*loss).number) };
    if before != number || after != number {
        // It was forgotten, and with it all that are older.
        // SAFETY: as above.
        unsafe { write_volatile(number_at, 0) };
        return Some(());
    }
    // SAFETY: as above.
    unsafe { write_volatile(number_at, next) };
    if !known {
        return Some(());
    }
    let again = range.segments_in(sent.begin, sent.end);
    // SAFETY: members of map values.
    unsafe {
        let repeated = &raw mut (*loss).repeated;
        let waiting = again & !atomic::fetch_or(repeated, range.ends_in(sent.begin, sent.end));
        if waiting != 0 {
            let (from, to) = range.around(waiting);
            let done_at = &raw mut (*search).done;
            let done = read_volatile(done_at);
            let segments = sent.segments_in(from, to) & !done;
            write_volatile(done_at, done | segments);
            drops::count_repeated(slot, segments.count_ones() as u64);
        }
    }
    Some(())
}

/// Whether a range is of the connection, was taken for sent, and was dropped before what is sent again now.
///
/// # Safety
/// Both point to map values.
#[inline(always)]
unsafe fn is_lost(loss: *const Loss, search: *const Search, stream: &Stream) -> bool {
    let mut difference = 0;
    // SAFETY: by the contract of this function.
    unsafe {
        for (i, word) in stream.words.into_iter().enumerate() {
            difference |= word ^ read_volatile((&raw const (*loss).stream.words).cast::<u64>().add(i));
        }
        difference == 0
            && Loss::was_before(
                read_volatile(&raw const (*loss).time),
                read_volatile(&raw const (*loss).is_at_once),
                read_volatile(&raw const (*search).established),
                read_volatile(&raw const (*search).since),
            )
            && Loss::was_sent(
                read_volatile(&raw const (*loss).is_new),
                read_volatile(&raw const (*loss).unsent),
                read_volatile(&raw const (*search).unsent),
            )
    }
}

#[inline(always)]
fn newest(stream: &Stream, block: u32) -> u64 {
    // SAFETY: a word of a map value.
    LOSS_CHAINS
        .get_ptr(stream.chain(block))
        .map_or(0, |chain| unsafe { read_volatile(chain) })
}
