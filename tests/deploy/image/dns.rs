//! A name server that knows one address for every name (RFC 1035), and remembers who was asked for.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// Length of a message's header.
const HEADER: usize = 12;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Server(Arc<Mutex<BTreeSet<String>>>);

impl Server {
    /// Answers at an address of the calling thread's network namespace.
    pub(super) fn start(address: &str) -> Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let names = Arc::new(Mutex::new(BTreeSet::new()));
        let own = Self(Arc::clone(&names));
        thread::spawn(move || {
            let mut question = [0; 512];
            // Until nobody else knows the names.
            while Arc::strong_count(&names) > 1 {
                let Ok((length, client)) = socket.recv_from(&mut question) else {
                    continue;
                };
                if let Some((name, answer)) = answer(&question[..length]) {
                    names.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
                    socket.send_to(&answer, client).ok();
                }
            }
        });
        Ok(own)
    }

    /// Names that were asked for.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The name in a question, and the answer: 127.0.0.1 for type A, no record for others.
fn answer(question: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    while let length @ 1.. = usize::from(*question.get(at)?) {
        labels.push(String::from_utf8_lossy(question.get(at + 1..=at + length)?).into_owned());
        at += 1 + length;
    }
    // Type and class follow the empty label.
    let asked = question.get(HEADER..at + 5)?;
    let is_a = asked.get(asked.len() - 4..asked.len() - 2)? == [0, 1];
    let mut answer = question.get(..2)?.to_vec();
    // A response, recursion available; one question, and as many answers.
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(asked);
    if is_a {
        // The name of the question, type A, class IN, a minute, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some((labels.join("."), answer))
}
