//! Whether anything runs between scrapes.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use crate::context::Context;
use crate::figures::single;
use crate::report::model::{Item, Target};
use crate::scraper::{FORMS, Scraper};
use crate::subject::{process, start};
use crate::usage::{Process, Thread};

/// What a scrape itself still does when its answer has come, is done by then.
const AFTER: Duration = Duration::from_millis(500);

/// Until the next scrape would come, at the usual interval of 15 s.
const BETWEEN: Duration = Duration::from_secs(14);

/// By then the exporter has given up an idle connection, and has ended idle threads.
const ALL_OVER: Duration = Duration::from_secs(25);

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let silence = Duration::from_secs(if context.quick { 10 } else { 30 });
    let exporter = start(context, "")?;
    let of = process(&exporter);
    let scraper = Scraper::new(&exporter);
    for form in FORMS {
        scraper.scrape(form)?;
    }
    sleep(AFTER);
    let between = WakeUps::during(of, BETWEEN)?;
    drop(scraper);
    sleep(ALL_OVER - BETWEEN);
    let silent = WakeUps::during(of, silence)?;
    let labels = [
        format!("{} s between two scrapes over one connection", BETWEEN.as_secs()),
        format!("{} s of silence, long after the last scrape", silence.as_secs()),
    ];
    Ok(Item {
        id: "wake-ups".to_owned(),
        title: "Wake-ups between scrapes".to_owned(),
        unit: "wake-ups".to_owned(),
        rows: vec![
            single(labels[0].clone(), between.sum() as f64),
            single(labels[1].clone(), silent.sum() as f64),
        ],
        targets: vec![Target {
            what: "wake-ups between scrapes".to_owned(),
            text: "0 in pull mode".to_owned(),
            figure: format!("{} in {}; {} in {}", between.sum(), labels[0], silent.sum(), labels[1]),
            met: Some(between.sum() + silent.sum() == 0),
            why: [between, silent].map(|wake_ups| wake_ups.why()).concat(),
            ..Target::default()
        }],
        notes: vec![
            "Context switches of all threads, of their own will or not, as /proc/PID/task/*/status counts them; a \
             thread that ended counts as one more."
                .to_owned(),
        ],
        machine: context.machine.clone(),
        ..Item::default()
    })
}

/// What happened while nobody asked for anything.
struct WakeUps {
    /// Those that woke up, and how often.
    woken: BTreeMap<Thread, u64>,
    /// Those that ended, for which they have to wake up.
    ended: Vec<Thread>,
}

impl WakeUps {
    fn during(process: Process, silence: Duration) -> Result<Self> {
        let before = process.switches()?;
        sleep(silence);
        let after = process.switches()?;
        let ended = before.keys().filter(|thread| !after.contains_key(thread));
        let more = |(thread, &count): (&Thread, &u64)| {
            let more = count - before.get(thread).copied().unwrap_or(0);
            (more > 0).then(|| (thread.clone(), more))
        };
        Ok(Self {
            ended: ended.cloned().collect(),
            woken: after.iter().filter_map(more).collect(),
        })
    }

    fn sum(&self) -> u64 {
        self.woken.values().sum::<u64>() + self.ended.len() as u64
    }

    /// Whose they were.
    fn why(&self) -> String {
        let woken = self
            .woken
            .iter()
            .map(|(thread, times)| format!("{thread} {times} times; "));
        let ended = self.ended.iter().map(|thread| format!("{thread} ended; "));
        woken.chain(ended).collect()
    }
}
