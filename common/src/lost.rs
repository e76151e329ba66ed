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
    /// A closing flow's last delta was given up because another processor kept folding it.
    FoldsContended = 3,
}

impl Lost {
    /// Number of counters.
    pub const COUNT: usize = 4;
}
