//! `cgroup_mkdir(struct cgroup *cgrp, const char *path)`, 5.10 to 7.2: a cgroup is made. It happens in tasks only. Where a task can lose
//! its CPU meanwhile, a run may be skipped: then the cgroup is met by its first socket.

use crate::{kernel::cgroup::Cgroup, label::workloads};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(context: BtfTracePointContext) -> i32 {
    if let Some(cgroup) = Cgroup::argument(&context, 0) {
        workloads::begin(cgroup);
    }
    0
}
