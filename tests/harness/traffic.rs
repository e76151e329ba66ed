//! Connections: that both ends agree with each other and with the namespace's counters.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use socket2::SockRef;
use tests::kernel::counters::Counters;
use tests::kernel::tcp_info::CLOSED;
use tests::machine::turn;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::{Family, SERVER};
use tests::net::traffic::{Ending, Flow, churn, dual_stack, listen, receive, send, settle};

#[test]
fn both_ends_of_an_idle_and_of_a_finished_flow_agree() -> Result<()> {
    let _turn = turn::shared()?;
    for family in [Family::V4, Family::V6] {
        let pair = Pair::new()?;
        let flow = Flow::open(&pair, family, 443)?;
        flow.exchange(1_000_000, 70_000)?;
        let flows = [flow];
        let [idle] = settle(&flows)?[..] else {
            bail!("one flow has one account")
        };
        assert_eq!((idle.client.bytes_sent, idle.server.bytes_sent), (1_000_000, 70_000));
        assert_eq!(
            (idle.server.bytes_received, idle.client.bytes_received),
            (1_000_000, 70_000)
        );
        let done = flows[0].finish()?;
        for ends in [idle, done] {
            assert_eq!(ends.client.segs_out, ends.server.segs_in);
            // The SYN-ACK is sent before the server has a socket that could count it.
            assert_eq!(ends.server.segs_out + 1, ends.client.segs_in);
            assert_eq!(ends.client.data_segs_out, ends.server.data_segs_in);
            assert_eq!(ends.server.data_segs_out, ends.client.data_segs_in);
        }
        assert_eq!((done.client.state, done.server.state), (CLOSED, CLOSED));
        // The FIN counts as a byte received, and as a segment.
        assert_eq!(done.server.bytes_received, 1_000_001);
        assert!(done.client.segs_out > idle.client.segs_out);
        // Nothing moves once both are closed.
        thread::sleep(Duration::from_millis(300));
        assert_eq!(flows[0].info()?.client.segs_out, done.client.segs_out);
    }
    Ok(())
}

#[test]
fn a_dual_stack_listener_takes_clients_of_both_families() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let listener = listen(&pair.server, dual_stack(443))?;
    for family in [Family::V4, Family::V6] {
        let flow = Flow::through(&listener, &pair, pair.to(family, 443)?)?;
        let SocketAddr::V6(client) = flow.server.peer_addr()? else {
            bail!("an IPv6 listener accepted an IPv4 socket")
        };
        assert_eq!(client.ip().to_ipv4_mapped().is_some(), family == Family::V4);
    }
    Ok(())
}

#[test]
fn short_connections_are_made_and_over_when_told() -> Result<()> {
    let _turn = turn::alone()?;
    for ending in [Ending::Orderly, Ending::Reset] {
        let pair = Pair::new()?;
        let subnet = pair.subnet()?;
        let targets = [Family::V4, Family::V6].map(|family| (subnet.address(family, SERVER), 7000).into());
        let made = churn(&pair, &targets, 4, ending, |number| number < 3000)?;
        assert_eq!(made, 3000);
        let (client, server) = (Counters::read(&pair.client)?, Counters::read(&pair.server)?);
        assert_eq!(client.get("TcpActiveOpens")?, 3000);
        assert_eq!(server.get("TcpPassiveOpens")?, 3000);
        assert_eq!((client.get("TcpCurrEstab")?, server.get("TcpCurrEstab")?), (0, 0));
        let resets = if ending == Ending::Reset { 3000 } else { 0 };
        assert_eq!(server.get("TcpEstabResets")?, resets);
        assert_eq!(client.get("TcpRetransSegs")?, 0);
    }
    Ok(())
}

#[test]
fn churn_ends_when_it_is_told_to() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let stop = AtomicBool::new(false);
    let target = pair.to(Family::V4, 7000)?;
    let made = thread::scope(|scope| {
        let running = scope.spawn(|| {
            churn(&pair, &[target], 2, Ending::Reset, |number| {
                number < 200 || !stop.load(Ordering::Relaxed)
            })
        });
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap()
    })?;
    assert_eq!(
        u64::try_from(Counters::read(&pair.client)?.get("TcpActiveOpens")?)?,
        made
    );
    assert!(made >= 200, "{made}");
    Ok(())
}

#[test]
fn a_reader_that_does_not_read_limits_the_sender_by_its_window() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let flow = Flow::open(&pair, Family::V4, 5001)?;
    let taken = flow.fill()?;
    thread::sleep(Duration::from_secs(1));
    let blocked = flow.info()?;
    assert!(blocked.client.rwnd_limited > 800_000, "{blocked:?}");
    // Before it filled, the send buffer may have been the limit for a moment; now it is not.
    let later = flow.info()?;
    assert_eq!(later.client.sndbuf_limited, blocked.client.sndbuf_limited);
    assert!(blocked.client.sndbuf_limited < 100_000, "{blocked:?}");
    receive(&flow.server, taken)?;
    let flows = [flow];
    let [after] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    assert!(after.client.rwnd_limited >= blocked.client.rwnd_limited);
    assert!(after.client.busy_time >= after.client.rwnd_limited);
    assert_eq!(
        flows[0].info()?.client.busy_time,
        after.client.busy_time,
        "an idle sender is not busy"
    );
    Ok(())
}

#[test]
fn a_small_send_buffer_limits_the_sender_by_itself() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::one_segment_per_packet()?;
    // A slow link makes for a round trip that the buffer cannot fill.
    pair.client.exec(&format!(
        "tc qdisc add dev {DEVICE} root tbf rate 4mbit burst 3000 limit 60000"
    ))?;
    let flow = Flow::open(&pair, Family::V4, 5002)?;
    SockRef::from(&flow.client).set_send_buffer_size(1)?;
    thread::scope(|scope| {
        let reader = scope.spawn(|| receive(&flow.server, 500_000));
        send(&flow.client, 500_000)?;
        reader.join().unwrap()
    })?;
    let [ends] = settle(&[flow])?[..] else {
        bail!("one flow has one account")
    };
    assert!(ends.client.sndbuf_limited > 100_000, "{ends:?}");
    assert_eq!(ends.client.rwnd_limited, 0);
    Ok(())
}
