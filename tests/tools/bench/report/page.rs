//! The page: targets first, then every item, then how it was measured and where. Pure.

use super::model::{Item, Machine, Row, Target};
use super::picture_of;
use super::plot::is_drawn;

/// `docs/benchmarks.md`.
pub(crate) fn page(items: &[Item]) -> String {
    let mut lines = vec![
        "# Benchmarks".to_owned(),
        String::new(),
        "Look up what the exporter costs: for a segment, a connection, a drop, a collection and a scrape, beside other tools. Written by \
         `make bench-report` from the results of `make bench`. [Method](#method) says how each figure was measured, \
         [Machine](#machine) on which machine. On another machine the figures differ; what lies above the floor differs less."
            .to_owned(),
        String::new(),
        "## Targets".to_owned(),
        String::new(),
        "| what | target | figure | ratio | floor | peer | met |".to_owned(),
        "| --- | --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    lines.extend(items.iter().flat_map(|item| &item.targets).map(target));
    for item in items {
        section(&mut lines, item);
    }
    lines.push(METHOD.to_owned());
    machines(&mut lines, items);
    lines.join("\n") + "\n"
}

fn target(target: &Target) -> String {
    let Target {
        what,
        text,
        figure,
        floor,
        peer,
        ratio,
        met,
        why,
    } = target;
    let met = match met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "unknown",
    };
    let met = [met, why].into_iter().filter(|part| !part.is_empty());
    let met = met.collect::<Vec<_>>().join(": ");
    row(&[what, text, figure, ratio, floor, peer, &met])
}

/// A line of a table. A bar in a cell would end it.
fn row(cells: &[&str]) -> String {
    let cells = cells.iter().map(|cell| cell.replace('|', "\\|"));
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

fn section(lines: &mut Vec<String>, item: &Item) {
    lines.extend([String::new(), format!("## {}", item.title), String::new()]);
    if let Some(void) = &item.void {
        lines.extend([format!("Void, and not shown: {void}."), String::new()]);
    }
    let floor = item.rows.iter().any(|row| row.above_floor.is_some());
    let ratio = item.rows.iter().any(|row| row.ratio.is_some());
    if !item.rows.is_empty() {
        let mut head = vec!["", &item.unit, "quartiles", "ratio", "above the floor", "samples"];
        let keep = |index: usize| (index != 3 || ratio) && (index != 4 || floor);
        let mut table = vec![head.clone(), vec!["---"; head.len()]];
        head.clear();
        let cells: Vec<[String; 6]> = item.rows.iter().map(cells).collect();
        table.extend(cells.iter().map(|cells| cells.iter().map(|cell| &**cell).collect()));
        lines.extend(table.iter().map(|cells| {
            let kept = cells.iter().enumerate().filter(|(index, _)| keep(*index));
            row(&kept.map(|(_, cell)| *cell).collect::<Vec<_>>())
        }));
        lines.push(String::new());
    }
    if is_drawn(item) {
        let picture = picture_of(&item.id);
        lines.extend([format!("![{}](images/{picture})", item.title), String::new()]);
    }
    lines.extend(item.notes.iter().map(|note| format!("- {note}")));
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
}

fn cells(row: &Row) -> [String; 6] {
    let Row {
        label,
        median,
        low,
        high,
        samples,
        ratio,
        above_floor,
    } = row;
    [
        label.clone(),
        number(*median),
        format!("{} to {}", number(*low), number(*high)),
        ratio.map(|ratio| format!("{ratio:.4}")).unwrap_or_default(),
        above_floor.map(number).unwrap_or_default(),
        samples.to_string(),
    ]
}

/// Three digits or four, and no more than a measurement has.
pub(crate) fn number(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

const METHOD: &str = "
## Method

A contestant is a set of programs that is attached while the operation runs. `nothing` is no program. Contestants take turns in
windows of 30 ms: nothing, the first, nothing, the second, and so on, in a new random order in each round. The first 2 ms of a
window do not count. One thread, pinned to one processor, works all the time. A figure is the processor time of this thread for
an operation (`CLOCK_THREAD_CPUTIME_ID`). It includes the interrupts during the thread. Loopback delivers packets in these
interrupts, so a figure includes both ends. To get a ratio, each window of a contestant is divided by the mean of the windows of
nothing before and after it; the ratio is the median of these quotients. The figures in the tables are the ratio and its
quartiles, multiplied by the median of nothing.

- **nothing, as a contestant** compares windows without programs with each other, in as many windows as another contestant has.
  If its ratio is outside 1 ± 0.01, the item is void and its figures are not shown.
- **floor** is a set of programs that only return, on every hook that the exporter has. The cost above the floor is the work
  of the exporter's programs.
- **tcpvitals** are the exporter's own programs, with the maps that it has filled by its configuration. They are opened by
  their numbers while it runs; it is then ended, and they are attached and detached in its order.
- **bpftrace** counts in maps too and is treated alike. **tcplife** and **tcpstates** hand events to their process, which is
  started and killed for each turn of seven windows; `sleep`, started and killed likewise, is their nothing.

Runs of programs for an operation are the kernel's own count (`BPF_ENABLE_STATS`), in a window that is not measured.
Figures without a ratio say in their item how they were taken.
";

/// Every machine and day that results are of.
fn machines(lines: &mut Vec<String>, items: &[Item]) {
    lines.extend(["## Machine".to_owned(), String::new()]);
    let mut seen: Vec<&Machine> = Vec::new();
    for item in items {
        if !seen.contains(&&item.machine) {
            seen.push(&item.machine);
        }
    }
    for machine in seen {
        let ids: Vec<&str> = items
            .iter()
            .filter(|item| item.machine == *machine)
            .map(|item| &*item.id)
            .collect();
        let Machine {
            processor,
            cores,
            memory,
            kernel,
            clock_source,
            virtualised,
            mitigations,
            load,
            date,
            commit,
        } = machine;
        let kind = if *virtualised { "virtual" } else { "not virtual" };
        lines.push(format!(
            "- {}: {date}, commit {commit}. {processor}, {cores} processors, {kind}; load before the run {load}; {memory} MiB; Linux {kernel}; clock source \
             {clock_source}; mitigations: {}.",
            ids.join(", "),
            mitigations.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Plot;
    use super::*;

    fn sample() -> Item {
        let row = |label: &str, ratio: Option<f64>, above_floor| Row {
            label: label.to_owned(),
            median: 123.4,
            low: 12.34,
            high: 1.234,
            samples: 7,
            ratio,
            above_floor,
        };
        Item {
            id: "segment".to_owned(),
            title: "A small segment".to_owned(),
            unit: "ns".to_owned(),
            rows: vec![
                row("nothing", None, None),
                row("tcpvitals, `full`", Some(1.05), Some(59.96)),
            ],
            targets: vec![Target {
                what: "segment path".to_owned(),
                text: "a | b".to_owned(),
                figure: "60 ns".to_owned(),
                met: Some(false),
                why: "noise".to_owned(),
                ..Target::default()
            }],
            notes: vec!["A note.".to_owned()],
            plot: Some(Plot::Ratios),
            void: None,
            machine: Machine {
                processor: "A processor".to_owned(),
                date: "2026-01-31".to_owned(),
                ..Machine::default()
            },
        }
    }

    #[test]
    fn the_page_has_targets_items_and_machine() {
        let text = page(&[sample()]);
        for line in [
            "| segment path | a \\| b | 60 ns |  |  |  | **no**: noise |",
            "## A small segment",
            "|  | ns | quartiles | ratio | above the floor | samples |",
            "| nothing | 123 | 12.3 to 1.23 |  |  | 7 |",
            "| tcpvitals, `full` | 123 | 12.3 to 1.23 | 1.0500 | 60.0 | 7 |",
            "![A small segment](images/bench-segment.svg)",
            "- A note.",
        ] {
            assert!(text.lines().any(|other| other == line), "no line {line} in\n{text}");
        }
        assert!(text.contains("- segment: 2026-01-31, commit . A processor, 0 processors, not virtual"));
        assert!(!text.contains("Void"));
    }

    #[test]
    fn columns_that_an_item_does_not_have_are_left_out_and_void_is_said() {
        let mut item = sample();
        item.void = Some("nothing against nothing is 1.0200".to_owned());
        item.rows.truncate(1);
        let text = page(&[item]);
        assert!(
            text.contains("|  | ns | quartiles | samples |\n| --- | --- | --- | --- |\n"),
            "{text}"
        );
        assert!(text.contains("Void, and not shown: nothing against nothing is 1.0200."));
        // Nothing with a ratio, so nothing to draw.
        assert!(!text.contains("!["));
    }

    #[test]
    fn results_come_back_from_their_file() {
        let text = serde_json::to_string(&sample()).unwrap();
        assert_eq!(serde_json::from_str::<Item>(&text).unwrap(), sample());
    }
}
