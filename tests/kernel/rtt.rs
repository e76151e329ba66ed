//! Round-trip times, against a peer that thinks for a known time before it acknowledges.

use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tests::exporter::start;
use tests::namespace::Namespace;
use tests::peer::{Offer, Peer};
use tests::subnet::{Subnet, config};
use tests::tcp_info::TcpInfo;
use tests::turn;

use crate::account::seconds;

const THINK: Duration = Duration::from_millis(20);
const ROUNDS: u32 = 100;

/// Exchanges [`ROUNDS`] segments with a thoughtful peer under an exporter, and gives what both say in the end.
fn check(
    detail: &str,
    then: impl FnOnce(&TcpInfo, &tests::scrape::Scrape, &tests::scrape::Scrape, &str) -> Result<()>,
) -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    let exporter = start(config(&[subnet]) + &format!("tcp: {{detail: {detail}}}\n"))?;
    let offer = Offer {
        timestamps: true,
        ..Offer::default()
    };
    let (mut client, mut connection) = peer.accept(&namespace, 80, offer)?;
    for _ in 0..ROUNDS {
        client.write_all(&[1; 100])?;
        connection.take(100)?;
        sleep(THINK);
        connection.acknowledge()?;
    }
    let info = TcpInfo::of(&client)?;
    let live = exporter.scrape()?;
    connection.reset()?;
    drop(client);
    then(&info, &live, &exporter.scrape()?, &subnet.name())
}

#[test]
fn every_acknowledgment_gives_one_sample_and_their_mean_is_the_kernels() -> Result<()> {
    check("full", |info, live, closed, subnet| {
        let labels = [("subnet", subnet)];
        let rtt = closed.histogram("tcpvitals_tcp_rtt_seconds", &labels)?;
        // The client's SYN is the first sample; the last one is taken when the flow closes.
        assert_eq!(rtt.count, f64::from(1 + ROUNDS));
        assert_eq!(rtt.buckets.iter().map(|(_, count)| count).sum::<f64>(), rtt.count);
        let (mean, kernel) = (rtt.sum / rtt.count, seconds(info.rtt.into()));
        assert!(
            (mean - kernel).abs() < 0.1 * kernel,
            "{mean} s, but the kernel smooths {kernel} s"
        );
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
    check("full", |info, live, closed, subnet| {
        let labels = [("subnet", subnet)];
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
    check("essential", |info, live, closed, subnet| {
        let labels = [("subnet", subnet)];
        let at_collection = live.histogram("tcpvitals_tcp_rtt_seconds", &labels)?;
        let at_close = closed.histogram("tcpvitals_tcp_rtt_seconds", &labels)?;
        assert_eq!((at_collection.count, at_close.count), (1.0, 2.0));
        assert!((at_collection.sum - seconds(info.rtt.into())).abs() < 1e-9);
        Ok(())
    })
}
