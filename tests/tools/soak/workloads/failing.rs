//! Connections that do not come about: nobody listens, nobody answers, a router says no.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tests::net::pair::Pair;

use super::{Stop, join};
use crate::stage::{AWAY, CLOSED, FAMILIES, SILENT};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Attempts by what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failed {
    pub(crate) refused: u64,
    pub(crate) timed_out: u64,
    pub(crate) unreachable: u64,
}

pub(super) fn run(pair: &Pair, stop: &Stop) -> Result<Failed> {
    std::thread::scope(|scope| {
        let refused = stop.spawn(scope, || attempt(pair, CLOSED, ErrorKind::ConnectionRefused, stop));
        let timed_out = stop.spawn(scope, || attempt(pair, SILENT, ErrorKind::TimedOut, stop));
        let unreachable = stop.spawn(scope, || attempt(pair, AWAY, ErrorKind::HostUnreachable, stop));
        Ok(Failed {
            refused: join(refused)?,
            timed_out: join(timed_out)?,
            unreachable: join(unreachable)?,
        })
    })
}

fn attempt(pair: &Pair, port: u16, expected: ErrorKind, stop: &Stop) -> Result<u64> {
    let targets = [pair.to(FAMILIES[0], port)?, pair.to(FAMILIES[1], port)?];
    pair.client.run(|| {
        let mut attempts = 0;
        for target in targets.iter().cycle() {
            if stop.is_now() {
                break;
            }
            // A blocking call: one with a limit would ask the socket for its error, and give up itself.
            match TcpStream::connect(target) {
                Ok(_) => bail!("somebody listens on {target}"),
                Err(error) => ensure!(error.kind() == expected, "connect to {target}: {error}"),
            }
            attempts += 1;
            sleep(PAUSE);
        }
        Ok(attempts)
    })
}
