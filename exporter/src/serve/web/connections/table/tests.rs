//! Who gets a place, and who goes for it.

use super::{
    entry::{BUSY, FRESH, OWN, PART, YOUNG},
    known::KNOWN,
    *,
};
use std::net::Ipv4Addr;

mod attackers;

const PER_PEER: usize = 16;

fn peer(number: u32) -> Peer {
    Peer::new(Ipv4Addr::from_bits(0x0a00_0000 + number).into())
}

/// A table at a time that goes on by a second with each connection.
struct Run {
    table: Table,
    now: Instant,
}

impl Run {
    fn new() -> Self {
        Self {
            table: Table::default(),
            now: Instant::now(),
        }
    }

    fn admit(&mut self, peer: Peer) -> Admission {
        self.now += Duration::from_millis(1);
        self.table.admit(peer, PER_PEER, self.now)
    }

    /// The numbers of connections that have begun a request.
    fn busy(&mut self, peer: Peer, count: usize) -> Vec<u64> {
        let numbers: Vec<u64> = (0..count).map(|_| self.admit(peer).number).collect();
        for number in &numbers {
            self.table.heard(*number, self.now);
            self.table.begin(*number, self.now);
        }
        numbers
    }

    fn first_stranger(&mut self) -> Option<u64> {
        self.table
            .order
            .first(&mut self.table.entries, &self.table.shares, self.now)
    }

    fn is_open(&self, number: u64) -> bool {
        self.table.entries.contains_key(&number)
    }
}

#[test]
fn a_peer_that_has_too_many_loses_its_longest_idle_one() {
    let mut run = Run::new();
    let stranger = run.admit(peer(1)).number;
    let first = run.admit(peer(2)).number;
    let second = run.admit(peer(2)).number;
    run.table.heard(first, run.now);
    run.table.heard(second, run.now + Duration::from_secs(1));
    let busy = run.busy(peer(2), PER_PEER - 2);
    run.now += Duration::from_secs(2);
    let more = run.admit(peer(2));
    assert_eq!(
        (more.refused, more.only_health),
        (Some((Refusal::ConnectionsPerPeer, peer(2))), false)
    );
    assert!(!run.is_open(first) && run.is_open(second) && run.is_open(stranger));
    assert!(busy.iter().all(|number| run.is_open(*number)));
    // The next one is the one that has come last but for the new one.
    run.admit(peer(2));
    assert!(!run.is_open(second) && run.is_open(more.number));
}

#[test]
fn while_all_of_a_peer_are_busy_more_of_it_are_for_health_only() {
    let mut run = Run::new();
    let busy = run.busy(peer(1), PER_PEER);
    let health: Vec<Admission> = (0..HEALTH_PER_PEER).map(|_| run.admit(peer(1))).collect();
    assert!(health.iter().all(|one| one.only_health));
    let one_more = run.admit(peer(1));
    assert!(one_more.only_health && !run.is_open(health[0].number));
    assert!(busy.iter().all(|number| run.is_open(*number)));
    for number in 2..20 {
        run.busy(peer(number), PER_PEER);
        for _ in 0..HEALTH_PER_PEER {
            assert!(run.admit(peer(number)).only_health);
        }
        assert!(run.table.count(|entry| entry.only_health) <= HEALTH);
    }
    // Another peer is not concerned.
    assert!(!run.admit(peer(100)).only_health);
}

#[test]
fn loopback_may_have_all_there_are() {
    let mut run = Run::new();
    let loopback = Peer::new(Ipv4Addr::LOCALHOST.into());
    for _ in 0..MOST - RESERVED {
        assert_eq!(run.admit(loopback).refused, None);
    }
    assert_eq!(run.admit(loopback).refused, Some((Refusal::Connections, loopback)));
    assert_eq!(run.table.open(), (MOST - RESERVED) as u64);
}

#[test]
fn when_all_are_taken_the_longest_idle_goes_and_an_answer_under_way_counts_for_less() {
    let mut run = Run::new();
    let places = u32::try_from(MOST - RESERVED).unwrap();
    let numbers: Vec<u64> = (0..places).map(|number| run.admit(peer(number)).number).collect();
    let start = run.now;
    let seconds = Duration::from_secs;
    // The first does not take an answer since the start, the second is idle since a second later, the others since ten.
    let request = run.table.begin(numbers[0], start);
    run.table.answer(numbers[0], request, None, start);
    run.table.heard(numbers[1], start + seconds(1));
    for number in &numbers[2..] {
        run.table.heard(*number, start + seconds(10));
    }
    for (at, goes) in [(11, 1), (15, 2), (40, 3), (60, 0)] {
        run.now = start + seconds(at);
        let goes = if at == 60 { numbers[0] } else { numbers[goes] };
        if at == 60 {
            // Nothing else has waited for as long.
            for number in &numbers[4..] {
                run.table.heard(*number, run.now);
            }
        }
        let new = run.admit(peer(5000 + u32::try_from(at).unwrap()));
        run.table.heard(new.number, start + seconds(1000));
        assert_eq!(new.refused.map(|(why, _)| why), Some(Refusal::Connections));
        assert!(!run.is_open(goes), "at {at}");
        assert_eq!(run.table.open(), u64::from(places));
    }
}

#[test]
fn a_request_that_has_come_is_not_idle_and_while_its_answer_is_made_it_does_not_wait_at_all() {
    let mut run = Run::new();
    let numbers: Vec<u64> = (0..3).map(|number| run.admit(peer(number)).number).collect();
    let start = run.now;
    let waits = |run: &Run, place: usize, after: Duration| run.table.entries[&numbers[place]].waits(start + after);
    run.table.heard(numbers[1], start);
    let request = run.table.begin(numbers[2], start);
    let half = OWN / 2;
    assert!(waits(&run, 0, half) >= half, "silent");
    assert_eq!(
        [waits(&run, 1, half), waits(&run, 1, 2 * OWN), waits(&run, 2, 60 * OWN)],
        [half / PART, OWN, Duration::ZERO]
    );
    run.table.answer(numbers[2], request, None, start + OWN);
    assert_eq!(waits(&run, 2, OWN + half), half / BUSY);
    run.table.end(numbers[2], request, start + 2 * OWN);
    assert_eq!(waits(&run, 2, 2 * OWN + half), half);
}

#[test]
fn who_is_closed_without_an_answer_or_within_one_is_reset() {
    let mut run = Run::new();
    let mut ends_by_reset = |served: bool, busy: bool| {
        let Admission { number, ending, .. } = run.admit(peer(1));
        if served {
            let request = run.table.begin(number, run.now);
            if !busy {
                run.table.end(number, request, run.now);
            }
        }
        assert_eq!(run.table.close(number), Some(peer(1)));
        ending.is_reset()
    };
    assert!(ends_by_reset(false, false) && ends_by_reset(true, true));
    assert!(!ends_by_reset(true, false));
    // The kernel has no more room for its answer, of which all has been handed over.
    let Admission { number, ending, .. } = run.admit(peer(1));
    let request = run.table.begin(number, run.now);
    run.table.end(number, request, run.now);
    ending.stall(true);
    assert!(ending.is_reset());
    assert_eq!(run.table.entries[&number].waits(run.now + OWN), OWN / BUSY);
}

#[test]
fn strangers_that_have_said_nothing_go_first_and_are_counted() {
    let mut run = Run::new();
    let idle = run.admit(peer(1)).number;
    run.table.heard(idle, run.now);
    let silent = run.admit(peer(2)).number;
    let known = run.admit(peer(3)).number;
    run.table.learn(peer(3), run.now);
    run.now += 10 * OWN;
    assert_eq!((run.first_stranger(), run.table.strange), (Some(silent), 2));
    run.table.close(silent);
    assert_eq!(run.first_stranger(), Some(idle));
    // An hour later it is a stranger again, and has still said nothing.
    run.now += KNOWN;
    run.table.make_room(peer(1), run.now);
    assert_eq!((run.first_stranger(), run.table.strange), (Some(known), 2));
}

#[test]
fn the_order_in_which_strangers_go_is_of_a_moment_and_skips_who_has_done_something_since() {
    let mut run = Run::new();
    let numbers: Vec<u64> = (0..4).map(|number| run.admit(peer(number)).number).collect();
    run.now += FRESH;
    assert_eq!(run.first_stranger(), Some(numbers[0]));
    // Whoever says something, asks for something or goes is not the first any more.
    run.table.heard(numbers[0], run.now);
    run.table.begin(numbers[1], run.now);
    assert_eq!(run.first_stranger(), Some(numbers[2]));
    run.table.close(numbers[2]);
    assert_eq!(run.first_stranger(), Some(numbers[3]));
    run.table.close(numbers[3]);
    // It is made anew once nobody is left in it, but not each time that somebody asks.
    assert_eq!(run.first_stranger(), None);
    run.now += YOUNG / 10;
    assert_eq!(run.first_stranger(), Some(numbers[0]));
}

#[test]
fn nobody_is_taken_in_while_many_still_leave() {
    let mut run = Run::new();
    let numbers: Vec<u64> = (0..MOST_LEAVING)
        .map(|_| run.admit(Peer::new(Ipv4Addr::LOCALHOST.into())).number)
        .collect();
    for number in &numbers {
        assert!(run.table.has_room(run.now));
        run.table.close(*number);
    }
    assert!(!run.table.has_room(run.now));
    run.table.remove(numbers[0]);
    assert!(run.table.has_room(run.now));
}

#[test]
fn who_has_just_come_stays_for_a_moment() {
    let mut run = Run::new();
    let start = run.now;
    for number in 0..u32::try_from(MOST - RESERVED).unwrap() {
        assert!(run.table.has_room(start));
        run.table.admit(peer(number), PER_PEER, start);
    }
    assert!(!run.table.has_room(start) && !run.table.has_room(start + YOUNG / 2));
    assert!(run.table.has_room(start + YOUNG));
}

#[test]
fn who_has_logged_in_has_places_that_no_stranger_takes() {
    let mut run = Run::new();
    let known = peer(1);
    run.table.learn(known, run.now);
    let own: Vec<u64> = (0..PER_PEER).map(|_| run.admit(known).number).collect();
    for number in 2..2000 {
        run.admit(peer(number));
    }
    assert!(own.iter().all(|number| run.is_open(*number)));
    assert_eq!(run.table.open(), (MOST - RESERVED + PER_PEER) as u64);
    // It takes the place of a stranger where there is no reserved one any more.
    for number in 0..4 {
        let more = peer(3000 + number);
        run.table.learn(more, run.now);
        for _ in 0..PER_PEER {
            run.admit(more);
        }
    }
    assert_eq!(run.table.open(), MOST as u64);
    assert!(own.iter().all(|number| run.is_open(*number)));
    // An hour later it is a stranger again.
    assert!(run.table.knows(known, run.now) && !run.table.knows(known, run.now + KNOWN));
}

#[test]
fn the_oldest_body_is_cut_off_unless_somebody_has_just_begun_it() {
    let young = Duration::from_secs(1);
    let mut run = Run::new();
    let numbers: Vec<u64> = (0..4).map(|number| run.admit(peer(number)).number).collect();
    let start = run.now;
    let mut hold = |place: usize, after: u64, kind, body| {
        let request = run.table.begin(numbers[place], start + Duration::from_secs(after));
        let body = Some(BodyId::new(kind, body));
        run.table
            .answer(numbers[place], request, body, start + Duration::from_secs(after));
    };
    hold(0, 0, Kind::Shared, 1);
    hold(1, 5, Kind::Shared, 1);
    hold(2, 2, Kind::Shared, 2);
    hold(3, 0, Kind::Own, 0);
    let mut cut = |after: u64| {
        run.table
            .cut_off_oldest_answer(Kind::Shared, start + Duration::from_secs(after), young)
    };
    let body = |number| BodyId::new(Kind::Shared, number);
    assert_eq!(cut(5), None);
    assert_eq!(cut(6), Some((body(1), vec![peer(0), peer(1)])));
    assert_eq!(cut(6), Some((body(2), vec![peer(2)])));
    assert_eq!(cut(6), None);
    assert!(run.is_open(numbers[3]));
}

#[test]
fn an_answer_and_idleness_have_a_deadline() {
    let (answer, idle) = (Duration::from_secs(60), Duration::from_secs(120));
    let mut run = Run::new();
    let number = run.admit(peer(1)).number;
    let start = run.now;
    assert_eq!(run.table.due(number, answer, idle), Some((start + idle, false)));
    let first = run.table.begin(number, start + idle);
    let second = run.table.begin(number, start + 2 * idle);
    assert_eq!(run.table.due(number, answer, idle), Some((start + idle + answer, true)));
    run.table.end(number, first, start + 2 * idle);
    assert_eq!(
        run.table.due(number, answer, idle),
        Some((start + 2 * idle + answer, true))
    );
    run.table.end(number, second, start + 3 * idle);
    assert_eq!(run.table.due(number, answer, idle), Some((start + 4 * idle, false)));
    run.table.remove(number);
    assert_eq!(run.table.due(number, answer, idle), None);
}

#[test]
fn memory_is_given_back_when_many_have_gone() {
    let mut run = Run::new();
    let numbers: Vec<u64> = (0..100).map(|number| run.admit(peer(number)).number).collect();
    let fell: Vec<bool> = numbers.iter().map(|number| run.table.remove(*number)).collect();
    assert_eq!(fell.iter().filter(|fell| **fell).count(), 2, "at 50 and at 25");
}
