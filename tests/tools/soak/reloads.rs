//! The configuration changes all the time.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::exporter::Exporter;

use super::stage::Stage;
use super::workloads::Stop;

const PAUSE: Duration = Duration::from_secs(3);

/// Goes over to the next configuration again and again; how often.
pub(crate) fn run(stage: &Stage, exporter: &Exporter<'_>, receiver: SocketAddr, stop: &Stop) -> Result<usize> {
    let mut reloads = 0;
    while !stop.is_now() {
        reloads += 1;
        let config = stage.config(reloads, receiver)?;
        exporter.reload(&config).with_context(|| format!("reload {reloads}"))?;
        stop.pause(PAUSE);
    }
    Ok(reloads)
}
