//! Live connections by the hundred thousand, over the loopback device of a namespace of their own. Both ends are
//! sockets of this process and flows of the exporter, so a connection is two flows.
//!
//! What was sent over them is known: each round carries one byte each way over each connection.

mod worker;

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tests::kernel::tcp_info::TcpInfo;
use tests::net::namespace::Namespace;

pub(crate) use worker::State;
use worker::{Answer, Worker};

/// Connections of a worker: the descriptors of both ends fit into one table of the usual hard limit of 20 000.
const PER_WORKER: usize = 9_000;

/// First half of the addresses: nothing else on a machine has them.
const NETWORK: u8 = 77;

/// Connections, and what went over them. They end by resets when it is dropped.
///
/// Its threads keep copies of descriptors that are open when it grows: what is to be closed later is opened later.
pub(crate) struct Crowd {
    namespace: Arc<Namespace>,
    workers: Vec<Worker>,
    subnets: usize,
    connections: usize,
    rounds_by_connection: u64,
}

/// What the kernel says of all sockets together, and the generator of what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Live sockets.
    pub(crate) sockets: u64,
    /// Payload that the generator wrote, and also read.
    pub(crate) bytes: u64,
    /// `tcpi_segs_out`, over all.
    pub(crate) segments_out: u64,
    /// `tcpi_segs_in`, over all.
    pub(crate) segments_in: u64,
}

impl Crowd {
    /// None yet. They will be spread over so many /24, at most 256.
    pub(crate) fn new(subnets: usize) -> Result<Self> {
        Ok(Self {
            namespace: Arc::new(Namespace::new()?),
            workers: Vec::new(),
            subnets,
            connections: 0,
            rounds_by_connection: 0,
        })
    }

    /// One of its /24.
    pub(crate) fn subnet(number: usize) -> Result<String> {
        Ok(format!("{}/24", address(number, 0)?))
    }

    /// The network that all addresses are in.
    pub(crate) fn network() -> String {
        format!("127.{NETWORK}.0.0/16")
    }

    /// Where the connections are.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Live flows: sockets, two to a connection.
    pub(crate) fn flows(&self) -> usize {
        2 * self.connections
    }

    /// Has one of its threads do something with its connections, each in turn, and waits for it.
    pub(crate) fn in_turn<T: Send + 'static>(
        &self,
        turn: usize,
        work: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.workers[turn % self.workers.len()].order(work)?.wait()
    }

    /// Opens connections until there are so many flows.
    pub(crate) fn grow(&mut self, flows: usize) -> Result<()> {
        let connections = flows / 2;
        let mut answers = Vec::new();
        while self.connections < connections {
            let (number, within) = (self.connections / PER_WORKER, self.connections % PER_WORKER);
            let more = (PER_WORKER - within).min(connections - self.connections);
            if number == self.workers.len() {
                let host = u8::try_from(2 * number + 1).context("more connections than addresses")?;
                self.workers.push(Worker::start(&self.namespace, self.subnets, host)?);
            }
            answers.push(self.workers[number].order(move |state| state.open(more))?);
            self.connections += more;
        }
        answers.into_iter().try_for_each(Answer::wait)
    }

    /// Sends one byte each way over each connection, and waits until it has come.
    pub(crate) fn round(&mut self) -> Result<()> {
        self.rounds_by_connection += u64::try_from(self.connections)?;
        self.each(State::round).map(drop)
    }

    /// What it all comes to.
    pub(crate) fn account(&self) -> Result<Account> {
        let parts = self.each(|state| {
            let mut sums = [0, 0];
            for end in state.sockets() {
                let info = TcpInfo::of(end)?;
                sums[0] += u64::from(info.segs_out);
                sums[1] += u64::from(info.segs_in);
            }
            Ok(sums)
        })?;
        let sum = |direction: usize| parts.iter().map(|part| part[direction]).sum();
        Ok(Account {
            sockets: u64::try_from(self.flows())?,
            bytes: 2 * self.rounds_by_connection,
            segments_out: sum(0),
            segments_in: sum(1),
        })
    }

    /// Lets all workers do the same at once.
    fn each<T: Send + 'static>(
        &self,
        work: impl Fn(&mut State) -> Result<T> + Copy + Send + 'static,
    ) -> Result<Vec<T>> {
        let answers: Vec<_> = self
            .workers
            .iter()
            .map(|worker| worker.order(work))
            .collect::<Result<_>>()?;
        answers.into_iter().map(Answer::wait).collect()
    }
}

/// The server's address in a subnet; the client's is the one after it.
fn address(subnet: usize, host: u8) -> Result<Ipv4Addr> {
    let subnet = u8::try_from(subnet).context("more subnets than addresses")?;
    Ok(Ipv4Addr::new(127, NETWORK, subnet, host))
}
