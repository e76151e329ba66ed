//! Columns of findings: what `explain` prints, in a line each.

use crate::commands::top::{
    format,
    table::{Column, Row, Tone},
};
use std::cmp::Ordering;
use tcpvitals_metrics::findings::report::{Finding, shown};

/// A finding.
#[derive(Clone, Debug)]
pub struct FindingRow(pub Finding);

type Of = Column<FindingRow>;

pub const COLUMNS: &[Column<FindingRow>] = &[
    Of::words(["WHOSE", "whose"], [7, 7], 0, |row, _| {
        row.0.whose.as_str().to_uppercase()
    })
    .toned(tone),
    Of::words(["SUBNET", "subnet"], [12, 32], 1, |row, width| {
        format::cut(if row.0.subnet.is_empty() { "-" } else { &row.0.subnet }, width)
    }),
    Of::number(
        ["SEV", "severity"],
        5,
        3,
        |row| Some(row.0.severity),
        |row, _| format::rate(row.0.severity),
    ),
    Of::number(
        ["RATE/s", "rate"],
        7,
        5,
        |row| Some(row.0.rate),
        |row, _| format::rate(row.0.rate),
    ),
    Of::number(
        ["SHARE", "share"],
        6,
        6,
        |row| Some(row.0.share),
        |row, _| format::percent(Some(row.0.share)),
    ),
    Of::number(
        ["SINCE", "since"],
        9,
        4,
        |row| Some(row.0.since.at.as_secs_f64()),
        |row, _| since(&row.0),
    ),
    Of::words(["SAYS", "says"], [16, 100], 2, |row, width| {
        format::cut(&row.0.says, width)
    }),
    Of::words(["SERVICES", "services"], [10, 30], 10, |row, width| {
        format::cut(&shown(&row.0.services).join(", "), width)
    }),
    Of::words(["WORKLOADS", "workloads"], [10, 40], 11, |row, width| {
        format::cut(&shown(&row.0.workloads).join(", "), width)
    })
    .of_workloads(),
];

/// Since when; before that where nothing older is known.
pub fn since(finding: &Finding) -> String {
    let before = if finding.since.or_before { "<" } else { "" };
    format!("{before}{}", format::clock(finding.since.at))
}

fn tone(row: &FindingRow) -> Tone {
    Tone::of_finding(&row.0)
}

impl Row for FindingRow {
    type Key = (String, String);

    fn key(&self) -> (String, String) {
        (self.0.finding.to_string(), self.0.subnet.clone())
    }

    fn words(&self) -> Vec<String> {
        let Finding {
            finding,
            whose,
            subnet,
            says,
            services,
            workloads,
            sites,
            ..
        } = &self.0;
        let sites = sites.iter().flat_map(|site| [&site.reason, &site.location]);
        let names = services.iter().chain(workloads).chain(sites);
        let own = [
            finding.to_string(),
            whose.as_str().to_owned(),
            subnet.clone(),
            says.clone(),
        ];
        own.into_iter().chain(names.cloned()).collect()
    }

    fn tie(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
