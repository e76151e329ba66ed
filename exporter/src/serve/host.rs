//! What the host says beside the programs, read by a thread of its own: a driver that starts anew, or asks its firmware, may keep
//! whoever reads its device for seconds. It must never hold up a collection longer than [`PATIENCE`]: that shows what was read before.
//! From rtnetlink, ethtool and files; to snapshots.

mod read;

use crate::lifecycle::{
    threads::TooFew,
    throttle::{self, Throttle},
};
use read::Reader;
use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};
use tcpvitals_metrics::host::{Host, Part, Reading, carry::Carry};

/// How long a collection waits for a reading.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the start waits for the first one, with which all counters begin.
const PATIENCE_AT_START: Duration = Duration::from_secs(5);

/// What failed, in the log.
const FAILED: &str = "the host's devices, connection tracking or TCP memory could not be read";

/// Asks the thread that reads the host.
#[derive(Debug)]
pub(super) struct Feed {
    asks: SyncSender<()>,
    answers: Receiver<io::Result<Reading>>,
    /// An answer has not come yet.
    is_asked: bool,
    carry: Carry,
    log: Throttle,
}

impl Feed {
    /// Starts the thread, which ends when nobody can ask any more, and waits for a first reading of these parts.
    ///
    /// # Errors
    /// [`TooFew`] where the system gives no thread.
    pub(super) fn start(parts: &[Part]) -> Result<Self, TooFew> {
        let mut reader = Reader::new(parts);
        let (asks, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let run = move || {
            for () in asked {
                if answer.send(reader.read()).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("tcpvitals-host".to_owned()).spawn(run);
        thread.map(drop).map_err(|error| TooFew::new(1, error))?;
        let mut feed = Self {
            asks,
            answers,
            is_asked: false,
            carry: Carry::default(),
            log: Throttle::new(throttle::FAULT),
        };
        feed.ask();
        let _begun = feed.take_within(PATIENCE_AT_START);
        Ok(feed)
    }

    /// Asks for a reading, unless one is under way.
    pub(super) fn ask(&mut self) {
        if self.is_asked
            && let Ok(late) = self.answers.try_recv()
        {
            self.is_asked = false;
            if let Ok(reading) = late {
                self.carry.late(reading);
            }
        }
        if !self.is_asked {
            self.is_asked = self.asks.try_send(()).is_ok();
        }
    }

    /// What there is to show, now that a reading was asked for.
    pub(super) fn take(&mut self) -> Host {
        self.take_within(PATIENCE)
    }

    fn take_within(&mut self, patience: Duration) -> Host {
        let answer = match self.answers.recv_timeout(patience) {
            Ok(answer) => {
                self.is_asked = false;
                answer
            }
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("its thread ended early")),
        };
        match answer {
            Ok(reading) => {
                if self.log.over(FAILED) {
                    tracing::info!("the host can be read again");
                }
                self.carry.post(Some(reading))
            }
            Err(error) => {
                if let Some(silent) = self.log.log(FAILED) {
                    tracing::warn!(%error, not_logged = silent, "{FAILED}");
                }
                self.carry.post(None)
            }
        }
    }
}
