//! The text formats, read by those who define them: promtool, and the official parser of OpenMetrics.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tests::exporter::exposition::{Exposition, Family, Format, Kind, Series, parse};
use tests::exporter::program::{brought, feed};
use tests::exporter::{Exporter, OPEN_METRICS, PROMETHEUS_TEXT, start};
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet;
use tests::net::subnet::CLIENT;
use tests::net::traffic::{Flow, send_datagrams};

/// An exporter that has something to say in every family: connections, alive and gone, and drops.
fn busy(pair: &Pair, then: impl FnOnce(&Exporter<'_>) -> Result<()>) -> Result<()> {
    let exporter = start(pair.config())?;
    let flow = Flow::open(pair, subnet::Family::V4, 443)?;
    flow.exchange(100_000, 100_000)?;
    Flow::open(pair, subnet::Family::V6, 8443)?.finish()?;
    send_datagrams(&pair.client, pair.to(subnet::Family::V4, 9)?, 3, 100)?;
    let scrape = exporter.scrape()?;
    let name = pair.subnet()?.name();
    assert!(
        scrape.sum("tcpvitals_dropped_packets_total", &[("subnet", &name)])? >= 3.0,
        "nobody at {} took the datagrams",
        pair.subnet()?.v4(CLIENT)
    );
    then(&exporter)
}

#[test]
fn promtool_has_nothing_to_say_against_the_text() -> Result<()> {
    let _turn = turn::shared()?;
    busy(&Pair::new()?, |exporter| {
        let promtool = brought("debian/promtool")?;
        let page = exporter.get("/metrics", PROMETHEUS_TEXT)?;
        assert_eq!(feed(&promtool, &["check", "metrics"], &page.body)?, "");
        // It is not that it never says anything.
        let without_help: String = page
            .body
            .lines()
            .filter(|line| !line.starts_with("# HELP tcpvitals_groups "))
            .map(|line| format!("{line}\n"))
            .collect();
        let complaint = feed(&promtool, &["check", "metrics"], &without_help).unwrap_err();
        assert!(
            format!("{complaint:#}").contains("tcpvitals_groups no help text"),
            "{complaint:#}"
        );
        Ok(())
    })
}

/// Reads a body with the official parser and gives what it understood.
const OFFICIAL: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(json.dumps([
    [family.name, family.type, family.documentation, family.unit, [
        [sample.name, sample.labels, str(sample.value)] for sample in family.samples
    ]] for family in text_string_to_metric_families(sys.stdin.read())
]))
";

fn official(body: &str) -> Result<Exposition> {
    let said = feed(&brought("python/bin/python")?, &["-c", OFFICIAL], body)?;
    type Sample = (String, BTreeMap<String, String>, String);
    type Read = (String, String, String, String, Vec<Sample>);
    let families: Vec<Read> = serde_json::from_str(&said).context(said)?;
    let mut exposition = Exposition::default();
    for (name, kind, help, unit, samples) in families {
        let kind = match kind.as_str() {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            "info" => Kind::Info,
            other => anyhow::bail!("{name} is a {other}"),
        };
        exposition.families.insert(name, Family { kind, help, unit });
        for (name, labels, value) in samples {
            exposition.samples.insert(Series { name, labels }, value.parse()?);
        }
    }
    Ok(exposition)
}

#[test]
fn the_official_parser_of_openmetrics_reads_what_we_read() -> Result<()> {
    let _turn = turn::shared()?;
    busy(&Pair::new()?, |exporter| {
        let page = exporter.get("/metrics", OPEN_METRICS)?;
        let (theirs, ours) = (official(&page.body)?, parse(&page.body, Format::OpenMetrics)?);
        assert!(ours.samples.len() > 100, "only {} values", ours.samples.len());
        assert_eq!(theirs.families, ours.families);
        assert_eq!(theirs.samples, ours.samples);
        // It is not that it accepts anything.
        let cut = page.body.trim_end_matches("# EOF\n");
        assert!(format!("{:#}", official(cut).unwrap_err()).contains("Missing # EOF at end"));
        Ok(())
    })
}
