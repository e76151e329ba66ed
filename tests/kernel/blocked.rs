//! Why a sender is blocked, and for how long.

use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Result, bail};
use socket2::SockRef;
use tests::exporter::start;
use tests::kernel::kernel_facts::note;
use tests::machine::turn;
use tests::net::pair::{DEVICE, Pair, of_each_family};
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, receive, send, settle};

use crate::account::{End, require_equal, same, seconds};

const LIMITED: &str = "tcpvitals_tcp_sender_limited_seconds_total";
const BUSY: &str = "tcpvitals_tcp_sender_busy_seconds_total";

/// Both accounts are in whole jiffies, of which the longest is 10 ms.
const JIFFY: f64 = 0.011;

#[test]
fn a_reader_that_does_not_read_blocks_the_sender_by_its_window() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        let subnet = pair.subnet()?.name();
        let flow = Flow::open(&pair, family, 443)?;
        let taken = flow.fill()?;
        let labels = [("subnet", &*subnet), ("role", "client")];
        let limited = |scrape: &tests::exporter::scrape::Scrape, limit| {
            scrape.sum(LIMITED, &[labels[0], labels[1], ("limit", limit)])
        };

        // While it is blocked, time goes on in both accounts.
        let mut last = 0.0;
        for _ in 0..3 {
            sleep(Duration::from_millis(400));
            let before = seconds(flow.info()?.client.rwnd_limited);
            let scrape = exporter.scrape()?;
            let after = seconds(flow.info()?.client.rwnd_limited);
            let ours = limited(&scrape, "receive_window")?;
            assert!(
                before - JIFFY <= ours && ours <= after + JIFFY,
                "{ours} s, but the kernel says {before} to {after} s"
            );
            assert!(ours > last + 0.35, "{ours} s after {last} s");
            // Before it filled, the send buffer may have been the limit for a moment; now it is not.
            let by_buffer = seconds(flow.info()?.client.sndbuf_limited);
            assert!(same(limited(&scrape, "send_buffer")?, by_buffer), "{by_buffer} s");
            assert!(by_buffer < 0.1, "{by_buffer} s");
            last = ours;
        }

        // Once it is over, they agree.
        receive(&flow.server, taken)?;
        let flows = [flow];
        let [ends] = settle(&flows)?[..] else {
            bail!("one flow has one account")
        };
        let scrape = exporter.scrape()?;
        assert!(limited(&scrape, "receive_window")? > 1.0);
        assert!(scrape.sum(BUSY, &labels)? >= limited(&scrape, "receive_window")?);
        for end in End::BOTH {
            require_equal(&scrape, &subnet, end, &[end.of(&ends)])?;
        }
    }
    Ok(())
}

#[test]
fn a_send_buffer_that_is_too_small_blocks_the_sender_by_itself() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::one_segment_per_packet()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    // A slow link makes for a round trip that the buffer cannot fill.
    pair.client.exec(&format!(
        "tc qdisc add dev {DEVICE} root tbf rate 4mbit burst 3000 limit 60000"
    ))?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    SockRef::from(&flow.client).set_send_buffer_size(1)?;
    thread::scope(|scope| {
        let reader = scope.spawn(|| receive(&flow.server, 500_000));
        send(&flow.client, 500_000)?;
        reader.join().unwrap_or_else(|_| bail!("the reading thread panicked"))
    })?;
    let flows = [flow];
    let [ends] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    let scrape = exporter.scrape()?;
    let of = |limit| scrape.sum(LIMITED, &[("subnet", &subnet), ("role", "client"), ("limit", limit)]);
    // Equal to the kernel's word, below; how long it was depends on how soon a sender with room runs again.
    assert!(
        same(of("send_buffer")?, seconds(ends.client.sndbuf_limited)),
        "{ends:?}"
    );
    if ends.client.sndbuf_limited == 0 {
        // Only a segment that is sent while the application waits for room begins such a time.
        note("no time with a full buffer: this machine is too slow to send while the application waits");
    }
    assert_eq!(of("receive_window")?, 0.0);
    for end in End::BOTH {
        require_equal(&scrape, &subnet, end, &[end.of(&ends)])?;
    }
    Ok(())
}
