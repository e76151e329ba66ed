//! What scraping every 15 s takes of a processor.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tests::machine::wait::{Deadline, moment};

use crate::context::Context;
use crate::crowd::Crowd;
use crate::figures::single;
use crate::report::model::{Item, Row};
use crate::scraper::{FORMS, Scraper};
use crate::subject::{by_network, process, start};
use crate::usage::Process;

/// Live flows.
const FLOWS: usize = 100_000;

/// Between two scrapes.
const INTERVAL: Duration = Duration::from_secs(15);

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let scrapes = if context.quick { 2 } else { 8 };
    let exporter = start(context, &by_network()?)?;
    let mut crowd = Crowd::new(10)?;
    crowd.grow(FLOWS)?;
    let scraper = Scraper::new(&exporter);
    scraper.scrape(FORMS[3])?;
    let (row, time) = measure(process(&exporter), &scraper, &mut crowd, scrapes)?;
    Ok(Item {
        id: "duty".to_owned(),
        title: "Duty cycle".to_owned(),
        unit: "% of one processor".to_owned(),
        rows: vec![row],
        notes: vec![
            format!(
                "{} flows in 10 subnets, each of which sends and receives one byte between two scrapes; {scrapes} \
                 scrapes, OpenMetrics with gzip: {:.1} ms of processor time for each.",
                crowd.flows(),
                time.as_secs_f64() * 1e3 / f64::from(scrapes)
            ),
            "Processor time of the process, user and system, divided by wall time. The fold runs in the process and \
             is in it; what programs take in the path of segments is not, and has items of its own."
                .to_owned(),
        ],
        machine: context.machine.clone(),
        ..Item::default()
    })
}

fn measure(process: Process, scraper: &Scraper, crowd: &mut Crowd, scrapes: u32) -> Result<(Row, Duration)> {
    let (began, before) = (moment(), process.time()?);
    for _ in 0..scrapes {
        let next = Deadline::after(INTERVAL);
        crowd.round()?;
        scraper.scrape(FORMS[3])?;
        sleep(next.left());
    }
    let (time, wall) = (process.time()? - before, began.elapsed());
    let percent = 100.0 * time.as_secs_f64() / wall.as_secs_f64();
    Ok((single("100 000 flows, a scrape every 15 s", percent), time))
}
