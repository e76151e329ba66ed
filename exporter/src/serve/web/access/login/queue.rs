//! Who waits to have a password compared: few of a name, few of a peer, few in all, and one comparison at a time. Whoever fails
//! waits longer each time, and with its place taken.
//! It must never let guessers of one name or peer keep another out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};

use super::tag::Tag;
use crate::serve::web::transport::peer::Peer;

/// Most attempts at a time: for a name from a peer, of a peer, and of all peers that have not logged in within the hour.
const PER_NAME: usize = 2;
const PER_PEER: usize = 8;
const IN_ALL: usize = 64;
/// Of these places, as many are for peers that have not failed of late: those who come for the first time after a start.
const RESERVED: usize = 16;

/// Failures that cost nothing: of a name, and of a peer by whatever names.
const FREE_OF_NAME: u32 = 3;
const FREE_OF_PEER: u32 = 100;

/// The first pause after a failure that costs something, and the longest.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(4);

/// Failures are forgotten after this time without another.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Most names and peers that are remembered for their failures.
const MOST_RECORDS: usize = 4096;

/// Attempts by name and peer.
#[derive(Debug)]
pub(super) struct Queue {
    turn: Arc<Semaphore>,
    records: Arc<Mutex<Records>>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            records: Arc::default(),
        }
    }
}

/// A peer, and a name that it gives; without one all names.
type Key = (Peer, Option<Tag>);

#[derive(Debug, Default)]
struct Records {
    waiting: usize,
    by_key: HashMap<Key, Record>,
}

#[derive(Debug)]
struct Record {
    attempts: usize,
    failures: u32,
    last: Instant,
}

impl Record {
    fn is_remembered(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < FORGOTTEN
    }
}

impl Queue {
    /// A place; none where there are too many. `known` peers have logged in within the hour.
    pub(super) fn enter(&self, peer: Peer, name: Tag, known: bool) -> Option<Ticket> {
        let now = Instant::now();
        let keys = [(peer, Some(name)), (peer, None)];
        let mut records = lock(&self.records);
        let attempts = |key| records.by_key.get(key).map_or(0, |record| record.attempts);
        let [of_name, of_peer] = keys.each_ref().map(attempts);
        let of_all_names = records.by_key.get(&(peer, None));
        let has_failed = of_all_names.is_some_and(|record| record.failures > 0 && record.is_remembered(now));
        let places = if has_failed { IN_ALL - RESERVED } else { IN_ALL };
        if of_name >= PER_NAME || of_peer >= PER_PEER || (!known && records.waiting >= places) {
            return None;
        }
        for key in keys {
            records.make_room(now);
            let record = records.by_key.entry(key).or_insert(Record {
                attempts: 0,
                failures: 0,
                last: now,
            });
            if !record.is_remembered(now) {
                record.failures = 0;
            }
            record.attempts += 1;
            record.last = now;
        }
        records.waiting += 1;
        Some(Ticket {
            keys,
            waits: true,
            turn: Arc::clone(&self.turn),
            records: Arc::clone(&self.records),
        })
    }
}

impl Records {
    fn make_room(&mut self, now: Instant) {
        if self.by_key.len() < MOST_RECORDS {
            return;
        }
        let is_of_use = |record: &Record| record.attempts > 0 || record.is_remembered(now);
        self.by_key.retain(|_, record| is_of_use(record));
        if self.by_key.len() >= MOST_RECORDS {
            let idle = self.by_key.iter().filter(|(_, record)| record.attempts == 0);
            if let Some(oldest) = idle.min_by_key(|(_, record)| record.last).map(|(key, _)| *key) {
                self.by_key.remove(&oldest);
            }
        }
    }
}

fn lock(records: &Mutex<Records>) -> MutexGuard<'_, Records> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the queue; free when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    keys: [Key; 2],
    waits: bool,
    turn: Arc<Semaphore>,
    records: Arc<Mutex<Records>>,
}

impl Ticket {
    /// The turn to compare; they come in order.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turn).acquire_owned().await.ok()
    }

    /// The password was right: the failures of this name and peer are forgiven.
    pub(super) fn succeeded(self) {
        let mut records = lock(&self.records);
        for key in self.keys {
            if let Some(record) = records.by_key.get_mut(&key) {
                record.failures = 0;
            }
        }
    }

    /// The password was wrong: the place stays taken for a pause, and the answer waits for it.
    pub(super) async fn failed(mut self) {
        let pause = {
            let mut records = lock(&self.records);
            records.waiting -= 1;
            self.waits = false;
            let failed = |(key, free): (Key, u32)| {
                let record = records.by_key.get_mut(&key)?;
                record.failures = record.failures.saturating_add(1);
                Some(pause(record.failures, free))
            };
            let pauses = self
                .keys
                .into_iter()
                .zip([FREE_OF_NAME, FREE_OF_PEER])
                .filter_map(failed);
            pauses.max().unwrap_or_default()
        };
        sleep(pause).await;
    }
}

/// Doubles with each failure after the free ones.
fn pause(failures: u32, free: u32) -> Duration {
    match failures.saturating_sub(free) {
        0 => Duration::ZERO,
        costly => (SHORTEST * 2_u32.saturating_pow(costly.min(10) - 1)).min(LONGEST),
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut records = lock(&self.records);
        if self.waits {
            records.waiting -= 1;
        }
        for key in self.keys {
            if let Some(record) = records.by_key.get_mut(&key) {
                record.attempts -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> Peer {
        Peer::new([192, 0, 2, number].into())
    }

    #[test]
    fn a_name_a_peer_and_all_have_few_places() {
        let queue = Queue::default();
        let enter = |number, name| queue.enter(peer(number), [name; 32], false);
        let of_name: Vec<Ticket> = (0..PER_NAME).filter_map(|_| enter(1, 0)).collect();
        assert_eq!(of_name.len(), PER_NAME);
        assert!(enter(1, 0).is_none());
        // Another name of the same peer, and the same name of another.
        let (other, elsewhere) = (enter(1, 1), enter(2, 0));
        assert!(other.is_some() && elsewhere.is_some());
        drop((of_name, other, elsewhere));
        let of_peer: Vec<Ticket> = (0..255).filter_map(|name| enter(1, name)).collect();
        assert_eq!(of_peer.len(), PER_PEER);
        drop(of_peer);
        let all: Vec<Ticket> = (0..255).filter_map(|number| enter(number, 0)).collect();
        assert_eq!(all.len(), IN_ALL);
        assert!(queue.enter(peer(255), [0; 32], true).is_some());
        drop(all);
        assert_eq!(lock(&queue.records).waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_waits_longer_each_time_and_is_forgiven_when_right() {
        let queue = Queue::default();
        let fail = async || {
            let before = Instant::now();
            queue.enter(peer(1), [0; 32], false).unwrap().failed().await;
            before.elapsed()
        };
        let mut waits = Vec::new();
        for _ in 0..10 {
            waits.push(fail().await.as_millis());
        }
        let expected = [0, 0, 0, 250, 500, 1000, 2000, 4000, 4000, 4000];
        let rounded: Vec<u128> = waits.iter().map(|wait| wait / 10 * 10).collect();
        assert_eq!(rounded, expected);
        queue.enter(peer(1), [0; 32], false).unwrap().succeeded();
        assert!(fail().await.as_millis() < 10);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_failed_leaves_places_to_who_comes_for_the_first_time() {
        let queue = Queue::default();
        let guessers = 0..u8::try_from(IN_ALL).unwrap();
        for number in guessers.clone() {
            queue.enter(peer(number), [0; 32], false).unwrap().failed().await;
        }
        let enter = |number| queue.enter(peer(number), [0; 32], false);
        let waiting: Vec<Ticket> = guessers.filter_map(enter).collect();
        assert_eq!(waiting.len(), IN_ALL - RESERVED);
        let new: Vec<Ticket> = (100..200).filter_map(enter).collect();
        assert_eq!(new.len(), RESERVED);
    }

    #[test]
    fn memory_is_bounded() {
        let queue = Queue::default();
        for number in 0..=MOST_RECORDS {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            drop(queue.enter(peer(1), name, false));
            assert!(lock(&queue.records).by_key.len() <= MOST_RECORDS);
        }
    }
}
