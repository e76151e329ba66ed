//! The exporter that is measured, and what its own metrics say of it.

use anyhow::{Context as _, Result};
use tests::exporter::{Exporter, Launch};

use crate::context::Context;
use crate::crowd::Crowd;
use crate::usage::Process;

/// Subnets with names: enough for the most series.
const SUBNETS: usize = 128;

/// A configuration in which each /24 of a crowd has a name, so that flows in many of them make many series; what else
/// the host does makes few. Each scrape collects anew.
pub(crate) fn by_network() -> Result<String> {
    let mut config = String::from("limits: {series: 20000}\ncollect: {max_age: 0}\nsubnets:\n");
    for number in 0..SUBNETS {
        let line = format!("  - {{name: net-{number}, cidrs: [{}]}}\n", Crowd::subnet(number)?);
        config.push_str(&line);
    }
    Ok(config)
}

/// Series that a connection makes, its client's and its server's: lines with a value in the text, as Prometheus counts series.
const SERIES_OF_CONNECTION: usize = 400;

/// Series that there are in any case: the exporter's own, and those of the connection that scrapes.
const SERIES_OF_NOTHING: usize = 600;

/// Starts it with this configuration; it says nothing unless something is wrong.
pub(crate) fn start(context: &Context, config: &str) -> Result<Exporter<'static>> {
    Launch::new(config)
        .binary(&context.exporter)
        .arguments(&["--log.level=warn"])
        .start()
}

/// Its process.
pub(crate) fn process(exporter: &Exporter<'_>) -> Process {
    Process(exporter.process())
}

/// Connections that make about so many series under [`by_network`]: one in each of as many subnets, used once.
pub(crate) fn crowd_of_series(series: usize) -> Result<Crowd> {
    let connections = series.saturating_sub(SERIES_OF_NOTHING).div_ceil(SERIES_OF_CONNECTION);
    let mut crowd = Crowd::new(connections.max(1))?;
    crowd.grow(2 * connections)?;
    crowd.round()?;
    Ok(crowd)
}

/// The value of a series without labels in a body of text: read like this, it costs next to nothing.
pub(crate) fn value(body: &[u8], name: &str) -> Result<f64> {
    let text = std::str::from_utf8(body).context("a body that is no text")?;
    let after = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let value = rest.strip_prefix("{}").unwrap_or(rest).strip_prefix(' ')?;
        value.parse().ok()
    };
    text.lines()
        .find_map(after)
        .with_context(|| format!("no series {name} without labels"))
}

/// Lines of a text that are samples.
pub(crate) fn sample_lines(body: &[u8]) -> usize {
    let is_sample = |line: &&[u8]| line.first().is_some_and(|&first| first != b'#');
    body.split(|&byte| byte == b'\n').filter(is_sample).count()
}
