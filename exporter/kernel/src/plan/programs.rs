//! Every program of the kernel object: its hook, and what it needs.

use super::{
    fields::{ACCEPT_QUEUES, LISTENERS, TREE_OF_CGROUPS},
    purpose::Part,
};
use common::kernel::{
    fields::global,
    programs::{
        ADOPT, CGROUP_GONE, CGROUP_MADE, DELETE_STORAGE, DELETE_STORAGE_AGAIN, DUMP, DUMP_TABLE, FIND_CGROUPS,
        FIND_LISTENERS, FOLD, FOLD_LISTENER_TABLE, FOLD_LISTENERS, FOLD_TABLE, SAMPLE_LISTENER_TABLE, SAMPLE_LISTENERS,
    },
    tracepoints::Tracepoint,
};

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
    /// What it is part of.
    pub(crate) part: Part,
}

/// What [`FIND`](common::kernel::programs::FIND) iterates over: all programs.
pub const PROGRAMS_OF_KERNEL: &str = "bpf_prog";

/// The programs that are left out where the kernel needs no help: those that delete the storage of a socket before the
/// kernel does.
pub(crate) const HELPERS: [&str; 2] = [DELETE_STORAGE, DELETE_STORAGE_AGAIN];

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

    /// The tracepoint of the two programs of which this is the first.
    pub fn tracepoint(&self) -> Option<Tracepoint> {
        Tracepoint::of_name(self.name)
    }
}

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
pub(super) static IN_TABLES: [Program; 4] = [
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
