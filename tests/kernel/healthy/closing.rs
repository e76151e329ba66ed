//! Ways to end a connection after which everybody has what was sent.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use socket2::SockRef;
use tests::net::packet::{Options, Segment, flag};
use tests::net::peer::Peer;
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{Flow, dual_stack, listen, receive, send};

use super::talk::{ask, flow, read_to_end, through, write};
use crate::suite::Stage;

/// Flows over IPv4, over IPv6, and over IPv4 between sockets of IPv6.
fn of_each_kind(stage: &Stage, port: u16) -> Result<Vec<Flow>> {
    let mut flows = Vec::new();
    for family in Family::BOTH {
        flows.push(flow(stage.client(), stage.server(), stage.to(family, port))?);
    }
    let mapped = Ipv6Addr::from_bits(0xffff << 32 | u128::from(u32::from(stage.subnet().v4(SERVER))));
    let listener = listen(stage.server(), dual_stack(port + 1))?;
    flows.push(through(
        &listener,
        stage.client(),
        SocketAddr::from((mapped, port + 1)),
    )?);
    Ok(flows)
}

pub(super) fn half(stage: &Stage) -> Result<()> {
    for flow in of_each_kind(stage, 873)? {
        flow.client.shutdown(Shutdown::Write)?;
        ensure!(read_to_end(&flow.server)? == 0, "more than was sent");
        for _ in 0..40 {
            write(&flow.server, &[4; 500])?;
            sleep(Duration::from_millis(3));
        }
        receive(&flow.client, 40 * 500)?;
        drop(flow.server);
        ensure!(read_to_end(&flow.client)? == 0, "more than was sent");
    }
    Ok(())
}

pub(super) fn half_and_much(stage: &Stage) -> Result<()> {
    for flow in of_each_kind(stage, 873)? {
        flow.client.shutdown(Shutdown::Write)?;
        ensure!(read_to_end(&flow.server)? == 0, "more than was sent");
        thread::scope(|scope| {
            let sending = scope.spawn(|| send(&flow.server, 2_000_000));
            receive(&flow.client, 2_000_000)?;
            sending.join().unwrap_or_else(|_| bail!("the sending thread panicked"))
        })?;
        drop(flow.server);
        ensure!(read_to_end(&flow.client)? == 0, "more than was sent");
    }
    Ok(())
}

/// The side that has not closed goes on to read slowly, so that its window moves while the other waits for the last byte.
pub(super) fn data_before_the_end(stage: &Stage) -> Result<()> {
    for flow in of_each_kind(stage, 8080)? {
        thread::scope(|scope| {
            let sending = scope.spawn(|| -> Result<()> {
                send(&flow.client, 1_000_000)?;
                flow.client.shutdown(Shutdown::Write)?;
                Ok(())
            });
            let mut left = 1_000_000;
            let mut chunk = vec![0; 50_000];
            while left > 0 {
                left -= (&flow.server).read(&mut chunk)?;
                sleep(Duration::from_millis(1));
            }
            sending.join().unwrap_or_else(|_| bail!("the sending thread panicked"))
        })?;
        ensure!(read_to_end(&flow.server)? == 0, "more than was sent");
        drop(flow.server);
        ensure!(read_to_end(&flow.client)? == 0, "more than was sent");
    }
    Ok(())
}

pub(super) fn both_at_once(stage: &Stage) -> Result<()> {
    for _ in 0..5 {
        for flow in of_each_kind(stage, 8080)? {
            ask(&flow, 10, 10)?;
            let Flow { client, server } = flow;
            thread::scope(|scope| {
                scope.spawn(|| drop(client));
                scope.spawn(|| drop(server));
            });
        }
    }
    Ok(())
}

pub(super) fn reset(stage: &Stage) -> Result<()> {
    for flow in of_each_kind(stage, 8080)? {
        ask(&flow, 10, 10)?;
        SockRef::from(&flow.client).set_linger(Some(Duration::ZERO))?;
        drop(flow.client);
        let ended = (&flow.server).read(&mut [0; 1]);
        ensure!(ended.is_err(), "no reset, but {ended:?}");
    }
    Ok(())
}

/// The answer was not wanted any more: the kernel resets the connection, and frees what nobody has read.
pub(super) fn unread(stage: &Stage) -> Result<()> {
    for flow in of_each_kind(stage, 8080)? {
        ask(&flow, 10, 10)?;
        (&flow.server).write_all(&[8; 20_000])?;
        stage.at_rest()?;
        drop(flow.client);
        let ended = (&flow.server).read(&mut [0; 1]);
        ensure!(ended.is_err(), "no reset, but {ended:?}");
    }
    Ok(())
}

/// What a server had sent before it learned that the client wants no more of it.
pub(super) fn under_way(stage: &Stage) -> Result<()> {
    let peer = Peer::new(stage.server(), stage.second())?;
    late(stage, &peer, 40_000)
}

/// What a client had sent before it learned that the server has closed, which still listens for others.
pub(super) fn under_way_to_a_listener(stage: &Stage) -> Result<()> {
    const PORT: u16 = 80;
    let peer = Peer::new(stage.server(), stage.second())?;
    let listener = listen(stage.server(), (stage.second().v4(CLIENT), PORT).into())?;
    late(stage, &peer, PORT)?;
    drop(listener);
    Ok(())
}

/// Segments of a connection that is closed, to a port of the server.
fn late(stage: &Stage, peer: &Peer, port: u16) -> Result<()> {
    for number in 0..7 {
        let data = Segment {
            source: peer.at(443),
            destination: peer.kernel_at(port),
            sequence: 1 + 500 * number,
            acknowledgment: 1,
            flags: flag::ACK | flag::PSH,
            window: 1000,
            options: Options::default(),
            payload: vec![7; 500],
        };
        peer.inject(&data.encode())?;
    }
    let [_, server] = stage.at_rest()?;
    let resets = server.get("TcpOutRsts")?;
    ensure!(resets == 7, "the kernel sent {resets} resets");
    Ok(())
}
