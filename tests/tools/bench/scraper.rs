//! A scraper as Prometheus is one: a connection that is kept, and the body read to its end.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::exporter::{Exporter, OPEN_METRICS, PROMETHEUS_TEXT, PROTOBUF};
use tests::machine::settings::patience;
use tests::machine::wait::timed;
use ureq::Agent;

/// In what form the metrics are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Its name in results.
    pub(crate) name: &'static str,
    accept: &'static str,
    /// Whether compressed.
    pub(crate) gzip: bool,
}

/// All forms that there are.
pub(crate) const FORMS: [Form; 6] = [
    form("text", PROMETHEUS_TEXT, false),
    form("text, gzip", PROMETHEUS_TEXT, true),
    form("OpenMetrics", OPEN_METRICS, false),
    form("OpenMetrics, gzip", OPEN_METRICS, true),
    form("protobuf", PROTOBUF, false),
    form("protobuf, gzip", PROTOBUF, true),
];

const fn form(name: &'static str, accept: &'static str, gzip: bool) -> Form {
    Form { name, accept, gzip }
}

/// Asks one exporter again and again.
pub(crate) struct Scraper {
    agent: Agent,
    url: String,
}

/// What a scrape gave.
pub(crate) struct Scraped {
    /// From the request to the last byte of the body.
    pub(crate) took: Duration,
    /// As it came.
    pub(crate) body: Vec<u8>,
}

impl Scraper {
    /// Of this exporter.
    pub(crate) fn new(exporter: &Exporter<'_>) -> Self {
        let agent = Agent::config_builder().timeout_global(Some(patience())).build();
        Self {
            agent: agent.new_agent(),
            url: format!("http://{}/metrics", exporter.address()),
        }
    }

    /// Once.
    pub(crate) fn scrape(&self, form: Form) -> Result<Scraped> {
        let encoding = if form.gzip { "gzip" } else { "identity" };
        let request = self.agent.get(&self.url);
        let request = request
            .header("accept", form.accept)
            .header("accept-encoding", encoding);
        let (took, body) = timed(|| {
            let mut answer = request.call()?;
            let gzip = answer.headers().get("content-encoding").is_some();
            let body = answer.body_mut().with_config().limit(1 << 28).read_to_vec()?;
            anyhow::Ok((gzip, body))
        });
        let (gzip, body) = body.with_context(|| format!("scrape {}", self.url))?;
        ensure!(gzip == form.gzip, "asked for {}, it came otherwise", form.name);
        Ok(Scraped { took, body })
    }
}
