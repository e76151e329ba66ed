//! What many ask for, made once: the metrics of one collection for each path and in each format, and the page, plain and as gzip.
//! It must never hold more than the last collection's, nor make the same thing twice.
//! Asked by the routes of `http`; the encoders of `prometheus` and `page` do the work, one at a time, on threads that may block.

use crate::serve::{
    collect::shown::Shown,
    web::{Body, Connections, gzip},
};
use axum::body::Bytes;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tcpvitals_metrics::encode::prometheus::Format;
use tokio::{
    sync::{OnceCell, Semaphore},
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

/// What was made of the last collection.
#[derive(Debug)]
pub struct Expositions {
    last: Arc<Mutex<Last>>,
    turn: Arc<Semaphore>,
    connections: Arc<Connections>,
}

type Made = Vec<OnceCell<Arc<Body>>>;

#[derive(Debug, Default)]
struct Last {
    of: Weak<Shown>,
    made: Arc<Made>,
}

impl Expositions {
    pub fn new(connections: Arc<Connections>) -> Self {
        Self {
            last: Arc::default(),
            turn: Arc::new(Semaphore::new(1)),
            connections,
        }
    }

    /// This form of a collection; `encode` makes it, plain, unless it has been made.
    ///
    /// # Errors
    /// [`Unmade`]; the next call tries again.
    pub async fn get<E>(&self, shown: &Arc<Shown>, form: Form, packed: bool, encode: E) -> Result<Arc<Body>, Unmade>
    where
        E: FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
    {
        let made = self.of(shown);
        let place = form.place(packed);
        if let Some(body) = made.get(place).and_then(OnceCell::get) {
            return Ok(Arc::clone(body));
        }
        let plain = made
            .get(form.place(false))
            .and_then(OnceCell::get)
            .map(|body| body.bytes());
        let (last, turn) = (Arc::clone(&self.last), Arc::clone(&self.turn));
        let connections = Arc::clone(&self.connections);
        // It comes to its end even if whoever asked goes away: else each who does would have it made once more.
        let make = tokio::spawn(async move {
            let Some(cell) = made.get(place) else {
                return Err(Unmade::Encode(io::Error::other("there is no such form")));
            };
            let body = cell.get_or_try_init(async || {
                let turn = turn.acquire_owned().await;
                let work = move || {
                    let _turn = turn;
                    let plain = match plain {
                        Some(plain) => plain,
                        None => Bytes::from(exact(encode()?)),
                    };
                    if packed { gzip(&plain) } else { Ok(plain) }
                };
                let bytes = tokio::task::spawn_blocking(work).await?.map_err(Unmade::Encode)?;
                Ok::<_, Unmade>(Body::shared(bytes, &connections))
            });
            let body = Arc::clone(body.await?);
            if !Arc::ptr_eq(&lock(&last).made, &made) {
                body.supersede();
            }
            Ok(body)
        });
        make.await?
    }

    /// What only one asks for, made in turn with the rest.
    ///
    /// # Errors
    /// [`Unmade`]
    pub async fn once<E>(&self, packed: bool, encode: E) -> Result<Arc<Body>, Unmade>
    where
        E: FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
    {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let work = move || {
            let _turn = turn;
            let plain = Bytes::from(exact(encode()?));
            if packed { gzip(&plain) } else { Ok(plain) }
        };
        let bytes = tokio::task::spawn_blocking(work).await?.map_err(Unmade::Encode)?;
        Ok(Body::shared(bytes, &self.connections))
    }

    /// What was made of this collection so far.
    fn of(&self, shown: &Arc<Shown>) -> Arc<Made> {
        let mut last = lock(&self.last);
        if last.of.as_ptr() != Arc::as_ptr(shown) {
            let new = Last {
                of: Arc::downgrade(shown),
                made: Arc::new(vec![OnceCell::new(); Form::count(shown.expositions.len())]),
            };
            let old = std::mem::replace(&mut *last, new);
            old.made
                .iter()
                .filter_map(OnceCell::get)
                .for_each(|body| body.supersede());
        }
        Arc::clone(&last.made)
    }
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
            expositions.get(shown, form, packed, encode).await.unwrap()
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
