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
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::sleep;

use super::connections::{Connections, Running};
use crate::snapshot::Refusal;

/// What is handed to a connection at a time: a body lives until all but about this much is with the kernel.
const PIECE: usize = 32 << 10;

/// Most bytes of shared bodies, and of bodies that are for one client each.
const MOST_SHARED: usize = 24 << 20;
const MOST_OWN: usize = 8 << 20;

/// How long one waits for the memory of those who are cut off.
const STEPS: u32 = 20;
const STEP: Duration = Duration::from_millis(5);

/// Whom a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Shared,
    Own,
}

/// Which body; an older one is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BodyId {
    pub(super) kind: Kind,
    number: u64,
}

#[cfg(test)]
impl BodyId {
    pub(super) const fn new(kind: Kind, number: u64) -> Self {
        Self { kind, number }
    }
}

/// What bodies hold.
#[derive(Debug, Default)]
pub(super) struct Budget {
    next: AtomicU64,
    shared: AtomicUsize,
    own: AtomicUsize,
}

impl Budget {
    fn of(&self, kind: Kind) -> (&AtomicUsize, usize) {
        match kind {
            Kind::Shared => (&self.shared, MOST_SHARED),
            Kind::Own => (&self.own, MOST_OWN),
        }
    }

    /// Room for a body, if there is. One alone may be of any size: else it would never be served.
    fn take(&self, kind: Kind, size: usize) -> bool {
        let (held, most) = self.of(kind);
        let fits = |held: usize| (held == 0 || held.saturating_add(size) <= most).then(|| held.saturating_add(size));
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

/// All memory for answers is held by answers that clients are slow to take, and all of these are young.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("answers that wait to be sent hold all the memory for answers; ask again in a second")]
pub struct NoRoom;

/// A body and its share of the memory for bodies.
#[derive(Debug)]
pub struct Body {
    bytes: Bytes,
    id: BodyId,
    connections: Arc<Connections>,
}

impl Body {
    /// A body that many may wait for.
    ///
    /// # Errors
    /// [`NoRoom`]
    pub async fn shared(bytes: Bytes, connections: &Arc<Connections>) -> Result<Arc<Self>, NoRoom> {
        Self::new(bytes, Kind::Shared, connections).await
    }

    /// A body for one client.
    pub(super) async fn own(bytes: Bytes, connections: &Arc<Connections>) -> Result<Arc<Self>, NoRoom> {
        Self::new(bytes, Kind::Own, connections).await
    }

    async fn new(bytes: Bytes, kind: Kind, connections: &Arc<Connections>) -> Result<Arc<Self>, NoRoom> {
        let budget = &connections.budget;
        let mut steps = 0;
        while !budget.take(kind, bytes.len()) {
            // Whoever was cut off before may still be letting go.
            if (!connections.cut_off_oldest_answer(kind) && steps == 0) || steps == STEPS {
                connections.report.served.refused(Refusal::AnswerMemory);
                return Err(NoRoom);
            }
            steps += 1;
            sleep(STEP).await;
        }
        let number = budget.next.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Self {
            bytes,
            id: BodyId { kind, number },
            connections: Arc::clone(connections),
        }))
    }

    /// Its bytes.
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let (held, _) = self.connections.budget.of(self.id.kind);
        held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// What a connection sends of a body. The request is under way until all of it is handed over.
#[derive(Debug)]
pub(super) struct Delivery {
    left: Bytes,
    _body: Option<Arc<Body>>,
    _running: Running,
}

impl Delivery {
    /// `body` holds the memory of `bytes`, unless they are too few to matter.
    pub(super) fn new(bytes: Bytes, body: Option<Arc<Body>>, running: Running) -> Self {
        if let Some(body) = &body {
            running.holds(body.id);
        }
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
    use crate::served::Served;

    #[tokio::test]
    async fn memory_is_bounded_but_for_one_body_alone() {
        let connections = Connections::new(Arc::new(Served::new(16)));
        let held = |kind| connections.budget.of(kind).0.load(Ordering::Relaxed);
        let large = Body::shared(Bytes::from(vec![0; MOST_SHARED + 1]), &connections)
            .await
            .unwrap();
        assert!(Body::shared(Bytes::from_static(b"a"), &connections).await.is_err());
        // The others have memory of their own.
        let own = Body::own(Bytes::from_static(b"a"), &connections).await.unwrap();
        assert_eq!((held(Kind::Shared), held(Kind::Own)), (MOST_SHARED + 1, 1));
        drop((large, own));
        assert_eq!((held(Kind::Shared), held(Kind::Own)), (0, 0));
        let half = Body::shared(Bytes::from(vec![0; MOST_SHARED / 2]), &connections)
            .await
            .unwrap();
        let other = Body::shared(half.bytes(), &connections).await.unwrap();
        assert!(Body::shared(Bytes::from_static(b"a"), &connections).await.is_err());
        drop(other);
        assert!(Body::shared(Bytes::from_static(b"a"), &connections).await.is_ok());
    }
}
