//! `cgroup_mkdir(struct cgroup *cgrp, const char *path)` and `cgroup_release(struct cgroup *cgrp, const char *path)`, 5.10 to 7.2: a
//! cgroup is made, and the last that held on to it (a socket, for example) has let go. Both happen in tasks only. Where a task can lose
//! its processor within them, a run may be skipped: then the cgroup is met by its first socket, or its entry stays.

use crate::{kernel::cgroup::Cgroup, label::workloads};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(context: BtfTracePointContext) -> i32 {
    if let Some(cgroup) = Cgroup::argument(&context, 0) {
        workloads::begin(cgroup);
    }
    0
}

#[btf_tracepoint(function = "cgroup_release")]
fn cgroup_release(context: BtfTracePointContext) -> i32 {
    if let Some(cgroup) = Cgroup::argument(&context, 0) {
        workloads::end(cgroup);
    }
    0
}
