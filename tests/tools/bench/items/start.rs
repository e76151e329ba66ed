//! From the start of the process to the first good answer.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tests::exporter::{config_file, free_address};
use tests::machine::settings::patience;
use tests::machine::wait::{Deadline, moment};

use crate::context::Context;
use crate::figures::{latency, milliseconds, quantile};
use crate::report::model::{Item, Target};
use crate::usage::Process;

/// Short against what is measured, long against an attempt.
const STEP: Duration = Duration::from_micros(500);

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let (mut ready, mut scraped, mut processor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..context.rounds(20).max(5) {
        ready.push(start(context, "/readyz", "attached")?.0);
        let (wall, time) = start(context, "/metrics", "tcpvitals_tcp_connections")?;
        scraped.push(wall);
        processor.push(time);
    }
    let p99 = quantile(&scraped, 0.99);
    Ok(Item {
        id: "start".to_owned(),
        title: "Start".to_owned(),
        unit: "ms".to_owned(),
        rows: vec![
            latency("to the first /readyz with status 200", &ready),
            latency("to the first /metrics with metrics of connections", &scraped),
            latency("of that, processor time of the exporter", &processor),
        ],
        targets: vec![Target {
            what: "start to first good scrape".to_owned(),
            text: "≤ 250 ms".to_owned(),
            figure: format!("p50 {:.0} ms, p99 {p99:.0} ms", quantile(&scraped, 0.5)),
            met: Some(p99 <= 250.0),
            ..Target::default()
        }],
        notes: vec![
            "From before the process is made to the last byte of the answer; asked again every 0.5 ms until it \
             comes. Each start is for one of the two questions only."
                .to_owned(),
            "The lower figure is the least, the upper one the 99th percentile, which of fewer than 100 is the greatest."
                .to_owned(),
        ],
        machine: context.machine.clone(),
        ..Item::default()
    })
}

/// Killed when dropped.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Milliseconds until a page has this in it, of wall time and of processor time.
fn start(context: &Context, path: &str, word: &str) -> Result<(f64, f64)> {
    let address = free_address()?;
    let config = config_file("")?;
    let url = format!("http://{address}{path}");
    let agent = ureq::Agent::config_builder().timeout_global(Some(patience())).build();
    let agent = agent.new_agent();
    let began = moment();
    let child = Command::new(&context.exporter)
        .args(["serve", "--log.level=warn", "--config.file"])
        .arg(config.path())
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut started = Started(child.with_context(|| format!("start {}", context.exporter.display()))?);
    let deadline = Deadline::after(patience());
    loop {
        // Until it listens, it refuses.
        if let Ok(mut answer) = agent.get(&url).call() {
            let body = answer.body_mut().read_to_string()?;
            let (took, time) = (began.elapsed(), Process(started.0.id()).time()?);
            ensure!(body.contains(word), "{path} has no {word}: {body}");
            return Ok((milliseconds(took), milliseconds(time)));
        }
        if let Some(status) = started.0.try_wait()? {
            bail!("the exporter ended with {status}");
        }
        ensure!(!deadline.passed(), "the exporter does not answer");
        sleep(STEP);
    }
}
