//! Round-trip times, against a peer that thinks for a known time before it acknowledges.

use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tests::exporter::scrape::Scrape;
use tests::exporter::start;
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::peer::{DEVICE, Offer, Peer};
use tests::net::subnet::{CLIENT, Subnet, config};

use crate::account::seconds;

const THINK: Duration = Duration::from_millis(20);
const ROUNDS: u32 = 100;

/// What the kernel and the exporter say.
struct Account<'text> {
    subnet: &'text str,
    /// The kernel, after the last round.
    info: TcpInfo,
    /// The sum of all samples by the kernel, in microseconds: less than 8 too low.
    samples: i64,
    /// The exporter, after the last round.
    live: Scrape,
    /// The exporter, after the end of the flow.
    closed: Scrape,
}

/// Exchanges [`ROUNDS`] segments with a thoughtful peer under an exporter.
fn check(detail: &str, then: impl FnOnce(&Account<'_>) -> Result<()>) -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    // A slow machine may let the peer think for longer than a time-out, and a segment that was sent twice in vain gives
    // no sample: neither the time-out nor the tail loss probe may come before the acknowledgment.
    namespace.set("net.ipv4.tcp_early_retrans=0")?;
    namespace.ip(&[format!(
        "route replace {}/24 dev {DEVICE} src {} rto_min 60s",
        subnet.v4(0),
        subnet.v4(CLIENT)
    )])?;
    let exporter = start(config(&[subnet]) + &format!("tcp: {{detail: {detail}}}\n"))?;
    let offer = Offer {
        timestamps: true,
        ..Offer::default()
    };
    let (client, mut connection) = peer.accept(&namespace, 80, offer)?;
    // The kernel keeps S, eight times the smoothed time, which the first sample sets and a sample m changes by m - S/8
    // (RFC 6298). It tells S/8 in whole microseconds, so the samples add up to the last S, less the first, and all S/8.
    let smoothed = || anyhow::Ok(i64::from(TcpInfo::of(&client)?.rtt));
    let first = smoothed()?;
    let mut samples = first - 8 * first;
    for _ in 0..ROUNDS {
        (&client).write_all(&[1; 100])?;
        connection.take(100)?;
        sleep(THINK);
        samples += smoothed()?;
        connection.acknowledge()?;
    }
    samples += 8 * smoothed()?;
    let info = TcpInfo::of(&client)?;
    let live = exporter.scrape()?;
    connection.reset()?;
    drop(client);
    then(&Account {
        subnet: &subnet.name(),
        info,
        samples,
        live,
        closed: exporter.scrape()?,
    })
}

#[test]
fn every_acknowledgment_gives_one_sample_and_their_sum_is_the_kernels() -> Result<()> {
    check("full", |account| {
        let Account {
            subnet,
            info,
            samples,
            live,
            closed,
        } = account;
        let samples = *samples as f64 / 1e6;
        let labels = [("subnet", *subnet)];
        let rtt = closed.histogram("tcpvitals_tcp_rtt_seconds", &labels)?;
        // The client's SYN is the first sample; the last one is taken when the flow closes.
        assert_eq!(rtt.count, f64::from(1 + ROUNDS));
        assert_eq!(rtt.buckets.iter().map(|(_, count)| count).sum::<f64>(), rtt.count);
        assert!(
            samples - 1e-9 <= rtt.sum && rtt.sum < samples + 8e-6,
            "{} s, but the kernel's samples add up to {samples} s",
            rtt.sum
        );
        let mean = rtt.sum / rtt.count;
        // All but the handshake's took at least as long as the peer thought.
        let quick = rtt.buckets.iter().filter(|(bound, _)| *bound < THINK.as_secs_f64());
        assert!(quick.map(|(_, count)| count).sum::<f64>() <= 1.0);

        let least = live.sum("tcpvitals_tcp_rtt_min_seconds", &labels)?;
        let most = live.sum("tcpvitals_tcp_rtt_max_seconds", &labels)?;
        assert!(
            least >= seconds(info.min_rtt.into()),
            "{least}, but the kernel's floor is {} us",
            info.min_rtt
        );
        assert!(least <= mean && mean <= most, "{least} {mean} {most}");
        Ok(())
    })
}

#[test]
fn live_flows_are_sampled_once_per_collection() -> Result<()> {
    check("full", |account| {
        let Account {
            subnet,
            info,
            live,
            closed,
            ..
        } = account;
        let labels = [("subnet", *subnet)];
        let one = |name: &str| live.histogram(name, &labels);
        for name in [
            "smoothed_rtt_seconds",
            "congestion_window_segments",
            "mss_bytes",
            "rto_seconds",
        ] {
            let name = format!("tcpvitals_tcp_{name}");
            assert_eq!(one(&name)?.count, 1.0, "{name}");
            assert_eq!(closed.histogram(&name, &labels)?.count, 1.0, "{name}");
        }
        assert_eq!(
            one("tcpvitals_tcp_slow_start_threshold_segments")?.count,
            0.0,
            "there was no loss"
        );
        assert!((one("tcpvitals_tcp_smoothed_rtt_seconds")?.sum - seconds(info.rtt.into())).abs() < 1e-9);
        assert_eq!(
            one("tcpvitals_tcp_congestion_window_segments")?.sum,
            f64::from(info.snd_cwnd)
        );
        assert_eq!(one("tcpvitals_tcp_mss_bytes")?.sum, f64::from(info.snd_mss));
        assert!((one("tcpvitals_tcp_rto_seconds")?.sum - seconds(info.rto.into())).abs() < 1e-9);
        let algorithms = live.by("tcpvitals_tcp_connections_by_algorithm", "algorithm", &[])?;
        assert!(
            algorithms.get("reno").is_some_and(|&count| count >= 1.0),
            "{algorithms:?}"
        );
        Ok(())
    })
}

#[test]
fn without_a_program_on_the_segment_path_the_smoothed_time_is_sampled() -> Result<()> {
    check("essential", |account| {
        let Account {
            subnet,
            info,
            live,
            closed,
            ..
        } = account;
        let labels = [("subnet", *subnet)];
        let at_collection = live.histogram("tcpvitals_tcp_rtt_seconds", &labels)?;
        let at_close = closed.histogram("tcpvitals_tcp_rtt_seconds", &labels)?;
        assert_eq!((at_collection.count, at_close.count), (1.0, 2.0));
        assert!((at_collection.sum - seconds(info.rtt.into())).abs() < 1e-9);
        Ok(())
    })
}
