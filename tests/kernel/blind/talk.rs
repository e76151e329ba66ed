//! Servers that answer questions, and clients that ask them.
//!
//! A question begins with its own length and that of the answer, four bytes each.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Scope};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, SockRef, Socket, Type};
use tests::net::namespace::Namespace;

use crate::blind::stage::Stage;

/// Longest that a call of a server may take: nothing of it outlives the test for long.
const LIMIT: Duration = Duration::from_secs(60);

/// A listener whose connections are each served by a thread; it ends on drop.
#[derive(Debug)]
pub(super) struct Server {
    listener: TcpListener,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves as fast as connections come.
    pub(super) fn start(
        namespace: &Namespace,
        at: SocketAddr,
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::slow(namespace, at, 1024, || (), serve)
    }

    /// Serves through an accept queue of this length, and does something before each look at it.
    pub(super) fn slow(
        namespace: &Namespace,
        at: SocketAddr,
        backlog: i32,
        before: impl Fn() + Send + 'static,
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener: TcpListener = namespace.run(|| {
            let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&at.into()).with_context(|| format!("bind {at}"))?;
            socket.listen(backlog)?;
            Ok(socket.into())
        })?;
        let (accepts, serve) = (listener.try_clone()?, Arc::new(serve));
        let accepting = thread::spawn(move || {
            loop {
                before();
                // A shutdown is the only thing that ends this.
                let Ok((stream, _)) = accepts.accept() else { break };
                let serve = Arc::clone(&serve);
                // Clients leave as they like.
                thread::spawn(move || prepare(&stream, LIMIT).and_then(|()| serve(stream)).is_ok());
            }
        });
        Ok(Self {
            listener,
            accepting: Some(accepting),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        SockRef::from(&self.listener).shutdown(Shutdown::Both).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}

fn prepare(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))
}

/// Answers questions until the client leaves.
pub(super) fn answer(mut stream: TcpStream) -> io::Result<()> {
    while let Some(length) = question(&mut stream)? {
        stream.write_all(&vec![7; length])?;
    }
    Ok(())
}

/// Takes a question, and gives the length of its answer; none if the client has ended.
pub(super) fn question(stream: &mut TcpStream) -> io::Result<Option<usize>> {
    let mut head = [0; 8];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let [a, b, c, d, lengths @ ..] = head;
    let number = |bytes: [u8; 4]| usize::try_from(u32::from_be_bytes(bytes)).map_err(io::Error::other);
    take(stream, number([a, b, c, d])?)?;
    Ok(Some(number(lengths)?))
}

/// Reads so many bytes.
fn take(stream: &mut TcpStream, bytes: usize) -> io::Result<()> {
    let mut chunk = vec![0; bytes.min(1 << 16)];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(chunk.len());
        stream.read_exact(&mut chunk[..part])?;
        left -= part;
    }
    Ok(())
}

/// Asks, and reads the whole answer.
pub(super) fn ask(stream: &mut TcpStream, length: usize, answer: usize) -> io::Result<()> {
    begin_to_ask(stream, length, answer)?;
    take(stream, answer)
}

/// Asks, and does not wait.
pub(super) fn begin_to_ask(stream: &mut TcpStream, length: usize, answer: usize) -> io::Result<()> {
    let mut text = Vec::with_capacity(length + 8);
    for number in [length, answer] {
        text.extend(u32::try_from(number).map_err(io::Error::other)?.to_be_bytes());
    }
    text.resize(length + 8, 7);
    stream.write_all(&text)
}

/// Opens a connection from the namespace of the calling thread.
pub(super) fn open(to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, limit)?;
    prepare(&stream, limit)?;
    Ok(stream)
}

/// Closes a connection by a reset.
pub(super) fn reset(stream: TcpStream) -> io::Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

/// What became of attempts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    done: AtomicU64,
    failed: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    /// Notes an attempt.
    pub(super) fn note<T>(&self, attempt: io::Result<T>) -> Option<T> {
        match attempt {
            Ok(value) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                Some(value)
            }
            Err(error) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                *failed.entry(format!("{:?}", error.kind())).or_default() += 1;
                None
            }
        }
    }

    /// Attempts that came to their end.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Attempts that failed by an error of this kind.
    pub(super) fn failed(&self, kind: ErrorKind) -> u64 {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(&format!("{kind:?}")).copied().unwrap_or_default()
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{} done, failed {failed:?}", self.done())
    }

    /// Requires so many attempts, and that none failed.
    pub(super) fn require(&self, what: &str, least: u64) -> Result<()> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(failed.is_empty(), "{what}: failed {failed:?}");
        ensure!(self.done() >= least, "{what}: only {} of {least}", self.done());
        Ok(())
    }
}

/// What a client does: questions and answers of these lengths, so many per connection, with a pause after each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habit {
    pub(super) question: usize,
    pub(super) answer: usize,
    pub(super) rounds: u64,
    /// In milliseconds.
    pub(super) pause: u64,
    /// Longest wait for anything, in milliseconds.
    pub(super) patience: u64,
}

impl Habit {
    pub(super) const fn new(question: usize, answer: usize, rounds: u64, pause: u64) -> Self {
        Self {
            question,
            answer,
            rounds,
            pause,
            patience: 10_000,
        }
    }

    pub(super) const fn patience(self, patience: u64) -> Self {
        Self { patience, ..self }
    }
}

/// Starts so many clients in a namespace, which ask until the stage is over; after a failure they begin with a new connection.
pub(super) fn clients<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    stage: &'env Stage,
    from: &'env Namespace,
    (number, to, habit): (u32, SocketAddr, Habit),
    tally: &'env Tally,
) {
    for _ in 0..number {
        scope.spawn(move || inside(from, || visit(stage, to, habit, tally)));
    }
}

/// Works in a namespace. Entering it fails for nobody but the test as a whole, whose work is then missing.
pub(super) fn inside(namespace: &Namespace, work: impl FnOnce() + Send) {
    namespace
        .run(|| {
            work();
            Ok(())
        })
        .ok();
}

fn visit(stage: &Stage, to: SocketAddr, habit: Habit, tally: &Tally) {
    let patience = Duration::from_millis(habit.patience);
    while !stage.is_over() {
        match open(to, patience) {
            Ok(mut stream) => {
                for _ in 0..habit.rounds {
                    let asked = ask(&mut stream, habit.question, habit.answer);
                    let goes_on = tally.note(asked).is_some();
                    stage.pause(Duration::from_millis(habit.pause));
                    if !goes_on || stage.is_over() {
                        break;
                    }
                }
            }
            Err(error) => {
                tally.note::<()>(Err(error));
                stage.pause(Duration::from_millis(habit.pause));
            }
        }
    }
}

/// Answers each datagram by one of so many bytes until the stage is over; every `late`-th answer comes half a second too late.
pub(super) fn answer_datagrams(stage: &Stage, socket: &UdpSocket, length: usize, late: u64) -> io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut number = 0;
    while !stage.is_over() {
        let Ok((_, from)) = socket.recv_from(&mut [0; 2048]) else {
            continue;
        };
        number += 1;
        if late > 0 && number % late == 0 {
            let (socket, answer) = (socket.try_clone()?, vec![7; length]);
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(500));
                socket.send_to(&answer, from).is_ok()
            });
        } else {
            socket.send_to(&vec![7; length], from)?;
        }
    }
    Ok(())
}

/// Asks by one datagram from a new port and waits for the answer, at most for `patience`.
pub(super) fn look_up(to: SocketAddr, patience: Duration) -> io::Result<()> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(&[7; 40], to)?;
    socket.recv(&mut [0; 2048]).map(drop)
}
