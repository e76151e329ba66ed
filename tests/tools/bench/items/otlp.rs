//! A push over OTLP: what it takes of a processor, and how long it is on its way.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;
use tests::exporter::otlp::{Recorded, Recorder};
use tests::machine::wait::{Deadline, moment};

use crate::context::Context;
use crate::figures::{milliseconds, quartiles, single};
use crate::report::model::Item;
use crate::subject::{by_network, crowd_of_series, process, start};

/// Series to make.
const SIZES: [(usize, &str); 3] = [
    (0, "the least series"),
    (1_000, "1 000 series"),
    (10_000, "10 000 series"),
];

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
            rows.push(quartiles(
                format!("{label}: from collection to receiver"),
                &measured.on_its_way,
            ));
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
        "Series as for scrapes; each is one data point, and each push collects anew. The processor time is that of \
         the exporter over all pushes in a time without scrapes, divided by their number: collecting, encoding, \
         compressing, sending. The way is from the time that the data points are for, which is the end of the \
         collection, until the receiver has read and decoded the last request of the push, of which a large one \
         takes several."
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
    let exporter = start(context, &(by_network()? + &otlp))?;
    let _crowd = crowd_of_series(series)?;
    let exporter = process(&exporter);
    let clocks = (moment(), now());
    // The first pushes are those of a young connection, some of them from before the series were made.
    (0..2).try_for_each(|_| wait_for_another(&recorder))?;
    let (first, before) = (recorder.count(), exporter.time()?);
    (0..pushes).try_for_each(|_| wait_for_another(&recorder))?;
    let (last, after) = (recorder.count(), exporter.time()?);
    let requests = recorder.requests();
    let measured = pushes_in(requests.get(first..last).context("requests were lost")?)?;
    let push = measured.values().next_back().context("no push came")?;
    let way = |(&collected, push): (&SystemTime, &Push)| {
        let came = clocks.1 + push.came.duration_since(clocks.0);
        Ok(milliseconds(came.duration_since(collected)?))
    };
    Ok(Measured {
        points: push.points,
        bytes: push.bytes,
        processor: milliseconds(after - before) / measured.len() as f64,
        on_its_way: measured.iter().map(way).collect::<Result<_>>()?,
    })
}

/// Waits for a push, and for its end: a large one is several requests.
fn wait_for_another(recorder: &Recorder) -> Result<()> {
    let (before, deadline) = (recorder.count(), Deadline::after(INTERVAL * 60));
    while recorder.count() == before {
        ensure!(!deadline.passed(), "pushes do not come");
        sleep(INTERVAL / 50);
    }
    sleep(AFTER);
    Ok(())
}

/// Requests of one collection.
struct Push {
    points: usize,
    bytes: usize,
    /// The last of them.
    came: Instant,
}

/// By the time that their data points are for, which is the end of the collection.
fn pushes_in(requests: &[Recorded]) -> Result<BTreeMap<SystemTime, Push>> {
    let mut pushes: BTreeMap<SystemTime, Push> = BTreeMap::new();
    for request in requests {
        let push = pushes.entry(collected(request)?).or_insert(Push {
            points: 0,
            bytes: 0,
            came: request.at,
        });
        push.points += points(request);
        push.bytes += request.request.encoded_len();
        push.came = push.came.max(request.at);
    }
    Ok(pushes)
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

fn collected(recorded: &Recorded) -> Result<SystemTime> {
    let time = data(recorded).find_map(|data| match data {
        Data::Gauge(gauge) => Some(gauge.data_points.first()?.time_unix_nano),
        Data::Sum(sum) => Some(sum.data_points.first()?.time_unix_nano),
        Data::Histogram(histogram) => Some(histogram.data_points.first()?.time_unix_nano),
        Data::ExponentialHistogram(histogram) => Some(histogram.data_points.first()?.time_unix_nano),
        Data::Summary(_) => None,
    });
    let time = time.context("a request without a data point")?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_nanos(time))
}

fn data(recorded: &Recorded) -> impl Iterator<Item = &Data> {
    let scopes = recorded
        .request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    scopes
        .flat_map(|scope| &scope.metrics)
        .filter_map(|metric| metric.data.as_ref())
}

#[expect(clippy::disallowed_methods, reason = "data points carry the time of day")]
fn now() -> SystemTime {
    SystemTime::now()
}
