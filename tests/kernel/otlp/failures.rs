//! A receiver that fails: no cumulative count is lost, `/metrics` answers all the while, and what happened is counted.

use std::time::Duration;

use anyhow::Result;
use tests::exporter::free_address;
use tests::exporter::otlp::{Failure, Recorder};
use tests::machine::turn;
use tests::machine::wait::until;
use tonic::Code;

use super::{Scene, grpc, http};

/// Requires that requests which fail so are sent again within the same push, and that then all totals are there.
fn check(section: impl Fn(&Recorder) -> String, failures: &[Failure]) -> Result<Vec<Duration>> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    recorder.fail_next(failures.to_vec());
    // One push in the first two seconds, the next not before eighteen: what arrives was tried again.
    let scene = Scene::of_connections(&section(&recorder))?;
    let requests = recorder.wait_for(failures.len() + 1)?;
    let told: Vec<Option<Failure>> = requests.iter().map(|request| request.failure.clone()).collect();
    let expected: Vec<Option<Failure>> = failures.iter().cloned().map(Some).chain([None]).collect();
    assert_eq!(told, expected);
    for again in &requests {
        assert_eq!(again.request, requests[0].request);
    }
    until("the success to be counted", || {
        Ok((scene.exports("success")? == 1.0).then_some(()))
    })?;
    let scrape = scene.exporter.scrape()?;
    assert_eq!(
        scrape.value("tcpvitals_otlp_retries_total", &[])?,
        failures.len() as f64
    );
    assert_eq!(scrape.sum("tcpvitals_otlp_exports_total", &[])?, 1.0);
    assert!(scrape.value("tcpvitals_otlp_last_success_timestamp_seconds", &[])? > 1.7e9);
    Ok(requests
        .windows(2)
        .map(|pair| pair[1].at.duration_since(pair[0].at))
        .collect())
}

const SLOW: &str = "interval: 20s";

#[test]
fn a_receiver_that_is_unavailable_is_asked_again() -> Result<()> {
    let unavailable = Failure::Status(Code::Unavailable, None);
    check(|recorder| grpc(recorder, SLOW), &[unavailable.clone(), unavailable]).map(drop)
}

#[test]
fn an_exhausted_receiver_is_asked_again_when_it_says() -> Result<()> {
    let after = Duration::from_secs(2);
    let pauses = check(
        |recorder| grpc(recorder, SLOW),
        &[Failure::Status(Code::ResourceExhausted, Some(after))],
    )?;
    assert!(pauses[0] >= after, "{pauses:?}");
    Ok(())
}

#[test]
fn a_retry_after_is_obeyed() -> Result<()> {
    let pauses = check(
        |recorder| http(recorder, SLOW),
        &[
            Failure::Http(503, Some("2")),
            Failure::Http(429, None),
            Failure::Http(502, None),
        ],
    )?;
    assert!(pauses[0] >= Duration::from_secs(2), "{pauses:?}");
    Ok(())
}

#[test]
fn a_receiver_that_does_not_answer_is_asked_again() -> Result<()> {
    check(
        |recorder| grpc(recorder, "interval: 20s, timeout: 300ms"),
        &[Failure::Silence],
    )?;
    check(
        |recorder| http(recorder, "interval: 20s, timeout: 300ms"),
        &[Failure::Silence],
    )
    .map(drop)
}

/// Requires that while a receiver fails for good, scrapes answer, the failures are counted, and afterwards nothing is missing.
fn check_lasting(section: impl Fn(&Recorder) -> String, failure: Failure, result: &str) -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    recorder.fail_always(Some(failure));
    let scene = Scene::of_connections(&section(&recorder))?;
    for round in 1..=3 {
        scene.connections(2)?;
        scene.wait_until_scraped(f64::from(4 * round))?;
    }
    until("the failures to be counted", || {
        Ok((scene.exports(result)? >= 2.0).then_some(()))
    })?;
    assert_eq!(scene.exports("success")?, 0.0);
    assert!(recorder.taken().is_empty());
    recorder.fail_always(None);
    scene.wait_until_told(&recorder, 12.0)
}

#[test]
fn nothing_is_lost_while_a_receiver_is_unavailable() -> Result<()> {
    let unavailable = Failure::Status(Code::Unavailable, None);
    check_lasting(|recorder| grpc(recorder, "interval: 1s"), unavailable, "failed")?;
    check_lasting(
        |recorder| http(recorder, "interval: 1s"),
        Failure::Http(503, None),
        "failed",
    )
}

#[test]
fn nothing_is_lost_while_a_receiver_swallows_everything() -> Result<()> {
    let settings = "interval: 1s, timeout: 400ms";
    check_lasting(|recorder| grpc(recorder, settings), Failure::Silence, "failed")?;
    check_lasting(|recorder| http(recorder, settings), Failure::Silence, "failed")
}

#[test]
fn nothing_is_lost_while_a_receiver_refuses() -> Result<()> {
    let refusal = Failure::Status(Code::InvalidArgument, None);
    check_lasting(|recorder| grpc(recorder, "interval: 1s"), refusal, "refused")?;
    check_lasting(
        |recorder| http(recorder, "interval: 1s"),
        Failure::Http(400, None),
        "refused",
    )?;
    // Exhausted, without a word on when it will not be.
    let exhausted = Failure::Status(Code::ResourceExhausted, None);
    check_lasting(|recorder| grpc(recorder, "interval: 1s"), exhausted, "refused")
}

#[test]
fn a_receiver_that_comes_later_gets_all() -> Result<()> {
    let _turn = turn::shared()?;
    let address = free_address()?;
    let scene = Scene::of_connections(&format!("otlp: {{endpoint: \"http://{address}\", interval: 1s}}\n"))?;
    scene.connections(3)?;
    until("the failures to be counted", || {
        Ok((scene.exports("failed")? >= 1.0).then_some(()))
    })?;
    let recorder = Recorder::at(address, None)?;
    scene.wait_until_told(&recorder, 6.0)
}

#[test]
fn a_partial_success_is_counted_told_once_and_not_repeated() -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    recorder.fail_always(Some(Failure::Partial(7, "too old")));
    let scene = Scene::of_connections(&http(&recorder, "interval: 1s"))?;
    recorder.wait_for(3)?;
    until("the partial successes to be counted", || {
        Ok((scene.exports("partial")? >= 3.0).then_some(()))
    })?;
    let scrape = scene.exporter.scrape()?;
    let partial = scrape.value("tcpvitals_otlp_exports_total", &[("result", "partial")])?;
    assert_eq!(
        scrape.value("tcpvitals_otlp_rejected_data_points_total", &[])?,
        7.0 * partial
    );
    assert_eq!(scrape.value("tcpvitals_otlp_retries_total", &[])?, 0.0);
    let told = scene.exporter.stderr();
    assert_eq!(told.matches("too old").count(), 1, "{told}");
    recorder.fail_always(None);
    until("the log to say that it is over", || {
        Ok(scene
            .exporter
            .stderr()
            .contains("takes the metrics again")
            .then_some(()))
    })
}
