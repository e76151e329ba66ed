//! Columns of subnets and of workloads: the same numbers of other connections.

use crate::commands::top::{
    format,
    table::{Column, Row, Tone},
};
use serde_json::Value;
use std::cmp::Ordering;
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::{findings::report::Finding, rows::traffic::TrafficRow};

/// A subnet or a workload.
#[derive(Clone, Debug)]
pub struct GroupRow {
    pub traffic: TrafficRow,
    /// The worst finding that hits it.
    pub verdict: Option<Finding>,
    /// The last two minutes of the number that rows are ordered by: ages, 0 for now and 1 for two minutes ago, and numbers.
    pub samples: Vec<(f64, f64)>,
}

type Of = Column<GroupRow>;

/// The column whose numbers the bars show while rows are ordered by words.
pub const USUAL: &str = "out";

pub const SUBNETS: &[Column<GroupRow>] = &columns(["SUBNET", "subnet"]);
pub const WORKLOADS: &[Column<GroupRow>] = &columns(["WORKLOAD", "workload"]);

/// A share of what the connections did, with the tone of such shares.
macro_rules! share {
    ($names:expr, $width:literal, $rank:literal, $share:ident, $tone:ident) => {
        Of::number(
            $names,
            $width,
            $rank,
            |row: &GroupRow| row.traffic.$share(),
            |row, _| format::percent(row.traffic.$share()),
        )
        .toned(|row| Tone::$tone(row.traffic.$share()))
    };
}

/// A number that is always known.
macro_rules! number {
    ($names:expr, $width:literal, $rank:literal, $text:path, $value:expr) => {
        Of::number(
            $names,
            $width,
            $rank,
            |row| Some($value(row)),
            |row, _| $text($value(row)),
        )
    };
}

const fn columns(name: [&'static str; 2]) -> [Column<GroupRow>; 17] {
    [
        Of::words(name, [12, 40], 0, |row, width| format::cut(&row.traffic.name, width)),
        share!(["RETR", "retransmits"], 5, 1, retransmit_ratio, of_share),
        Of::number(
            ["OURS", "ours"],
            5,
            10,
            |row| row.traffic.after_local_drop(),
            |row, _| format::percent(row.traffic.after_local_drop()),
        ),
        share!(["HERE", "here"], 5, 2, dropped_here, of_share),
        share!(["FAIL", "fail"], 5, 3, failed_opens, of_share),
        share!(["WAIT", "wait"], 5, 5, waits_for_peer, of_wait),
        Of::number(
            ["RTTp50", "p50"],
            7,
            10,
            |row| row.traffic.rtt(0.5),
            |row, _| micros(row.traffic.rtt(0.5)),
        ),
        Of::number(
            ["RTTp90", "p90"],
            7,
            6,
            |row| row.traffic.rtt(0.9),
            |row, _| micros(row.traffic.rtt(0.9)),
        ),
        number!(["OUT/s", "out"], 6, 7, format::short, |row: &GroupRow| row
            .traffic
            .transmit()),
        number!(["IN/s", "in"], 5, 11, format::short, |row: &GroupRow| row
            .traffic
            .receive()),
        number!(["CONN", "connections"], 5, 8, format::short, live),
        Of::words(["2 MIN", "history"], [8, 16], 9, |row, width| {
            format::spark(&row.samples, width.min(16))
        }),
        number!(["FLOOR", "floor"], 6, 12, format::micros, |row: &GroupRow| f64::from(
            row.traffic.rtt_floor
        )),
        number!(["OPEN/s", "opens"], 7, 13, format::rate, |row: &GroupRow| row
            .traffic
            .opens()),
        number!(["SYN/s", "syns"], 6, 14, format::rate, |row: &GroupRow| row
            .traffic
            .repeated_syns()),
        share!(["BUFFER", "buffer"], 7, 15, waits_for_buffer, of_wait),
        Of::words(["VERDICT", "verdict"], [8, 28], 4, |row, width| {
            row.verdict
                .as_ref()
                .map_or_else(String::new, |finding| format::cut(&verdict(finding), width))
        })
        .weighed(|row| row.verdict.as_ref().map(|finding| finding.severity))
        .toned(|row| row.verdict.as_ref().map_or(Tone::PLAIN, Tone::of_finding)),
    ]
}

fn micros(micros: Option<f64>) -> String {
    format::micros(micros.unwrap_or(0.0))
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
const fn live(row: &GroupRow) -> f64 {
    row.traffic.live as f64
}

/// A finding in a few words: whose it is, and its name without saying that twice.
pub fn verdict(finding: &Finding) -> String {
    let whose = finding.whose.as_str();
    let name = finding.finding.replace('_', " ");
    let short = [whose, "own"]
        .into_iter()
        .find_map(|word| name.strip_prefix(word)?.strip_prefix(' '));
    format!("{} {}", whose.to_uppercase(), short.unwrap_or(&name))
}

impl GroupRow {
    /// For programs: the numbers, and the name of the worst finding.
    pub fn json(&self, label: TcpLabel) -> Value {
        let mut json = self.traffic.json(label);
        let finding = self.verdict.as_ref().map(|finding| finding.finding.as_ref());
        json.insert("finding".to_owned(), finding.into());
        json.into()
    }
}

impl Row for GroupRow {
    type Key = String;

    fn key(&self) -> String {
        self.traffic.name.clone()
    }

    fn words(&self) -> Vec<String> {
        let verdict = self
            .verdict
            .iter()
            .flat_map(|finding| [verdict(finding), finding.finding.to_string()]);
        verdict.chain([self.traffic.name.clone()]).collect()
    }

    fn tie(&self, other: &Self) -> Ordering {
        self.traffic.name.cmp(&other.traffic.name)
    }
}
