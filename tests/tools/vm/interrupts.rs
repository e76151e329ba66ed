//! The table of the runs in which interrupts land in programs (`make test-interrupts`): from what `tests/kernel/interrupts.rs` says,
//! in the logs of guests and of this machine, to a part of `docs/kernels.md`.

use std::fs::{read_dir, read_to_string};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::results::Results;

/// Where the part begins. Its figures differ from run to run, so that nobody compares them.
pub(crate) const HEAD: &str = "\n## Interrupts\n";
/// What the tests of the table begin with.
const TESTS: &str = "interrupts::";

const INTRODUCTION: &str = "
The kernel skips a program on a processor that already runs it; a second program then does its work ([Interrupts](numbers.md#interrupts)).
`make test-interrupts` runs these tests with two processors. Over veth each processor interrupts the other (RPS). Over cards two virtual
network cards of a guest interrupt, each on its own processor. Meanwhile the exporter collects every 100 ms. *Events* is the number of
events of a hook in the kernel's trace buffer. *Runs* and *skipped* are the kernel's counts for the first program. *Second* is the number
of skipped runs that the second program took over. *Lost* is `tcpvitals_events_lost_total`. *Withheld* is the number of events during the
init process of a sandbox, which no program sees. A test fails unless second and lost add up to skipped. It also fails unless runs,
skipped and withheld add up to the events; scrapes before the trace buffer begins and after it ends, which are connections too, may differ.

A test is *exact* if every number equals the kernel's: connections `TcpActiveOpens` and `TcpPassiveOpens`, segments `TcpOutSegs`,
retransmissions `TcpRetransSegs`, drops nftables and `UdpNoPorts`; and if no event is lost. Linux 7.0 and newer may lose events, each
counted. A test with fewer than 200 skipped runs fails, because it did not provoke interrupts; a single thread, which waits for its own
packets, needs none. Without second programs the same test must fail. With PREEMPT_RT, where softirqs are threads and the kernel skips
nothing, it must pass even then.
";

/// A kernel's runs.
struct Runs {
    release: String,
    results: Results,
}

/// The part of the page; "" where nothing has been run. `runs` has a folder for each kernel.
pub(crate) fn part(runs: &Path) -> Result<String> {
    let mut kernels = Vec::new();
    let folders = read_dir(runs).into_iter().flatten();
    for folder in folders {
        let log = folder?.path().join("job.log");
        if log.is_file() {
            let text = read_to_string(&log).with_context(|| format!("read {}", log.display()))?;
            kernels.push(Runs::read(&text));
        }
    }
    kernels.retain(|kernel| !kernel.results.notes.is_empty());
    kernels.sort_by_key(|kernel| order(&kernel.release));
    if kernels.is_empty() {
        return Ok(String::new());
    }
    let mut page = format!("{HEAD}{INTRODUCTION}");
    for Runs { release, results } in &kernels {
        page.push_str(&format!(
            "\n### Interrupts on {release}\n\n\
             | test | load | hook | events | withheld | runs | skipped | second | lost | result |\n\
             | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
        ));
        for (test, notes) in &results.notes {
            page.push_str(&rows(test, notes, results.failed.contains(test)));
        }
        for (test, reasons) in &results.skipped {
            if let Some(test) = test.strip_prefix(TESTS) {
                page.push_str(&format!(
                    "| {} | | | | | | | | | skipped: {} |\n",
                    words(test),
                    reasons.join("; ")
                ));
            }
        }
    }
    Ok(page)
}

impl Runs {
    /// Reads a log: in those of guests each line has its time before it.
    fn read(text: &str) -> Self {
        let without_time = |line: &str| {
            let after = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
            after.map_or(line, |(_, said)| said).to_owned()
        };
        let lines: Vec<String> = text.lines().map(without_time).collect();
        let release = lines.iter().find_map(|line| line.strip_prefix("guest: kernel "));
        let release = release.unwrap_or_default().to_owned();
        let mut results = Results::read(&lines);
        results.notes.retain(|test, _| test.starts_with(TESTS));
        Self { release, results }
    }
}

/// Numbers, and what is not one of the first two for itself: 6.1, 6.1 with PREEMPT_RT, 6.12.
fn order(release: &str) -> (Vec<u32>, String) {
    let numbers = release.split(['.', '-', '+']).map_while(|part| part.parse().ok());
    (numbers.take(2).collect(), release.to_owned())
}

/// A row for each hook of a test; the first has what is said of the whole.
fn rows(test: &str, notes: &[String], has_failed: bool) -> String {
    let said = |key: &str| notes.iter().rev().find_map(|note| note.strip_prefix(key));
    let result = match said("result: ") {
        Some(result) if !has_failed => result,
        _ => "**failed**",
    };
    let (mut test, mut load, mut result) = (
        words(test.strip_prefix(TESTS).unwrap_or(test)),
        said("load: ").unwrap_or_default().to_owned(),
        result.replace('|', "\\|"),
    );
    let mut rows = String::new();
    for (hook, outcome) in notes
        .iter()
        .filter_map(|note| note.strip_prefix("hook ")?.split_once(": "))
    {
        let numbers: Vec<&str> = outcome
            .split(", ")
            .map(|part| part.split(' ').next().unwrap_or_default())
            .collect();
        rows.push_str(&format!(
            "| {test} | {load} | `{hook}` | {} | {result} |\n",
            numbers.join(" | ")
        ));
        (test, load, result) = Default::default();
    }
    if rows.is_empty() {
        let of_command = notes
            .iter()
            .rev()
            .find(|note| note.contains(" made, "))
            .map_or("", |note| &**note);
        rows = format!("| {test} | {load}; {of_command} | | | | | | | | {result} |\n");
    }
    rows
}

/// `drops::all_are_counted`: drops: all are counted.
fn words(test: &str) -> String {
    test.replace("::", ": ").replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_becomes_rows() {
        let log = "[   1.00] guest: kernel 6.1.0-49-amd64\n\
                   [   2.00] note interrupts::drops::all: load: 7000 packets, 900 a second\n\
                   [   2.00] note interrupts::drops::all: hook kfree_skb: 9 events, 1 withheld, 5 runs, 3 skipped, 2 taken over, 1 lost\n\
                   [   2.00] note interrupts::drops::all: result: exact\n\
                   [   2.00] test interrupts::drops::all ... ok\n\
                   [   2.00] note interrupts::drops::other: hook kfree_skb: 9 events, 1 withheld, 5 runs, 3 skipped, 2 taken over, 1 lost\n\
                   [   2.00] test interrupts::drops::other ... FAILED\n";
        let Runs { release, results } = Runs::read(log);
        assert_eq!(order(&release).0, [6, 1]);
        let of = |test: &str| {
            rows(
                test,
                &results.notes[test],
                results.failed.iter().any(|failed| failed == test),
            )
        };
        assert_eq!(
            of("interrupts::drops::all"),
            "| drops: all | 7000 packets, 900 a second | `kfree_skb` | 9 | 1 | 5 | 3 | 2 | 1 | exact |\n"
        );
        assert_eq!(
            of("interrupts::drops::other"),
            "| drops: other |  | `kfree_skb` | 9 | 1 | 5 | 3 | 2 | 1 | **failed** |\n"
        );
    }
}
