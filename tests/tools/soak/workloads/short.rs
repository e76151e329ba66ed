//! Connections that end as soon as they are there.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tests::net::pair::Pair;
use tests::net::traffic::{Ending, churn};

use super::Stop;
use crate::stage::{FAMILIES, RESET, SHORT};

/// Pause of each thread before a connection. A port rests for a minute after an orderly end: so many are never used up.
const PAUSE: Duration = Duration::from_millis(1);

const THREADS: usize = 2;

pub(super) fn run(pair: &Pair, ending: Ending, stop: &Stop) -> Result<u64> {
    let ports: &[u16] = match ending {
        Ending::Orderly => &SHORT,
        Ending::Reset => &RESET,
    };
    let targets: Vec<SocketAddr> = FAMILIES
        .into_iter()
        .flat_map(|family| ports.iter().map(move |port| pair.to(family, *port)))
        .collect::<Result<_>>()?;
    churn(pair, &targets, THREADS, ending, |_| {
        sleep(PAUSE);
        !stop.is_now()
    })
}
