//! Bodies of answers: whole, shared where several wait for the same one, and bounded over all connections.
//! It must never copy a body for each client, nor let go of its memory's account before the memory.
//! From the routes; to the connections, piece by piece.

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::sleep;

mod turn;

use crate::serve::web::connections::{
    Connections, Running,
    bodies::{BodyId, Kind},
};
pub(crate) use turn::{Turn, one_at_a_time};

/// What is handed to a connection at a time: a body lives until all but about this much is with the kernel.
const PIECE: usize = 32 << 10;

/// Most bytes of shared bodies that newer ones have taken the place of, and of bodies that are for one client each.
const MOST_SUPERSEDED: usize = 16 << 20;
const MOST_OWN: usize = 8 << 20;

/// A client that has waited for less than this is not cut off to make room for another answer, unless there is far too little.
const YOUNG: Duration = Duration::from_secs(1);

/// How long one waits for the memory of those who are cut off.
const STEPS: u32 = 20;
const STEP: Duration = Duration::from_millis(5);

/// All memory for answers is held by answers that clients are slow to take, and all of these are young.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("answers that wait to be sent hold all the memory for answers; ask again in a second")]
pub(crate) struct NoRoom;

/// A body and its share of the memory for bodies.
#[derive(Debug)]
pub struct Body {
    bytes: Bytes,
    id: BodyId,
    /// Whether it counts: one that is shared does not before there is a newer one.
    counts: AtomicBool,
    connections: Arc<Connections>,
}

impl Body {
    /// A body that many may wait for.
    pub fn shared(bytes: Bytes, connections: &Arc<Connections>) -> Arc<Self> {
        Self::new(bytes, Kind::Shared, false, connections)
    }

    /// A body for one client. One alone may be of any size: else it would never be served.
    pub(crate) async fn own(bytes: Bytes, connections: &Arc<Connections>) -> Result<Arc<Self>, NoRoom> {
        let size = bytes.len();
        let fits =
            |held: usize| (held == 0 || held.saturating_add(size) <= MOST_OWN).then(|| held.saturating_add(size));
        let own = &connections.budget.own;
        let mut steps = 0;
        while own.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            // Whoever was cut off before may still be letting go.
            let cut = connections.cut_off_oldest_answer(Kind::Own, YOUNG).is_some();
            if (!cut && steps == 0) || steps == STEPS {
                return Err(NoRoom);
            }
            steps += 1;
            sleep(STEP).await;
        }
        Ok(Self::new(bytes, Kind::Own, true, connections))
    }

    fn new(bytes: Bytes, kind: Kind, counts: bool, connections: &Arc<Connections>) -> Arc<Self> {
        let number = connections.budget.next.fetch_add(1, Ordering::Relaxed);
        let size = bytes.len();
        Arc::new(Self {
            bytes,
            id: BodyId { kind, number, size },
            counts: AtomicBool::new(counts),
            connections: Arc::clone(connections),
        })
    }

    /// Its bytes.
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// There is a newer one: only those who are slow to take it still hold it. When they hold too much, the oldest are cut off, but
    /// for the last: else a slow client would never get a body that is larger than all.
    pub fn supersede(&self) {
        if self.counts.swap(true, Ordering::Relaxed) {
            return;
        }
        let Self { id, connections, .. } = self;
        let mut held = connections.budget.superseded.fetch_add(id.size, Ordering::Relaxed) + id.size;
        while held > MOST_SUPERSEDED && held > id.size {
            let young = if held > 2 * MOST_SUPERSEDED {
                Duration::ZERO
            } else {
                YOUNG
            };
            let Some(cut) = connections.cut_off_oldest_answer(Kind::Shared, young) else {
                return;
            };
            held = held.saturating_sub(cut.size);
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Self {
            id,
            counts,
            connections,
            ..
        } = self;
        if *counts.get_mut() {
            let held = match id.kind {
                Kind::Shared => &connections.budget.superseded,
                Kind::Own => &connections.budget.own,
            };
            held.fetch_sub(id.size, Ordering::Relaxed);
        }
    }
}

/// What a connection sends of a body. The request is under way until all of it is handed over.
#[derive(Debug)]
pub(crate) struct Delivery {
    left: Bytes,
    _body: Option<Arc<Body>>,
    _running: Running,
}

impl Delivery {
    /// `body` holds the memory of `bytes`, unless they are too few to matter.
    pub(crate) fn new(bytes: Bytes, body: Option<Arc<Body>>, running: Running) -> Self {
        running.answered(body.as_ref().map(|body| body.id));
        Self {
            left: bytes,
            _body: body,
            _running: running,
        }
    }
}

impl HttpBody for Delivery {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.left.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::web::{served::Served, transport::peer::Peer};
    use tcpvitals_metrics::snapshot::Refusal;

    fn connections() -> Arc<Connections> {
        Connections::new(Arc::new(Served::new(16)))
    }

    #[tokio::test]
    async fn own_bodies_are_bounded_but_for_one_alone() {
        let connections = connections();
        let own = async |size| Body::own(Bytes::from(vec![0; size]), &connections).await;
        let held = || connections.budget.own.load(Ordering::Relaxed);
        let large = own(MOST_OWN + 1).await.unwrap();
        assert!(own(1).await.is_err());
        drop(large);
        assert_eq!(held(), 0);
        let (half, other) = (own(MOST_OWN / 2).await.unwrap(), own(MOST_OWN / 2).await.unwrap());
        assert!(own(1).await.is_err());
        drop(other);
        assert!(own(1).await.is_ok());
        drop(half);
        assert_eq!(held(), 0);
    }

    #[tokio::test]
    async fn a_shared_body_counts_from_when_there_is_a_newer_one() {
        let connections = connections();
        let held = || connections.budget.superseded.load(Ordering::Relaxed);
        let body = Body::shared(Bytes::from_static(b"abc"), &connections);
        assert_eq!(held(), 0);
        body.supersede();
        body.supersede();
        assert_eq!(held(), 3);
        drop(body);
        assert_eq!(held(), 0);
    }

    #[tokio::test]
    async fn whoever_holds_the_oldest_superseded_body_is_cut_off() {
        let connections = connections();
        let hold = |address: [u8; 4], size| {
            let connection = connections.admit(Peer::new(address.into()));
            let body = Body::shared(Bytes::from(vec![0; size]), &connections);
            let running = connection.begin();
            running.answered(Some(body.id));
            (connection, body, running)
        };
        // Far too much, so that it does not matter that they are young.
        let first = hold([192, 0, 2, 1], 2 * MOST_SUPERSEDED);
        let second = hold([192, 0, 2, 2], 1);
        first.1.supersede();
        assert_eq!(
            connections.report.served.read().refused[Refusal::AnswerMemory as usize],
            0
        );
        second.1.supersede();
        assert_eq!(
            connections.report.served.read().refused[Refusal::AnswerMemory as usize],
            1
        );
        first.0.ending.told().await;
        drop(first);
        assert_eq!(connections.budget.superseded.load(Ordering::Relaxed), 1);
    }
}
