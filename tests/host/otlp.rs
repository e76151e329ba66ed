//! Golden requests over OTLP: the snapshots of the golden expositions as the JSON of the protocol, byte for byte.
//!
//! `UPDATE=1 cargo test -p tests --test host` writes what the exporter says now; look at the difference before you keep it.

use std::collections::BTreeSet;
use std::fs::{read_to_string, write};

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tcpvitals_config::{Histograms, Names, Temporality};
use tcpvitals_metrics::encode::otlp::delta::Deltas;
use tcpvitals_metrics::encode::otlp::reading::{Starts, cumulative, split};
use tcpvitals_metrics::encode::otlp::request::{Style, attribute, request};
use tcpvitals_metrics::families::{Families, Kind};
use tests::exporter::otlp::{Number, Received};

use crate::golden::{CASES, require_same, wants_update};

const START: u64 = 1_700_000_000_000_000_000;
const NOW: u64 = 1_700_000_100_000_000_000;

fn resource() -> Resource {
    Resource {
        attributes: vec![attribute("host.name", "h1"), attribute("service.name", "tcpvitals")],
        ..Resource::default()
    }
}

fn told(families: &Families) -> Vec<ExportMetricsServiceRequest> {
    let parts = split(families, usize::MAX);
    let told = parts.iter().map(|part| {
        request(
            &resource(),
            Style::conventional(Temporality::Cumulative),
            cumulative(part, Starts::new(START), NOW),
        )
    });
    told.collect()
}

/// The text, with a version that does not change from release to release.
fn render(request: &ExportMetricsServiceRequest) -> Result<String> {
    let own = concat!('"', env!("CARGO_PKG_VERSION"), '"');
    Ok(serde_json::to_string_pretty(request)?.replace(own, "\"0.0.0\"") + "\n")
}

#[test]
fn requests_are_those_of_the_golden_files() -> Result<()> {
    for case in &CASES {
        let requests = told(&*case.families()?);
        assert_eq!(requests.len(), 1);
        let (text, file) = (render(&requests[0])?, case.file("otlp.json"));
        if wants_update() {
            write(&file, &text).with_context(|| format!("write {}", file.display()))?;
        }
        let golden = read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        require_same(&golden, &text).with_context(|| {
            format!(
                "{} differs; if that is intended: UPDATE=1 cargo test -p tests --test host",
                file.display()
            )
        })?;
        let back: ExportMetricsServiceRequest = serde_json::from_str(&serde_json::to_string(&requests[0])?)?;
        assert_eq!(back, requests[0], "JSON and protobuf say the same");
    }
    Ok(())
}

#[test]
fn a_request_has_every_series_once_with_its_time() -> Result<()> {
    for case in &CASES {
        let families = case.families()?;
        let Families(all) = &*families;
        let received = Received::new(&told(&families)[0]);
        let series: usize = all.iter().map(|family| family.points.len()).sum();
        // The time of CPUs is told by mode, user and system.
        assert_eq!(received.samples.len(), series + 1);
        let mut starts = BTreeSet::new();
        for sample in &received.samples {
            let (start, end) = sample.time;
            assert_eq!(end, NOW, "{}", sample.name);
            match sample.kind {
                "gauge" => assert_eq!(start, 0, "{}", sample.name),
                _ if sample.name.starts_with("tcpvitals.tcp") || sample.name.contains("dropped") => {
                    starts.insert(start - START);
                }
                _ => assert_eq!(start, START, "{}", sample.name),
            }
        }
        // Each row of the sample began in a second of its own.
        assert!(
            starts.len() > 2 && starts.iter().all(|start| start % 1_000_000_000 == 0),
            "{starts:?}"
        );
    }
    Ok(())
}

#[test]
fn a_job_has_the_namespace_of_its_service_before_its_name() -> Result<()> {
    let resource = Resource {
        attributes: vec![
            attribute("service.name", "tcpvitals"),
            attribute("service.namespace", "net"),
        ],
        ..Resource::default()
    };
    let style = Style {
        names: Names::Prometheus,
        ..Style::conventional(Temporality::Cumulative)
    };
    let told = request(&resource, style, Vec::new());
    let told = told.resource_metrics[0].resource.as_ref().context("no resource")?;
    assert!(told.attributes.contains(&attribute("job", "net/tcpvitals")), "{told:?}");
    Ok(())
}

#[test]
fn with_the_names_of_prometheus_names_and_labels_are_those_of_a_scrape() -> Result<()> {
    let histograms = Histograms::default();
    let style = Style {
        temporality: Temporality::Cumulative,
        names: Names::Prometheus,
        explicit: Some(&histograms),
    };
    for case in &CASES {
        let families = case.families()?;
        let Families(all) = &*families;
        let parts = split(&families, usize::MAX);
        let readings = cumulative(&parts[0], Starts::new(START), NOW);
        let request = request(&resource(), style, readings);
        let resource = request.resource_metrics[0].resource.as_ref().context("no resource")?;
        let job = attribute("job", "tcpvitals");
        assert!(resource.attributes.contains(&job), "{resource:?}");
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        for (metric, family) in metrics
            .iter()
            .zip(all.iter().filter(|family| !family.points.is_empty()))
        {
            assert_eq!(metric.name, family.metric.full_name());
            let attributes: Vec<&[KeyValue]> = match metric.data.as_ref().context("no data")? {
                Data::Gauge(gauge) => gauge.data_points.iter().map(|point| &*point.attributes).collect(),
                Data::Sum(sum) => sum.data_points.iter().map(|point| &*point.attributes).collect(),
                Data::Histogram(histogram) => histogram.data_points.iter().map(|point| &*point.attributes).collect(),
                data @ (Data::ExponentialHistogram(_) | Data::Summary(_)) => anyhow::bail!("{}: {data:?}", metric.name),
            };
            let labels = family.points.iter().map(|point| {
                let labels = point.all_labels().filter(|(_, value)| !value.is_empty());
                labels
                    .map(|(label, value)| attribute(label.word, value))
                    .collect::<Vec<_>>()
            });
            assert_eq!(attributes, labels.collect::<Vec<_>>(), "{}", metric.name);
        }
    }
    Ok(())
}

#[test]
fn parts_of_a_request_say_together_what_the_whole_says() -> Result<()> {
    for case in &CASES {
        let families = case.families()?;
        let whole = Received::new(&told(&families)[0]);
        let parts = split(&families, 7);
        assert!(parts.len() > 10);
        let samples = parts.iter().flat_map(|part| {
            let request = request(
                &resource(),
                Style::conventional(Temporality::Cumulative),
                cumulative(part, Starts::new(START), NOW),
            );
            let received = Received::new(&request);
            assert!(received.samples.len() <= 8 && received.resource == whole.resource);
            received.samples
        });
        let text =
            |samples: &mut dyn Iterator<Item = _>| samples.map(|sample| format!("{sample:?}")).collect::<Vec<_>>();
        assert_eq!(text(&mut samples.into_iter()), text(&mut whole.samples.iter().cloned()));
    }
    Ok(())
}

#[test]
fn with_deltas_only_what_grew_and_gauges_are_told() -> Result<()> {
    for case in &CASES {
        let families = case.families()?;
        let Families(all) = &*families;
        let mut base = Deltas::new(START);
        for part in split(&families, 1000) {
            let first = Received::new(&request(
                &resource(),
                Style::conventional(Temporality::Delta),
                base.readings(&part, Starts::new(START), NOW),
            ));
            let is_nothing = |value: &Number| matches!(value, Number::One(0.0) | Number::Many(0, ..));
            assert!(
                first
                    .samples
                    .iter()
                    .all(|sample| !sample.is_delta || !is_nothing(&sample.value))
            );
            base.acknowledge(&part, NOW);
        }
        let parts = split(&families, usize::MAX);
        let again = request(
            &resource(),
            Style::conventional(Temporality::Delta),
            base.readings(&parts[0], Starts::new(START), NOW + 1),
        );
        let gauges = all.iter().filter(|family| family.metric.kind == Kind::Gauge);
        let gauges: usize = gauges.map(|family| family.points.len()).sum();
        assert_eq!(Received::new(&again).samples.len(), gauges);
    }
    Ok(())
}

#[test]
fn the_largest_request_is_far_below_what_receivers_take() -> Result<()> {
    /// As the pusher cuts them, and what receivers of gRPC take by default.
    const SERIES: usize = 4_000;
    const TAKEN: usize = 4 << 20;
    let families = CASES[0].families()?;
    let Families(all) = &*families;
    let series: usize = all.iter().map(|family| family.points.len()).sum();
    let size = told(&families)[0].encoded_len();
    assert!(size / series * SERIES < TAKEN / 2, "{size} bytes for {series} series");
    Ok(())
}
