//! Prometheus 3.5 scrapes the exporter: what it holds is what the exporter shows, and what the kernel counted.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tests::exporter::exposition::{Exposition, Family, Format, Kind, parse};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, OPEN_METRICS, PROMETHEUS_TEXT, start};
use tests::kernel::account::{End, require_equal};
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family::{V4, V6};
use tests::net::traffic::{Ends, Flow, settle};
use tests::readers::prometheus::{Held, Job, Prometheus};

/// Formats by the name that Prometheus gives them, and how their metrics are read without it: protobuf says the same as
/// OpenMetrics, under the names of the older text.
const FORMATS: [(&str, &str, Format); 3] = [
    (PROTOBUF, OPEN_METRICS, Format::OpenMetrics),
    ("OpenMetricsText1.0.0", OPEN_METRICS, Format::OpenMetrics),
    ("PrometheusText0.0.4", PROMETHEUS_TEXT, Format::Prometheus),
];

const PROTOBUF: &str = "PrometheusProto";

/// A job for each format, named after it. A histogram that has native buckets comes with its classic ones on request only.
fn jobs(exporter: &Exporter<'_>) -> [Job; 3] {
    FORMATS.map(|(format, ..)| {
        Job::new(format, exporter.address())
            .with(&format!("scrape_protocols: [{format}]"))
            .with("always_scrape_classic_histograms: true")
    })
}

/// The families of OpenMetrics as Prometheus takes them from protobuf, where it leaves out those without a series.
fn as_protobuf(shown: &Exposition) -> BTreeMap<String, Family> {
    let is_filled = |name: &str| shown.samples.keys().any(|series| series.name.starts_with(name));
    let families = shown.families.iter().filter(|(name, _)| is_filled(name));
    let renamed = families.map(|(name, family)| match family.kind {
        Kind::Counter => (format!("{name}_total"), family.clone()),
        Kind::Info => (
            format!("{name}_info"),
            Family {
                kind: Kind::Gauge,
                ..family.clone()
            },
        ),
        Kind::Gauge | Kind::Histogram => (name.clone(), family.clone()),
    });
    renamed.collect()
}

#[test]
fn everything_shown_is_held() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    // Every scrape gets the same snapshot, of the moment after the traffic.
    let exporter = start(pair.config().replace("max_age: 1ms", "max_age: 1h"))?;
    let flow = Flow::open(&pair, V4, 443)?;
    flow.exchange(100_000, 100_000)?;
    let pages = FORMATS.map(|(job, accept, format)| (job, exporter.get("/metrics", accept), format));
    let prometheus = Prometheus::start(&jobs(&exporter), &[])?;
    let held = prometheus.held()?;
    for (job, page, format) in pages {
        let held = &held[job].scrape;
        let mut shown = parse(&page?.body, format).context(job)?;
        if job == PROTOBUF {
            shown.families = as_protobuf(&shown);
        }
        assert!(shown.samples.len() > 100, "only {} values", shown.samples.len());
        assert_eq!(held.exposition().families, shown.families, "{job}");
        assert_eq!(held.differences(&Scrape::new(shown)), [], "{job}");
    }
    Ok(())
}

#[test]
fn counters_equal_the_kernels() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let prometheus = Prometheus::start(&jobs(&exporter), &[])?;
    let flows = [(V4, 443), (V6, 443), (V4, 5432)].map(|(family, port)| Flow::open(&pair, family, port));
    let flows: Vec<Flow> = flows.into_iter().collect::<Result<_>>()?;
    let check = |ends: &[Ends], open: usize| {
        for (job, Held { scrape: held, .. }) in prometheus.held()? {
            for end in End::BOTH {
                let sockets: Vec<_> = ends.iter().map(|ends| end.of(ends)).collect();
                require_equal(&held, &subnet, end, &sockets)?;
                let labels = [("subnet", &*subnet), ("role", end.role())];
                let count = |name: &str| held.sum(&format!("tcpvitals_tcp_connections{name}"), &labels);
                assert_eq!(count("")?, open as f64, "{job}");
                assert_eq!(count("_opened_total")?, ends.len() as f64, "{job}");
                assert_eq!(count("_closed_total")?, (ends.len() - open) as f64, "{job}");
            }
        }
        anyhow::Ok(())
    };
    // Twice, so that it is the growth that is right, too.
    for (to_server, to_client) in [(100_000, 1_000), (1_000, 2_000_000)] {
        for flow in &flows {
            flow.exchange(to_server, to_client)?;
        }
        check(&settle(&flows)?, flows.len())?;
    }
    let finished: Vec<Ends> = flows.iter().map(Flow::finish).collect::<Result<_>>()?;
    check(&finished, 0)?;
    for (job, ..) in FORMATS {
        let target = prometheus.target(job)?;
        assert_eq!((&*target.health, &*target.error), ("up", ""), "{job}");
    }
    Ok(())
}
