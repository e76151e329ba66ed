//! What attackers get by the order in which connections go.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::serve::web::{
    connections::table::{
        entry::{FEW, FRESH, YOUNG},
        order::MANY_SILENT,
    },
    transport::ending::Unread,
};

/// The places of strangers.
const PLACES: usize = MOST - RESERVED;

/// A socket that has something to read, or has not.
#[derive(Debug, Default)]
struct Line(AtomicBool);

impl Unread for Line {
    fn has_unread(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Line {
    fn of(run: &Run, number: u64) -> Arc<Self> {
        let line = Arc::new(Self(AtomicBool::new(true)));
        let weak: std::sync::Weak<Self> = Arc::downgrade(&line);
        run.table.entries[&number].ending.belongs_to(weak);
        line
    }

    fn is_read(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Run {
    /// One whose request has been answered and taken, so that it is idle from now on.
    fn idle(&mut self, peer: Peer) -> u64 {
        let number = self.busy(peer, 1)[0];
        let requests: Vec<u64> = self.table.entries[&number].requests.keys().copied().collect();
        for request in requests {
            self.table.end(number, request, self.now);
        }
        number
    }

    /// Strangers that come at once: each takes the place of another, if all are taken. Who was closed has gone at once, too.
    fn flood(&mut self, peers: impl Iterator<Item = u32>) {
        for number in peers {
            self.now += YOUNG;
            assert!(self.table.has_room(self.now), "nobody gives way to {number}");
            self.table.leaving = 0;
            self.admit(peer(number));
        }
    }
}

#[test]
fn whose_bytes_nobody_has_read_has_not_been_silent() {
    let mut run = Run::new();
    let [honest, silent, idle] = [0, 1, 2].map(|number| run.admit(peer(number)).number);
    run.table.heard(idle, run.now);
    let request = run.table.begin(idle, run.now);
    run.table.end(idle, request, run.now);
    let line = Line::of(&run, honest);
    run.now += OWN / 2;
    // It has come first, and seems to have said nothing.
    assert_eq!(run.first_stranger(), Some(silent));
    run.table.close(silent);
    assert_eq!(run.first_stranger(), Some(idle));
    run.table.close(idle);
    // Where there is nobody else, it is no reason to turn others away.
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(honest));
    line.is_read();
    run.table.heard(honest, run.now);
    run.table.begin(honest, run.now);
    assert_eq!(run.table.entries[&honest].waits(run.now + OWN), Duration::ZERO);
}

#[test]
fn a_request_on_a_kept_connection_that_nobody_has_read_counts_once() {
    let mut run = Run::new();
    let kept = run.idle(peer(1));
    run.now += 10 * OWN;
    let idle = run.idle(peer(2));
    run.now += OWN / 2;
    let _line = Line::of(&run, kept);
    assert_eq!(run.first_stranger(), Some(idle), "the kept one has just asked");
    // Whoever sends in pieces has a second for it, and is then as idle as others.
    run.now += OWN * 2;
    assert_eq!(run.first_stranger(), Some(idle));
    run.table.heard(idle, run.now);
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(kept));
}

#[test]
fn requests_that_wait_for_their_turn_keep_no_place() {
    let mut run = Run::new();
    let presses = run.idle(peer(1));
    let _line = Line::of(&run, presses);
    assert!(run.table.presses(presses, false, run.now));
    run.now += FRESH;
    let idle = run.idle(peer(2));
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(presses));
    run.table.begin(presses, run.now);
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(idle), "its turn has come");
}

#[test]
fn only_requests_without_a_pause_wait_for_their_turn() {
    let mut run = Run::new();
    let number = run.admit(peer(1)).number;
    run.table.heard(number, run.now);
    let start = run.now;
    let after = |part| start + part;
    assert!(!run.table.presses(number, false, start), "the first one");
    let request = run.table.begin(number, start);
    assert!(
        run.table.presses(number, false, after(10 * PAUSE)),
        "beside another stream"
    );
    run.table.end(number, request, after(PAUSE));
    assert!(run.table.presses(number, false, after(PAUSE + PAUSE / 2)));
    assert!(!run.table.presses(number, false, after(2 * PAUSE)));
    run.table.remove(number);
    assert!(!run.table.presses(number, false, start), "one that is gone");
}

#[test]
fn addresses_with_many_connections_drive_nobody_out() {
    let mut run = Run::new();
    // One has said nothing yet, one is idle for longer than all others, one has an answer that it is slow to take.
    let silent = run.admit(peer(0)).number;
    let idle = run.idle(peer(1));
    let slow = run.busy(peer(2), 1)[0];
    let request = *run.table.entries[&slow].requests.keys().next().unwrap();
    run.table.answer(slow, request, None, run.now);
    // Both silent ones and such as have had an answer, from as few addresses as have room.
    let peers = u32::try_from(PLACES / PER_PEER).unwrap();
    for number in 0..peers {
        for one in 0..PER_PEER {
            if one % 2 == 0 {
                run.idle(peer(100 + number));
            } else {
                run.admit(peer(100 + number));
            }
        }
    }
    run.flood((0..1000).map(|number| 100 + number % peers));
    assert!([silent, idle, slow].iter().all(|number| run.is_open(*number)));
    assert_eq!(run.table.strange, PLACES);
}

#[test]
fn as_many_addresses_as_places_drive_out_no_client_that_asks() {
    let mut run = Run::new();
    // Strangers with a connection each: who has a few is no worse than they.
    let few: Vec<u64> = (0..FEW).map(|_| run.idle(peer(0))).collect();
    let first = u32::try_from(PLACES).unwrap();
    let mut others = Vec::new();
    for number in 1..=first - u32::try_from(FEW).unwrap() {
        others.push(run.admit(peer(number)).number);
    }
    run.flood((0..400).map(|number| 1000 + number));
    assert!(few.iter().all(|number| run.is_open(*number)), "silent ones go first");
    assert!(!run.is_open(others[0]));
    // One more, and it loses its own longest idle one.
    let more = run.idle(peer(0));
    run.flood(2000..2001);
    assert!(!run.is_open(few[0]) && few[1..].iter().all(|number| run.is_open(*number)) && run.is_open(more));
}

#[test]
fn whoever_has_just_said_something_does_not_go_for_a_flood_of_silent_ones() {
    const STEP: Duration = Duration::from_micros(20);
    let mut run = Run::new();
    let loopback = Peer::new(Ipv4Addr::LOCALHOST.into());
    for _ in 0..PLACES {
        run.table.admit(loopback, PER_PEER, run.now);
    }
    // One that waits for its answer to be taken, while others come so fast that none gets old.
    run.now += YOUNG;
    let honest = run.table.admit(loopback, PER_PEER, run.now).number;
    run.table.heard(honest, run.now);
    let request = run.table.begin(honest, run.now);
    run.table.answer(honest, request, None, run.now + STEP);
    let (end, mut taken) = (run.now + 5 * FRESH, 0);
    while run.now < end {
        run.now += STEP;
        run.table.leaving = 0;
        if run.table.has_room(run.now) {
            run.table.admit(loopback, PER_PEER, run.now);
            taken += 1;
        }
        assert!(run.is_open(honest), "closed {:?} before the end", end - run.now);
    }
    assert!(taken > 10 * PLACES, "only {taken} were taken in");
}

#[test]
fn a_few_silent_ones_keep_no_place_for_others() {
    for (silent, rows, goes) in [
        (MANY_SILENT - 1, false, true),
        (MANY_SILENT, false, false),
        (MANY_SILENT, true, true),
    ] {
        let mut run = Run::new();
        let idle = run.idle(peer(0));
        run.table.presses(idle, rows, run.now);
        run.now += FRESH;
        for _ in 0..silent {
            run.table.admit(peer(1), MOST, run.now);
        }
        assert_eq!(
            run.first_stranger(),
            goes.then_some(idle),
            "{silent} silent ones, {rows}"
        );
    }
}

#[test]
fn of_many_connections_those_whose_answers_are_made_stay() {
    let mut run = Run::new();
    let busy = run.busy(peer(0), PER_PEER);
    let idle = run.idle(peer(1));
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(idle));
    run.table.close(idle);
    let request = *run.table.entries[&busy[3]].requests.keys().next().unwrap();
    run.table.answer(busy[3], request, None, run.now);
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(busy[3]));
}

#[test]
fn whoever_sends_requests_in_a_row_goes_first() {
    let mut run = Run::new();
    let honest = run.busy(peer(1), FEW + 1);
    let idle = run.idle(peer(2));
    run.now += OWN;
    let rows = run.admit(peer(2)).number;
    run.table.heard(rows, run.now);
    assert!(
        !run.table.presses(rows, true, run.now),
        "its first one is answered at once"
    );
    let request = run.table.begin(rows, run.now);
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(idle), "its answer is made");
    for number in honest {
        let request = *run.table.entries[&number].requests.keys().next().unwrap();
        run.table.answer(number, request, None, run.now);
    }
    run.table.answer(rows, request, None, run.now);
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(rows));
}

#[test]
fn shares_are_counted_off() {
    let mut run = Run::new();
    let numbers: Vec<u64> = (0..PER_PEER).map(|_| run.admit(peer(1)).number).collect();
    assert_eq!(run.table.shares.of(peer(1)), PER_PEER);
    run.busy(peer(2), PER_PEER);
    assert!(run.admit(peer(2)).only_health);
    assert_eq!(run.table.shares.of(peer(2)), PER_PEER, "those for health apart");
    for number in &numbers[1..] {
        run.table.remove(*number);
    }
    run.table.close(numbers[0]);
    run.table.remove(numbers[0]);
    assert_eq!(
        (run.table.shares.of(peer(1)), run.table.shares.of(peer(2))),
        (0, PER_PEER)
    );
}
