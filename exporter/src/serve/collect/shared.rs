//! What is read when somebody asks: who asks meanwhile waits for the same reading, and who asks soon afterwards gets it too.
//! It must never keep a reading that nobody may get any more: flows may be many.

use super::error::CollectError;
use crate::lifecycle::clock::now;
use std::{sync::Arc, time::Duration, time::Instant};
use tokio::sync::Mutex;

/// A reading, and when it was made.
type Last<T> = Option<(Instant, Arc<T>)>;

/// The last reading of one kind.
#[derive(Debug)]
pub(super) struct Shared<T>(Arc<Mutex<Last<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// The last reading, or if that is older than `max_age` what `read` gives.
    pub(super) async fn get(
        &self,
        max_age: Duration,
        read: impl Future<Output = Result<T, CollectError>> + Send + 'static,
    ) -> Result<Arc<T>, CollectError> {
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some((at, reading)) = &*last
            && at.elapsed() < max_age
        {
            return Ok(Arc::clone(reading));
        }
        let shared = Arc::clone(&self.0);
        // It comes to its end even if whoever asked goes away, so that there is never more than one.
        let run = tokio::spawn(async move {
            let reading = Arc::new(read.await?);
            if !max_age.is_zero() {
                *last = Some((now(), Arc::clone(&reading)));
                tokio::spawn(forget(shared, max_age));
            }
            Ok(reading)
        });
        run.await?
    }
}

/// Lets go of a reading when it is too old; of a newer one somebody else does.
async fn forget<T>(shared: Arc<Mutex<Last<T>>>, max_age: Duration) {
    tokio::time::sleep(max_age).await;
    let mut last = shared.lock().await;
    if last.as_ref().is_some_and(|(at, _)| at.elapsed() >= max_age) {
        *last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn who_asks_together_shares_one_reading() {
        let shared = Arc::new(Shared::default());
        let readings = Arc::new(AtomicUsize::new(0));
        let ask = |max_age| {
            let (shared, readings) = (Arc::clone(&shared), Arc::clone(&readings));
            async move {
                let read = async move { Ok(readings.fetch_add(1, Ordering::Relaxed)) };
                *shared.get(max_age, read).await.unwrap()
            }
        };
        let long = Duration::from_secs(3600);
        assert_eq!(tokio::join!(ask(long), ask(long), ask(long)), (0, 0, 0));
        assert_eq!(ask(long).await, 0);
        assert_eq!(ask(Duration::ZERO).await, 1);
        assert!(shared.0.lock().await.is_some());
        forget(Arc::clone(&shared.0), Duration::ZERO).await;
        assert!(shared.0.lock().await.is_none());
    }
}
