//! Workloads: whose a socket is. The programs count under the number that user space gave the cgroup of the socket; names are user
//! space's alone.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The number of a workload. It never changes its name, and many cgroups may have the same.
pub type Number = u16;

/// Numbers that user space gives no workload of its own.
pub mod number {
    use super::Number;

    /// Nobody has told yet whose the cgroup is. Also where workloads are not told apart.
    pub const UNRESOLVED: Number = 0;
    /// The host itself: the root cgroup, or a packet of nobody in particular.
    pub const HOST: Number = 1;
    /// A network namespace that more than one workload has used.
    pub const SHARED: Number = 2;
    /// Workloads beyond `limits.workloads`.
    pub const OTHER: Number = 3;
}

/// Most cgroups whose numbers are kept at a time. Memory is taken for those in use only.
pub const MOST_CGROUPS: usize = 1 << 15;

/// Network namespaces whose owner is remembered; the one that was not asked for longest goes first.
pub const MOST_NETWORKS: usize = 1 << 13;

/// The value of the map `CGROUPS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct CgroupState {
    /// Whose it is.
    pub number: Number,
    /// Explicit padding, zero.
    pub padding: u16,
    /// In which period of time it was last noted as an owner of `network`. Written by the programs.
    pub noted: u32,
    /// `net.net_cookie` of the network namespace that this was last noted as an owner of. Written by the programs.
    pub network: u64,
}

const _: () = assert!(size_of::<CgroupState>() == 16);

/// Levels of a cgroup's path that are read, from the cgroup up: a container within a container's `systemd` is found by the pod above.
pub const LEVELS: usize = 8;

/// Bytes of a name with the NUL at its end: `NAME_MAX` is 255.
pub const NAME: usize = 256;

/// An element of the ring buffer `CGROUP_BIRTHS`: a cgroup that was made, or met for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct CgroupBirth {
    /// `kernfs_node.id`: the inode of its directory.
    pub id: u64,
    /// That of the cgroup above; 0 of the root.
    pub parent: u64,
    /// How many of `names` were read.
    pub levels: u64,
    /// Names of the cgroup and of those above it, each up to its NUL. That of the root is empty.
    pub names: [[u8; NAME]; LEVELS],
}

impl CgroupBirth {
    /// The cgroup above, where the names do not reach up to the root: whoever may make folders in folders has chosen all of them then.
    pub fn above(&self) -> Option<u64> {
        (self.names().count() == LEVELS).then_some(self.parent)
    }

    /// The names from the cgroup up, without the root's.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let levels = usize::try_from(self.levels).unwrap_or(LEVELS).min(LEVELS);
        let until_nul = |name: &'_ [u8; NAME]| name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        let names = self.names.iter().take(levels);
        names
            .map(move |name| &name[..until_nul(name)])
            .filter(|name| !name.is_empty())
    }
}
