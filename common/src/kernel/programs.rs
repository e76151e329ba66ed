//! Names of the programs. Those of a tracepoint that has two are named by [`Tracepoint`].

use crate::kernel::tracepoints::Tracepoint;

/// The program that folds live flows.
pub const FOLD: &str = "fold_flows";
/// The program that shows live flows.
pub const DUMP: &str = "dump_flows";
/// The program that counts what listeners turn away.
pub const FOLD_LISTENERS: &str = "fold_listeners";
/// The program that looks at the accept queues of listeners.
pub const SAMPLE_LISTENERS: &str = "sample_listeners";
/// The program that looks at the accept queues of listeners that are kept in a table.
pub const SAMPLE_LISTENER_TABLE: &str = "sample_listeners_of_table";
/// The program that finds the listeners of tasks at the start.
pub const FIND_LISTENERS: &str = "find_listeners";
/// The program that folds live flows that are kept in a table.
pub const FOLD_TABLE: &str = "fold_flows_of_table";
/// The program that shows live flows that are kept in a table.
pub const DUMP_TABLE: &str = "dump_flows_of_table";
/// The program that counts what listeners that are kept in a table turn away.
pub const FOLD_LISTENER_TABLE: &str = "fold_listeners_of_table";
/// The program that finds the flows that are open at the start.
pub const ADOPT: &str = "adopt_flows";
/// The program that finds the words by which the kernel knows that a first program is at work.
pub const FIND: &str = "find_programs";
/// The program that deletes a socket's storage before the kernel does.
pub const DELETE_STORAGE: &str = "delete_storage";
/// The program that deletes it where the kernel skipped the first.
pub const DELETE_STORAGE_AGAIN: &str = "delete_storage_again";
/// The program that sees a cgroup made.
pub const CGROUP_MADE: &str = "cgroup_mkdir";
/// The program that finds the cgroups that are older than the exporter.
pub const FIND_CGROUPS: &str = "find_cgroups";
/// The program that sees that nothing holds on to a cgroup any more.
pub const CGROUP_GONE: &str = "cgroup_release";
/// The program that sees connections open, fail and close.
pub const STATE: &str = Tracepoint::InetSockSetState.name();
/// The program that sees retransmissions.
pub const RETRANSMIT: &str = Tracepoint::TcpRetransmitSkb.name();
/// The program that sees every segment that a flow receives.
pub const SEGMENTS: &str = Tracepoint::TcpProbe.name();
/// The program that sees drops of the network stack.
pub const DROPS: &str = Tracepoint::KfreeSkb.name();
/// The program that sees drops of hardware.
pub const TRAPS: &str = Tracepoint::DevlinkTrapReport.name();
/// The program that sees drops of queueing disciplines, with their reason.
pub const QDISC: &str = Tracepoint::QdiscDrop.name();
/// The program that sees XDP programs fail.
pub const XDP: &str = Tracepoint::XdpException.name();
/// The program that sees redirects of XDP programs fail.
pub const XDP_REDIRECT: &str = Tracepoint::XdpRedirectErr.name();
/// The program that sees retransmitted SYN-ACKs.
pub const SYNACK: &str = Tracepoint::TcpRetransmitSynack.name();
/// The program that sees resets sent.
pub const RESET_SENT: &str = Tracepoint::TcpSendReset.name();
/// The program that sees resets received.
pub const RESET_RECEIVED: &str = Tracepoint::TcpReceiveReset.name();
/// The program that sees the congestion state change.
pub const CONGESTION: &str = Tracepoint::TcpCongStateSet.name();
