//! Connections: how many a peer has and how many there are in all, which one goes when there are too many, and since when each
//! waits. It must never keep somebody out because others hold connections and do nothing.
//! Asked by the server for each connection and by the guard for each request.

pub(crate) mod bodies;
mod table;

use crate::serve::web::served::Served;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tcpvitals_metrics::snapshot::Refusal;
use tokio::{
    sync::{Mutex as Turns, Notify},
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};

use crate::serve::web::{
    report::Report,
    transport::{ending::Ending, peer::Peer},
};
use bodies::{BodyId, Budget, Kind};
use table::{Admission, Table};
use tcpvitals_kernel::sys::memory;

/// Longest time for one answer: from the request until a client has taken all but the last of it.
const ANSWER: Duration = Duration::from_secs(60);

/// Longest time without a request on a connection of HTTP/2. For HTTP/1.1 it is the time for the next header.
const IDLE: Duration = Duration::from_secs(120);

/// How often one looks whether a client takes its answer.
const LOOK: Duration = Duration::from_secs(5);

/// All connections.
#[derive(Debug)]
pub struct Connections {
    table: Mutex<Table>,
    /// A descriptor is free.
    gone: Notify,
    /// Whose turn it is, of requests that follow each other without a pause.
    turns: Turns<()>,
    pub(crate) report: Report,
    pub(crate) budget: Budget,
}

impl Connections {
    /// None yet; what happens is counted by `served`.
    pub fn new(served: Arc<Served>) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            gone: Notify::new(),
            turns: Turns::default(),
            report: Report::new(served),
            budget: Budget::default(),
        })
    }

    /// Until there is room for a connection, in place of another one if need be.
    pub(crate) async fn room(&self) {
        const STEP: Duration = Duration::from_millis(1);
        while !self.table().has_room(Instant::now()) {
            tokio::select! {
                () = self.gone.notified() => {}
                () = sleep(STEP) => {}
            }
        }
    }

    /// A new connection. Where there are too many, another is closed for it.
    pub(crate) fn admit(self: &Arc<Self>, peer: Peer) -> Arc<Connection> {
        let per_peer = self.report.served.connections_per_peer();
        let (admission, open) = {
            let mut table = self.table();
            let admission = table.admit(peer, per_peer, Instant::now());
            (admission, table.open())
        };
        self.report.served.connections(open);
        let Admission {
            number,
            ending,
            only_health,
            refused,
        } = admission;
        if let Some((why, peer)) = refused {
            let most = table::MOST;
            if why == Refusal::ConnectionsPerPeer {
                let limit =
                    format_args!("a peer has {per_peer} connections, as many as limits.connections_per_peer allows");
                self.report.refuse(why, peer, limit);
            } else {
                let limit = format_args!("all {most} connections are taken; another one is closed");
                self.report.refuse(why, peer, limit);
            }
        }
        Arc::new(Connection {
            number,
            peer,
            only_health,
            certified: AtomicBool::new(false),
            ending,
            changed: Notify::new(),
            all: Arc::clone(self),
        })
    }

    /// Closes the connection that has been idle for longest, where descriptors are short.
    pub(crate) fn close_one(&self) {
        self.table().close_one(Instant::now());
    }

    /// Cuts off those who hold the oldest body of this kind, so that its memory becomes free; none if there is no such body, or if
    /// somebody has begun it within `young`.
    pub(crate) fn cut_off_oldest_answer(&self, kind: Kind, young: Duration) -> Option<BodyId> {
        let (body, peers) = self.table().cut_off_oldest_answer(kind, Instant::now(), young)?;
        for peer in peers {
            let limit = "answers that clients are slow to take hold all the memory for answers; the oldest are cut off";
            self.report.refuse(Refusal::AnswerMemory, peer, limit);
        }
        Some(body)
    }

    /// Whether this peer has logged in, or shown a certificate, within the hour.
    pub(crate) fn knows(&self, peer: Peer) -> bool {
        self.table().knows(peer, Instant::now())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection; its place is free when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    number: u64,
    pub(crate) peer: Peer,
    /// It is beyond what its peer may have, and answers nothing but whether the exporter is healthy and ready.
    pub(crate) only_health: bool,
    certified: AtomicBool,
    /// How it ends, where it does before its client wants.
    pub(crate) ending: Arc<Ending>,
    changed: Notify,
    all: Arc<Connections>,
}

impl Connection {
    /// The first byte has come.
    pub(crate) fn heard(&self) {
        self.all.table().heard(self.number, Instant::now());
    }

    /// Whoever is at the other end has shown a certificate that was verified.
    pub(crate) fn certify(&self) {
        self.certified.store(true, Ordering::Relaxed);
        self.logged_in();
    }

    pub(crate) fn is_certified(&self) -> bool {
        self.certified.load(Ordering::Relaxed)
    }

    /// The peer has a reserved place for an hour.
    pub(crate) fn logged_in(&self) {
        self.all.table().learn(self.peer, Instant::now());
    }

    /// Until it is the turn of a request. The first of a connection does not wait, nor one after a pause. Others go one at a time, and
    /// behind everything that is ready to run: who sends a thousand requests at once does not hold up who sends one.
    /// Where a connection has one request at a time, more that has come already is the next one.
    pub(crate) async fn turn(&self, one_at_a_time: bool) {
        let row = one_at_a_time && self.ending.has_unread();
        let presses = self.all.table().presses(self.number, row, Instant::now());
        if presses {
            let _turn = self.all.turns.lock().await;
            yield_now().await;
        }
    }

    /// A request begins; it ends when what is given is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        let request = self.all.table().begin(self.number, Instant::now());
        self.changed.notify_one();
        Running {
            request,
            connection: Arc::clone(self),
        }
    }

    pub(crate) fn all(&self) -> &Arc<Connections> {
        &self.all
    }

    /// Until it has been idle, or busy with one answer, for too long.
    pub(crate) async fn overdue(&self) {
        loop {
            let due = self.all.table().due(self.number, ANSWER, IDLE);
            let Some((due, busy)) = due else { return };
            if due <= Instant::now() {
                if busy {
                    let limit = format_args!("an answer was not taken within {} s", ANSWER.as_secs());
                    self.all.report.refuse(Refusal::AnswerTime, self.peer, limit);
                    self.ending.reset();
                }
                return;
            }
            // That a client takes nothing more shows only after its request has ended.
            let look = Instant::now() + LOOK;
            tokio::select! {
                () = sleep_until(due.min(look)) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (open, fell) = {
            let mut table = self.all.table();
            let fell = table.remove(self.number);
            (table.open(), fell)
        };
        self.all.report.served.connections(open);
        self.all.gone.notify_one();
        if fell {
            memory::give_back();
        }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Running {
    request: u64,
    connection: Arc<Connection>,
}

impl Running {
    /// Its answer is made, and holds this body if it is large.
    pub(crate) fn answered(&self, body: Option<BodyId>) {
        let Self { request, connection } = self;
        let mut table = connection.all.table();
        table.answer(connection.number, *request, body, Instant::now());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Self { request, connection } = self;
        connection.all.table().end(connection.number, *request, Instant::now());
        connection.changed.notify_one();
    }
}
