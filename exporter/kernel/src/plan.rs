//! The plan: which programs are attached, and why the others are not. A pure function of what is selected, of what the
//! kernel has and of what it is for; `doctor`, the start-up log, `/readyz` and `program_attached` show it.

mod facts;
pub mod off;
pub mod purpose;
mod rings;

use crate::{
    load::kfuncs::Casts,
    plan::{
        off::Off,
        purpose::{Part, Purpose, Selection},
    },
    probe::features::Features,
};
use common::kernel::{
    fields::{fact, global},
    programs::{CGROUP_GONE, CGROUP_MADE, DELETE_STORAGE, DELETE_STORAGE_AGAIN, DROPS, FIND_CGROUPS, RETRANSMIT},
    tracepoints::{Run, Tracepoint},
};
use common::map::catalog::CGROUP_BIRTHS;

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A raw tracepoint with BTF (`tp_btf`).
    Tracepoint(&'static str),
    /// An iterator (`bpf_iter`).
    Iterator(&'static str),
}

impl Hook {
    /// The kernel's name of the hook.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint(name) | Self::Iterator(name) => name,
        }
    }
}

/// A program of the kernel object.
#[derive(Debug)]
pub struct Program {
    /// What it is called: mostly as its function.
    pub name: &'static str,
    /// Name of its function in the object.
    pub function: &'static str,
    /// Where it is attached.
    pub hook: Hook,
    /// Globals of the fields without which it has nothing to do, besides those of its part.
    pub fields: &'static [&'static str],
    part: Part,
}

/// What tells a flow's group: without it no program of TCP has anything to count for.
const SOCKET: &[&str] = &[
    global::SOCK_COMMON_FAMILY,
    global::SOCK_COMMON_STATE,
    global::SOCK_COMMON_DADDR,
    global::SOCK_COMMON_DPORT,
    global::SOCK_COMMON_NUM,
];

/// What tells whose a socket is.
const WORKLOADS: &[&str] = &[
    global::SOCK_CGROUP,
    global::CGROUP_KN,
    global::CGROUP_ROOT,
    global::CGROUP_ROOT_HIERARCHY_ID,
    global::KERNFS_NODE_ID,
    global::KERNFS_NODE_NAME,
    global::SOCK_COMMON_NET,
    global::NET_COOKIE,
];

/// What tells which cgroups there are.
const TREE_OF_CGROUPS: &[&str] = &[
    global::CGROUP_SELF,
    global::CGROUP_PARENT,
    global::CGROUP_CHILDREN,
    global::CGROUP_SIBLING,
    global::CGROUP_FLAGS,
    global::CGROUP_OF_SUBSYSTEM,
    global::CGROUP_ROOT_NODE,
    global::CSS_SET_CGROUP,
    global::TASK_CSS_SET,
];

pub use common::kernel::programs::{
    ADOPT, DUMP, DUMP_TABLE, FIND, FIND_LISTENERS, FOLD, FOLD_LISTENER_TABLE, FOLD_LISTENERS, FOLD_TABLE,
    SAMPLE_LISTENER_TABLE, SAMPLE_LISTENERS,
};

/// What [`FIND`] iterates over: all programs.
pub const PROGRAMS_OF_KERNEL: &str = "bpf_prog";
/// The fields by which it does.
const FINDER: &[&str] = &[
    global::BPF_PROG_AUX,
    global::BPF_PROG_AUX_ID,
    global::BPF_PROG_ACTIVE,
    global::BPF_ARRAY_PPTRS,
];

/// The programs that are left out where the kernel needs no help: those that delete the storage of a socket before the
/// kernel does.
const HELPERS: [&str; 2] = [DELETE_STORAGE, DELETE_STORAGE_AGAIN];

impl Program {
    /// The programs of a tracepoint that has two.
    const fn of(tracepoint: Tracepoint, part: Part, fields: &'static [&'static str]) -> Self {
        Self {
            name: tracepoint.name(),
            function: tracepoint.name(),
            hook: Hook::Tracepoint(tracepoint.name()),
            fields,
            part,
        }
    }

    /// A program of the tracepoint `tcp_destroy_sock`.
    const fn helper(name: &'static str) -> Self {
        Self {
            name,
            function: name,
            hook: Hook::Tracepoint(Tracepoint::TcpDestroySock.name()),
            fields: &[],
            part: Part::Tcp,
        }
    }

    /// A program that is alone on its tracepoint: it runs in tasks only.
    const fn of_tasks(name: &'static str, part: Part, fields: &'static [&'static str]) -> Self {
        Self {
            name,
            function: name,
            hook: Hook::Tracepoint(name),
            fields,
            part,
        }
    }

    /// A program that stands in place of another, over a list of sockets.
    const fn over_list(
        name: &'static str,
        function: &'static str,
        part: Part,
        fields: &'static [&'static str],
    ) -> Self {
        Self {
            function,
            ..Self::iterator(name, ANYTHING, part, fields)
        }
    }

    const fn iterator(name: &'static str, target: &'static str, part: Part, fields: &'static [&'static str]) -> Self {
        Self {
            name,
            function: name,
            hook: Hook::Iterator(target),
            fields,
            part,
        }
    }
}

/// Bytes for cgroups that user space has not seen yet: some 500 of them.
const BIRTHS: u32 = 1 << 20;

/// What accept queues are.
const ACCEPT_QUEUES: &[&str] = &[
    global::SOCK_COMMON_COOKIE,
    global::SOCK_ACK_BACKLOG,
    global::SOCK_MAX_ACK_BACKLOG,
];

/// What tells which handshakes listeners turn away.
const LISTENERS: &[&str] = &[
    global::SOCK_COMMON_COOKIE,
    global::SOCK_COMMON_NET,
    global::SOCK_DROPS,
    global::SOCK_ACK_BACKLOG,
    global::SOCK_MAX_ACK_BACKLOG,
    global::ICSK_SYN_QUEUE,
    global::NET_SYN_COOKIES,
    global::NET_SYN_BACKLOG,
    global::SK_BUFF_TRANSPORT_HEADER,
];

/// What says which data a packet carries, and what is sent again.
const LOCAL_LOSS: &[&str] = &[
    OF_LOCAL_LOSS,
    global::TCP_SKB_CB_END_SEQ,
    global::TCP_SKB_CB_GSO_SIZE,
    global::SK_BUFF_CB,
    global::TCP_SOCK_CLOCK,
];
/// The field of these that nothing else reads: it counts as missing where nobody wants the account.
const OF_LOCAL_LOSS: &str = global::TCP_SKB_CB_SEQ;

/// What the iterators over flows and listeners walk.
const STORAGE: &str = "bpf_sk_storage_map";
/// Open files of tasks.
const FILES: &str = "task_file";

/// Every program, in the order in which they are attached: what protects the fold first; the fold and the end of flows
/// before their beginning would lose nothing; the segment path comes last.
pub static PROGRAMS: &[Program] = &[
    Program::helper(DELETE_STORAGE),
    Program::helper(DELETE_STORAGE_AGAIN),
    Program::iterator(FOLD, STORAGE, Part::Fold, &[]),
    Program::iterator(FOLD_LISTENERS, STORAGE, Part::Listeners, LISTENERS),
    Program::iterator(SAMPLE_LISTENERS, STORAGE, Part::Listeners, ACCEPT_QUEUES),
    Program::iterator(DUMP, STORAGE, Part::Dump, &[]),
    // Before whatever asks for a cgroup.
    Program::of_tasks(CGROUP_MADE, Part::Workloads, &[]),
    Program::of_tasks(CGROUP_GONE, Part::Workloads, &[]),
    Program::iterator(FIND_CGROUPS, ANYTHING, Part::Workloads, TREE_OF_CGROUPS),
    Program::of(Tracepoint::InetSockSetState, Part::Tcp, &[]),
    Program::of(
        Tracepoint::TcpRetransmitSkb,
        Part::Tcp,
        &[
            global::TCP_SOCK_TOTAL_RETRANS,
            global::ICSK_CA_STATE,
            global::ICSK_PENDING,
        ],
    ),
    Program::of(Tracepoint::TcpRetransmitSynack, Part::Tcp, &[]),
    Program::of(Tracepoint::TcpReceiveReset, Part::Tcp, &[]),
    Program::of(Tracepoint::TcpSendReset, Part::Tcp, &[]),
    Program::of(
        Tracepoint::TcpDestroySock,
        Part::Tcp,
        &[
            global::INET_SOCK_FLOW_DADDR,
            global::TCP_SOCK_MSS_CLAMP,
            global::TCP_SOCK_WRITE_SEQ,
        ],
    ),
    Program::of(Tracepoint::TcpCongStateSet, Part::Tcp, &[global::ICSK_CA_STATE]),
    Program::of(
        Tracepoint::KfreeSkb,
        Part::Drops,
        &[global::SK_BUFF_LEN, global::SK_BUFF_IIF],
    ),
    Program::of(Tracepoint::QdiscDrop, Part::Drops, &[]),
    Program::of(
        Tracepoint::DevlinkTrapReport,
        Part::OtherDrops,
        &[
            global::DEVLINK_TRAP_NAME,
            global::DEVLINK_TRAP_GROUP_NAME,
            global::DEVLINK_TRAP_TYPE,
            global::SK_BUFF_LEN,
        ],
    ),
    Program::of(Tracepoint::XdpRedirectErr, Part::OtherDrops, &[]),
    Program::of(Tracepoint::XdpException, Part::OtherDrops, &[]),
    Program::of(Tracepoint::XdpBulkTx, Part::OtherDrops, &[]),
    Program::of(Tracepoint::XdpDevmapXmit, Part::OtherDrops, &[]),
    Program::of(Tracepoint::XdpCpumapEnqueue, Part::OtherDrops, &[]),
    Program::of(Tracepoint::XdpCpumapKthread, Part::OtherDrops, &[]),
    Program::iterator(ADOPT, "tcp", Part::Tcp, &[]),
    Program::iterator(FIND_LISTENERS, FILES, Part::Listeners, &[global::SOCKET_SK]),
    Program::of(
        Tracepoint::TcpProbe,
        Part::SegmentPath,
        &[
            global::SK_BUFF_LEN,
            global::SK_BUFF_HEAD,
            global::SK_BUFF_TRANSPORT_HEADER,
        ],
    ),
];

/// What the programs that walk by themselves iterate over: whatever there are some of.
const ANYTHING: &str = "bpf_map";

/// What stands in place of the programs that walk storage, where the kernel lets nobody do that.
static IN_TABLES: [Program; 4] = [
    Program::over_list(FOLD, FOLD_TABLE, Part::Fold, &[global::SOCK_COMMON_COOKIE]),
    Program::over_list(FOLD_LISTENERS, FOLD_LISTENER_TABLE, Part::Listeners, LISTENERS),
    Program::over_list(SAMPLE_LISTENERS, SAMPLE_LISTENER_TABLE, Part::Listeners, ACCEPT_QUEUES),
    Program::over_list(DUMP, DUMP_TABLE, Part::Dump, &[global::SOCK_COMMON_COOKIE]),
];

/// Names of the raw tracepoints of all programs.
pub fn tracepoints() -> Vec<&'static str> {
    hooks(|hook| matches!(hook, Hook::Tracepoint(_)))
}

/// Names of the iterator targets of all programs.
pub fn iterators() -> Vec<&'static str> {
    let mut iterators = hooks(|hook| matches!(hook, Hook::Iterator(_)));
    iterators.push(PROGRAMS_OF_KERNEL);
    iterators
}

fn hooks(which: impl Fn(Hook) -> bool) -> Vec<&'static str> {
    PROGRAMS
        .iter()
        .map(|program| program.hook)
        .filter(|hook| which(*hook))
        .map(Hook::name)
        .collect()
}

/// A program and whether it runs.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The program, or the first of the two that its tracepoint has.
    pub program: &'static Program,
    /// Which of the two.
    pub run: Run,
    /// Why it does not run; `None` when it does.
    pub off: Option<Off>,
}

impl Planned {
    /// What the program is called.
    pub fn name(&self) -> &'static str {
        match (self.run, self.program.tracepoint()) {
            (Run::Nested, Some(tracepoint)) => tracepoint.nested(),
            _ => self.program.name,
        }
    }
}

impl Planned {
    /// Name of the program's function in the object.
    pub fn function(&self) -> &'static str {
        match self.program.tracepoint() {
            Some(_) => self.name(),
            None => self.program.function,
        }
    }
}

impl Program {
    /// What it is part of.
    pub(crate) const fn part(&self) -> Part {
        self.part
    }

    /// The tracepoint of the two programs of which this is the first.
    pub fn tracepoint(&self) -> Option<Tracepoint> {
        Tracepoint::of_name(self.name)
    }
}

/// What is attached, and what is not and why.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every program.
    pub programs: Vec<Planned>,
    /// Every field: its global and its offset in the encoding of [`common::kernel::fields::FieldOffset`].
    pub fields: Vec<(&'static str, u64)>,
    /// Fields that the kernel does not have, and why.
    pub missing_fields: Vec<(&'static str, String)>,
    /// Facts about the kernel and the plan, by the name of their global.
    pub facts: Vec<(&'static str, u64)>,
    /// With what programs give types to addresses; without it they ask for each piece of memory.
    pub casts: Option<Casts>,
    /// The number of the per-CPU variable `__preempt_count`, if programs read it.
    pub preempt_count: Option<u32>,
    /// Whether what is known of sockets is kept in tables, since the kernel does not let their storage be walked.
    pub keeps_tables: bool,
    /// Ring buffers that somebody reads, and their sizes in bytes. The others are as small as can be.
    pub rings: Vec<(&'static str, u32)>,
}

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
    #[error("this kernel has nothing that the configuration asks for; {program} needs more: {reason}")]
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

impl Plan {
    /// Why a program does not run; `None` when it does.
    pub fn why_off(&self, name: &str) -> Option<&Off> {
        let planned = self.programs.iter().find(|planned| planned.name() == name)?;
        planned.off.as_ref()
    }

    /// Why a field cannot be read; `None` when it can.
    pub fn why_missing(&self, global: &str) -> Option<&str> {
        self.missing_fields
            .iter()
            .find(|(missing, _)| *missing == global)
            .map(|(_, reason)| reason.as_str())
    }

    /// Number of programs that are to run, of those that do not depend on types for addresses.
    pub fn running(&self) -> usize {
        let independent = |planned: &&Planned| planned.program.name != FOLD_LISTENERS;
        self.programs
            .iter()
            .filter(independent)
            .filter(|planned| planned.off.is_none())
            .count()
    }

    /// Whether a program is to run.
    pub fn runs(&self, name: &str) -> bool {
        self.why_off(name).is_none()
    }

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
            let of_casts = |fact: &str| facts::OF_CASTS.contains(&fact);
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use common::{
        kernel::fields::{FIELDS, FieldOffset},
        map::detail::Detail,
    };
    use std::collections::BTreeMap;

    /// All that can be selected.
    pub(crate) const EVERYTHING: Selection = Selection {
        detail: Detail::Full,
        drops: true,
        workloads: purpose::Workloads::Apart,
        local_loss: true,
        listeners: true,
    };

    /// A kernel that has everything.
    pub(crate) fn everything() -> Features {
        Features {
            fields: FIELDS
                .iter()
                .map(|field| {
                    (
                        field.global,
                        Ok(FieldOffset {
                            offset: 8,
                            shift: 0,
                            width: 0,
                        }),
                    )
                })
                .collect(),
            tracepoints: tracepoints().into_iter().map(|hook| (hook.to_owned(), 4)).collect(),
            iterators: iterators().into_iter().map(str::to_owned).collect(),
            drop_reasons: [
                "NOT_SPECIFIED",
                "XDP",
                "QDISC_DROP",
                "CPU_BACKLOG",
                "TCP_CSUM",
                "TCP_FLAGS",
            ]
            .into_iter()
            .zip(2..)
            .map(|(name, number)| (format!("SKB_DROP_REASON_{name}"), number))
            .collect(),
            socket_storage: true,
            one_run_per_cpu: true,
            casts: Some(Casts {
                function: 70_000,
                types: vec![(fact::TYPE_IN6_ADDR, 300), (fact::TYPE_TCP_SOCK, 9_000)],
            }),
            preempt_count: None,
            frees_storage_under_iterators: true,
            hides_storage: false,
            preemptible_tracepoints: true,
        }
    }

    /// The programs that see drops.
    fn drop_programs() -> Vec<&'static str> {
        let of_drops = |program: &&Program| matches!(program.part, Part::Drops | Part::OtherDrops);
        let tracepoints = PROGRAMS.iter().filter(of_drops).filter_map(Program::tracepoint);
        tracepoints
            .flat_map(|tracepoint| [tracepoint.nested(), tracepoint.name()])
            .collect()
    }

    /// Programs of a plan for a kernel that has everything.
    const ALL: usize = PROGRAMS.len() + Tracepoint::COUNT;
    /// Those that see cgroups come and go, and find those there are.
    const OF_WORKLOADS: usize = 3;

    fn off(selection: Selection, features: &Features) -> Vec<(&'static str, String)> {
        let plan = plan(selection, features, Purpose::Serve).unwrap();
        plan.programs
            .into_iter()
            .filter_map(|planned| Some((planned.name(), planned.off?.to_string())))
            .collect()
    }

    fn by_detail(detail: Detail) -> Selection {
        Selection { detail, ..EVERYTHING }
    }

    #[test]
    fn a_kernel_that_has_everything_runs_everything() {
        assert_eq!(off(EVERYTHING, &everything()), []);
    }

    #[test]
    fn the_configuration_switches_parts_off() {
        assert_eq!(
            off(by_detail(Detail::Essential), &everything()),
            ["tcp_probe_nested", "tcp_probe"].map(|name| (name, "tcp.detail is essential".to_owned()))
        );
        let without_drops = off(
            Selection {
                drops: false,
                ..EVERYTHING
            },
            &everything(),
        );
        let (reason, listeners) = ("drops.enabled is false".to_owned(), [FOLD_LISTENERS]);
        let programs = listeners.into_iter().chain(drop_programs());
        assert_eq!(
            without_drops,
            programs.map(|name| (name, reason.clone())).collect::<Vec<_>>()
        );
        let only_drops = off(by_detail(Detail::Off), &everything());
        // Drops are told apart by workloads, too.
        assert_eq!(only_drops.len(), ALL - drop_programs().len() - OF_WORKLOADS);
        assert!(only_drops.iter().all(|(name, _)| !drop_programs().contains(name)));
    }

    #[test]
    fn what_the_kernel_lacks_is_off_with_its_reason() {
        let mut features = everything();
        features.tracepoints.remove("tcp_cong_state_set");
        features.iterators.retain(|target| target != "tcp");
        features.fields.insert(
            global::SK_BUFF_IIF,
            Err("struct sk_buff has no member skb_iif".to_owned()),
        );
        assert_eq!(
            off(EVERYTHING, &features),
            [
                (
                    "tcp_cong_state_set_nested",
                    "this kernel has no tracepoint tcp_cong_state_set".to_owned()
                ),
                (
                    "tcp_cong_state_set",
                    "this kernel has no tracepoint tcp_cong_state_set".to_owned()
                ),
                (
                    "kfree_skb_nested",
                    "the field SK_BUFF_IIF is missing: struct sk_buff has no member skb_iif".to_owned()
                ),
                (
                    "kfree_skb",
                    "the field SK_BUFF_IIF is missing: struct sk_buff has no member skb_iif".to_owned()
                ),
                ("adopt_flows", "this kernel has no iterator tcp".to_owned()),
            ]
        );
    }

    #[test]
    fn listeners_need_a_kernel_that_names_the_receiving_socket() {
        let mut features = everything();
        features.tracepoints.insert("kfree_skb".to_owned(), 3);
        assert_eq!(
            off(EVERYTHING, &features),
            [(
                FOLD_LISTENERS,
                "this kernel's tracepoint kfree_skb has no argument rx_sk".to_owned()
            )]
        );
    }

    #[test]
    fn helpers_run_only_where_the_kernel_needs_them() {
        let features = Features {
            frees_storage_under_iterators: false,
            preemptible_tracepoints: false,
            ..everything()
        };
        let plan = plan(EVERYTHING, &features, Purpose::Serve).unwrap();
        assert_eq!(plan.programs.len(), ALL - HELPERS.len());
        let mut names = plan.programs.iter().map(Planned::name);
        assert!(names.all(|name| !HELPERS.contains(&name)));
    }

    #[test]
    fn where_storage_is_hidden_sockets_are_kept_in_tables() {
        let features = Features {
            frees_storage_under_iterators: false,
            hides_storage: true,
            ..everything()
        };
        let plan_of = |features: &Features| plan(Selection::default(), features, Purpose::Serve).unwrap();
        let tables = plan_of(&features);
        assert!(tables.keeps_tables && tables.facts.contains(&(fact::KEEPS_TABLES, 1)));
        assert!(tables.facts.contains(&(fact::HAS_RECEIVING_SOCKET, 1)));
        let function = |name: &str| {
            let mut planned = tables.programs.iter();
            let planned = planned.find(|planned| planned.name() == name)?;
            planned.off.is_none().then(|| planned.function())
        };
        for (name, expected) in [
            (FOLD, FOLD_TABLE),
            (FOLD_LISTENERS, FOLD_LISTENER_TABLE),
            (SAMPLE_LISTENERS, SAMPLE_LISTENER_TABLE),
            (DUMP, DUMP_TABLE),
            (DELETE_STORAGE, DELETE_STORAGE),
            (DELETE_STORAGE_AGAIN, DELETE_STORAGE_AGAIN),
        ] {
            assert_eq!(function(name), Some(expected));
        }
        let untyped = plan_of(&Features {
            casts: None,
            ..features
        });
        assert_eq!(untyped.why_off(FOLD), Some(&Off::NoCasts));
        assert!(!plan_of(&everything()).keeps_tables);
    }

    #[test]
    fn first_programs_are_alone_where_nothing_is_skipped_or_nobody_can_tell() {
        let alone = |change: &dyn Fn(&mut Features)| {
            let mut features = everything();
            change(&mut features);
            let mut off = off(EVERYTHING, &features);
            off.dedup_by(|(_, one), (_, other)| one == other);
            off
        };
        let first = "inet_sock_set_state_nested";
        assert_eq!(alone(&|_| {}), []);
        assert_eq!(
            alone(&|features| features.one_run_per_cpu = false),
            [(first, "this kernel skips no run of a program".to_owned())]
        );
        assert_eq!(
            alone(&|features| features.iterators.retain(|target| target != PROGRAMS_OF_KERNEL)),
            [(first, "this kernel has no iterator bpf_prog".to_owned())]
        );
        let missing = |features: &mut Features| {
            features.fields.insert(global::TASK_PREEMPT_COUNT, Err("no".to_owned()));
        };
        assert_eq!(
            alone(&|features| missing(features)),
            [(
                first,
                "this kernel does not tell whether a task can lose its processor within a tracepoint".to_owned()
            )]
        );
        let told = |features: &mut Features| {
            missing(features);
            features.preempt_count = Some(8427);
        };
        assert_eq!(alone(&|features| told(features)), []);
    }

    #[test]
    fn only_what_a_command_reads_runs() {
        let runs = |purpose| {
            let plan = plan(EVERYTHING, &everything(), purpose).unwrap();
            let on = plan.programs.iter().filter(|planned| planned.off.is_none());
            let on: Vec<_> = on.map(Planned::name).collect();
            let facts: BTreeMap<_, _> = plan.facts.into_iter().collect();
            (on, [facts[fact::HAS_EVENTS], facts[fact::HAS_PACKETS]])
        };
        let of_workloads = [CGROUP_MADE, CGROUP_GONE, FIND_CGROUPS];
        let of_capture: Vec<_> = of_workloads.into_iter().chain(drop_programs()).take(7).collect();
        assert_eq!(runs(Purpose::Capture), (of_capture, [0, 1]));
        let (serve, facts) = runs(Purpose::Serve);
        assert_eq!((serve.len(), facts), (ALL, [0, 0]));
        let (trace, facts) = runs(Purpose::Trace);
        assert_eq!((trace.len(), facts), (ALL - 4, [1, 0]));
        assert!(!trace.contains(&FOLD) && !trace.contains(&FOLD_LISTENERS));
    }

    #[test]
    fn arguments_of_hooks_become_facts() {
        let facts = |arguments| {
            let mut features = everything();
            features.tracepoints.insert("kfree_skb".to_owned(), arguments);
            plan(EVERYTHING, &features, Purpose::Serve).unwrap().facts[0]
        };
        assert_eq!(facts(2), ("HAS_DROP_REASON", 0));
        assert_eq!(facts(3), ("HAS_DROP_REASON", 1));
    }

    #[test]
    fn counts_of_one_program_need_atomics_unless_the_kernel_runs_it_once_at_a_time() {
        let fact = |one_run_per_cpu| {
            let features = Features {
                one_run_per_cpu,
                ..everything()
            };
            let plan = plan(EVERYTHING, &features, Purpose::Serve).unwrap();
            plan.facts.contains(&(fact::HAS_ONE_RUN_PER_CPU, 1))
        };
        assert_eq!([fact(false), fact(true)], [false, true]);
    }

    #[test]
    fn types_are_given_to_addresses_until_the_kernel_refuses_that() {
        let typed = plan(EVERYTHING, &everything(), Purpose::Serve).unwrap();
        assert!(typed.facts.contains(&(fact::TYPE_IN6_ADDR, 300)));
        assert!(typed.runs(FOLD_LISTENERS));
        let features = Features {
            casts: None,
            ..everything()
        };
        let untyped = plan(EVERYTHING, &features, Purpose::Serve).unwrap();
        let refused = typed.without_casts();
        assert_eq!(refused.why_off(FOLD_LISTENERS), untyped.why_off(FOLD_LISTENERS));
        assert!(!refused.runs(FOLD_LISTENERS));
        assert_eq!((refused.casts, refused.facts), (None, untyped.facts));
        assert_eq!(
            (refused.fields, refused.missing_fields),
            (untyped.fields, untyped.missing_fields)
        );
    }

    #[test]
    fn a_reason_is_looked_at_twice_only_where_another_program_knows_more() {
        let facts = |lacking: &[&str]| {
            let mut features = everything();
            features.tracepoints.retain(|hook, _| !lacking.contains(&hook.as_str()));
            let facts: BTreeMap<_, _> = plan(EVERYTHING, &features, Purpose::Serve)
                .unwrap()
                .facts
                .into_iter()
                .collect();
            [fact::REASON_XDP, fact::HAS_QDISC_REASONS].map(|fact| facts[fact])
        };
        assert_eq!(facts(&[]), [3, 1]);
        assert_eq!(facts(&["qdisc_drop"]), [3, 0]);
        assert_eq!(facts(&["xdp_exception"]), [3, 1]);
        assert_eq!(facts(&["xdp_exception", "xdp_redirect_err"]), [0, 1]);
    }

    #[test]
    fn a_refused_segment_path_is_told_to_the_other_programs() {
        let mut plan = plan(EVERYTHING, &everything(), Purpose::Serve).unwrap();
        assert!(!plan.needs_reload_without_segment_path());
        plan.give_up("tcp_probe", Off::Refused("refused".to_owned()));
        assert!(plan.needs_reload_without_segment_path());
        assert!(!plan.without_segment_path().needs_reload_without_segment_path());
    }

    #[test]
    fn a_kernel_below_the_floor_is_refused() {
        let features = Features {
            socket_storage: false,
            ..everything()
        };
        assert_eq!(
            plan(EVERYTHING, &features, Purpose::Serve).unwrap_err(),
            Unsupported::NoSocketStorage
        );
    }
}
