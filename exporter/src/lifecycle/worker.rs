//! A thread that owns something and does one job with it after the other: so nobody waits for a lock that is held over slow
//! work, and there is one such thread from the start.
//! It must never collect jobs that nobody waits for: those are passed over. From tasks; back to them.

use std::{
    fmt, io,
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread,
};
use tokio::sync::oneshot;

/// Most jobs that wait. Those who ask take turns, so that only those who gave up can make it more.
const MOST_WAITING: usize = 64;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// Asks the thread that owns a `T`.
pub struct Worker<T> {
    jobs: SyncSender<Job<T>>,
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// Too many wait already.
    #[error("too many wait for it already; try again later")]
    Busy,
    /// The thread has ended early.
    #[error("its thread ended early")]
    Ended,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts the thread, which lets go of `owned` once nobody can ask any more.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, mut owned: T) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job<T>>(MOST_WAITING);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in waiting {
                job(&mut owned);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Has a job done. Whoever stops waiting leaves a job that is under way to end by itself.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn ask<R: Send + 'static>(&self, job: impl FnOnce(&mut T) -> R + Send + 'static) -> Result<R, NotDone> {
        let (answer, answered) = oneshot::channel();
        let job: Job<T> = Box::new(move |owned| {
            if !answer.is_closed() {
                // Who asked may be gone by now.
                let _unread = answer.send(job(owned));
            }
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => NotDone::Busy,
            TrySendError::Disconnected(_) => NotDone::Ended,
        })?;
        answered.await.map_err(|_dropped| NotDone::Ended)
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Worker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc::channel, time::Duration};
    use tokio::time::timeout;

    #[tokio::test]
    async fn jobs_are_done_in_turn_and_those_that_nobody_waits_for_are_passed_over() {
        let worker = Worker::start("test", 0).unwrap();
        let add = |more| {
            worker.ask(move |sum: &mut i32| {
                *sum += more;
                *sum
            })
        };
        assert_eq!(add(1).await, Ok(1));
        // The thread stands; who waits behind it gives up.
        let (go, wait) = channel::<()>();
        let stands = timeout(Duration::from_millis(50), worker.ask(move |_| wait.recv().ok())).await;
        let gives_up = timeout(Duration::from_millis(50), add(10)).await;
        assert!(stands.is_err() && gives_up.is_err());
        for _ in 1..MOST_WAITING {
            assert!(timeout(Duration::ZERO, add(10)).await.is_err());
        }
        assert_eq!(add(10).await, Err(NotDone::Busy));
        go.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(add(1).await, Ok(2));
    }

    #[tokio::test]
    async fn a_thread_that_panicked_says_so() {
        let worker = Worker::start("test", ()).unwrap();
        assert_eq!(worker.ask(|_| panic!("on purpose")).await, Err::<(), _>(NotDone::Ended));
        assert_eq!(worker.ask(|_| ()).await, Err(NotDone::Ended));
    }
}
