//! Loads and attaches what the plan says. No decisions but one: a program that the kernel refuses is given up with the
//! kernel's reason, and the rest runs.

pub mod capacity;
mod configure;
pub mod error;
mod iterators;
mod kfuncs;
pub mod lookups;
mod nested;
mod processors;
mod sizes;
mod unneeded;
mod write;

use crate::{
    load::{
        error::{object_error, refused},
        lookups::Lookups,
        processors::Processors,
        sizes::Sizes,
    },
    plan::{Hook, Plan, Planned, off::Off},
    probe::{btf_file::BtfFile, reasons::Reasons, symbols::Symbols},
    sys::{
        object::Object,
        syscall::{self, MapIterator},
    },
};
use aya::{
    Btf, BtfError, EbpfLoader, Endianness,
    programs::{BtfTracePoint, Iter, ProgramError},
};
use common::{
    kernel::fields::fact,
    map::{capacity::Capacity, shards::Shards},
};
pub use error::LoadError;
use std::{sync::Arc, time::Duration};

/// The kernel object, built by build.rs.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ebpf"));

/// With what programs are loaded, besides the plan.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Bytes of kernel memory for the tables.
    pub memory: u64,
    /// Whether all CPUs count in one shard. For tests: it is slow, and must not be less exact.
    pub has_one_shard: bool,
    /// What the programs look up.
    pub lookups: Lookups,
    /// Names of drop reasons.
    pub reasons: Reasons,
    /// The file that has the kernel's type information.
    pub btf: BtfFile,
    /// Whether the process is to end, which ends loading too.
    pub end_is_asked: fn() -> bool,
}

/// The programs at work. Dropping it detaches and unloads them.
#[derive(Debug)]
pub struct Kernel {
    pub(super) object: Object,
    pub(super) lookups: Lookups,
    pub(super) plan: Plan,
    pub(super) fold: Option<Arc<MapIterator>>,
    pub(super) fold_listeners: Option<Arc<MapIterator>>,
    pub(super) sample_listeners: Option<Arc<MapIterator>>,
    pub(super) dump: Option<Arc<MapIterator>>,
    pub(super) find_cgroups: Option<Arc<MapIterator>>,
    pub(super) symbols: Symbols,
    pub(super) reasons: Reasons,
    /// Where the kernel's BTF is.
    pub(super) btf: BtfFile,
    end_is_asked: fn() -> bool,
    pub(super) capacity: Capacity,
    pub(super) shards: Shards,
    pub(super) jiffy_nanoseconds: u64,
    /// Programs that the kernel refused, and why.
    refusals: Vec<(&'static str, String)>,
}

impl Kernel {
    /// Loads, fills the maps and attaches.
    ///
    /// # Errors
    /// [`LoadError`] when nothing could be loaded.
    pub fn load(setup: &Setup, plan: Plan) -> Result<Self, LoadError> {
        let load = |plan| Self::load_prepared(setup, plan, |_| Ok(()));
        let kernel = load_with_fallback(plan, load, Self::plan)?;
        kernel.tell_refusals();
        if !kernel.plan.needs_reload_without_segment_path() {
            return Ok(kernel);
        }
        // The other programs leave round-trip times to `tcp_probe`, so they have to be told.
        let plan = kernel.plan.clone().without_segment_path();
        drop(kernel);
        let kernel = load(plan)?;
        kernel.tell_refusals();
        Ok(kernel)
    }

    /// Logs which programs of those that stay the kernel refused.
    pub(super) fn tell_refusals(&self) {
        for (program, reason) in &self.refusals {
            tracing::warn!(program, reason, "the kernel refuses a program");
        }
    }

    /// Loads by one plan. `prepare` comes before the first program runs.
    pub(super) fn load_prepared(
        setup: &Setup,
        mut plan: Plan,
        prepare: impl FnOnce(&mut Object) -> Result<(), LoadError>,
    ) -> Result<Self, LoadError> {
        let Setup {
            memory,
            has_one_shard,
            lookups,
            reasons,
            btf: file,
            end_is_asked,
        } = setup.clone();
        let processors = Processors::read().map_err(|(what, source)| LoadError::Cpus(what, source))?;
        let sizes = Sizes::new(memory, processors, has_one_shard);
        let jiffy_nanoseconds = jiffy_nanoseconds();
        plan.facts.extend(sizes.facts());
        plan.facts.push((fact::JIFFY_NANOSECONDS, jiffy_nanoseconds));
        let mut object = load_object(&plan, sizes)?;
        write::reserve(&mut object)?;
        write::lookups(&mut object, &Lookups::empty(), &lookups)?;
        prepare(&mut object)?;
        // After the loader, which reads it as well, so that memory holds it once.
        let btf = read_btf(&file).map_err(|error| object_error(error.into()))?;
        let mut kernel = Self {
            object,
            lookups,
            plan,
            fold: None,
            fold_listeners: None,
            sample_listeners: None,
            dump: None,
            find_cgroups: None,
            symbols: Symbols::open(),
            reasons,
            btf: file,
            end_is_asked,
            capacity: sizes.capacity,
            shards: sizes.shards,
            jiffy_nanoseconds,
            refusals: Vec::new(),
        };
        kernel.attach(&btf)?;
        kernel.object.all_programs_are_loaded();
        drop(btf);
        syscall::return_memory();
        Ok(kernel)
    }

    /// What runs, and what does not and why.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The kernel hides symbol addresses: drop locations are unknown.
    pub const fn hides_symbols(&self) -> bool {
        self.symbols.are_hidden()
    }

    /// Length of a jiffy.
    pub const fn jiffy(&self) -> Duration {
        Duration::from_nanos(self.jiffy_nanoseconds)
    }

    /// Slots of the tables.
    pub const fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Loads every program of the plan, then attaches them in its order.
    fn attach(&mut self, btf: &Btf) -> Result<(), LoadError> {
        self.each_planned(|kernel, planned| kernel.load_program(planned, btf))?;
        self.find_programs(btf)?;
        let attached = self.each_planned(Self::attach_program)?;
        match self.refusals.first().cloned() {
            Some((program, reason)) if !attached => Err(LoadError::NothingAttached { program, reason }),
            _ => Ok(()),
        }
    }

    /// Does a step with every program that is to run; those that the kernel refuses are given up. Whether any is left.
    fn each_planned(
        &mut self,
        step: impl Fn(&mut Self, &Planned) -> Result<(), ProgramError>,
    ) -> Result<bool, LoadError> {
        for planned in self.plan.programs.clone() {
            if planned.off.is_some() {
                continue;
            }
            // The verifier takes its time, on slow machines many seconds.
            if (self.end_is_asked)() {
                return Err(LoadError::EndAsked);
            }
            if let Err(error) = step(self, &planned) {
                let reason = refused(planned.name(), &error)?;
                self.refusals.push((planned.name(), reason.clone()));
                self.plan.give_up(planned.name(), Off::Refused(reason));
            }
        }
        Ok(self.plan.running() > 0)
    }

    fn load_program(&mut self, planned: &Planned, btf: &Btf) -> Result<(), ProgramError> {
        let name = planned.name();
        let program = self.program(planned.function())?;
        match planned.program.hook {
            Hook::Tracepoint(hook) => {
                let program: &mut BtfTracePoint = program.try_into()?;
                program.load(hook, btf)?;
            }
            Hook::Iterator(target) => {
                let program: &mut Iter = program.try_into()?;
                program.load(target, btf)?;
            }
        }
        tracing::debug!(
            program = name,
            instructions = self.verified(planned.function()),
            "loaded"
        );
        Ok(())
    }

    fn attach_program(&mut self, planned: &Planned) -> Result<(), ProgramError> {
        let name = planned.name();
        match planned.program.hook {
            Hook::Tracepoint(_) => {
                let program: &mut BtfTracePoint = self.program(planned.function())?.try_into()?;
                program.attach()?;
            }
            Hook::Iterator(_) => self.attach_iterator(planned.function())?,
        }
        tracing::debug!(program = name, "attached");
        Ok(())
    }

    /// Instructions that the verifier went through.
    fn verified(&self, name: &str) -> Option<u32> {
        self.object.program(name)?.info().ok()?.verified_instruction_count()
    }

    pub(super) fn program(&mut self, name: &str) -> Result<&mut aya::programs::Program, ProgramError> {
        self.object.program_mut(name).ok_or(ProgramError::NotLoaded)
    }
}

/// Loads by a plan, and once more without types for addresses if that makes more programs run: not every kernel that has the
/// function can call it from programs.
pub(super) fn load_with_fallback<T>(
    plan: Plan,
    load: impl Fn(Plan) -> Result<T, LoadError>,
    plan_of: impl Fn(&T) -> &Plan,
) -> Result<T, LoadError> {
    let running = |loaded: &Result<T, LoadError>| match loaded {
        Ok(loaded) => Some(plan_of(loaded).running()),
        Err(LoadError::NothingAttached { .. }) => Some(0),
        Err(_) => None,
    };
    let first = load(plan.clone());
    let Some(ran) = running(&first).filter(|ran| plan.casts.is_some() && *ran < plan.running()) else {
        return first;
    };
    let second = load(plan.without_casts());
    if running(&second) <= Some(ran) {
        return first;
    }
    tracing::debug!("the kernel refuses to give types to addresses: programs ask for each piece of memory");
    second
}

fn read_btf(file: &BtfFile) -> Result<Btf, BtfError> {
    let read = file.read().map_err(|error| BtfError::FileError {
        path: file.path().to_owned(),
        error,
    });
    Btf::parse(&read?, Endianness::default())
}

fn load_object(plan: &Plan, sizes: Sizes) -> Result<Object, LoadError> {
    let mut loader = EbpfLoader::new();
    // The object has no relocations for it: the exporter finds fields itself.
    loader.btf(None);
    // aya knows no storage of tasks, which only programs use.
    loader.allow_unsupported_maps();
    for (global, value) in plan.fields.iter().chain(&plan.facts) {
        // A field that no program reads has no global.
        loader.override_global(global, value, false);
    }
    sizes.set(&mut loader, plan);
    for (map, bytes) in &plan.rings {
        loader.map_max_entries(map, *bytes);
    }
    let read_only_cast = plan.casts.as_ref().map(|casts| casts.function);
    let loaded = loader.load(&kfuncs::linked(OBJECT, read_only_cast, plan.preempt_count));
    let mut object = Object::new(loaded.map_err(object_error)?)?;
    // Older verifiers also look at what a fact leaves out, and would find the stand-in there: they keep the smallest of maps.
    if plan.casts.is_some() {
        object.leave_out(&unneeded::maps(plan))?;
    }
    Ok(object)
}

/// Nanoseconds in a jiffy: the resolution of the kernel's coarse clock is its tick.
fn jiffy_nanoseconds() -> u64 {
    const NANOSECONDS: u64 = 1_000_000_000;
    let tick = nix::time::clock_getres(nix::time::ClockId::CLOCK_MONOTONIC_COARSE)
        .ok()
        .and_then(|tick| u64::try_from(tick.tv_nsec()).ok())
        .filter(|tick| *tick != 0)
        .unwrap_or(NANOSECONDS / 250);
    // The kernel rounds the tick (3 333 333 ns at 300 Hz), so go through the whole frequency.
    let frequency = (NANOSECONDS + tick / 2) / tick;
    NANOSECONDS / frequency
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{
            plan,
            purpose::{Purpose, Selection},
            tests::everything,
        },
        probe::{casts::Casts, features::Features},
    };
    use common::kernel::programs::FOLD;

    /// Loads by a plan with types, by a kernel that refuses these programs with them and those without; whether types were given up.
    fn gives_up_types(with: &[&str], without: &[&str]) -> bool {
        let casts = Casts {
            function: 70_000,
            types: vec![(fact::TYPE_IN6_ADDR, 300)],
        };
        let features = Features {
            casts: Some(casts),
            ..everything()
        };
        let plan = plan(Selection::default(), &features, Purpose::Serve).unwrap();
        let load = |mut plan: Plan| {
            let refused = if plan.casts.is_some() { with } else { without };
            refused
                .iter()
                .for_each(|name| plan.give_up(name, Off::Refused("refused".to_owned())));
            if plan.running() == 0 {
                return Err(LoadError::NothingAttached {
                    program: FOLD,
                    reason: "refused".to_owned(),
                });
            }
            Ok(plan)
        };
        let loaded = load_with_fallback(plan, load, |plan| plan).unwrap();
        loaded.casts.is_none()
    }

    #[test]
    fn types_are_given_up_only_if_more_programs_run_then() {
        let all: Vec<&str> = everything_by_name();
        assert!(!gives_up_types(&[], &all));
        assert!(gives_up_types(&["kfree_skb", FOLD], &[]));
        assert!(gives_up_types(&["kfree_skb", FOLD], &["kfree_skb"]));
        assert!(gives_up_types(&all, &["tcp_probe"]));
        assert!(!gives_up_types(&["tcp_probe"], &["tcp_probe"]));
        assert!(!gives_up_types(&["tcp_probe"], &all));
    }

    #[test]
    fn a_kernel_that_refuses_everything_for_good_is_asked_once() {
        let calls = std::cell::Cell::new(0);
        let plan = plan(Selection::default(), &everything(), Purpose::Serve).unwrap();
        let load = |_| {
            calls.set(calls.get() + 1);
            Err::<Plan, _>(LoadError::LockedDown)
        };
        assert!(load_with_fallback(plan, load, |plan| plan).is_err());
        assert_eq!(calls.get(), 1);
    }

    fn everything_by_name() -> Vec<&'static str> {
        let plan = plan(Selection::default(), &everything(), Purpose::Serve).unwrap();
        plan.programs.iter().map(|planned| planned.name()).collect()
    }

    #[test]
    fn the_tick_is_that_of_a_usual_frequency() {
        let jiffies_per_second = 1_000_000_000 / jiffy_nanoseconds();
        assert!(
            [100, 250, 300, 1000].contains(&jiffies_per_second),
            "{jiffies_per_second}"
        );
    }
}
