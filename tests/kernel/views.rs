//! What paths show of one snapshot: metrics, labels and buckets by choice, and sums that are the same in all of them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::exporter::exposition::{Exposition, Format, parse, protobuf};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, Launch, PROMETHEUS_TEXT, PROTOBUF, config_file, free_address, run, start};
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::{Family, Subnet, config};
use tests::net::traffic::Flow;
use tests::readers::openapi;

const VIEWS: &str = "\
collect: {max_age: 1h}
metrics: {exclude: [tcpvitals_tcp_rto*]}
views:
  - {name: fleet, labels: {tcp: [role], drops: []}, metrics: {include: [tcpvitals_tcp_*], exclude: []}, histograms: {classic: {}}}
  - {name: few, path: /few, series: 100, histograms: {native: false, classic: {tcpvitals_tcp_mss_bytes: [1024, 65536]}}}
";

fn read(exporter: &Exporter<'_>, path: &str) -> Result<Scrape> {
    Ok(Scrape::new(text(exporter, path)?))
}

fn text(exporter: &Exporter<'_>, path: &str) -> Result<Exposition> {
    parse(&exporter.get(path, PROMETHEUS_TEXT)?.body, Format::Prometheus)
}

/// The values of a label, without the series that have none.
fn values(exposition: &Exposition, label: &str) -> BTreeSet<String> {
    let labels = exposition.samples.keys().filter_map(|series| series.labels.get(label));
    labels.cloned().collect()
}

/// One snapshot is collected for all requests: the counts of different views are those of the same moment.
#[test]
fn views_show_the_same_counts_by_their_own_labels_and_metrics() -> Result<()> {
    let _turn = turn::shared()?;
    let pairs = [Pair::new()?, Pair::new()?];
    let subnets = [pairs[0].subnet()?, pairs[1].subnet()?];
    let config = config(&subnets).replace("collect: {max_age: 1ms}\n", VIEWS);
    let exporter = Launch::new(config.as_str())
        .arguments(&["--web.enable-lifecycle"])
        .start()?;
    for (pair, bytes) in pairs.iter().zip([10_000, 70_000]) {
        let flow = Flow::open(pair, Family::V4, 443)?;
        flow.exchange(bytes, bytes)?;
    }
    // What was collected when it started is thrown away.
    exporter.reload(&config)?;
    let (main, fleet, few) = (
        read(&exporter, "/metrics")?,
        read(&exporter, "/metrics/fleet")?,
        read(&exporter, "/few")?,
    );
    for metric in [
        "tcpvitals_tcp_data_bytes_total",
        "tcpvitals_tcp_segments_total",
        "tcpvitals_tcp_connections_opened_total",
    ] {
        let total = main.sum(metric, &[])?;
        assert!(total > 0.0, "{metric}");
        assert_eq!([fleet.sum(metric, &[])?, few.sum(metric, &[])?], [total; 2], "{metric}");
    }
    let of = |scrape: &Scrape, label: &str| values(scrape.exposition(), label);
    assert!(of(&main, "subnet").is_superset(&subnets.map(Subnet::name).into()));
    assert!(of(&fleet, "subnet").is_empty() && of(&fleet, "location").is_empty());
    assert!(of(&fleet, "role").contains("server"));
    // A hundred series hold one label set of connections: the rest is in `other`.
    assert!(of(&few, "subnet").contains("other"));
    let has = |scrape: &Scrape, name: &str| scrape.exposition().families.keys().any(|family| family == name);
    let rto = "tcpvitals_tcp_rto_seconds";
    assert_eq!(
        [has(&main, rto), has(&fleet, rto), has(&few, rto)],
        [false, true, false]
    );
    assert!(!has(&fleet, "tcpvitals_build_info") && has(&few, "tcpvitals_build_info"));
    let buckets = |scrape: &Scrape, name: &str| -> Result<usize> { Ok(scrape.histogram(name, &[])?.buckets.len()) };
    assert_eq!(buckets(&main, "tcpvitals_tcp_rtt_seconds")?, 11);
    assert_eq!(buckets(&fleet, "tcpvitals_tcp_rtt_seconds")?, 1);
    assert_eq!(buckets(&few, "tcpvitals_tcp_mss_bytes")?, 3);
    Ok(())
}

#[test]
fn a_query_names_metrics_and_unknown_names_and_paths_are_refused() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start(VIEWS)?;
    let names = |path: &str| -> Result<Vec<String>> { Ok(text(&exporter, path)?.families.keys().cloned().collect()) };
    let asked = "name[]=tcpvitals_build_info&name%5B%5D=tcpvitals_program_attached&timeout=5";
    assert_eq!(
        names(&format!("/metrics?{asked}"))?,
        ["tcpvitals_build_info", "tcpvitals_program_attached"]
    );
    // What the view does not show is not shown by name either.
    let hidden = exporter.get("/metrics?name[]=tcpvitals_tcp_rto_seconds_bucket", PROMETHEUS_TEXT)?;
    assert_eq!((hidden.status, hidden.body.as_str()), (200, ""));
    let answer = exporter.request(&format!("/metrics?{asked}"), &[("accept", PROTOBUF)])?;
    let decoded = protobuf::exposition(&protobuf::decode(&answer.body)?)?;
    assert_eq!(decoded.families.len(), 2);
    for (path, status, says) in [
        (
            "/metrics?name[]=tcpvitals_nothing",
            400,
            "no metric is called \"tcpvitals_nothing\"",
        ),
        ("/metrics/other", 404, "there is no such path"),
        ("/few/", 404, "there is no such path"),
    ] {
        let answer = exporter.get(path, "*/*")?;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains(says), "{path}: {}", answer.body);
    }
    Ok(())
}

#[test]
fn a_reload_changes_views_and_refuses_names_that_no_metric_has() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = Launch::new("views: [{name: a}]\n")
        .arguments(&["--web.enable-lifecycle"])
        .start()?;
    let status = |path: &str| anyhow::Ok(exporter.get(path, "*/*")?.status);
    assert_eq!([status("/metrics/a")?, status("/metrics/b")?], [200, 404]);
    exporter.reload("views: [{name: b}]\n")?;
    assert_eq!([status("/metrics/a")?, status("/metrics/b")?], [404, 200]);
    exporter.configure("metrics: {exclude: [tcpvitals_nothing]}\n")?;
    let refused = exporter.post("/-/reload")?;
    assert!(
        refused
            .body
            .contains(":1: metrics.exclude[0]: no metric has such a name"),
        "{refused:?}"
    );
    assert_eq!(status("/metrics/b")?, 200);

    let file = config_file("views: [{name: a, path: /x}]\n")?;
    let file = file.path().to_str().context("a path that is no text")?;
    let refused = run(&["--config.file", file, "--web.telemetry-path", "/x"])?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("the path of the view \"a\" too"), "{refused:?}");
    Ok(())
}

#[test]
fn the_command_says_what_labels_and_metrics_of_a_running_exporter_cost() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    // All that follows is said of one snapshot.
    let config = pair.config().replace("max_age: 1ms", "max_age: 1h");
    let exporter = Launch::new(config.as_str())
        .arguments(&["--web.enable-lifecycle"])
        .start()?;
    Flow::open(&pair, Family::V4, 443)?.exchange(1_000, 1_000)?;
    exporter.reload(&config)?;
    let url = format!("http://{}", exporter.address());
    let json = run(&["cardinality", "--from", &url, "--output", "json"])?;
    assert_eq!(json.code, Some(0), "{json:?}");
    let cost: Value = serde_json::from_str(&json.stdout)?;
    openapi::require(&cost, "Cardinality")?;
    let role = |label: &&Value| label["label"] == "role" && label["of"] == "tcp";
    let labels = cost["labels"].as_array().context("no labels")?;
    let role = labels.iter().find(role).context("no label role")?;
    let number = |key: &str| role[key].as_u64().unwrap_or_default();
    // Both ends are ours, and differ in nothing else.
    assert!(number("without") < number("label_sets"), "{role}");
    let lines = exporter.get("/metrics", PROMETHEUS_TEXT)?.body;
    let lines = lines.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(cost["lines"], lines);

    let text = run(&["cardinality", "--from", &url])?;
    assert!(
        text.stdout.contains("WITHOUT IT") && text.stdout.contains("tcpvitals_tcp_rtt_seconds"),
        "{text:?}"
    );
    for (from, code, says) in [
        (
            format!("http://{}", free_address()?),
            1,
            "is an exporter running there?",
        ),
        (
            "localhost:10717".to_owned(),
            2,
            "write for example http://127.0.0.1:10717",
        ),
    ] {
        let refused = run(&["cardinality", "--from", &from])?;
        assert_eq!(refused.code, Some(code), "{refused:?}");
        assert!(refused.stderr.contains(says), "{refused:?}");
    }
    Ok(())
}
