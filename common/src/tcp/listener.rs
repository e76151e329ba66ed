//! A listener, kept in its socket's storage: how many handshakes it has turned away.
//!
//! The kernel does not say so by an event: it drops a SYN without a word and adds to `sock.sk_drops`. It adds to it for packets
//! that it frees for other reasons, too, and those have an event. What is left are the handshakes (`LINUX_MIB_LISTENDROPS`).

use crate::{memory::shared::Shared, tcp::group::Counter};

/// What socket storage holds for a listener. Hooks on several CPUs and the collecting iterator change it, atomically.
#[derive(Debug, Default)]
#[repr(C)]
pub struct ListenerState {
    /// Packets that the kernel has added to `sock.sk_drops` and freed with an event, since the listener was first seen.
    pub freed: Shared<u64>,
    /// Handshakes turned away that are counted, by the lower half of what [`turned_away`] starts from.
    pub counted: Shared<u32>,
    /// Explicit padding, zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<ListenerState>() == 16 && align_of::<ListenerState>() == 8);

/// Handshakes turned away until now, plus a constant: the difference of two such values counts them.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "both counters wrap, and so does the difference"
)]
pub const fn turned_away(drops: u32, freed: u64) -> u32 {
    drops.wrapping_sub(freed as u32)
}

/// What to add when the value goes from `counted` to `now`; 0 when it went back, which it does for as long as a packet is between
/// the two counters.
#[inline(always)]
pub const fn since(counted: u32, now: u32) -> u32 {
    let grown = now.wrapping_sub(counted);
    if grown < 1 << 31 { grown } else { 0 }
}

/// Why a listener turns handshakes away: what it looks like when they are counted.
#[derive(Clone, Copy, Debug)]
pub struct Queues {
    /// `sock.sk_ack_backlog`: connections that wait for `accept`.
    pub waiting: u32,
    /// `sock.sk_max_ack_backlog`: most of them, and most handshakes that are not over.
    pub limit: u32,
    /// `icsk_accept_queue.qlen`: handshakes that are not over.
    pub half_open: u32,
    /// `net.ipv4.tcp_max_syn_backlog` of the namespace.
    pub backlog: u32,
    /// `net.ipv4.tcp_syncookies` of the namespace: with cookies a full SYN queue turns nobody away.
    pub cookies: bool,
}

impl Queues {
    /// The counter of the cause.
    #[inline(always)]
    pub const fn cause(&self) -> Counter {
        // As `sk_acceptq_is_full()`.
        if self.cookies || self.waiting > self.limit {
            return Counter::ListenDropsAcceptQueue;
        }
        // Without cookies the kernel keeps the last quarter of the backlog for peers that it knows.
        if self.half_open >= self.limit || self.half_open > self.backlog - self.backlog / 4 {
            return Counter::ListenDropsSynQueue;
        }
        Counter::ListenDropsOther
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_with_an_event_is_no_handshake_turned_away() {
        let at_first = turned_away(7, 0);
        assert_eq!(since(at_first, turned_away(7, 0)), 0);
        assert_eq!(since(at_first, turned_away(10, 1)), 2);
        // The event came before what it belongs to was read.
        assert_eq!(since(at_first, turned_away(7, 1)), 0);
        assert_eq!(since(turned_away(u32::MAX, 0), turned_away(1, 0)), 2);
    }

    #[test]
    fn the_cause_is_the_queue_that_is_full() {
        let check = |waiting, half_open, cookies, expected| {
            let queues = Queues {
                waiting,
                limit: 8,
                half_open,
                backlog: 6,
                cookies,
            };
            assert_eq!(queues.cause(), expected, "{queues:?}");
        };
        check(9, 0, true, Counter::ListenDropsAcceptQueue);
        // Emptied since.
        check(0, 0, true, Counter::ListenDropsAcceptQueue);
        check(9, 8, false, Counter::ListenDropsAcceptQueue);
        check(8, 8, false, Counter::ListenDropsSynQueue);
        check(0, 6, false, Counter::ListenDropsSynQueue);
        check(0, 5, false, Counter::ListenDropsOther);
        check(9, 5, false, Counter::ListenDropsAcceptQueue);
    }
}
