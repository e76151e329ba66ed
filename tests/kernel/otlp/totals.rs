//! What arrives is what a scrape of the same snapshot shows, under the names and attributes of the reference page.

use std::collections::BTreeMap;

use anyhow::Result;
use tests::exporter::otlp::{Received, Recorder, Sample, Transport, require_same};
use tests::exporter::scrape::Scrape;
use tests::machine::turn;
use tests::machine::wait::until;

use super::{Scene, grpc, http};

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
    require_same(&scrape, &received)?;

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
    let starts = |received: &Received| {
        let samples = received.samples.iter();
        let starts = samples.map(
            |Sample {
                 name, attributes, time, ..
             }| ((name.clone(), attributes.clone()), time.0),
        );
        starts.collect::<BTreeMap<_, _>>()
    };
    let (before, after) = (starts(&first), starts(&second));
    let kept = before.iter().filter(|(series, start)| after.get(series) == Some(start));
    assert_eq!(kept.count(), before.len());
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
