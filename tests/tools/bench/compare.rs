//! One comparison: a workload, everybody who takes part in it, and the rows that come of it.

use anyhow::Result;

use crate::contestants::{ESSENTIAL, EVERYTHING, FULL, NO_LOCAL_LOSS, ours};
use crate::context::Context;
use crate::pairs::{Contestant, FLOOR, FLOOR_OF_ONE, NULL, Outcome, processor_time, rows, runs, take_turns};
use crate::peers::Peer;
use crate::report::model::{Item, Row, Target};

/// Names of contestants.
pub(crate) const OURS_FULL: &str = "tcpvitals, `full`";
pub(crate) const OURS_ESSENTIAL: &str = "tcpvitals, `essential`";
pub(crate) const OURS_EVERYTHING: &str = "tcpvitals, everything on";
pub(crate) const OURS_NO_LOCAL_LOSS: &str = "tcpvitals, `full`, without local loss";
pub(crate) const OLDER: &str = "tcpvitals, `full`, an older one";
/// The exporter as it would be if no interrupt landed in a program.
pub(crate) const OURS_ALONE: &str = "tcpvitals, `full`, without second programs";

/// What labels of peers begin with.
const PEERS: [&str; 3] = ["bpftrace", "tcplife", "tcpstates"];

/// Nothing, empty programs on the exporter's hooks, the exporter with both details, and what is left of both without the second
/// program of each hook.
pub(crate) fn usual(context: &Context) -> Result<Vec<Contestant>> {
    let full = ours(context, OURS_FULL, FULL)?;
    let floor = Contestant::floor(&full, FLOOR)?;
    let essential = Contestant {
        is_on_floor: false,
        ..ours(context, OURS_ESSENTIAL, ESSENTIAL)?
    };
    let [floor_of_one, alone] = without_second_programs(&full)?;
    Ok(vec![Contestant::null(), floor, full, essential, floor_of_one, alone])
}

/// The exporter with all that can be switched on, and without what finds retransmissions after drops of this host.
pub(crate) fn more_and_less(context: &Context) -> Result<[Contestant; 2]> {
    let everything = Contestant {
        is_on_floor: false,
        ..ours(context, OURS_EVERYTHING, EVERYTHING)?
    };
    Ok([everything, ours(context, OURS_NO_LOCAL_LOSS, NO_LOCAL_LOSS)?])
}

/// What the second programs cost is what these two cost less: empty programs, and the exporter, with one program on each hook.
pub(crate) fn without_second_programs(full: &Contestant) -> Result<[Contestant; 2]> {
    let alone = Contestant::one_per_hook(full, OURS_ALONE)?;
    Ok([Contestant::floor(&alone, FLOOR_OF_ONE)?, alone])
}

/// What an item gathers.
#[derive(Debug)]
pub(crate) struct Findings {
    item: Item,
    voids: Vec<String>,
}

impl Findings {
    /// Nothing found so far.
    pub(crate) fn new(context: &Context, id: &str, title: &str, unit: &str) -> Self {
        Self {
            item: Item {
                id: id.to_owned(),
                title: title.to_owned(),
                unit: unit.to_owned(),
                machine: context.machine.clone(),
                ..Item::default()
            },
            voids: Vec::new(),
        }
    }

    /// Adds a sentence for the reader.
    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        self.item.notes.push(sentence.into());
    }

    /// Lets a peer take part, or says why it does not.
    pub(crate) fn invite(&mut self, contestants: &mut Vec<Contestant>, peer: Peer<Contestant>) {
        match peer {
            Ok(peer) => contestants.push(peer),
            Err(why) => self.note(why),
        }
    }

    /// Adds what was measured; `scale` times its figures is in the item's unit. A group is part of the rows' labels: `FIN, IPv4`.
    pub(crate) fn add(&mut self, group: &str, outcomes: &[Outcome], scale: f64) {
        match rows(outcomes, scale) {
            Ok(rows) => self.item.rows.extend(rows.into_iter().map(|row| Row {
                label: named(group, &row.label),
                ..row
            })),
            Err(why) => self.voids.push(named(group, &why)),
        }
    }

    /// Adds a peer that took turns as a process, the last of the outcomes, in nanoseconds.
    pub(crate) fn add_process(&mut self, group: &str, outcomes: &[Outcome]) {
        let name = outcomes.last().map_or("", |outcome| &*outcome.label);
        let label = format!("{group}: {name}, as a process");
        match rows(outcomes, 1.0) {
            Ok(rows) => self
                .item
                .rows
                .extend(rows.into_iter().last().map(|row| Row { label, ..row })),
            Err(why) => self.voids.push(format!("{label}: {why}")),
        }
    }

    /// Takes turns with a workload, by processor time, and adds what came out.
    pub(crate) fn measure(
        &mut self,
        (group, rounds, scale): (&str, usize, f64),
        contestants: &[Contestant],
        mut operate: impl FnMut() -> Result<f64>,
    ) -> Result<()> {
        for contestant in contestants
            .iter()
            .filter(|other| ![NULL, FLOOR, FLOOR_OF_ONE].contains(&&*other.label))
        {
            let said: Vec<String> = runs(contestant, &mut operate)?
                .into_iter()
                .map(|(name, runs)| format!("{name} {:.2}", runs * scale))
                .collect();
            let said = if said.is_empty() {
                "none".to_owned()
            } else {
                said.join(", ")
            };
            let name = named(group, &contestant.label);
            self.note(format!(
                "Programs that run, {name}: {said} ({}).",
                self.item.unit.replace("ns ", "")
            ));
        }
        println!("  {}: {rounds} rounds of {}", named(group, "turns"), contestants.len());
        for outcomes in take_turns(contestants, rounds, processor_time(operate))? {
            self.add(group, &outcomes, scale);
        }
        Ok(())
    }

    /// The row of a label, if its figures count.
    pub(crate) fn row(&self, label: &str) -> Option<&Row> {
        self.item.rows.iter().find(|row| row.label == label)
    }

    /// By how much the first row of a group whose label begins so is above the group's floor, in the item's unit.
    pub(crate) fn above_floor(&self, group: &str, label: &str) -> Option<f64> {
        let median = |label| {
            let start = named(group, label);
            let row = self.item.rows.iter().find(|row| row.label.starts_with(&start))?;
            Some(row.median)
        };
        Some(median(label)? - median(FLOOR)?)
    }

    /// Adds a target. `judge` says of the row of `label` what was found, and whether that is enough; what
    /// stands in the way (`why`) is told of one that is missed.
    pub(crate) fn target(&mut self, target: Target, label: &str, judge: impl Fn(&Row) -> (String, bool)) {
        let group = label
            .rsplit_once(": ")
            .map_or(String::new(), |(group, _)| format!("{group}: "));
        let ratio = |row: &Row| row.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        let with = |name: &str| {
            let start = format!("{group}{name}");
            self.item.rows.iter().find(|row| row.label.starts_with(&start))
        };
        let peers = self.item.rows.iter().filter_map(|row| {
            let name = row.label.strip_prefix(&*group)?.split([' ', ',']).next()?;
            PEERS.contains(&name).then(|| format!("{name} {}", ratio(row)))
        });
        let peer = peers.collect::<Vec<_>>().join(", ");
        let floor = with(FLOOR).map(ratio);
        let judged = match self.row(label) {
            None => Target {
                why: "not measured: its figures are void".to_owned(),
                ..target
            },
            Some(row) => {
                let (figure, met) = judge(row);
                Target {
                    figure,
                    floor: floor.unwrap_or_default(),
                    peer,
                    ratio: ratio(row),
                    met: Some(met),
                    why: if met { String::new() } else { target.why },
                    ..target
                }
            }
        };
        self.item.targets.push(judged);
    }

    /// The item.
    pub(crate) fn done(self) -> Item {
        let Self { item, voids } = self;
        let void = (!voids.is_empty()).then(|| voids.join("; "));
        Item { void, ..item }
    }
}

/// A label within a group.
fn named(group: &str, label: &str) -> String {
    match group {
        "" => label.to_owned(),
        group => format!("{group}: {label}"),
    }
}

/// What is asked for.
pub(crate) fn asked(what: &str, text: &str) -> Target {
    Target {
        what: what.to_owned(),
        text: text.to_owned(),
        ..Target::default()
    }
}
