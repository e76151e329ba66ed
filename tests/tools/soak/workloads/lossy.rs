//! Transfers of which packets get lost, one connection after another on each thread: large ones, and many small ones.

use anyhow::Result;
use tests::net::pair::Pair;
use tests::net::traffic::{Flow, listen};

use super::{Stop, join};
use crate::stage::{FAMILIES, LOSSY};
use crate::sums::Sums;

/// Bytes to the server and to the client at a time.
const LARGE: (usize, usize) = (800_000, 200_000);
const SMALL: (usize, usize) = (700, 300);

/// Exchanges on a connection.
const LARGE_ONES: usize = 2;
const SMALL_ONES: usize = 25;

pub(super) fn run(pair: &Pair, stop: &Stop) -> Result<Sums> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..LOSSY.len())
            .map(|number| stop.spawn(scope, move || transfer(pair, number, stop)))
            .collect();
        let mut all = Sums::default();
        for thread in threads {
            all.merge(&join(thread)?);
        }
        Ok(all)
    })
}

fn transfer(pair: &Pair, number: usize, stop: &Stop) -> Result<Sums> {
    // Both families large, and both small.
    let to = pair.to(FAMILIES[number % 2], LOSSY[number])?;
    let ((to_server, to_client), exchanges) = match number / 2 {
        0 => (LARGE, LARGE_ONES),
        _ => (SMALL, SMALL_ONES),
    };
    let listener = listen(&pair.server, to)?;
    let mut sums = Sums::default();
    while !stop.is_now() {
        let flow = Flow::through(&listener, pair, to)?;
        for _ in 0..exchanges {
            flow.exchange(to_server, to_client)?;
        }
        sums.add(&flow.finish()?);
    }
    Ok(sums)
}
