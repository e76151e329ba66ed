//! What a connection, its place in the table and its socket know together: how it ends. It must never wait for a lock.
//! From the table and the server; to the socket.

use std::{
    fmt::Debug,
    sync::{
        OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// A socket, as far as the table asks it.
pub(crate) trait Unread: Debug + Send + Sync {
    /// Whether bytes have come that nobody has read yet. It does not wait.
    fn has_unread(&self) -> bool;
}

/// How a connection comes to an end that its client does not choose.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    told: Notify,
    reset: AtomicBool,
    stalled: AtomicBool,
    delivering: AtomicBool,
    socket: OnceLock<Weak<dyn Unread>>,
}

impl Ending {
    /// The socket of the connection; only the first one counts.
    pub(crate) fn belongs_to(&self, socket: Weak<dyn Unread>) {
        // A connection has one.
        let _again = self.socket.set(socket);
    }

    /// Whether the client has sent something that the server has not read yet.
    pub(crate) fn has_unread(&self) -> bool {
        let socket = self.socket.get().and_then(Weak::upgrade);
        socket.is_some_and(|socket| socket.has_unread())
    }

    /// It has to make room for another.
    pub(crate) fn tell(&self) {
        self.told.notify_one();
    }

    /// Until the connection has to make room for another.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }

    /// What the kernel still holds of an answer is given up as well.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Whether the client leaves bytes that the kernel has no more room for.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// All has been said; the client has yet to take what the kernel holds of it.
    pub(crate) fn deliver(&self) {
        self.delivering.store(true, Ordering::Relaxed);
    }

    /// Whether it is the client's turn: to take what was sent.
    pub(crate) fn is_untaken(&self) -> bool {
        self.stalled.load(Ordering::Relaxed) || self.delivering.load(Ordering::Relaxed)
    }

    /// Whether it is cut off, and not closed: what the client has not taken is not delivered.
    pub(crate) fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed) || self.stalled.load(Ordering::Relaxed)
    }
}
