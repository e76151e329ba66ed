//! A process that holds some of the live flows, both ends of each, and does as it is told, line by line.

use std::collections::HashMap;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;
use tests::kernel::tcp_info::CLOSED;
use tests::machine::wait::until;
use tests::net::namespace::enter;
use tests::net::traffic::{Ends, Flow, settle};

use super::sums::Sums;

/// What a process is to hold.
#[derive(Debug, Args)]
pub(super) struct Hold {
    /// Name of the namespace that connects
    client: String,
    /// Name of the namespace that accepts
    server: String,
    /// Where it accepts
    to: SocketAddr,
    /// How many flows
    flows: usize,
    /// Exchanges per second
    rate: u32,
}

/// Exchanges without a look at what one is told.
const BATCH: u32 = 10;

/// Holds flows until standard input ends.
pub(super) fn hold(order: &Hold) -> Result<()> {
    let flows = open(order)?;
    for (number, flow) in flows.iter().enumerate() {
        exchange(flow, number)?;
    }
    say(&flows.len())?;
    let commands = commands();
    let mut turns = (0..flows.len()).cycle();
    let pause = Duration::from_secs(1) * BATCH / order.rate.max(1);
    let mut is_going = false;
    loop {
        match commands.recv_timeout(pause) {
            Ok(command) => is_going = obey(&command, &flows)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if is_going {
            for number in turns.by_ref().take(usize::try_from(BATCH)?) {
                exchange(&flows[number], number)?;
            }
        }
    }
}

/// Does what it is told and answers; whether traffic goes on afterwards.
fn obey(command: &str, flows: &[Flow]) -> Result<bool> {
    match command {
        "go" => say(&())?,
        "rest" => say(&sums(&settle(flows)?))?,
        "touch" => {
            for (number, flow) in flows.iter().enumerate() {
                exchange(flow, number)?;
            }
            say(&sums(&settle(flows)?))?;
        }
        "finish" => say(&sums(&finish(flows)?))?,
        other => bail!("told to {other}"),
    }
    Ok(command == "go")
}

fn sums(ends: &[Ends]) -> Sums {
    let mut sums = Sums::default();
    for ends in ends {
        sums.add(ends);
    }
    sums
}

fn say(answer: &impl Serialize) -> Result<()> {
    let mut stdout = stdout().lock();
    serde_json::to_writer(&mut stdout, answer)?;
    writeln!(stdout)?;
    stdout.flush().context("answer")
}

fn commands() -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Opens all flows from one thread to another.
fn open(order: &Hold) -> Result<Vec<Flow>> {
    // Made in the namespace, used anywhere.
    let listener = thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter(&order.server)?;
            TcpListener::bind(order.to).with_context(|| format!("listen on {}", order.to))
        });
        inside.join().unwrap_or_else(|_| bail!("the listening thread panicked"))
    })?;
    thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            enter(&order.client)?;
            let connect =
                |number| TcpStream::connect(order.to).with_context(|| format!("connect for the {number}th time"));
            (0..order.flows).map(connect).collect::<Result<Vec<_>>>()
        });
        let mut accepted = HashMap::new();
        for _ in 0..order.flows {
            let (stream, from) = listener.accept().context("accept a connection")?;
            accepted.insert(from.port(), stream);
        }
        let clients = connecting
            .join()
            .unwrap_or_else(|_| bail!("the connecting thread panicked"))?;
        let pair = |client: TcpStream| {
            let port = client.local_addr()?.port();
            let server = accepted
                .remove(&port)
                .with_context(|| format!("nobody accepted port {port}"))?;
            Ok(Flow { client, server })
        };
        clients.into_iter().map(pair).collect()
    })
}

/// Some bytes there and some back; how many differs from flow to flow.
fn exchange(flow: &Flow, number: usize) -> Result<()> {
    const BYTES: [u8; 1024] = [0x5a; 1024];
    let mut taken = BYTES;
    for (from, to, length) in [
        (&flow.client, &flow.server, 1 + number % 500),
        (&flow.server, &flow.client, 1 + number % 1000),
    ] {
        let (mut from, mut to): (&TcpStream, &TcpStream) = (from, to);
        from.write_all(&BYTES[..length]).context("send")?;
        to.read_exact(&mut taken[..length]).context("receive")?;
    }
    Ok(())
}

/// Ends all flows in order, and gives the final account of each.
fn finish(flows: &[Flow]) -> Result<Vec<Ends>> {
    for flow in flows {
        flow.client.shutdown(Shutdown::Write)?;
    }
    for flow in flows {
        flow.server.shutdown(Shutdown::Write)?;
    }
    until("all flows to be closed", || {
        let ends: Vec<Ends> = flows.iter().map(Flow::info).collect::<Result<_>>()?;
        let is_closed = |ends: &Ends| ends.client.state == CLOSED && ends.server.state == CLOSED;
        Ok(ends.iter().all(is_closed).then_some(ends))
    })
}
