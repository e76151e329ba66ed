//! The push over OTLP against a recorder: what arrives, what survives a failing receiver, and what TLS lets through.

mod delta;
mod failures;
mod reload;
mod start;
mod tls;
mod totals;

use anyhow::{Result, ensure};
use tests::exporter::otlp::Recorder;
use tests::exporter::{Exporter, start};
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::Flow;

const OPENED: &str = "tcpvitals.tcp.connections_opened";
const OPENED_TOTAL: &str = "tcpvitals_tcp_connections_opened_total";

/// A configuration under which connections are counted, and little else.
const CONNECTIONS: &str = "tcp: {detail: essential}\ndrops: {enabled: false}\n";

/// The section of a configuration, for a receiver without TLS over gRPC.
fn grpc(recorder: &Recorder, rest: &str) -> String {
    format!("otlp: {{endpoint: \"{}\", protocol: grpc, {rest}}}\n", recorder.url())
}

/// The same over HTTP.
fn http(recorder: &Recorder, rest: &str) -> String {
    format!(
        "otlp: {{endpoint: \"{}\", protocol: http/protobuf, {rest}}}\n",
        recorder.url()
    )
}

/// Traffic in a subnet of its own, and an exporter that counts it.
struct Scene {
    pair: Pair,
    subnet: String,
    exporter: Exporter<'static>,
}

impl Scene {
    fn new(section: &str) -> Result<Self> {
        Self::with_age("1ms", section)
    }

    /// The same with an exporter that counts connections and little else, for what happens to any count. It starts twice as fast.
    fn of_connections(section: &str) -> Result<Self> {
        Self::new(&(CONNECTIONS.to_owned() + section))
    }

    /// Scrapes and pushes share a snapshot up to this age.
    fn with_age(max_age: &str, section: &str) -> Result<Self> {
        let pair = Pair::new()?;
        let subnet = pair.subnet()?.name();
        let config = pair.config().replace("max_age: 1ms", &format!("max_age: {max_age}"));
        let exporter = start(config + section)?;
        Ok(Self { pair, subnet, exporter })
    }

    /// Opens, uses and closes so many connections, each of which counts at both ends.
    fn connections(&self, number: u16) -> Result<()> {
        for port in 0..number {
            let flow = Flow::open(&self.pair, Family::V4, 7000 + port)?;
            flow.exchange(1000, 2000)?;
            flow.finish()?;
        }
        Ok(())
    }

    /// Waits until a scrape says that so many connections were opened here: one that comes while a push collects gets what
    /// was counted when that began.
    fn wait_until_scraped(&self, opened: f64) -> Result<()> {
        tests::machine::wait::until("the totals to be scraped", || {
            let scraped = self.exporter.scrape()?.sum(OPENED_TOTAL, &[("subnet", &self.subnet)])?;
            ensure!(scraped <= opened, "{scraped} of {opened} connections were scraped");
            Ok((scraped == opened).then_some(()))
        })
    }

    /// Waits until the receiver has taken what a scrape says now.
    fn wait_until_told(&self, recorder: &Recorder, opened: f64) -> Result<()> {
        tests::machine::wait::until("the totals to arrive", || {
            let last = recorder.taken().pop().unwrap_or_default();
            let told = last.sum(OPENED, &[("tcpvitals.subnet", &self.subnet)]);
            ensure!(told <= opened, "{told} of {opened} connections were told");
            Ok((told == opened).then_some(()))
        })
    }

    /// What the exporter says became of its pushes.
    fn exports(&self, result: &str) -> Result<f64> {
        let labels = [("result", result)];
        self.exporter.scrape()?.value("tcpvitals_otlp_exports_total", &labels)
    }
}
