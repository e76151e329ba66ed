//! The metric table: every metric once. Prometheus, OTLP, the reference page and the checks of dashboards walk it.

mod drops;
mod exporter;
mod host;
mod tcp;

use super::metric::{Accessor, Kind, Metric, Unit};
use crate::host::Part;
use tcpvitals_config::label::Label;

/// The metric that [`super::Families::started`] reads.
pub(super) const PROCESS_START: &str = "process_start_time";

pub static METRICS: &[Metric] = &joined::<
    { tcp::METRICS.len() + drops::METRICS.len() + host::METRICS.len() + exporter::METRICS.len() },
>([tcp::METRICS, drops::METRICS, host::METRICS, exporter::METRICS]);

/// The tables as one; it is as long as they are together.
const fn joined<const N: usize>(tables: [&[Metric]; 4]) -> [Metric; N] {
    let mut all = [tables[0][0]; N];
    let (mut table, mut row, mut next) = (0, 0, 0);
    while table < tables.len() {
        if row == tables[table].len() {
            (table, row) = (table + 1, 0);
        } else {
            all[next] = tables[table][row];
            (row, next) = (row + 1, next + 1);
        }
    }
    all
}

/// A metric without labels, programs and fields of its own: the others are added with `..`.
const fn metric(
    name: &'static str,
    unit: Unit,
    kind: Kind,
    help: &'static str,
    from: &'static str,
    source: Accessor,
) -> Metric {
    Metric {
        name,
        unit,
        dotted: None,
        kind,
        adds_up: false,
        help,
        labels: &[],
        from,
        programs: &[],
        one_of: &[],
        fields: &[],
        part: None,
        source,
    }
}

impl Metric {
    /// A name of the semantic conventions.
    const fn dotted(mut self, name: &'static str) -> Self {
        self.dotted = Some(name);
        self
    }

    /// A gauge whose values add up.
    const fn adding_up(mut self) -> Self {
        self.adds_up = true;
        self
    }

    pub(super) const fn by(mut self, labels: &'static [Label]) -> Self {
        self.labels = labels;
        self
    }

    /// Of a part of the host.
    const fn of(mut self, part: Part) -> Self {
        self.part = Some(part);
        self
    }

    const fn needs_one_of(mut self, programs: &'static [&'static str]) -> Self {
        self.one_of = programs;
        self
    }

    const fn needs(mut self, programs: &'static [&'static str], fields: &'static [&'static str]) -> Self {
        self.programs = programs;
        self.fields = fields;
        self
    }
}
