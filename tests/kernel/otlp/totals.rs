//! What arrives is what a scrape of the same snapshot shows, under the names and attributes of the reference page.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use tests::exposition::Series;
use tests::otlp::{Documented, Number, Received, Recorder, Sample, Transport, documented};
use tests::scrape::Scrape;
use tests::turn;
use tests::wait::until;

use super::{Scene, grpc, http};

type Values = BTreeMap<Series, f64>;

/// The series of a scrape that a request has under other names: no texts that are empty, no classic buckets.
fn of_scrape(scrape: &Scrape) -> Values {
    let samples = scrape.exposition().samples.iter();
    let counted = samples.filter(|(series, _)| !series.name.ends_with("_bucket"));
    let named = counted.map(|(series, value)| {
        let mut series = series.clone();
        series.labels.retain(|_, value| !value.is_empty());
        (series, *value)
    });
    named.collect()
}

/// What a request says, under the names of a scrape.
fn of_request(received: &Received, page: &[Documented]) -> Result<Values> {
    let mut values = Values::new();
    for sample in &received.samples {
        let documented = page.iter().find(|documented| documented.dotted == sample.name);
        let documented = documented.with_context(|| format!("{} is not documented", sample.name))?;
        assert_eq!(
            (&sample.unit, sample.kind),
            (&documented.unit, documented.kind.as_str()),
            "{}",
            sample.name
        );
        assert!(!sample.is_delta, "{}", sample.name);
        let mut add = |suffix: &str, value: f64| {
            let series = Series {
                name: format!("{}{suffix}", documented.name),
                labels: labels(sample, documented)?,
            };
            ensure!(values.insert(series.clone(), value).is_none(), "{series:?} twice");
            Ok(())
        };
        match &sample.value {
            Number::One(value) => add("", *value)?,
            Number::Many(count, sum, ..) => {
                add("_count", *count as f64)?;
                add("_sum", *sum)?;
            }
        }
    }
    Ok(values)
}

fn labels(sample: &Sample, documented: &Documented) -> Result<BTreeMap<String, String>> {
    let label = |(attribute, value): (&String, &String)| {
        let label = documented.labels.get(attribute);
        let label = label.with_context(|| format!("{}: {attribute} is not documented", sample.name))?;
        Ok((label.clone(), value.clone()))
    };
    sample.attributes.iter().map(label).collect()
}

/// Every classic bucket of a scrape is the sum of the exponential ones below its bound.
fn require_same_buckets(scrape: &Scrape, received: &Received, page: &[Documented]) -> Result<usize> {
    let mut compared = 0;
    for sample in &received.samples {
        let Number::Many(count, _, scale, buckets) = &sample.value else {
            continue;
        };
        assert_eq!(*count, buckets.values().sum::<u64>(), "{sample:?}");
        let documented = page.iter().find(|documented| documented.dotted == sample.name);
        let documented = documented.context("checked before")?;
        let name = format!("{}_bucket", documented.name);
        let labels = labels(sample, documented)?;
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        for (series, up_to) in scrape.matching(&name, &labels) {
            let bound: f64 = series.labels.get("le").context("a bucket without a bound")?.parse()?;
            if bound.is_infinite() {
                assert_eq!(up_to, *count as f64, "{series:?}");
                continue;
            }
            // The upper bound of the bucket with an index is base^(index + 1).
            let below = |index: i32| f64::from(index + 1) <= bound.log2() * f64::from(1 << scale);
            let own: u64 = buckets
                .iter()
                .filter(|(index, _)| below(**index))
                .map(|(_, count)| count)
                .sum();
            assert_eq!(up_to, own as f64, "{series:?}");
            compared += 1;
        }
    }
    Ok(compared)
}

/// A scrape and a request of the same snapshot, which its duration gives away.
fn same_snapshot(scene: &Scene, recorder: &Recorder) -> Result<(Scrape, Received)> {
    until("a push and a scrape of the same snapshot", || {
        recorder.wait_for_another()?;
        let scrape = scene.exporter.scrape()?;
        let duration = scrape.value("tcpvitals_collect_duration_seconds", &[])?;
        let same = |received: &Received| received.sum("tcpvitals.collect_duration", &[]) == duration;
        Ok(recorder
            .taken()
            .into_iter()
            .find(same)
            .map(|received| (scrape, received)))
    })
}

fn check(section: impl Fn(&Recorder) -> String, transport: Transport, headers: &[(&str, Option<&str>)]) -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    let scene = Scene::with_age("700ms", &section(&recorder))?;
    scene.connections(5)?;
    let told = until("the traffic to be told", || {
        let (scrape, received) = same_snapshot(&scene, &recorder)?;
        let opened = received.sum(super::OPENED, &[("tcpvitals.subnet", &scene.subnet)]);
        Ok((opened == 10.0).then_some((scrape, received)))
    });
    let (scrape, received) = told?;
    let page = documented()?;
    assert_eq!(of_request(&received, &page)?, of_scrape(&scrape));
    assert!(require_same_buckets(&scrape, &received, &page)? > 100);

    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(received.scope, ("tcpvitals".to_owned(), version.to_owned()));
    let host = nix::sys::utsname::uname()?.nodename().to_string_lossy().into_owned();
    for (key, value) in [
        ("service.name", "tcpvitals"),
        ("service.version", version),
        ("host.name", &host),
    ] {
        assert_eq!(received.resource.get(key).map(String::as_str), Some(value));
    }
    let instances: Vec<_> = recorder
        .taken()
        .into_iter()
        .map(|one| one.resource["service.instance.id"].clone())
        .collect();
    assert!(
        instances
            .iter()
            .all(|instance| *instance == instances[0] && instance.len() == 36),
        "{instances:?}"
    );

    for recorded in recorder.requests() {
        assert_eq!(recorded.transport, transport);
        for (name, value) in headers {
            assert_eq!(recorded.headers.get(*name).map(String::as_str), *value, "{name}");
        }
    }
    Ok(())
}

#[test]
fn grpc_with_gzip_tells_what_a_scrape_shows() -> Result<()> {
    check(
        |recorder| grpc(recorder, "interval: 1s, headers: {x-tenant: \"a b\"}"),
        Transport::Grpc,
        &[
            ("grpc-encoding", Some("gzip")),
            ("x-tenant", Some("a b")),
            ("grpc-timeout", Some("10000000u")),
        ],
    )
}

#[test]
fn grpc_without_compression_tells_what_a_scrape_shows() -> Result<()> {
    check(
        |recorder| grpc(recorder, "interval: 1s, compression: none"),
        Transport::Grpc,
        &[("grpc-encoding", None)],
    )
}

#[test]
fn http_with_gzip_tells_what_a_scrape_shows() -> Result<()> {
    check(
        |recorder| http(recorder, "interval: 1s, headers: {Authorization: Bearer x}"),
        Transport::Http,
        &[
            ("content-encoding", Some("gzip")),
            ("content-type", Some("application/x-protobuf")),
            ("authorization", Some("Bearer x")),
            ("user-agent", Some(concat!("tcpvitals/", env!("CARGO_PKG_VERSION")))),
        ],
    )
}

#[test]
fn http_without_compression_tells_what_a_scrape_shows() -> Result<()> {
    check(
        |recorder| http(recorder, "interval: 1s, compression: none"),
        Transport::Http,
        &[("content-encoding", None)],
    )
}

#[test]
fn sums_begin_when_the_exporter_began_and_gauges_are_for_a_moment() -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    let _scene = Scene::new(&grpc(&recorder, "interval: 1s"))?;
    let (first, second) = (recorder.wait_for_another()?, recorder.wait_for_another()?);
    let start = |received: &Received| received.samples.iter().map(|sample| sample.time.0).max();
    assert_eq!(start(&first), start(&second));
    for Sample {
        name,
        kind,
        time: (since, until),
        ..
    } in &second.samples
    {
        assert_eq!(*since == 0, *kind == "gauge", "{name}");
        assert!(
            since < until && (*until > 1_700_000_000_000_000_000),
            "{name}: {since} {until}"
        );
    }
    Ok(())
}
