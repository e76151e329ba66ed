//! From what was found to a section of `docs/fleet.md` and its picture. Pure.

use anyhow::{Context as _, Result};

use super::{Found, Sent, Taken};
use crate::report::model::{Axis, Item, Line, Plot};

const BEGIN: &str = "<!-- Measured by make bench-fleet -->\n";
const END: &str = "<!-- End of what was measured -->\n";

/// Seconds between two scrapes that the page computes with.
const INTERVAL: f64 = 15.0;
/// Fleets that nobody has here.
const FLEETS: [f64; 2] = [10_000.0, 100_000.0];

/// A page with another text between the marks.
pub(crate) fn replaced(page: &str, section: &str) -> Result<String> {
    let marks = "docs/fleet.md has lost the marks between which the figures stand";
    let (before, rest) = page.split_once(BEGIN).context(marks)?;
    let (_, after) = rest.split_once(END).context(marks)?;
    Ok(format!("{before}{BEGIN}\n{section}\n{END}{after}"))
}

/// What one more node takes of a reader: between the fewest nodes and the most.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PerNode {
    samples: f64,
    series: f64,
    memory: f64,
    processors: f64,
}

impl PerNode {
    fn of(taken: &[&Taken]) -> Result<Self> {
        let [first, .., last] = taken else {
            anyhow::bail!("one number of nodes says nothing about another")
        };
        let nodes = last.nodes as f64 - first.nodes as f64;
        let slope = |figure: fn(&Taken) -> f64| (figure(last) - figure(first)) / nodes;
        Ok(Self {
            samples: last.samples,
            series: slope(|taken| taken.series),
            memory: slope(|taken| taken.memory),
            processors: slope(|taken| taken.processors),
        })
    }
}

/// The runs in their order, each with its steps.
fn runs(found: &Found) -> Vec<(&str, &str, Vec<&Taken>)> {
    let mut runs: Vec<(&str, &str, Vec<&Taken>)> = Vec::new();
    for taken in &found.taken {
        match runs.last_mut() {
            Some((reader, view, steps)) if *reader == taken.reader && *view == taken.view => steps.push(taken),
            Some(_) | None => runs.push((&taken.reader, &taken.view, vec![taken])),
        }
    }
    runs
}

/// The section, without its marks.
pub(crate) fn section(found: &Found) -> Result<String> {
    let Found {
        origin,
        sent,
        taken,
        machine,
    } = found;
    let steps: Vec<String> = runs(found)
        .first()
        .context("nothing was found")?
        .2
        .iter()
        .map(|taken| taken.nodes.to_string())
        .collect();
    let mut lines = vec![
        format!(
            "Measured on {} with {} CPUs, Linux {}, {}. The metrics are {origin}. Readers scraped {} nodes every 5 s.",
            machine.processor,
            machine.cores,
            machine.kernel,
            machine.date,
            steps.join(", ")
        ),
        String::new(),
        "| an answer | bytes | with gzip | 1,000 nodes each 15 s |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    lines.extend(sent.iter().map(answer));
    lines.extend([
        String::new(),
        "| reader | view | samples a scrape | series, 1,000 nodes | memory, 1,000 nodes | CPUs, 1,000 nodes each 5 s |"
            .to_owned(),
        "| --- | --- | --- | --- | --- | --- |".to_owned(),
    ]);
    let mut computed = vec![
        String::new(),
        "Computed from these, with a scrape every 15 s. Values beyond the measured range are orders of magnitude, not promises:".to_owned(),
        String::new(),
        "| reader | view | nodes | samples a second | series | memory |".to_owned(),
        "| --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    for (reader, view, steps) in runs(found) {
        let PerNode {
            samples,
            series,
            memory,
            processors,
        } = PerNode::of(&steps)?;
        lines.push(format!(
            "| {reader} | {view} | {samples:.0} | {} | {} | {:.2} |",
            count(series * 1000.0),
            bytes(memory * 1000.0),
            processors * 1000.0
        ));
        computed.extend(FLEETS.map(|nodes| {
            format!(
                "| {reader} | {view} | {} | {} | {} | {} |",
                count(nodes),
                count(samples * nodes / INTERVAL),
                count(series * nodes),
                bytes(memory * nodes)
            )
        }));
    }
    lines.extend(computed);
    let most = taken.iter().map(|taken| taken.nodes).max().unwrap_or_default();
    lines.extend([
        String::new(),
        format!("![Memory of readers by nodes, up to {most}](images/bench-fleet.svg)"),
    ]);
    Ok(lines.join("\n") + "\n")
}

fn answer(sent: &Sent) -> String {
    let Sent { view, plain, gzip } = sent;
    format!(
        "| {view} | {} | {} | {}/s |",
        bytes(*plain as f64),
        bytes(*gzip as f64),
        bytes(*gzip as f64 * 1000.0 / INTERVAL)
    )
}

/// With the prefix of its size.
fn bytes(figure: f64) -> String {
    let steps = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let step = steps.into_iter().find(|(size, _)| figure.abs() >= *size);
    let (size, unit) = step.unwrap_or((1.0, "B"));
    format!("{} {unit}", crate::report::number(figure / size))
}

/// To three digits, in groups of three.
fn count(figure: f64) -> String {
    let unit = 10_f64.powf((figure.abs().max(1.0).log10().floor() - 2.0).max(0.0));
    let digits = format!("{:.0}", (figure / unit).round() * unit);
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Memory over nodes, a line for each run.
pub(crate) fn picture(found: &Found) -> Item {
    let axis = |title: &str| Axis {
        title: title.to_owned(),
        logarithmic: false,
    };
    let line = |(reader, view, steps): (&str, &str, Vec<&Taken>)| Line {
        label: format!("{reader}, {view}"),
        points: steps
            .iter()
            .map(|taken| (taken.nodes as f64, taken.memory / 1e6))
            .collect(),
    };
    Item {
        id: "fleet".to_owned(),
        plot: Some(Plot::Lines {
            x: axis("nodes"),
            y: axis("resident memory, MB"),
            lines: runs(found).into_iter().map(line).collect(),
        }),
        ..Item::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(nodes: usize, memory: f64) -> Taken {
        Taken {
            reader: "Prometheus".to_owned(),
            view: "fleet view, text".to_owned(),
            nodes,
            samples: 150.0,
            series: 500.0 + 150.0 * nodes as f64,
            memory,
            processors: 0.01 * nodes as f64,
        }
    }

    fn found() -> Found {
        Found {
            origin: "of a test".to_owned(),
            sent: vec![Sent {
                view: "fleet view, text".to_owned(),
                plain: 20_000,
                gzip: 1_500,
            }],
            taken: vec![taken(10, 100e6), taken(20, 110e6)],
            ..Found::default()
        }
    }

    #[test]
    fn what_one_more_node_takes_is_told_for_many() {
        let text = section(&found()).unwrap();
        for line in [
            "| fleet view, text | 20.0 kB | 1.50 kB | 100 kB/s |",
            "| Prometheus | fleet view, text | 150 | 150,000 | 1.00 GB | 10.00 |",
            "| Prometheus | fleet view, text | 10,000 | 100,000 | 1,500,000 | 10.0 GB |",
            "| Prometheus | fleet view, text | 100,000 | 1,000,000 | 15,000,000 | 100 GB |",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
        let one = Found {
            taken: vec![taken(10, 1.0)],
            ..found()
        };
        assert!(section(&one).is_err());
    }

    #[test]
    fn figures_have_three_digits() {
        let shown = [0.0, 7.4, 1886.0, 12_345.0, 99_999.0, 1_886_400.0].map(count);
        assert_eq!(shown, ["0", "7", "1,890", "12,300", "100,000", "1,890,000"]);
        assert_eq!([950.0, 1500.0, 2.5e9].map(bytes), ["950 B", "1.50 kB", "2.50 GB"]);
    }

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n\n{END}b\n"));
        assert!(replaced("a\n", "new\n").is_err());
    }

    #[test]
    fn the_picture_has_a_line_for_each_run() {
        let text = crate::report::plot::draw(&picture(&found())).unwrap().unwrap();
        assert!(text.contains("Prometheus, fleet view, text"), "{text}");
    }
}
