//! An exporter that pushes over OTLP, with traffic that the kernel has counted, and the scrape that a push must equal.

use anyhow::Result;
use tests::exporter::scrape::Scrape;
use tests::exporter::start;
use tests::kernel::account::{End, require_equal};
use tests::machine::wait::until;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Ends, Flow};

/// A push a second, and snapshots that live long enough to be in a scrape and in the push before or after it.
const SETTINGS: &str = "collect: {max_age: 2500ms}\n";

/// Has an exporter push to `endpoint` while connections come and go. Gives a scrape that shows them as the kernel does,
/// and what `find` finds of the push of the same snapshot, which the duration of the collection gives away.
pub(crate) fn compare<T>(
    endpoint: &str,
    protocol: &str,
    mut find: impl FnMut(f64) -> Result<Option<T>>,
) -> Result<(Scrape, T)> {
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let otlp = format!("otlp: {{endpoint: \"{endpoint}\", protocol: {protocol}, interval: 1s}}\n");
    let exporter = start(pair.config().replace("collect: {max_age: 1ms}\n", SETTINGS) + &otlp)?;
    let flows = [(Family::V4, 443), (Family::V6, 443), (Family::V4, 5432)];
    let flows = flows.map(|(family, port)| Flow::open(&pair, family, port));
    let flows: Vec<Flow> = flows.into_iter().collect::<Result<_>>()?;
    for flow in &flows {
        flow.exchange(100_000, 2_000_000)?;
    }
    let finished: Vec<Ends> = flows.iter().map(Flow::finish).collect::<Result<_>>()?;
    let scrape = until("a snapshot of the time after the traffic", || {
        let scrape = exporter.scrape()?;
        let closed = scrape.sum("tcpvitals_tcp_connections_closed_total", &[("subnet", &subnet)])?;
        // Both ends are ours.
        Ok((closed == 2.0 * flows.len() as f64).then_some(scrape))
    })?;
    for end in End::BOTH {
        let sockets: Vec<_> = finished.iter().map(|ends| end.of(ends)).collect();
        require_equal(&scrape, &subnet, end, &sockets)?;
    }
    let duration = scrape.value("tcpvitals_collect_duration_seconds", &[])?;
    let found = until("the push of a snapshot", || find(duration))?;
    Ok((scrape, found))
}
