//! Replay: which moment of a recording it is now. Times are moved to now. After its end a recording begins again, and its counters go on
//! from where they were, as those of a host do to whom the same happens once more: none ever falls.

use super::{
    fields::Kind,
    moment::{Moment, nanos},
    read::{Frames, Recording, Unreadable},
    rows::{Rows, TABLES, Tables},
};
use crate::findings::ring;
use std::time::Duration;

/// From where, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Where it begins, after the first moment.
    pub from: Duration,
    /// How many times as fast as it was.
    pub speed: u32,
}

/// Shortest time between two moments that anybody looks at before the start: nearer ones are judged as one.
const STEP: Duration = Duration::from_secs(1);

/// A recording that is replayed.
#[derive(Debug)]
pub struct Player {
    recording: Recording,
    frames: Frames,
    /// By table.
    kinds: Vec<Vec<Kind>>,
    /// What was counted in the rounds before this one.
    before: Tables,
    /// Rounds that are over.
    rounds: u64,
    /// When it began, since 1970.
    began: Duration,
    pace: Pace,
}

impl Player {
    /// Replays from `now` on, since 1970.
    ///
    /// # Errors
    /// None for a recording that was read.
    pub fn new(recording: Recording, pace: Pace, now: Duration) -> Result<Self, Unreadable> {
        let kinds = TABLES
            .iter()
            .map(|table| (table.layout)().into_iter().map(|(_, kind)| kind).collect());
        Ok(Self {
            frames: recording.frames()?,
            recording,
            kinds: kinds.collect(),
            before: Tables::default(),
            rounds: 0,
            began: now,
            pace,
        })
    }

    pub const fn recording(&self) -> &Recording {
        &self.recording
    }

    /// When the programs were loaded, moved to now: since then everything was counted.
    pub fn started(&self) -> Duration {
        self.moved(nanos(self.recording.about().started))
    }

    /// Times to look at before the start, so that there is something to judge: as long as findings look back.
    pub fn lead(&self) -> Vec<Duration> {
        let speed = self.pace.speed.max(1);
        let step = (self.recording.about().interval / speed).max(STEP);
        let there_is = self.pace.from / speed;
        let mut times = Vec::new();
        let mut back = ring::LENGTH.min(there_is);
        while back > Duration::ZERO {
            times.push(self.began.saturating_sub(back));
            back = back.saturating_sub(step);
        }
        times
    }

    /// What was read at the last moment that is not after `now`, since 1970. A clock that was set back changes nothing.
    ///
    /// # Errors
    /// None for a recording that was read.
    pub fn look(&mut self, now: Duration) -> Result<Moment, Unreadable> {
        let length = i128::from(nanos(self.recording.length()));
        let at = self.position(now).max(0);
        let rounds = u64::try_from(at / length).unwrap_or(u64::MAX);
        if rounds > self.rounds {
            self.begin_again(rounds - self.rounds)?;
        }
        if rounds >= self.rounds {
            let within = u64::try_from(at % length).unwrap_or_default();
            let until = self.recording.first.saturating_add(within);
            while self.frames.next_at().is_some_and(|next| next <= until) {
                self.frames.step()?;
            }
        }
        let in_round = i128::from(self.frames.at) - i128::from(self.recording.first);
        let at = self.time_of(i128::from(self.rounds) * length + in_round);
        let (_, names) = &*self.recording.ends;
        let about = self.recording.about();
        Ok(Moment::of_tables(&self.tables(), names, about, at, |nanos| {
            self.moved(nanos)
        }))
    }

    /// Nanoseconds of the recording that have passed since its first moment, all rounds together.
    fn position(&self, now: Duration) -> i128 {
        let since = i128::from(nanos(now)) - i128::from(nanos(self.began));
        since * i128::from(self.pace.speed.max(1)) + i128::from(nanos(self.pace.from))
    }

    /// The reverse, since 1970.
    fn time_of(&self, position: i128) -> Duration {
        let since = (position - i128::from(nanos(self.pace.from))) / i128::from(self.pace.speed.max(1));
        let at = i128::from(nanos(self.began)) + since;
        Duration::from_nanos(u64::try_from(at.max(0)).unwrap_or(u64::MAX))
    }

    /// A time of the first round, in nanoseconds since 1970, moved to now.
    fn moved(&self, recorded: u64) -> Duration {
        self.time_of(i128::from(recorded) - i128::from(self.recording.first))
    }

    /// Goes back to the first moment after so many rounds.
    fn begin_again(&mut self, rounds: u64) -> Result<(), Unreadable> {
        let (ends, _) = &*self.recording.ends;
        for (table, (before, ends)) in self.before.iter_mut().zip(ends).enumerate() {
            if !stays(table) {
                continue;
            }
            let kinds = self.kinds.get(table).map_or(&[][..], Vec::as_slice);
            for (row, ends) in ends {
                let before = before.entry(*row).or_insert_with(|| vec![0; ends.len()]);
                for ((before, end), kind) in before.iter_mut().zip(ends).zip(kinds) {
                    *before = match kind {
                        Kind::Identity => *end,
                        Kind::Counter => before.wrapping_add(end.wrapping_mul(rounds)),
                        Kind::Moment => 0,
                    };
                }
            }
        }
        self.rounds += rounds;
        self.frames = self.recording.frames()?;
        self.frames.step()?;
        Ok(())
    }

    /// What rows say now: counters with what they had in the rounds before.
    fn tables(&self) -> Tables {
        let mut tables = self.before.clone();
        for (table, (sums, now)) in tables.iter_mut().zip(&self.frames.tables).enumerate() {
            let kinds = self.kinds.get(table).map_or(&[][..], Vec::as_slice);
            add(sums, now, kinds);
        }
        tables
    }
}

fn stays(table: usize) -> bool {
    TABLES.get(table).is_some_and(|table| table.stays)
}

fn add(sums: &mut Rows, now: &Rows, kinds: &[Kind]) {
    for (row, numbers) in now {
        let Some(sums) = sums.get_mut(row) else {
            sums.insert(*row, numbers.clone());
            continue;
        };
        for ((sum, number), kind) in sums.iter_mut().zip(numbers).zip(kinds) {
            match kind {
                Kind::Identity => {}
                Kind::Counter => *sum = sum.wrapping_add(*number),
                Kind::Moment => *sum = *number,
            }
        }
    }
}
