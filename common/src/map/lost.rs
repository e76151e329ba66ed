//! What the kernel side could not do: each case has a counter, so that nothing is lost in silence.

use crate::closed::indices;

indices! {
    /// The index of a counter in the map `LOST`.
    Lost {
        /// A flow was established but the kernel gave no socket storage for it.
        FlowsUntracked,
        /// A flow or event went to the group `other` because the table of groups was full.
        GroupOverflow,
        /// A drop went to the row `other` because the table of drops was full.
        DropOverflow,
        /// A closing flow's last delta was given up because another CPU kept folding it.
        FoldsContended,
        /// A cgroup could not be told to user space, or found no room in the table of cgroups. What it sends counts as not resolved
        /// until that works.
        CgroupsUntracked,
        /// Something was counted for a cgroup before user space had told whose it is.
        Unresolved,
        /// A range of TCP data that this host had dropped was forgotten before all of it was retransmitted.
        LossesForgotten,
    }
}

/// Runs of a program that the kernel skipped, because the program was already running on that CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misses {
    /// `recursion_misses`
    pub skipped: u64,
    /// Those that the second program of the tracepoint did in place of the first.
    pub taken_over: u64,
}

impl Misses {
    /// Events that neither saw.
    pub const fn lost(self) -> u64 {
        self.skipped.saturating_sub(self.taken_over)
    }
}
