//! Columns of drop sites. Benign ones stand last, whatever the order.

use crate::commands::top::{
    format,
    table::{Column, Row, Tone},
};
use std::cmp::Ordering;
use tcpvitals_config::Class;
use tcpvitals_metrics::{
    findings::dictionary,
    rows::drops::{
        table::SiteRow,
        text::{self, way},
    },
};

type Of = Column<SiteRow>;

pub const COLUMNS: &[Column<SiteRow>] = &[
    Of::number(
        ["DROPS/s", "rate"],
        8,
        0,
        |site| Some(site.rate),
        |site, _| format::rate(site.rate),
    ),
    Of::number(
        ["TOTAL", "total"],
        6,
        4,
        |site| Some(total(site)),
        |site, _| format::short(total(site)),
    ),
    Of::words(["CLASS", "class"], [8, 8], 2, |site, _| site.class().to_owned()).toned(tone),
    Of::words(["REASON", "reason"], [14, 32], 1, |site, width| {
        format::cut(site.reason(), width)
    }),
    Of::words(["LOCATION", "location"], [14, 40], 5, |site, width| {
        format::cut(site.location(), width)
    }),
    Of::words(["DIR", "direction"], [3, 3], 6, |site, _| way(site).to_owned()),
    Of::words(["PROTO", "proto"], [6, 6], 10, |site, _| site.protocol().to_owned()),
    Of::words(["SUBNETS", "subnets"], [12, 60], 3, |site, width| {
        format::cut(&text::shares(&site.subnets), width)
    }),
    Of::words(["WORKLOADS", "workloads"], [16, 60], 11, |site, width| {
        format::cut(&text::shares(site.workloads.as_deref().unwrap_or_default()), width)
    })
    .of_workloads(),
    Of::words(["MEANING", "meaning"], [20, 70], 12, |site, width| {
        format::cut(&meaning(site), width)
    }),
];

/// What the dictionary says of a site's reason, or the words of its name.
pub fn meaning(site: &SiteRow) -> String {
    let entry = dictionary::look_up(site.reason());
    entry.map_or_else(|| dictionary::in_words(site.reason()), |entry| entry.meaning.to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
const fn total(site: &SiteRow) -> f64 {
    site.total.packets as f64
}

fn tone(site: &SiteRow) -> Tone {
    let class = Class::ALL.into_iter().find(|class| class.as_str() == site.class());
    class.map_or(Tone::PLAIN, Tone::Class)
}

impl Row for SiteRow {
    type Key = String;

    fn key(&self) -> String {
        let source = self.source.as_str();
        let labels = [self.reason(), self.location(), self.direction(), self.protocol()];
        format!("{source} {}", labels.join(" "))
    }

    /// Its names, way, subnets and workloads, and what its reason means.
    fn words(&self) -> Vec<String> {
        let names = [
            self.reason(),
            self.class(),
            self.location(),
            self.direction(),
            way(self),
            self.protocol(),
            self.source.as_str(),
        ];
        let values = self.subnets.iter().chain(self.workloads.iter().flatten());
        let values = values.map(|(value, _)| value.clone());
        names
            .into_iter()
            .map(str::to_owned)
            .chain(values)
            .chain([meaning(self)])
            .collect()
    }

    fn tie(&self, other: &Self) -> Ordering {
        let by_total = other.total.packets.cmp(&self.total.packets);
        by_total.then_with(|| self.key().cmp(&other.key()))
    }

    fn is_last(&self) -> bool {
        self.is_benign()
    }
}
