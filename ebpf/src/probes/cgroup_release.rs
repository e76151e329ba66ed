//! `cgroup_release(struct cgroup *cgrp, const char *path)`, 5.10 to 7.2: the last that held on to a cgroup, a socket for example, has let
//! go of it. It happens in a worker only. Where that can lose its CPU meanwhile, a run may be skipped: then the entry stays.

use crate::{kernel::cgroup::Cgroup, label::workloads};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

#[btf_tracepoint(function = "cgroup_release")]
fn cgroup_release(context: BtfTracePointContext) -> i32 {
    if let Some(cgroup) = Cgroup::argument(&context, 0) {
        workloads::end(cgroup);
    }
    0
}
