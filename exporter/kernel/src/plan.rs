//! The plan: which programs are attached, and why the others are not. A pure function of what is selected, of what the
//! kernel has and of what it is for; `doctor`, the start-up log, `/readyz` and `program_attached` show it.

mod facts;
mod fallback;
mod fields;
pub mod off;
mod planned;
mod programs;
pub mod purpose;
mod rings;

use self::{
    fields::{FINDER, LOCAL_LOSS, OF_LOCAL_LOSS, SOCKET, WORKLOADS},
    off::Off,
    programs::IN_TABLES,
    purpose::{Part, Purpose, Selection},
};
use crate::probe::features::Features;
use common::{
    kernel::{
        fields::global,
        programs::{CGROUP_MADE, DROPS, DUMP, FOLD, FOLD_LISTENERS, RETRANSMIT, SAMPLE_LISTENERS},
        tracepoints::Run,
    },
    map::catalog::CGROUP_BIRTHS,
};
pub use planned::{Plan, Planned};
pub(crate) use programs::HELPERS;
pub use programs::{Hook, PROGRAMS, PROGRAMS_OF_KERNEL, Program, iterators, tracepoints};

/// Bytes for cgroups that user space has not seen yet: some 500 of them.
const BIRTHS: u32 = 1 << 20;

/// Why nothing can run on a kernel.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Older than the floor.
    #[error(
        "this kernel is too old: its tracing programs cannot use socket storage (bpf_sk_storage_get), which Linux 5.11 \
         and newer have; upgrade the kernel"
    )]
    NoSocketStorage,
    /// No program has what it needs.
    #[error("nothing in the configuration can run on this kernel; {program} cannot: {reason}")]
    Nothing {
        /// The first program that the configuration switches on.
        program: &'static str,
        /// Why it does not run.
        reason: String,
    },
}

/// Makes the plan.
///
/// # Errors
/// [`Unsupported`] when nothing could run.
pub fn plan(selection: Selection, features: &Features, purpose: Purpose) -> Result<Plan, Unsupported> {
    if !features.socket_storage {
        return Err(Unsupported::NoSocketStorage);
    }
    let programs: Vec<Planned> = PROGRAMS
        .iter()
        .filter(|program| {
            let helps = features.frees_storage_under_iterators || features.hides_storage;
            helps || !HELPERS.contains(&program.name)
        })
        .map(|program| {
            let in_table = |other: &&Program| features.hides_storage && other.name == program.name;
            IN_TABLES.iter().find(in_table).unwrap_or(program)
        })
        .flat_map(|program| {
            let off = why_off(program, selection, features, purpose);
            let planned = |run, off| Planned { program, run, off };
            // Before the first, so that nothing is missed once that is attached.
            let nested = program
                .tracepoint()
                .map(|_| off.clone().or_else(|| why_alone(features)));
            let nested = nested.map(|off| planned(Run::Nested, off));
            nested.into_iter().chain([planned(Run::First, off)])
        })
        .collect();
    let mut wanted = programs
        .iter()
        .filter(|planned| purpose.why_off(planned.program.part, selection).is_none());
    if programs.iter().all(|planned| planned.off.is_some())
        && let Some(Planned {
            program,
            off: Some(reason),
            ..
        }) = wanted.next()
    {
        return Err(Unsupported::Nothing {
            program: program.name,
            reason: reason.to_string(),
        });
    }
    let why_no_losses = why_no_losses(selection, features);
    let runs = |name: &str| {
        programs
            .iter()
            .any(|planned| planned.name() == name && planned.off.is_none())
    };
    let remembers = purpose == Purpose::Serve && runs(DROPS) && runs(RETRANSMIT) && why_no_losses.is_none();
    let mut fields = Vec::new();
    let mut missing_fields = Vec::new();
    for (global, place) in &features.fields {
        let place = match &why_no_losses {
            Some(reason) if *global == OF_LOCAL_LOSS && place.is_ok() => Err(reason.to_string()),
            _ => place.clone(),
        };
        match place {
            Ok(place) => fields.push((*global, place.encode())),
            Err(reason) => missing_fields.push((*global, reason)),
        }
    }
    let rings = if runs(CGROUP_MADE) {
        vec![(CGROUP_BIRTHS.name(), BIRTHS)]
    } else {
        Vec::new()
    };
    Ok(Plan {
        fields,
        missing_fields,
        facts: facts::of(&programs, features, purpose, remembers),
        programs,
        casts: features.casts.clone(),
        preempt_count: features.preempt_count,
        keeps_tables: features.hides_storage,
        rings,
    })
}

/// Why drops of TCP's data are not remembered until it is sent again.
fn why_no_losses(selection: Selection, features: &Features) -> Option<Off> {
    if !selection.local_loss {
        return Some(Off::LocalLoss);
    }
    if features.casts.is_none() {
        return Some(Off::NoCasts);
    }
    why_missing(features, &[LOCAL_LOSS])
}

fn why_off(program: &Program, selection: Selection, features: &Features, purpose: Purpose) -> Option<Off> {
    if let Some(reason) = purpose.why_off(program.part, selection) {
        return Some(reason);
    }
    let exists = match program.hook {
        Hook::Tracepoint(name) => features.tracepoints.contains_key(name),
        Hook::Iterator(name) => features.iterators.iter().any(|target| target == name),
    };
    if !exists {
        return Some(match program.hook {
            Hook::Tracepoint(name) => Off::NoTracepoint(name),
            Hook::Iterator(name) => Off::NoIterator(name),
        });
    }
    let walks = matches!(program.name, FOLD | DUMP | FOLD_LISTENERS | SAMPLE_LISTENERS);
    if features.hides_storage && walks && features.casts.is_none() {
        return Some(Off::NoCasts);
    }
    if program.name == FOLD_LISTENERS
        && let Some(reason) = why_listeners_are_off(selection, features)
    {
        return Some(reason);
    }
    let of_part = match program.part {
        Part::Fold | Part::Listeners | Part::Dump | Part::Tcp | Part::SegmentPath => SOCKET,
        Part::Drops | Part::OtherDrops | Part::Workloads => &[],
    };
    let is_of_workloads = program.part == Part::Workloads;
    let of_workloads = if is_of_workloads { WORKLOADS } else { &[] };
    why_missing(features, &[of_part, of_workloads, program.fields])
        .or_else(|| is_of_workloads.then(|| why_no_parent(features)).flatten())
}

/// Why the directory above a cgroup's cannot be read: a kernel has the new name or the old one.
fn why_no_parent(features: &Features) -> Option<Off> {
    let old = why_missing(features, &[&[global::KERNFS_NODE_PARENT_BEFORE_6_15]]);
    old.and_then(|_| why_missing(features, &[&[global::KERNFS_NODE_PARENT]]))
}

/// Why the first programs have no second ones; `None` when they do.
fn why_alone(features: &Features) -> Option<Off> {
    if !features.one_run_per_cpu {
        return Some(Off::NoSkips);
    }
    if !features.iterators.iter().any(|target| target == PROGRAMS_OF_KERNEL) {
        return Some(Off::NoIterator(PROGRAMS_OF_KERNEL));
    }
    let is_told =
        features.preempt_count.is_some() || matches!(features.fields.get(global::TASK_PREEMPT_COUNT), Some(Ok(_)));
    if features.preemptible_tracepoints && !is_told {
        return Some(Off::NoPreemptCount);
    }
    why_missing(features, &[FINDER])
}

fn why_missing(features: &Features, fields: &[&[&'static str]]) -> Option<Off> {
    fields.iter().copied().flatten().find_map(|global| {
        let why = match features.fields.get(global) {
            Some(Ok(_)) => return None,
            Some(Err(why)) => Some(why.clone()),
            None => None,
        };
        Some(Off::NoField { global, why })
    })
}

/// What the kernel counts for a listener is more than what that turns away; `kfree_skb` tells the rest.
fn why_listeners_are_off(selection: Selection, features: &Features) -> Option<Off> {
    if !selection.drops {
        return Some(Off::Drops);
    }
    if features.tracepoints.get(DROPS).copied().unwrap_or(0) < 4 {
        return Some(Off::NoListener);
    }
    if features.casts.is_none() {
        return Some(Off::NoCasts);
    }
    None
}

#[cfg(test)]
pub(crate) mod tests;
