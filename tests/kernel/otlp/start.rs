//! When a push begins and ends: variables of the environment, the last push, and none at all.

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tests::exporter::otlp::{Failure, Recorder, Transport};
use tests::exporter::{FEWEST_PROGRAMS, Launch, start};
use tests::machine::settings::patience;
use tests::machine::turn;
use tests::machine::wait::{timed, until};

use super::{OPENED, Scene, grpc, http};

#[test]
fn the_last_push_tells_what_was_counted_until_the_end() -> Result<()> {
    let _turn = turn::shared()?;
    for (section, signal) in [
        (grpc as fn(&Recorder, &str) -> String, Signal::SIGTERM),
        (http, Signal::SIGINT),
    ] {
        for temporality in ["cumulative", "delta"] {
            let recorder = Recorder::start()?;
            // Pushed at the start, and then not for ten seconds at least; collected once, and then not for an hour.
            let settings = format!("interval: 20s, temporality: {temporality}");
            let scene = Scene::with_age("1h", &section(&recorder, &settings))?;
            recorder.wait_for(1)?;
            scene.connections(3)?;
            let Scene { exporter, subnet, .. } = scene;
            let (status, told) = exporter.stop(signal)?;
            assert!(status.success(), "{status} {told}");
            let requests = recorder.taken();
            let last = requests.last().context("no push")?;
            assert_eq!(
                (requests.len(), last.sum(OPENED, &[("tcpvitals.subnet", &subnet)])),
                (2, 6.0)
            );
        }
    }
    Ok(())
}

#[test]
fn a_receiver_that_swallows_everything_does_not_keep_the_exporter() -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    recorder.fail_always(Some(Failure::Silence));
    let scene = Scene::new(&grpc(&recorder, "interval: 20s, timeout: 1m"))?;
    recorder.wait_for(1)?;
    // `stop` gives up after its patience, which is far less than the time-out of the push.
    let (took, stopped) = timed(|| scene.exporter.stop(Signal::SIGTERM));
    let (status, told) = stopped?;
    assert!(
        status.success() && told.contains("the last push over OTLP was not taken"),
        "{status} {told}"
    );
    assert!(took < patience(), "{took:?}");
    Ok(())
}

#[test]
fn variables_name_receiver_and_resource() -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    let base = format!("{}/base", recorder.url());
    let exporter = Launch::new(FEWEST_PROGRAMS)
        .variables(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", base.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=geheim%21"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=lab%2C%201,service.name=other,host.name=h1",
            ),
            ("OTEL_SERVICE_NAME", "vitals"),
        ])
        .start()?;
    let received = recorder.wait_for_another()?;
    for (key, value) in [
        ("service.name", "vitals"),
        ("deployment.environment.name", "lab, 1"),
        ("host.name", "h1"),
    ] {
        assert_eq!(received.resource.get(key).map(String::as_str), Some(value));
    }
    until("something that grows to be told by its growth", || {
        let taken = recorder.taken();
        let mut samples = taken.iter().flat_map(|received| &received.samples);
        Ok(samples.any(|sample| sample.is_delta).then_some(()))
    })?;
    let request = &recorder.requests()[0];
    assert_eq!(
        (request.transport, request.path.as_str()),
        (Transport::Http, "/base/v1/metrics")
    );
    assert_eq!(request.headers.get("x-key").map(String::as_str), Some("geheim!"));
    assert_eq!(request.headers.get("content-encoding"), None);
    let told = exporter.stderr();
    assert!(
        told.contains("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") && !told.contains("geheim"),
        "{told}"
    );
    Ok(())
}

#[test]
fn the_file_wins_over_variables() -> Result<()> {
    let _turn = turn::shared()?;
    let (of_file, of_variable) = (Recorder::start()?, Recorder::start()?);
    let _exporter = Launch::new(FEWEST_PROGRAMS.to_owned() + &grpc(&of_file, "interval: 1s"))
        .variables(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", of_variable.url().as_str())])
        .start()?;
    of_file.wait_for(2)?;
    assert!(of_variable.requests().is_empty());
    Ok(())
}

#[test]
fn what_is_wrong_in_a_variable_is_warned_of_and_metrics_are_served() -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", recorder.url());
    let encrypted = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1".to_owned());
    let variable = |name: &'static str, value: &str| (name, value.to_owned());
    for (variables, warning) in [
        (
            vec![variable("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318")],
            "write for example http://localhost:4318; until then nothing is pushed",
        ),
        (
            vec![
                encrypted,
                variable("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent.pem"),
            ],
            "/nonexistent.pem",
        ),
        (
            vec![endpoint.clone(), variable("OTEL_METRICS_EXPORTER", "none")],
            "OTEL_METRICS_EXPORTER: none, so nothing is pushed over OTLP",
        ),
        (
            vec![endpoint, variable("OTEL_SDK_DISABLED", "true")],
            "OTEL_SDK_DISABLED: true, so nothing is pushed over OTLP",
        ),
    ] {
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let exporter = Launch::new(FEWEST_PROGRAMS).variables(&variables).start()?;
        let scrape = exporter.scrape()?;
        assert!(!scrape.exposition().families.keys().any(|name| name.contains("otlp")));
        let (status, told) = exporter.stop(Signal::SIGTERM)?;
        assert!(status.success() && told.contains(warning), "{status} {told}");
    }
    assert!(recorder.requests().is_empty());
    Ok(())
}

#[test]
fn without_a_receiver_nothing_is_said_of_pushes() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start(FEWEST_PROGRAMS)?;
    let scrape = exporter.scrape()?;
    let names = scrape.exposition().families.keys();
    let own: Vec<&String> = names.filter(|name| name.contains("otlp")).collect();
    assert!(own.is_empty(), "{own:?}");
    let (status, told) = exporter.stop(Signal::SIGTERM)?;
    assert!(status.success() && !told.contains("OTLP"), "{told}");
    Ok(())
}

#[test]
fn a_secret_in_a_header_is_in_no_log() -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    recorder.fail_next([Failure::Status(tonic::Code::Unauthenticated, None)]);
    let section = grpc(&recorder, "interval: 1s, headers: {authorization: Bearer geheim}");
    let exporter = Launch::new(FEWEST_PROGRAMS.to_owned() + &section)
        .arguments(&["--log.level=trace"])
        .start()?;
    until(
        "a push to be taken",
        || Ok((!recorder.taken().is_empty()).then_some(())),
    )?;
    assert_eq!(recorder.requests()[0].headers["authorization"], "Bearer geheim");
    let (_, told) = exporter.stop(Signal::SIGTERM)?;
    assert!(told.contains("refuses") && !told.contains("geheim"), "{told}");
    Ok(())
}
