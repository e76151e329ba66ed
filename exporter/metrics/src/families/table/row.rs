//! How a row of the metric table is written.

use crate::{
    families::metric::{Accessor, Kind, Metric, Unit},
    host::Part,
};
use tcpvitals_config::label::Label;

/// The metric that [`crate::families::Families::started`] reads.
pub(in crate::families) const PROCESS_START: &str = "process_start_time";

/// A metric without labels, programs and fields of its own: the others are added with `..`.
pub(super) const fn metric(
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
    pub(super) const fn dotted(mut self, name: &'static str) -> Self {
        self.dotted = Some(name);
        self
    }

    /// A gauge whose values add up.
    pub(super) const fn adding_up(mut self) -> Self {
        self.adds_up = true;
        self
    }

    pub(in crate::families) const fn by(mut self, labels: &'static [Label]) -> Self {
        self.labels = labels;
        self
    }

    /// Of a part of the host.
    pub(super) const fn of(mut self, part: Part) -> Self {
        self.part = Some(part);
        self
    }

    pub(super) const fn needs_one_of(mut self, programs: &'static [&'static str]) -> Self {
        self.one_of = programs;
        self
    }

    pub(super) const fn needs(mut self, programs: &'static [&'static str], fields: &'static [&'static str]) -> Self {
        self.programs = programs;
        self.fields = fields;
        self
    }
}
