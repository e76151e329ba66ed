//! Which segments of a retransmission this host had dropped before.
#![expect(
    unsafe_code,
    reason = "reads and writes map values that other runs use as well, and exports a function by name"
)]

use super::{attempt::was_taken, is_of};
use crate::{
    atomic, drops,
    flow::state::Flow,
    kernel::{SkBuff, Sock, TcpSock, now},
    maps::{LOSS_CHAINS, LOSS_SEARCHES, LOSSES, lost::count_lost},
};
use aya_ebpf::programs::BtfTracePointContext;
use common::{
    drops::losses::{self, Loss, MOST_LOSSES, MOST_STEPS, Range, Search, Stream, Times},
    kernel::tracepoints::Run,
    map::lost::Lost,
};
use core::{
    ffi::c_void,
    hint::black_box,
    ptr::{read_volatile, write_volatile},
};

/// The number of segments that a socket has just retransmitted and whose transmission before this host had dropped. Each counts for
/// the site of that drop, too. A function of its own, as `draft` is.
#[inline(never)]
pub(crate) fn sent_again(context: *mut c_void, run: Run) -> u32 {
    let context = BtfTracePointContext::new(context);
    let (Some(sock), Some(packet)) = (Sock::argument(&context, 0), SkBuff::argument(&context, 1)) else {
        return black_box(0);
    };
    let (Some(tcp), Some(sent)) = (sock.known_tcp(), packet.data_of_queue()) else {
        return black_box(0);
    };
    // The packet of the queue has no headers.
    let lone_fin = sent.lone_fin(packet.length());
    black_box(find(sock, sent, lone_fin, tcp, run).unwrap_or(0))
}

#[inline(always)]
fn find(sock: Sock, sent: Range, lone_fin: u64, tcp: TcpSock, run: Run) -> Option<u32> {
    if sent.begin == sent.end {
        return None;
    }
    let stream = sock.stream();
    // The kernel reads its clock once for all that it retransmits in a row: of these, each began after the one before.
    let clock = tcp.clock()?;
    let (established, since) = match Flow::find(sock) {
        Some(flow) => {
            let before = flow.retransmitted_at.get();
            flow.retransmitted_at.set(now());
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
        write_volatile(&raw mut (*search).clock, clock);
        write_volatile(&raw mut (*search).number, newest(&stream, block));
        write_volatile(&raw mut (*search).done, 0);
        write_volatile(&raw mut (*search).lone_fin, lone_fin);
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
            let lone_fin = read_volatile(&raw const (*search).lone_fin);
            let dropped = sent.segments_in(from, to);
            let segments = (dropped & !lone_fin | (dropped & lone_fin) >> 1) & !done;
            write_volatile(done_at, done | segments);
            drops::count_repeated(slot, segments.count_ones() as u64);
        }
    }
    Some(())
}

/// Whether a range belongs to the connection, TCP took it for sent, and it was dropped before the retransmission of this search.
///
/// # Safety
/// Both point to map values.
#[inline(always)]
unsafe fn is_lost(loss: *const Loss, search: *const Search, stream: &Stream) -> bool {
    // SAFETY: by the contract of this function.
    unsafe {
        is_of(loss, stream)
            && Loss::was_before(
                read_volatile(&raw const (*loss).time),
                read_volatile(&raw const (*loss).sent),
                read_volatile(&raw const (*loss).is_at_once),
                Times {
                    established: read_volatile(&raw const (*search).established),
                    since: read_volatile(&raw const (*search).since),
                    clock: read_volatile(&raw const (*search).clock),
                },
            )
            && was_taken(loss, read_volatile(&raw const (*search).unsent))
    }
}

#[inline(always)]
fn newest(stream: &Stream, block: u32) -> u64 {
    // SAFETY: a word of a map value.
    LOSS_CHAINS
        .get_ptr(stream.chain(block))
        .map_or(0, |chain| unsafe { read_volatile(chain) })
}
