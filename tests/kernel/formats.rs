//! What a scraper gets: every format, strictly read, says the same, compressed or not.

use std::collections::BTreeSet;
use std::io::Read as _;

use anyhow::{Context as _, Result};
use flate2::read::GzDecoder;
use tests::exporter::exposition::protobuf;
use tests::exporter::exposition::{Exposition, Format, Kind, parse};
use tests::exporter::{OPEN_METRICS, PROMETHEUS_TEXT, PROTOBUF, start};
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::Flow;

/// Families by the name that the older format gives them, each with its kind there.
fn families(exposition: &Exposition) -> BTreeSet<(String, bool)> {
    let name = |name: &str, kind| match kind {
        Kind::Counter => format!("{}_total", name.trim_end_matches("_total")),
        Kind::Info => format!("{name}_info"),
        Kind::Gauge | Kind::Histogram => name.to_owned(),
    };
    exposition
        .families
        .iter()
        .map(|(own, family)| (name(own, family.kind), family.kind == Kind::Histogram))
        .collect()
}

#[test]
fn every_format_is_strictly_correct_and_says_the_same() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    // All scrapes get the same snapshot.
    let exporter = start("collect: {max_age: 1h}\n")?;
    let flow = Flow::open(&pair, Family::V6, 443)?;
    flow.exchange(100_000, 100_000)?;
    let open_metrics = exporter.get("/metrics", OPEN_METRICS)?;
    let prometheus = exporter.get("/metrics", PROMETHEUS_TEXT)?;
    assert!(
        open_metrics
            .content_type
            .starts_with("application/openmetrics-text; version=1.0.0"),
        "{}",
        open_metrics.content_type
    );
    assert!(
        prometheus.content_type.starts_with("text/plain; version=0.0.4"),
        "{}",
        prometheus.content_type
    );
    let left = parse(&open_metrics.body, Format::OpenMetrics).context("OpenMetrics")?;
    let right = parse(&prometheus.body, Format::Prometheus).context("Prometheus text")?;
    assert_eq!(families(&left), families(&right));
    assert!(
        left.samples
            .keys()
            .any(|series| series.name == "tcpvitals_tcp_data_bytes_total")
    );
    assert_eq!(left.samples, right.samples);
    let protobuf = exporter.request("/metrics", &[("accept", PROTOBUF)])?;
    assert_eq!(
        protobuf.content_type,
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    );
    let messages = protobuf::decode(&protobuf.body)?;
    assert_eq!(protobuf::exposition(&messages)?.samples, right.samples);
    // What its native histograms say was compared with the classic ones; there are some.
    let native = messages
        .iter()
        .flat_map(|family| &family.metric)
        .filter_map(|metric| metric.histogram.as_ref());
    assert_ne!(
        native.filter(|histogram| !histogram.positive_span.is_empty()).count(),
        0
    );
    for (family, described) in &left.families {
        assert!(
            described.help.ends_with('.'),
            "the help of {family} is no sentence: {}",
            described.help
        );
    }
    Ok(())
}

#[test]
fn every_format_is_compressed_for_those_who_ask_for_gzip() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("collect: {max_age: 1h}\n")?;
    for accept in [OPEN_METRICS, PROMETHEUS_TEXT, PROTOBUF] {
        let get = |encodings| exporter.request("/metrics", &[("accept", accept), ("accept-encoding", encodings)]);
        let plain = get("identity")?;
        assert_eq!((plain.status, plain.content_encoding.as_str()), (200, ""), "{accept}");
        let packed = get("gzip")?;
        assert_eq!(
            (packed.status, packed.content_encoding.as_str()),
            (200, "gzip"),
            "{accept}"
        );
        assert_eq!(packed.content_type, plain.content_type);
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked)?;
        assert_eq!(unpacked, plain.body, "{accept}");
    }
    Ok(())
}

#[test]
fn several_accept_headers_are_one() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("")?;
    let answer = exporter.request("/metrics", &[("accept", "text/plain;q=0.5"), ("accept", OPEN_METRICS)])?;
    assert!(
        answer.content_type.starts_with("application/openmetrics-text"),
        "{answer:?}"
    );
    Ok(())
}

#[test]
fn whoever_asks_for_nothing_gets_the_older_format() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("collect: {max_age: 1ms}\n")?;
    for accept in ["*/*", "text/html", "text/plain"] {
        let page = exporter.get("/metrics", accept)?;
        assert!(
            page.content_type.starts_with("text/plain"),
            "{accept}: {}",
            page.content_type
        );
        parse(&page.body, Format::Prometheus).with_context(|| accept.to_owned())?;
    }
    Ok(())
}

#[test]
fn health_and_readiness_are_pages() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("tcp: {detail: essential}\n")?;
    assert_eq!(exporter.get("/healthz", "*/*")?.status, 200);
    let ready = exporter.get("/readyz", "*/*")?;
    assert_eq!(ready.status, 200);
    // What runs, and what does not and why.
    assert!(
        ready.body.contains("inet_sock_set_state") && ready.body.contains("tcp_probe"),
        "{}",
        ready.body
    );
    assert_eq!(exporter.get("/nonesuch", "*/*")?.status, 404);
    Ok(())
}

#[test]
fn the_exporter_tells_of_itself() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("collect: {max_age: 1ms}\n")?;
    let scrape = exporter.scrape()?;
    assert_eq!(scrape.sum("tcpvitals_build_info", &[])?, 1.0);
    assert!(scrape.sum("tcpvitals_program_attached", &[])? >= 8.0);
    assert!(scrape.sum("tcpvitals_groups_capacity", &[])? >= scrape.sum("tcpvitals_groups", &[])?);
    assert!(scrape.sum("tcpvitals_collect_duration_seconds", &[])? > 0.0);
    assert!(scrape.sum("process_resident_memory_bytes", &[])? > 1e6);
    assert!(scrape.sum("process_start_time_seconds", &[])? > 1.7e9);
    Ok(())
}
