//! What the kernel side could not do: each case has a counter, so that nothing is lost in silence.

/// The index of a counter in the map `LOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Lost {
    /// A flow was established but the kernel gave no socket storage for it.
    FlowsUntracked = 0,
    /// A flow or event went to the group `other` because the table of groups was full.
    GroupOverflow = 1,
    /// A drop went to the row `other` because the table of drops was full.
    DropOverflow = 2,
    /// A closing flow's last delta was given up because another CPU kept folding it.
    FoldsContended = 3,
    /// A cgroup could not be told to user space, or found no room in the table of cgroups. What it sends counts as not resolved until
    /// that works.
    CgroupsUntracked = 4,
    /// Something was counted for a cgroup before user space had told whose it is.
    Unresolved = 5,
    /// A range of TCP data that this host had dropped was forgotten before all of it was retransmitted.
    LossesForgotten = 6,
}

impl Lost {
    /// Number of counters.
    pub const COUNT: usize = 7;
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
