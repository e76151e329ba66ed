//! Memory of the process, by the kernel's account.

use anyhow::Result;

use crate::context::Context;
use crate::crowd::Crowd;
use crate::figures::single;
use crate::report::model::{Item, Row, Target};
use crate::scraper::{FORMS, Form, Scraper};
use crate::subject::{by_network, crowd_of_series, process, sample_lines, start};
use crate::usage::Process;

/// Of the target.
const FLOWS: usize = 200_000;

/// What Prometheus asks for by default: OpenMetrics, compressed.
const FORM: Form = FORMS[3];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    let mut resident = 0.0;
    for (name, series, flows) in [
        ("no connections", 0, 0),
        ("1 000 series", 1_000, 0),
        ("10 000 series", 10_000, 0),
        ("1 000 series and 200 000 flows", 1_000, FLOWS),
    ] {
        let exporter = start(context, &by_network()?)?;
        let of = process(&exporter);
        let scraper = Scraper::new(&exporter);
        let mut look = |when: &str| -> Result<f64> {
            let (now, peak) = of.memory()?;
            rows.push(row(format!("{name}: resident {when}"), now));
            if when != "before the first scrape" {
                rows.push(row(format!("{name}: peak {when}"), peak));
            }
            Ok(now as f64 / 1e6)
        };
        let mut crowd = crowd_of_series(series)?;
        if flows > 0 {
            crowd.grow(flows)?;
            crowd.round()?;
        }
        look("before the first scrape")?;
        scraper.scrape(FORM)?;
        look("after one scrape")?;
        let scrapes = if context.quick { 20 } else { 100 };
        for _ in 1..scrapes {
            scraper.scrape(FORM)?;
        }
        resident = look(&format!("after {scrapes} scrapes"))?;
        notes.push(composition(name, of, &scraper, &crowd)?);
    }
    notes.push("1 MB is 10⁶ bytes: VmRSS and VmHWM of /proc/PID/status. Scrapes are OpenMetrics with gzip.".to_owned());
    Ok(Item {
        id: "memory".to_owned(),
        title: "Memory of the process".to_owned(),
        unit: "MB".to_owned(),
        rows,
        targets: vec![Target {
            what: "resident memory at 1 000 series and 200 000 flows".to_owned(),
            text: "≤ 16 MB".to_owned(),
            figure: format!("{resident:.1} MB at the end"),
            peer: "agents 50 to 800 MB, an assumption of the target; none was run here".to_owned(),
            met: Some(resident <= 16.0),
            ..Target::default()
        }],
        notes,
        machine: context.machine.clone(),
        ..Item::default()
    })
}

fn row(label: String, bytes: u64) -> Row {
    single(label, bytes as f64 / 1e6)
}

/// What the resident memory is of.
fn composition(name: &str, process: Process, scraper: &Scraper, crowd: &Crowd) -> Result<String> {
    let text = scraper.scrape(FORMS[0])?.body;
    Ok(format!(
        "With {name}: {} series, {} flows of ours; at the end {:.1} MB anonymous and {:.1} MB of files are resident.",
        sample_lines(&text),
        crowd.flows(),
        process.bytes("RssAnon")? as f64 / 1e6,
        process.bytes("RssFile")? as f64 / 1e6,
    ))
}
