//! What many ask for, made once: the metrics of one collection for each path and in each format, and the page, plain and as gzip.
//! It must never hold more than the last collection's, nor make the same thing twice.
//! Asked by the routes of `http`; the encoders of `prometheus` and `page` do the work, one at a time, on threads that may block.

use crate::serve::{
    collect::shown::Shown,
    web::{Body, Connections, Turn, gzip},
};
use axum::body::Bytes;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tcpvitals_metrics::encode::prometheus::Format;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};

/// What is made of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The metrics of the path at this place of the list.
    Metrics(usize, Format),
    Page,
}

impl Form {
    /// How many there are, plain and as gzip, for so many paths.
    const fn count(paths: usize) -> usize {
        2 * (1 + Format::ALL.len() * paths)
    }

    fn place(self, gzip: bool) -> usize {
        let form = match self {
            Self::Page => 0,
            Self::Metrics(path, format) => {
                let format = match format {
                    Format::Text => 0,
                    Format::OpenMetrics => 1,
                    Format::Protobuf => 2,
                };
                1 + Format::ALL.len() * path + format
            }
        };
        2 * form + usize::from(gzip)
    }
}

/// Why there is nothing to send.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    #[error("encode the answer: {0}")]
    Encode(#[source] io::Error),
    /// The thread that made it ended early.
    #[error("the encoding ended early: {0}")]
    Ended(#[from] JoinError),
}

/// What only one asks for. Nobody who asks for what many do waits for it; its turn lasts as long as the work.
///
/// # Errors
/// [`Unmade`]
pub(super) async fn once<E>(turn: Turn, packed: bool, encode: E) -> Result<Bytes, Unmade>
where
    E: FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
{
    let work = move || {
        let _turn = turn;
        make(None, packed, encode)
    };
    tokio::task::spawn_blocking(work).await?.map_err(Unmade::Encode)
}

/// What was made of the last collection.
#[derive(Debug)]
pub struct Expositions {
    last: Arc<Mutex<Last>>,
    turns: Arc<Semaphore>,
    connections: Arc<Connections>,
}

/// The turn of whoever has something made. Those who wait for it hold no collection: however many they are, only the last is there.
#[derive(Debug)]
pub struct MakersTurn {
    /// Nobody closes the semaphore.
    _permit: Result<OwnedSemaphorePermit, AcquireError>,
}

type Made = Vec<Option<Arc<Body>>>;

#[derive(Debug, Default)]
struct Last {
    of: Weak<Shown>,
    made: Made,
}

impl Expositions {
    pub fn new(connections: Arc<Connections>) -> Self {
        Self {
            last: Arc::default(),
            turns: Arc::new(Semaphore::new(1)),
            connections,
        }
    }

    /// This form of a collection, if it has been made.
    pub fn made(&self, shown: &Arc<Shown>, form: Form, packed: bool) -> Option<Arc<Body>> {
        lock(&self.last).of(shown).get(form.place(packed))?.clone()
    }

    /// A turn to have something made, if nobody else has it.
    pub fn turn_at_once(&self) -> Option<MakersTurn> {
        let permit = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        Some(MakersTurn { _permit: Ok(permit) })
    }

    /// Waits for a turn to have something made.
    pub async fn turn(&self) -> MakersTurn {
        MakersTurn {
            _permit: Arc::clone(&self.turns).acquire_owned().await,
        }
    }

    /// This form of a collection; `encode` makes it, plain, unless somebody has had it made meanwhile. It comes to its end even if
    /// whoever asked goes away: else each who does would have it made once more.
    ///
    /// # Errors
    /// [`Unmade`]; the next call tries again.
    pub async fn make<E>(
        &self,
        turn: MakersTurn,
        shown: Arc<Shown>,
        form: Form,
        packed: bool,
        encode: E,
    ) -> Result<Arc<Body>, Unmade>
    where
        E: FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
    {
        if let Some(body) = self.made(&shown, form, packed) {
            return Ok(body);
        }
        let plain = self.made(&shown, form, false).map(|body| body.bytes());
        let (last, connections) = (Arc::clone(&self.last), Arc::clone(&self.connections));
        let work = move || {
            let _turn = turn;
            let body = Body::shared(make(plain, packed, encode)?, &connections);
            lock(&last).keep(&shown, form.place(packed), &body);
            Ok(body)
        };
        tokio::task::spawn_blocking(work).await?.map_err(Unmade::Encode)
    }
}

impl Last {
    /// What was made of this collection so far.
    fn of(&mut self, shown: &Arc<Shown>) -> &mut Made {
        if self.of.as_ptr() != Arc::as_ptr(shown) {
            let made = vec![None; Form::count(shown.expositions.len())];
            let old = std::mem::replace(&mut self.made, made);
            self.of = Arc::downgrade(shown);
            old.into_iter().flatten().for_each(|body| body.supersede());
        }
        &mut self.made
    }

    /// Keeps what was made, unless there is a newer collection by now.
    fn keep(&mut self, shown: &Arc<Shown>, place: usize, body: &Arc<Body>) {
        let is_last = self.of.as_ptr() == Arc::as_ptr(shown);
        match self.made.get_mut(place).filter(|_| is_last) {
            Some(made) => *made = Some(Arc::clone(body)),
            None => body.supersede(),
        }
    }
}

/// Packs what was made already, or makes it first.
fn make(plain: Option<Bytes>, packed: bool, encode: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Bytes> {
    let plain = match plain {
        Some(plain) => plain,
        None => Bytes::from(exact(encode()?)),
    };
    if packed { gzip(&plain) } else { Ok(plain) }
}

/// It is whole even if whoever changed it panicked.
fn lock(last: &Mutex<Last>) -> MutexGuard<'_, Last> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Without the room that it grew into.
fn exact(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.shrink_to_fit();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::{collect::shown::Exposition, web::served::Served};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tcpvitals_metrics::families::Families;

    #[tokio::test]
    async fn a_form_is_made_once_for_all_who_ask_and_anew_for_the_next_collection() {
        let expositions = Expositions::new(Connections::new(Arc::new(Served::new(16))));
        let times = Arc::new(AtomicUsize::new(0));
        let ask = async |shown: &Arc<Shown>, form, packed| {
            let times = Arc::clone(&times);
            let encode = move || {
                times.fetch_add(1, Ordering::Relaxed);
                Ok(b"a body".repeat(1000))
            };
            let turn = expositions.turn().await;
            let body = expositions.make(turn, Arc::clone(shown), form, packed, encode);
            body.await.unwrap()
        };
        let text = Form::Metrics(0, Format::Text);
        let collection = || {
            let families = Arc::new(Families(Vec::new()));
            let exposition = Exposition {
                path: String::new(),
                families: Arc::clone(&families),
                histograms: Arc::default(),
            };
            Arc::new(Shown {
                all: Arc::clone(&families),
                expositions: vec![exposition],
                pushed: families,
                pushed_histograms: Arc::default(),
            })
        };
        let (first, second) = (collection(), collection());
        let (one, two) = tokio::join!(ask(&first, text, false), ask(&first, text, false));
        assert!(Arc::ptr_eq(&one, &two));
        let packed = ask(&first, text, true).await;
        assert!(Arc::ptr_eq(&packed, &ask(&first, text, true).await) && packed.bytes().len() < 100);
        // gzip was made of what was there.
        assert_eq!(times.load(Ordering::Relaxed), 1);
        let page = ask(&first, Form::Page, true).await;
        assert!(!Arc::ptr_eq(&page, &packed));
        assert_eq!(times.load(Ordering::Relaxed), 2);
        assert!(!Arc::ptr_eq(&one, &ask(&second, text, false).await));
        assert_eq!(times.load(Ordering::Relaxed), 3);
    }
}
