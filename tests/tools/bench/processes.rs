//! Turns of peers that need their process: started and killed for every turn, with windows of nothing before and after. `sleep`
//! takes the same turns, for the gate.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use crate::pairs::{NOTHING, NULL, Outcome, quartiles};
use crate::peers::{Peer, Running};

/// Windows of one turn.
const WINDOWS: usize = 7;
/// After an end, until the kernel has let go of what belonged to the process.
const SETTLE: Duration = Duration::from_millis(100);

/// Lets a peer and `sleep` take turns with nothing.
pub(crate) fn take_turns(
    label: &str,
    command: &[String],
    rounds: usize,
    mut window: impl FnMut() -> Result<Vec<f64>>,
) -> Result<Peer<Vec<Outcome>>> {
    let labels = [NOTHING, NULL, label];
    let mut outcomes = labels.map(|label| Outcome {
        label: label.to_owned(),
        ..Outcome::default()
    });
    let mut median = || -> Result<f64> {
        let figures = (0..WINDOWS).map(|_| Ok(window()?.first().copied().unwrap_or(f64::NAN)));
        Ok(quartiles(&figures.collect::<Result<Vec<f64>>>()?)[1])
    };
    let mut before = median()?;
    for _ in 0..rounds {
        for who in [1, 2] {
            let running = if who == 1 {
                let running = Running::spawn(&["sleep".to_owned()], &["60"])?;
                sleep(SETTLE);
                running
            } else {
                match Running::start(command, &[])? {
                    Ok(running) => running,
                    Err(why) => return Ok(Err(format!("{label}: {why}"))),
                }
            };
            let figure = median()?;
            drop(running);
            sleep(SETTLE);
            let after = median()?;
            outcomes[0].figures.push(after);
            outcomes[who].figures.push(figure);
            outcomes[who].ratios.push(figure / f64::midpoint(before, after));
            before = after;
        }
    }
    Ok(Ok(outcomes.to_vec()))
}
