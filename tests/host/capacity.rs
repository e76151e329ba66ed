//! How much memory and how many series a label set takes, as `docs/capacity.md` says it: computed from the tables.
//!
//! `UPDATE=1 cargo test -p tests --test host` writes it there.

use anyhow::Result;
use common::map::shards::Shards;
use tcpvitals_config::{Config, MetricFilter};
use tcpvitals_kernel::load::capacity::{bytes_of_drop, bytes_of_group, of_memory};
use tcpvitals_metrics::families::{self, METRICS, Scope};
use tcpvitals_metrics::labels::Cost;

use crate::golden::{CASES, Case, require_section};

/// Lines of text of one label set in which everything was observed, by the default configuration: those of the golden file, and one
/// for each metric that its kernel lacks.
fn lines_of_a_label_set() -> Result<usize> {
    let Case { off, .. } = &CASES[0];
    let text = CASES[0].text()?;
    let labels = r#"subnet="office",connection_type="wired",app_protocol="https",role="client""#;
    let of_set = |line: &&str| line.contains(labels) && line.starts_with("tcpvitals_tcp_");
    let lines: Vec<&str> = text.lines().filter(of_set).collect();
    let mut missing = 0;
    for metric in METRICS.iter().filter(|metric| metric.source.scope() == Scope::Tcp) {
        let name = metric.full_name();
        if !MetricFilter::default().shows(&name) {
            continue;
        }
        if !lines.iter().any(|line| line.starts_with(&name)) {
            assert!(off.contains(&name.as_str()), "{name} has no line");
            missing += 1;
        }
    }
    Ok(lines.len() + missing)
}

#[test]
fn the_page_on_capacity_says_how_many_label_sets_fit() -> Result<()> {
    let Cost { group, drop, listener } = families::cost(&MetricFilter::default());
    let series = Config::built_in().limits.series;
    let of_drops = series / 5;
    let of_listeners = series / 20;
    let (groups, drops) = ((series - of_drops - of_listeners) / group, of_drops / drop);
    let listeners = of_listeners / listener;
    let lines = lines_of_a_label_set()?;
    // What receivers of a fleet are planned for.
    assert!(lines <= 120 && group <= 60, "{lines} lines, {group} series");
    let sentence = format!(
        "A label set of the TCP metrics takes {group} series, as text at most {lines} lines, one of drops {drop}, \
         one of listeners {listener}. The default of `limits.series`, {series}, holds\n{groups} label sets of connections, {drops} of \
         drops and {listeners} of listeners.\n"
    );
    require_section(
        "docs/capacity.md",
        "<!-- Computed from the metric table: tests/host/capacity.rs -->\n",
        "<!-- End -->\n",
        &sentence,
    )
}

/// Online and possible CPUs.
const MACHINES: [(u32, u32); 6] = [(2, 2), (8, 8), (16, 16), (2, 128), (64, 64), (512, 512)];

#[test]
fn the_page_on_capacity_says_how_many_label_sets_the_memory_holds() -> Result<()> {
    let memory = Config::built_in().limits.memory;
    let shards: Vec<_> = MACHINES
        .iter()
        .map(|&(online, possible)| Shards::of_machine(possible, online))
        .collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let name = |&(online, possible): &(u32, u32)| {
        if online == possible {
            format!("{online} CPUs")
        } else {
            format!("{online} of {possible}")
        }
    };
    let mut head = vec!["table".to_owned(), "bytes of a slot".to_owned()];
    head.extend(MACHINES.iter().map(name));
    let mut table = line(head) + &line(vec!["---".to_owned(); MACHINES.len() + 2]);
    let mut copies = vec!["copies of a counter".to_owned(), String::new()];
    copies.extend(shards.iter().map(|shards| shards.count().to_string()));
    table += &line(copies);
    let formula = |bytes: fn(u32) -> usize| format!("{} × copies + {}", bytes(1) - bytes(0), bytes(0));
    let mut groups = vec!["groups".to_owned(), formula(bytes_of_group)];
    // One is for `other`.
    groups.extend(
        shards
            .iter()
            .map(|&shards| (of_memory(memory, shards).groups - 1).to_string()),
    );
    let mut drops = vec!["drops".to_owned(), formula(bytes_of_drop)];
    drops.extend(shards.iter().map(|&shards| of_memory(memory, shards).drops.to_string()));
    require_section(
        "docs/capacity.md",
        "<!-- Computed from the tables: tests/host/capacity.rs -->\n",
        "<!-- End of the tables -->\n",
        &(table + &line(groups) + &line(drops)),
    )
}
