//! A reload starts, moves and stops the push; with deltas, other labels neither lose nor double a count.

use anyhow::Result;
use tests::exporter::Launch;
use tests::exporter::otlp::{Failure, Recorder};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::pair::Pair;
use tonic::Code;

use super::{OPENED, Scene, grpc, http};

impl Scene {
    /// The same with an exporter that reloads on request.
    fn reloadable(section: &str) -> Result<Self> {
        let pair = Pair::new()?;
        let subnet = pair.subnet()?.name();
        let launch = Launch::new(pair.config() + section).arguments(&["--web.enable-lifecycle"]);
        let exporter = launch.start()?;
        Ok(Self { pair, subnet, exporter })
    }

    fn reload(&self, section: &str) -> Result<()> {
        self.exporter.reload(&(self.pair.config() + section))
    }
}

#[test]
fn a_reload_starts_moves_and_stops_the_push() -> Result<()> {
    let _turn = turn::shared()?;
    let (first, second) = (Recorder::start()?, Recorder::start()?);
    let scene = Scene::reloadable("")?;
    scene.connections(1)?;
    scene.reload(&grpc(&first, "interval: 1s"))?;
    scene.wait_until_told(&first, 2.0)?;
    scene.reload(&http(&second, "interval: 1s"))?;
    scene.connections(1)?;
    scene.wait_until_told(&second, 4.0)?;
    scene.reload("")?;
    until("the push to stop", || {
        let scrape = scene.exporter.scrape()?;
        Ok((!scrape.exposition().families.keys().any(|name| name.contains("otlp"))).then_some(()))
    })?;
    // A bad section changes nothing.
    let bad = scene.reload("otlp: {endpoint: \"https://127.0.0.1:1\", tls: {ca_file: /absent.pem}}\n");
    let bad = bad.map_err(|error| error.to_string()).unwrap_err();
    assert!(bad.contains("otlp.tls.ca_file"), "{bad}");
    Ok(())
}

#[test]
fn deltas_add_up_across_other_labels() -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    let section = grpc(&recorder, "interval: 1s, temporality: delta");
    let scene = Scene::reloadable(&section)?;
    let added_up = |recorder: &Recorder| -> f64 {
        // Other connections of this host are in other subnets, and all labels but the subnet come and go.
        let own = [("tcpvitals.subnet", scene.subnet.as_str())];
        recorder.taken().iter().map(|received| received.sum(OPENED, &own)).sum()
    };
    recorder.wait_for(2)?;
    for (round, labels) in [
        "[subnet]",
        "[subnet, role]",
        "[subnet, connection_type, app_protocol, role]",
    ]
    .into_iter()
    .enumerate()
    {
        scene.connections(2)?;
        let unavailable = Failure::Status(Code::Unavailable, None);
        recorder.fail_always((round != 1).then_some(unavailable));
        scene.reload(&format!("{section}labels: {{tcp: {labels}}}\n"))?;
        scene.connections(1)?;
        let before = recorder.requests().len();
        recorder.wait_for(before + 2)?;
    }
    recorder.fail_always(None);
    until("all deltas to arrive", || {
        Ok((added_up(&recorder) == 18.0).then_some(()))
    })?;
    recorder.wait_for_another()?;
    assert_eq!(added_up(&recorder), 18.0);
    Ok(())
}
