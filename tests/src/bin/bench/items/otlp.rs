//! A push over OTLP: what it takes of a processor, and how long it is on its way.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;
use tests::otlp::{Recorded, Recorder};
use tests::wait::{Deadline, moment};

use crate::context::Context;
use crate::figures::{milliseconds, quartiles, single};
use crate::report::model::Item;
use crate::subject::{BY_NETWORK, crowd_of_series, process, start};

/// Series to make.
const SIZES: [(usize, &str); 3] = [(100, "100 series"), (1_000, "1 000 series"), (10_000, "10 000 series")];

/// As short as the configuration lets it be.
const INTERVAL: Duration = Duration::from_secs(1);

/// A push is over a while after it has come.
const AFTER: Duration = Duration::from_millis(300);

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for (size, series) in SIZES {
        for (name, settings) in [
            ("gRPC, gzip", "protocol: grpc, compression: gzip"),
            ("gRPC", "protocol: grpc, compression: none"),
            ("HTTP, gzip", "protocol: http/protobuf, compression: gzip"),
        ] {
            let pushes = context.rounds(6);
            let measured = pushes_of(context, size, settings, pushes)?;
            let label = format!("{series}, {name}");
            rows.push(single(format!("{label}: processor time of a push"), measured.processor));
            rows.push(quartiles(format!("{label}: from collection to receiver"), &measured.on_its_way));
            if name == "gRPC" {
                notes.push(format!(
                    "{series}: {} data points, {} kB before compression.",
                    measured.points,
                    measured.bytes / 1000
                ));
            }
        }
    }
    notes.push(
        "Series as for scrapes; each is one data point, and each push collects anew. The processor time is that of the \
         exporter over all pushes in a time without scrapes, divided by their number: collecting, encoding, compressing, \
         sending. The way is from the time that the data points are for, which is the end of the collection, until a \
         receiver in another process has read and decoded the request."
            .to_owned(),
    );
    Ok(Item {
        id: "otlp".to_owned(),
        title: "Push over OTLP".to_owned(),
        unit: "ms".to_owned(),
        rows,
        notes,
        machine: context.machine.clone(),
        ..Item::default()
    })
}

struct Measured {
    points: usize,
    bytes: usize,
    /// Milliseconds of a push.
    processor: f64,
    /// Milliseconds of each push.
    on_its_way: Vec<f64>,
}

fn pushes_of(context: &Context, series: usize, settings: &str, pushes: usize) -> Result<Measured> {
    let recorder = Recorder::start()?;
    let otlp = format!(
        "otlp: {{endpoint: \"{}\", interval: {}s, {settings}}}\n",
        recorder.url() + if settings.contains("http") { "/v1/metrics" } else { "" },
        INTERVAL.as_secs()
    );
    let exporter = start(context, &format!("{BY_NETWORK}{otlp}"))?;
    let _crowd = crowd_of_series(series)?;
    let exporter = process(&exporter);
    let clocks = (moment(), now());
    // The first pushes are those of a young connection, some of them from before the series were made.
    wait_for(&recorder, recorder.count() + 2)?;
    let (first, before) = (recorder.count(), exporter.time()?);
    wait_for(&recorder, first + pushes)?;
    let (last, after) = (recorder.count(), exporter.time()?);
    let requests = recorder.requests();
    let measured = requests.get(first..last).context("requests were lost")?;
    let request = measured.last().context("no push came")?;
    let on_its_way = measured.iter().map(|recorded| on_its_way(recorded, clocks));
    Ok(Measured {
        points: points(request),
        bytes: request.request.encoded_len(),
        processor: milliseconds(after - before) / measured.len() as f64,
        on_its_way: on_its_way.collect::<Result<_>>()?,
    })
}

/// Waits for so many requests, and for the last to be over.
fn wait_for(recorder: &Recorder, requests: usize) -> Result<()> {
    let deadline = Deadline::after(INTERVAL * 60);
    while recorder.count() < requests {
        anyhow::ensure!(!deadline.passed(), "pushes do not come");
        sleep(INTERVAL / 50);
    }
    sleep(AFTER);
    Ok(())
}

fn points(recorded: &Recorded) -> usize {
    data(recorded)
        .map(|data| match data {
            Data::Gauge(gauge) => gauge.data_points.len(),
            Data::Sum(sum) => sum.data_points.len(),
            Data::Histogram(histogram) => histogram.data_points.len(),
            Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
            Data::Summary(summary) => summary.data_points.len(),
        })
        .sum()
}

/// Milliseconds from the time of the first data point.
fn on_its_way(recorded: &Recorded, clocks: (Instant, SystemTime)) -> Result<f64> {
    let time = data(recorded).find_map(|data| match data {
        Data::Gauge(gauge) => Some(gauge.data_points.first()?.time_unix_nano),
        Data::Sum(sum) => Some(sum.data_points.first()?.time_unix_nano),
        Data::Histogram(_) | Data::ExponentialHistogram(_) | Data::Summary(_) => None,
    });
    let collected = SystemTime::UNIX_EPOCH + Duration::from_nanos(time.context("a push without a data point")?);
    let came = clocks.1 + recorded.at.duration_since(clocks.0);
    Ok(milliseconds(came.duration_since(collected)?))
}

fn data(recorded: &Recorded) -> impl Iterator<Item = &Data> {
    let scopes = recorded.request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics).filter_map(|metric| metric.data.as_ref())
}

#[expect(clippy::disallowed_methods, reason = "data points carry the time of day")]
fn now() -> SystemTime {
    SystemTime::now()
}
