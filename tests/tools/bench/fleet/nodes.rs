//! Nodes that are none: one listener that answers for each what was recorded of one, a step further at each scrape.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::record::Recording;

/// Zones that the nodes are spread over.
const ZONES: usize = 4;

/// A listener; its threads end with the process.
#[derive(Debug)]
pub(crate) struct Nodes(SocketAddr);

/// What all connections answer from.
struct Answers {
    /// Head and body.
    whole: Vec<Vec<u8>>,
    /// Scrapes of each node so far.
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Nodes {
    /// Answers at `/NUMBER` for as many nodes as are asked for.
    pub(crate) fn serve(recording: &Recording) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen for readers")?;
        let address = listener.local_addr()?;
        let whole = recording.bodies.iter().map(|body| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                recording.content_type,
                body.len()
            );
            [head.as_bytes(), body].concat()
        });
        let answers = Arc::new(Answers {
            whole: whole.collect(),
            asked: Mutex::default(),
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = Arc::clone(&answers);
                // A reader that has gone ends its thread.
                thread::spawn(move || answers.speak(&stream).ok());
            }
        });
        Ok(Self(address))
    }

    /// So many targets, as readers find them in a file.
    pub(crate) fn targets(&self, count: usize) -> Value {
        let target = |number: usize| {
            json!({
                "targets": [self.0.to_string()],
                "labels": {
                    "instance": format!("node-{number}"),
                    "zone": format!("zone-{}", number % ZONES),
                    "__metrics_path__": format!("/{number}"),
                },
            })
        };
        (0..count).map(target).collect()
    }
}

impl Answers {
    /// One connection, until the reader closes it.
    fn speak(&self, stream: &TcpStream) -> Result<()> {
        let mut lines = BufReader::new(stream).lines();
        loop {
            let Some(request) = lines.next() else { return Ok(()) };
            let request = request?;
            let path = request.split(' ').nth(1).context("no request")?.to_owned();
            for line in lines.by_ref() {
                if line?.is_empty() {
                    break;
                }
            }
            let index = {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                let times = asked.entry(path).or_default();
                *times += 1;
                (*times - 1).min(self.whole.len() - 1)
            };
            (&mut &*stream).write_all(&self.whole[index])?;
        }
    }
}
