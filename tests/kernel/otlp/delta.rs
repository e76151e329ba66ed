//! Delta temporality: what the receiver acknowledged adds up to what was generated, whatever failed in between.

use anyhow::Result;
use tests::exporter::otlp::{Failure, Received, Recorder};
use tests::machine::turn;
use tests::machine::wait::until;
use tonic::Code;

use super::{OPENED, Scene, grpc, http};

const BYTES: &str = "tcpvitals.tcp.data";

/// The sum over all requests that were taken.
fn added_up(recorder: &Recorder, of: impl Fn(&Received) -> f64) -> f64 {
    recorder.taken().iter().map(of).sum()
}

fn check(section: impl Fn(&Recorder) -> String, failure: &Failure) -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    let scene = Scene::new(&section(&recorder))?;
    let subnet = [("tcpvitals.subnet", scene.subnet.as_str())];
    for round in 1..=4 {
        // Every other round nobody takes what was counted, and later everything.
        recorder.fail_always((round % 2 == 0).then(|| failure.clone()));
        scene.connections(3)?;
        let before = recorder.requests().len();
        recorder.wait_for(before + 2)?;
    }
    recorder.fail_always(None);
    until("all deltas to arrive", || {
        Ok((added_up(&recorder, |received| received.sum(OPENED, &subnet)) == 24.0).then_some(()))
    })?;
    recorder.wait_for_another()?;
    let scrape = scene.exporter.scrape()?;
    let of_subnet = [("subnet", scene.subnet.as_str())];
    assert_eq!(
        added_up(&recorder, |received| received.sum(BYTES, &subnet)),
        scrape.sum("tcpvitals_tcp_data_bytes_total", &of_subnet)?
    );
    let handshakes = |received: &Received| received.observations("tcpvitals.tcp.handshake", &subnet) as f64;
    assert_eq!(added_up(&recorder, handshakes), 24.0);

    // Windows of a series that were taken follow each other.
    let requests = recorder.taken();
    let mut windows: Vec<(u64, u64)> = requests
        .iter()
        .flat_map(|received| &received.samples)
        .filter(|sample| {
            sample.name == OPENED
                && sample
                    .attributes
                    .get("tcpvitals.role")
                    .is_some_and(|role| role == "client")
        })
        .filter(|sample| sample.attributes.get("tcpvitals.subnet") == Some(&scene.subnet))
        .map(|sample| sample.time)
        .collect();
    windows.sort_unstable();
    assert!(
        windows.len() >= 2 && windows.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "{windows:?}"
    );
    for sample in requests.iter().flat_map(|received| &received.samples) {
        let grows = ["counter", "exponential histogram"].contains(&sample.kind);
        assert_eq!(sample.is_delta, grows, "{}", sample.name);
    }
    Ok(())
}

#[test]
fn deltas_over_grpc_add_up_to_what_was_generated() -> Result<()> {
    check(
        |recorder| grpc(recorder, "interval: 1s, temporality: delta"),
        &Failure::Status(Code::Unavailable, None),
    )
}

#[test]
fn deltas_over_http_add_up_to_what_was_generated() -> Result<()> {
    check(
        |recorder| http(recorder, "interval: 1s, temporality: delta"),
        &Failure::Http(400, None),
    )
}
