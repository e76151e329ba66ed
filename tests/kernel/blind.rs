//! Ten incidents and five healthy hosts that were written without a look at the rules of findings, each with what an operator would
//! expect to read, written down before the first run.
//!
//! The tests require that an incident happened, by the kernel's own counters, those of the packet filter, or the errors of calls. They
//! do not require any finding: the answers are printed, and a person judges them as hits, misses and false alarms. An expectation is
//! never changed after a run.
//!
//! The host is a network namespace; its subnets are named by the addresses of their far ends. The same kernel also serves the far ends.
//! What concerns their view of the host has the subnet `this-host`, which no real exporter would show.

mod healthy;
mod incidents;
mod said;
mod site;
mod stage;
mod talk;
mod way;

use std::fs::read_to_string;
use std::sync::{Mutex, PoisonError};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tests::exporter::start;
use tests::kernel::kernel_facts::note;
use tests::machine::settings::only;
use tests::machine::turn;

use crate::blind::said::Said;
use crate::blind::stage::Stage;

/// What an operator would expect to be told first.
struct Expected {
    /// OURS, NETWORK, PEER, SILENT or HERE.
    whose: &'static str,
    /// The name in the configuration; "" where the kernel does not tell whose packets they were.
    subnet: &'static str,
    /// In plain words.
    cause: &'static str,
}

/// An incident or a healthy host.
struct Case {
    /// In one sentence. `TCPVITALS_TEST_ONLY` chooses cases by a part of it.
    title: &'static str,
    /// For a healthy host none.
    expected: Option<Expected>,
    /// The subnets that it needs.
    sites: &'static [&'static str],
    /// Ordinary work before the incident begins, in seconds.
    lead: u64,
    /// How long the incident lasts before the exporter is asked, in seconds.
    length: u64,
    /// Makes the traffic until the stage is over, and gives the proof that it was as the title says.
    play: fn(&Stage) -> Result<String>,
}

impl Case {
    /// What is expected, in one line.
    fn expectation(&self) -> String {
        self.expected.as_ref().map_or_else(
            || "nothing".to_owned(),
            |Expected { whose, subnet, cause }| {
                let subnet = if subnet.is_empty() { "(no subnet)" } else { subnet };
                format!("{whose} {subnet}: {cause}")
            },
        )
    }
}

/// All of them.
fn cases() -> impl Iterator<Item = &'static Case> {
    let all = incidents::INCIDENTS.iter().chain(healthy::HOSTS);
    all.filter(|case| only().is_none_or(|part| case.title.contains(&part)))
}

/// Plays a case: ordinary work, then the incident, during which `ask` is called. Gives the proof and what `ask` gave.
fn play<T>(case: &Case, stage: &Stage, lead: Duration, ask: impl FnOnce() -> Result<T>) -> Result<(String, T)> {
    scope(|scope| {
        let playing = scope.spawn(|| {
            let played = (case.play)(stage);
            // Nobody waits for a fault that will not come.
            stage.end();
            played
        });
        sleep(lead);
        stage.begin_fault();
        let asked = ask();
        stage.end();
        let proof = playing.join().unwrap_or_else(|_| bail!("the traffic panicked"))?;
        Ok((proof, asked?))
    })
}

/// What other programs of the machine do meanwhile.
fn load() -> String {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// One case with an exporter of its own.
fn judge(case: &Case) -> Result<String> {
    let stage = Stage::new(case.sites)?;
    let exporter = start(stage.config())?;
    let lead = Duration::from_secs(case.lead);
    let (proof, said) = scope(|scope| {
        let watching = scope.spawn(|| said::watch(&exporter, &stage));
        let played = play(case, &stage, lead, || {
            sleep(Duration::from_secs(case.length));
            Said::ask(&exporter)
        });
        stage.end();
        let seen = watching
            .join()
            .unwrap_or_else(|_| bail!("the reader of findings panicked"))?;
        let (proof, said) = played?;
        anyhow::Ok((proof, said.with(seen)))
    })?;
    let (title, expectation) = (case.title, case.expectation());
    note(&format!("{title}: expected {expectation}; said {}", said.summary()));
    Ok(format!(
        "{title}\n  expected: {expectation}\n  happened: {proof} (load {})\n{}",
        load(),
        said.text()
    ))
}

/// One case at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Runs all cases, and fails with all that are wrong.
#[expect(clippy::print_stdout, reason = "what a person judges")]
fn run(mut case: impl FnMut(&Case) -> Result<String>) -> Result<()> {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut failures = Vec::new();
    for one in cases() {
        // Others may run between two cases.
        let _turn = turn::shared()?;
        match case(one).with_context(|| one.title) {
            Ok(text) => println!("{text}\n"),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    ensure!(failures.is_empty(), "\n- {}", failures.join("\n- "));
    Ok(())
}

/// Reports: prints what was expected, what happened and what the exporter said. A person judges this; the test fails only if an incident
/// did not happen, if ordinary work failed, or if the exporter gave no answer.
#[test]
#[ignore = "long: make test-long"]
fn what_is_said_of_ten_incidents_and_five_healthy_hosts() -> Result<()> {
    run(judge)
}

/// The traffic alone, for some seconds and without an exporter: every incident happens, and ordinary work goes on beside it.
#[test]
#[ignore = "long: make test-long"]
fn the_incidents_happen() -> Result<()> {
    const LEAD: Duration = Duration::from_secs(4);
    const LENGTH: Duration = Duration::from_secs(14);
    run(|case| {
        let stage = Stage::new(case.sites)?;
        let (proof, ()) = play(case, &stage, LEAD, || {
            sleep(LENGTH);
            Ok(())
        })?;
        Ok(format!("{}: {proof}", case.title))
    })
}
