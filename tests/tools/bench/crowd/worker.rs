//! A thread of a crowd, with a table of descriptors of its own: the limit of descriptors then holds for each thread.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tests::net::namespace::Namespace;

use super::address;
use crate::work::Ends;

/// Of all servers: its name as an application protocol is in the built-in table.
const PORT: u16 = 443;

/// First port of the clients.
const CLIENT_PORTS: u16 = 2_000;

type Job = Box<dyn FnOnce(&mut State) + Send>;

/// A thread with connections.
pub(super) struct Worker {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What only the thread itself can use.
pub(crate) struct State {
    listeners: Vec<(Ipv4Addr, TcpListener)>,
    connections: Vec<Ends>,
    next: usize,
}

/// What a worker will say.
pub(super) struct Answer<T>(Receiver<Result<T>>);

impl<T> Answer<T> {
    /// Waits for it.
    pub(super) fn wait(self) -> Result<T> {
        self.0.recv().context("a thread of the crowd ended early")?
    }
}

impl Worker {
    /// Starts one that listens in each subnet.
    pub(super) fn start(namespace: &Arc<Namespace>, subnets: usize, host: u8) -> Result<Self> {
        let (jobs, orders) = channel::<Job>();
        let (ready, started) = channel();
        let namespace = Arc::clone(namespace);
        let thread = thread::spawn(move || {
            namespace.run(|| {
                let mut state = match State::listening(subnets, host) {
                    Ok(state) => state,
                    Err(error) => return ready.send(Err(error)).ok().context("nobody waits"),
                };
                ready.send(Ok(())).ok().context("nobody waits")?;
                orders.into_iter().for_each(|job| job(&mut state));
                Ok(())
            })
        });
        Answer(started).wait()?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Has it do something, after what it was told before.
    pub(super) fn order<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<Answer<T>> {
        let (sender, receiver) = channel();
        let job: Job = Box::new(move |state| {
            // Who does not wait does not want to know.
            sender.send(work(state)).ok();
        });
        let jobs = self.jobs.as_ref().context("the worker is ending")?;
        jobs.send(job).ok().context("a thread of the crowd ended early")?;
        Ok(Answer(receiver))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread ends when there is nobody to give it jobs; what it has to say was said in answers.
        self.jobs.take();
        self.thread.take().map(JoinHandle::join).transpose().ok();
    }
}

impl State {
    /// With descriptors of its own from here on.
    fn listening(subnets: usize, host: u8) -> Result<Self> {
        unshare(CloneFlags::CLONE_FILES).context("make a table of descriptors for a thread")?;
        let listen = |subnet| {
            let address = address(subnet, host)?;
            Ok((address, TcpListener::bind((address, PORT))?))
        };
        Ok(Self {
            listeners: (0..subnets).map(listen).collect::<Result<_>>()?,
            connections: Vec::new(),
            next: 0,
        })
    }

    /// A round trip over each.
    pub(super) fn round(&mut self) -> Result<()> {
        self.connections.iter_mut().try_for_each(Ends::round_trip)
    }

    /// A round trip over the first connection.
    pub(crate) fn over_the_first(&mut self) -> Result<()> {
        self.connections.first_mut().context("no connection")?.round_trip()
    }

    /// A round trip over the connection after that of the last call.
    pub(crate) fn over_the_next(&mut self) -> Result<()> {
        self.next = (self.next + 1) % self.connections.len();
        self.connections[self.next].round_trip()
    }

    /// Of all connections.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &TcpStream> {
        self.connections.iter().flat_map(|ends| [&ends.client, &ends.server])
    }

    /// Opens so many more, in each subnet in turn.
    pub(super) fn open(&mut self, more: usize) -> Result<()> {
        for _ in 0..more {
            let number = self.connections.len();
            let (server, listener) = &self.listeners[number % self.listeners.len()];
            let port = CLIENT_PORTS + u16::try_from(number / self.listeners.len())?;
            let client = connect(*server, port).with_context(|| format!("open the {number}th connection"))?;
            let (server, _) = listener.accept()?;
            server.set_nodelay(true)?;
            self.connections.push(Ends { client, server });
        }
        Ok(())
    }
}

/// From the address after the server's. The kernel is told the port: finding a free one takes it long when few are.
fn connect(server: Ipv4Addr, port: u16) -> Result<TcpStream> {
    let client = Ipv4Addr::from(u32::from(server) + 1);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((client, port)).into())?;
    socket.connect(&SocketAddr::from((server, PORT)).into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

impl Drop for State {
    /// By resets, so that no port stays in TIME-WAIT.
    fn drop(&mut self) {
        for connection in &self.connections {
            // One that cannot be reset ends in order.
            SockRef::from(&connection.client).set_linger(Some(Duration::ZERO)).ok();
        }
    }
}
