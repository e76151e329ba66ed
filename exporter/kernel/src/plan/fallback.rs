//! What becomes of a plan where the kernel refuses something that its types promise.

use super::{
    facts::OF_CASTS,
    fields::OF_LOCAL_LOSS,
    off::Off,
    planned::{Plan, Planned},
    purpose::Part,
};
use crate::probe::casts::Casts;
use common::kernel::{fields::fact, programs::FOLD_LISTENERS, tracepoints::Run};

impl Plan {
    /// Whether `tcp_probe` was to run and was refused.
    pub fn needs_reload_without_segment_path(&self) -> bool {
        let expected = self.facts.contains(&(fact::HAS_SEGMENT_PATH, 1));
        let refused = |planned: &Planned| {
            planned.program.part == Part::SegmentPath && planned.run == Run::First && planned.off.is_some()
        };
        expected && self.programs.iter().any(refused)
    }

    /// The plan for a kernel that refuses `tcp_probe`: round-trip times come from elsewhere.
    pub fn without_segment_path(mut self) -> Self {
        self.facts.retain(|(name, _)| *name != fact::HAS_SEGMENT_PATH);
        self
    }

    /// The plan for a kernel that refuses to give types to addresses: programs ask for each piece of memory.
    pub fn without_casts(mut self) -> Self {
        if let Some(Casts { types, .. }) = self.casts.take() {
            self.facts
                .retain(|(fact, _)| !types.iter().any(|(of_type, _)| of_type == fact));
            if self.runs(FOLD_LISTENERS) {
                self.give_up(FOLD_LISTENERS, Off::NoCasts);
            }
            if self.fields.iter().any(|(global, _)| *global == OF_LOCAL_LOSS) {
                self.fields.retain(|(global, _)| *global != OF_LOCAL_LOSS);
                self.missing_fields.push((OF_LOCAL_LOSS, Off::NoCasts.to_string()));
            }
            let of_casts = |fact: &str| OF_CASTS.contains(&fact);
            let known = self.facts.iter_mut().filter(|(fact, _)| of_casts(fact));
            known.for_each(|(_, value)| *value = 0);
        }
        self
    }

    /// Notes that a program cannot run after all.
    pub fn give_up(&mut self, name: &str, reason: Off) {
        if let Some(planned) = self.programs.iter_mut().find(|planned| planned.name() == name) {
            planned.off = Some(reason);
        }
    }
}
