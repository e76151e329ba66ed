//! A series begins when its label set did: what comes first is in a rate, as it is of a series that was there before.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::exporter::start;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::{Family, config};
use tests::net::traffic::Flow;
use tests::readers::prometheus::{Job, Prometheus};

/// The range of the queries: many scrapes, so that what Prometheus adds at its ends is little.
const RANGE: Duration = Duration::from_secs(20);
/// How long after the burst the question is asked.
const LATER: Duration = Duration::from_secs(6);

#[test]
fn the_first_burst_of_a_label_set_is_in_increase() -> Result<()> {
    let _turn = turn::shared()?;
    let pairs = [Pair::new()?, Pair::new()?];
    let [old, new] = [pairs[0].subnet()?, pairs[1].subnet()?];
    let exporter = start(config(&[old, new]))?;
    let before = Flow::open(&pairs[0], Family::V4, 443)?;
    before.exchange(1_000, 1_000)?;
    let job = |name: &str, format: &str| {
        Job::new(name, exporter.address())
            .with(&format!("scrape_protocols: [{format}]"))
            .with("scrape_interval: 250ms, scrape_timeout: 250ms")
    };
    let jobs = [job("protobuf", "PrometheusProto")];
    let prometheus = Prometheus::start(&jobs, &["created-timestamp-zero-ingestion"])?;
    sleep(RANGE);
    let after = Flow::open(&pairs[1], Family::V4, 443)?;
    for flow in [&before, &after] {
        flow.exchange(300_000, 1_000)?;
    }
    sleep(LATER);
    let increase = |job: &str, subnet: &str| -> Result<f64> {
        let selector = format!(
            "tcpvitals_tcp_data_bytes_total{{job=\"{job}\", subnet=\"{subnet}\", role=\"client\", direction=\"transmit\"}}"
        );
        let points = prometheus.query(&format!("increase({selector}[{}s])", RANGE.as_secs()))?;
        let (_, value) = points
            .into_iter()
            .next()
            .with_context(|| format!("no increase of {selector}"))?;
        Ok(value)
    };
    let (old, new) = (old.name(), new.name());
    let (control, first) = (increase("protobuf", &old)?, increase("protobuf", &new)?);
    assert!(control >= 300_000.0, "{control}");
    assert!(
        (first / control - 1.0).abs() < 0.02,
        "{first} of a new label set, {control} of an old one"
    );
    Ok(())
}
