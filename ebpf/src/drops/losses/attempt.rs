//! What becomes of data whose packets are dropped while TCP sends it for the first time: the host may refuse it, so that TCP sends it as
//! new once more, or TCP takes it for sent, as where a queue takes a part of a packet. No hook says which. The next drop or
//! retransmission of the connection tells, by what is unsent then.
#![expect(unsafe_code, reason = "reads and writes map values that other runs use as well")]

use super::is_of;
use crate::{flow::state::Flow, kernel::SkBuff, maps::LOSSES};
use aya_ebpf::programs::BtfTracePointContext;
use common::{
    drops::losses::{self, Loss, MOST_LOSSES, Stream},
    tcp::state,
};
use core::{
    ffi::c_void,
    hint::black_box,
    ptr::{read_volatile, write_volatile},
};

/// An attempt to send data for the first time.
pub(super) struct Attempt {
    /// [`Loss::attempt`]
    pub(super) number: u32,
    /// [`Loss::unsent`]
    pub(super) expected: u32,
    /// [`Loss::first`]
    pub(super) first: u32,
}

impl Attempt {
    /// Of data that TCP takes for sent.
    pub(super) const NONE: Self = Self {
        number: 0,
        expected: 0,
        first: 0,
    };
}

/// The attempt in which a packet is dropped whose data ends before `end`; `None` if its own socket takes the data for sent by now. While
/// TCP sends data for the first time, `bytes_sent` has it, `snd_nxt` does not, and its packet is still the first that is unsent.
#[inline(always)]
pub(super) fn attempt(packet: SkBuff, stream: &Stream, end: u32) -> Option<Attempt> {
    if packet.received_through() != 0 {
        return None;
    }
    let sock = packet.socket()?;
    if !state::is_connected(sock.state()) {
        return None;
    }
    let tcp = sock.full_tcp()?;
    let next = tcp.snd_nxt()?;
    if !losses::is_before(next, end) {
        return None;
    }
    let queued = sock.first_unsent()?;
    let data = queued.data_of_queue()?;
    if data.begin != next {
        return None;
    }
    let sent = tcp.bytes_sent()?;
    let unsent = losses::unsent(sent, tcp.bytes_retrans()?, next);
    let number = sent as u32;
    let before = unsent.wrapping_sub(queued.length());
    let first = Flow::find(sock).map_or(Loss::FIRST, |flow| {
        first_of_attempt(flow.dropped_attempt.get(), stream, number, before)
    });
    Some(Attempt {
        number,
        expected: unsent.wrapping_sub(data.end.wrapping_sub(data.begin)),
        first,
    })
}

/// The number of the first range that was dropped in an attempt, if the flow's `last` one with drops is the same. Of an older one, what is
/// `unsent` before the new one tells what became of it: if the host had refused it, that would be more.
#[inline(always)]
fn first_of_attempt(last: u16, stream: &Stream, number: u32, unsent: u32) -> u32 {
    let Some(place) = (last as u32).checked_sub(1) else {
        return Loss::FIRST;
    };
    let Some(loss) = LOSSES.get_ptr_mut(place & (MOST_LOSSES - 1)) else {
        return Loss::FIRST;
    };
    // SAFETY: members of a map value.
    let (is_ours, first, attempt, expected) = unsafe {
        (
            is_of(loss, stream),
            read_volatile(&raw const (*loss).first),
            read_volatile(&raw const (*loss).attempt),
            read_volatile(&raw const (*loss).unsent),
        )
    };
    // Another range may lie there by now.
    if !is_ours || first & (MOST_LOSSES - 1) != place {
        return Loss::FIRST;
    }
    if attempt == number {
        return first;
    }
    if Loss::was_sent(expected, unsent) {
        // SAFETY: a member of a map value.
        unsafe { write_volatile(&raw mut (*loss).taken, first) };
    }
    Loss::FIRST
}

/// Notes for the flow of a packet which range was dropped first in the attempt to send it.
#[inline(never)]
pub(super) fn begin_attempt(context: *mut c_void, number: u32) -> u32 {
    let context = BtfTracePointContext::new(context);
    let sock = SkBuff::argument(&context, 0).and_then(SkBuff::socket);
    if let Some(flow) = sock.and_then(Flow::find)
        && number != 0
    {
        flow.dropped_attempt.set((number & (MOST_LOSSES - 1)) as u16 + 1);
    }
    black_box(0)
}

/// Whether TCP took a range for sent, of whose sender this is [`losses::unsent`] now.
///
/// # Safety
/// It points to a map value.
#[inline(always)]
pub(super) unsafe fn was_taken(loss: *const Loss, unsent: u32) -> bool {
    // SAFETY: by the contract of this function.
    let (first, expected) = unsafe {
        (
            read_volatile(&raw const (*loss).first),
            read_volatile(&raw const (*loss).unsent),
        )
    };
    if first == 0 || Loss::was_sent(expected, unsent) {
        return true;
    }
    // Something was refused since: this one, unless a later attempt found that it was not.
    let Some(packet) = LOSSES.get_ptr(first & (MOST_LOSSES - 1)) else {
        return false;
    };
    // SAFETY: a member of a map value.
    unsafe { read_volatile(&raw const (*packet).taken) == first }
}
