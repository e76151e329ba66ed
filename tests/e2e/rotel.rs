//! rotel takes what the exporter pushes over gRPC and over HTTP, and holds what a scrape of the same snapshot shows.

use anyhow::Result;
use tests::exporter::otlp::{Received, Recorder, Transport, require_same};
use tests::machine::turn;
use tests::readers::rotel::Rotel;

use crate::push::compare;

fn check(endpoint: impl Fn(&Rotel) -> String, protocol: &str) -> Result<()> {
    let _turn = turn::shared()?;
    let recorder = Recorder::start()?;
    let rotel = Rotel::start(&recorder)?;
    let (scrape, received) = compare(&endpoint(&rotel), protocol, |duration| {
        let is_same = |received: &Received| received.sum("tcpvitals.collect_duration", &[]) == duration;
        Ok(recorder.taken().into_iter().find(is_same))
    })?;
    require_same(&scrape, &received)?;
    assert_eq!(received.resource["service.name"], "tcpvitals");
    assert_eq!(
        received.scope,
        ("tcpvitals".to_owned(), env!("CARGO_PKG_VERSION").to_owned())
    );
    // It was rotel that the exporter pushed to, and rotel that passed it on.
    assert!(rotel.said().contains("Received metrics"), "{}", rotel.said());
    for recorded in recorder.requests() {
        assert_eq!(recorded.transport, Transport::Grpc);
        let agent = &recorded.headers["user-agent"];
        assert!(!agent.starts_with("tcpvitals"), "{agent}");
    }
    Ok(())
}

#[test]
fn rotel_holds_what_came_over_grpc() -> Result<()> {
    check(Rotel::grpc, "grpc")
}

#[test]
fn rotel_holds_what_came_over_http() -> Result<()> {
    check(Rotel::http, "http/protobuf")
}
