//! The fields that programs read, by what they are read for.

use common::kernel::fields::global;

/// What tells a flow's group: without it no program of TCP has anything to count for.
pub(super) const SOCKET: &[&str] = &[
    global::SOCK_COMMON_FAMILY,
    global::SOCK_COMMON_STATE,
    global::SOCK_COMMON_DADDR,
    global::SOCK_COMMON_DPORT,
    global::SOCK_COMMON_NUM,
];

/// What tells whose a socket is.
pub(super) const WORKLOADS: &[&str] = &[
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
pub(super) const TREE_OF_CGROUPS: &[&str] = &[
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

/// What tells whether the first program of a tracepoint is at work on a CPU.
pub(super) const FINDER: &[&str] = &[
    global::BPF_PROG_AUX,
    global::BPF_PROG_AUX_ID,
    global::BPF_PROG_ACTIVE,
    global::BPF_ARRAY_PPTRS,
];

/// What accept queues are.
pub(super) const ACCEPT_QUEUES: &[&str] = &[
    global::SOCK_COMMON_COOKIE,
    global::SOCK_ACK_BACKLOG,
    global::SOCK_MAX_ACK_BACKLOG,
];

/// What tells which handshakes listeners turn away.
pub(super) const LISTENERS: &[&str] = &[
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
pub(super) const LOCAL_LOSS: &[&str] = &[
    OF_LOCAL_LOSS,
    global::TCP_SKB_CB_END_SEQ,
    global::TCP_SKB_CB_GSO_SIZE,
    global::SK_BUFF_CB,
    global::SK_BUFF_TSTAMP,
    global::SOCK_WRITE_QUEUE,
    global::TCP_SOCK_CLOCK,
];
/// The field of these that nothing else reads: it counts as missing where nobody wants the account.
pub(super) const OF_LOCAL_LOSS: &str = global::TCP_SKB_CB_SEQ;
