//! What a scraper gets: both text formats, strictly read, say the same.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use tests::exporter::{OPEN_METRICS, PROMETHEUS_TEXT, start};
use tests::exposition::{Exposition, Format, Kind, parse};
use tests::pair::Pair;
use tests::subnet::Family;
use tests::traffic::Flow;
use tests::turn;

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
fn both_text_formats_are_strictly_correct_and_say_the_same() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    // Both scrapes get the same snapshot.
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
