//! Prometheus 3.5 with native histograms and start times, over TLS with a password: what it computes of native histograms,
//! of classic ones and of what the generator knows must agree, and a counter that it meets late was 0 before.

use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tests::exporter::Exporter;
use tests::kernel::account::{End, require_equal};
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::pair::Pair;
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{Family, Subnet, config};
use tests::net::traffic::{Ends, Flow};
use tests::readers::prometheus::Prometheus;

use crate::guarded::Guard;

const FEATURES: [&str; 2] = ["native-histograms", "created-timestamp-zero-ingestion"];
const JOB: &str = "tcpvitals";

/// What the kernel tells of a sample is rounded by less than 8 microseconds.
const ROUNDING: f64 = 8e-6;

fn prometheus(guard: &Guard, exporter: &Exporter<'_>) -> Result<Prometheus> {
    let job = guard.job(JOB, exporter).with("always_scrape_classic_histograms: true");
    Prometheus::start(&[job], &FEATURES)
}

/// Round-trip times of a connection with a peer that thinks a little longer each time, as the kernel took them, in order
/// of their size and in seconds.
fn round_trips(namespace: &Namespace, subnet: Subnet) -> Result<Vec<f64>> {
    let peer = Peer::new(namespace, subnet)?;
    let offer = Offer {
        timestamps: true,
        ..Offer::default()
    };
    let (client, mut connection) = peer.accept(namespace, 80, offer)?;
    let smoothed = || anyhow::Ok(i64::from(TcpInfo::of(&client)?.rtt));
    // The kernel keeps S, eight times the smoothed time, which the first sample sets and a sample m changes by m - S/8
    // (RFC 6298). It tells S/8 in whole microseconds.
    let mut before = smoothed()?;
    let mut samples = vec![before];
    for round in 0..100 {
        (&client).write_all(&[1; 100])?;
        connection.take(100)?;
        sleep(Duration::from_micros(500).mul_f64(1.05_f64.powi(round)));
        connection.acknowledge()?;
        let after = smoothed()?;
        samples.push(8 * (after - before) + before);
        before = after;
    }
    connection.reset()?;
    samples.sort_unstable();
    Ok(samples.into_iter().map(|micros| micros as f64 / 1e6).collect())
}

/// Bounds of the bucket that a value is in, where so many buckets make up a power of two.
fn bucket(value: f64, per_power: f64) -> (f64, f64) {
    let index = (value.log2() * per_power).ceil();
    (((index - 1.0) / per_power).exp2(), (index / per_power).exp2())
}

/// Whether a value lies in the bucket of another one, which is known but for rounding.
fn shares_bucket(value: f64, with: f64, per_power: f64) -> bool {
    let (lower, _) = bucket(with - ROUNDING, per_power);
    let (_, upper) = bucket(with + ROUNDING, per_power);
    lower * (1.0 - 1e-9) <= value && value <= upper * (1.0 + 1e-9)
}

#[test]
fn quantiles_of_native_and_classic_histograms_agree_with_each_other_and_with_the_generator() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let guard = Guard::new()?;
    let all_bounds = "histograms: {classic: {tcpvitals_tcp_rtt_seconds: all}}\n";
    let exporter = guard.start(config(&[subnet]) + all_bounds)?;
    let samples = round_trips(&namespace, subnet)?;
    let prometheus = prometheus(&guard, &exporter)?;
    let at = &prometheus.held()?[JOB].at;
    let of = |expression: &str| {
        let selected = format!("{{subnet=\"{}\"}}", subnet.name());
        prometheus.value_at(at, &expression.replace("{}", &selected))
    };

    let count = samples.len() as f64;
    assert_eq!(of("histogram_count(tcpvitals_tcp_rtt_seconds{})")?, count);
    assert_eq!(of("tcpvitals_tcp_rtt_seconds_count{}")?, count);
    let sum = of("histogram_sum(tcpvitals_tcp_rtt_seconds{})")?;
    assert_eq!(of("tcpvitals_tcp_rtt_seconds_sum{}")?, sum);
    let known: f64 = samples.iter().sum();
    assert!(
        (sum - known).abs() < ROUNDING * count,
        "{sum} s, but the kernel's samples add up to {known} s"
    );

    for quantile in [0.1, 0.25, 0.5, 0.75, 0.9, 0.99] {
        let native = of(&format!(
            "histogram_quantile({quantile}, tcpvitals_tcp_rtt_seconds{{}})"
        ))?;
        let classic = of(&format!(
            "histogram_quantile({quantile}, tcpvitals_tcp_rtt_seconds_bucket{{}})"
        ))?;
        // No rank is a whole number here, so exactly one sample is meant.
        let rank = (quantile * count).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small whole number"
        )]
        let known = samples[rank as usize - 1];
        let said = format!("{quantile}: {native} native, {classic} classic, {known} known");
        // Prometheus interpolates within the bucket that the sample is in; a native bucket is a fourth of a classic one.
        assert!(shares_bucket(native, known, 4.0), "{said}");
        assert!(shares_bucket(classic, known, 1.0), "{said}");
        let (lower, upper) = bucket(classic, 1.0);
        assert!(lower <= native && native <= upper, "{said}");
    }
    Ok(())
}

#[test]
fn a_counter_that_prometheus_meets_late_was_zero_when_the_exporter_started() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let guard = Guard::new()?;
    let exporter = guard.start(pair.config())?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    let prometheus = prometheus(&guard, &exporter)?;
    let held = &prometheus.held()?[JOB];
    let started = held.scrape.value("process_start_time_seconds", &[])?;
    let scraped: f64 = held.at.parse()?;
    let opened = format!(
        "tcpvitals_tcp_connections_opened_total{{subnet=\"{}\",role=\"client\"}}",
        pair.subnet()?.name()
    );
    let samples = prometheus.samples(&opened)?;
    let [(began, first), (_, second), ..] = samples[..] else {
        anyhow::bail!("only {samples:?}")
    };
    assert_eq!((first, second), (0.0, 1.0), "{samples:?}");
    // The kernel tells in clock ticks when a process began.
    let tick = 0.01;
    assert!(
        started - tick <= began && began < scraped,
        "{started} {samples:?} {scraped}"
    );
    drop(flow);
    Ok(())
}

#[test]
fn counters_equal_the_kernels() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let guard = Guard::new()?;
    let exporter = guard.start(pair.config())?;
    let prometheus = prometheus(&guard, &exporter)?;
    let flows = [Flow::open(&pair, Family::V4, 443)?, Flow::open(&pair, Family::V6, 443)?];
    for flow in &flows {
        flow.exchange(2_000_000, 100_000)?;
    }
    let finished: Vec<Ends> = flows.iter().map(Flow::finish).collect::<Result<_>>()?;
    let held = &prometheus.held()?[JOB];
    for end in End::BOTH {
        let sockets: Vec<_> = finished.iter().map(|ends| end.of(ends)).collect();
        require_equal(&held.scrape, &pair.subnet()?.name(), end, &sockets)?;
    }
    assert_eq!(prometheus.value_at(&held.at, "up")?, 1.0);
    Ok(())
}
