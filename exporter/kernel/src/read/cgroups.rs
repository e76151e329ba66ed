//! Cgroups as the programs meet them, and the numbers that they are given: user space's end of what tells workloads apart.

use crate::{
    Kernel,
    plan::off::Off,
    read::ReadError,
    sys::{
        object::{MapFault, Plain},
        syscall::MapIterator,
    },
};
use aya::maps::{HashMap, MapData, MapError, RingBuf};
use common::{
    kernel::programs::CGROUP_MADE,
    map::catalog::{CGROUP_BIRTHS, CGROUPS, NETWORKS},
    workload::{CgroupBirth, CgroupState, Number},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::Arc,
};
use zerocopy::FromBytes as _;

/// The cgroups that nobody has read yet, and the numbers of those that live. Its descriptor can be read when there are some.
pub struct Cgroups {
    births: RingBuf<MapData>,
    states: HashMap<MapData, u64, Plain<CgroupState>>,
    owners: HashMap<MapData, u64, Plain<Number>>,
    finder: Option<Arc<MapIterator>>,
}

impl Cgroups {
    /// The next one; `None` when there is none yet.
    pub fn next_birth(&mut self) -> Option<CgroupBirth> {
        loop {
            let entry = self.births.next()?;
            // All entries have the same size: the programs reserve whole ones.
            if let Ok((birth, _)) = CgroupBirth::read_from_prefix(&entry) {
                return Some(birth);
            }
        }
    }

    /// Has the programs announce cgroups that nobody has met yet, as many as there is room for. Where no program does that, each is met
    /// by its first socket.
    ///
    /// # Errors
    /// [`ReadError::Cgroups`] when the program did not run to its end.
    pub fn find(&self) -> Result<(), ReadError> {
        self.finder
            .as_ref()
            .map_or(Ok(()), |finder| finder.run().map_err(ReadError::Cgroups))
    }

    /// Says whose a cgroup is: what it does from now on counts there. Whether it is still there.
    ///
    /// # Errors
    /// [`ReadError::Map`] when the kernel refuses.
    pub fn give(&mut self, id: u64, number: Number) -> Result<bool, ReadError> {
        /// `BPF_EXIST`: one that has gone stays away.
        const EXISTS: u64 = 2;
        let before = self.states.get(&id, 0).ok().map(|Plain(state)| state);
        let state = CgroupState {
            number,
            ..CgroupState::default()
        };
        // Its network namespace goes with it, unless somebody else has one there, too. It goes first: a socket that counts for the new
        // number must not find the old one there, and take it for somebody else.
        if let Some(CgroupState {
            number: old, network, ..
        }) = before
            && old != number
            && self.owners.get(&network, 0).is_ok_and(|Plain(owner)| owner == old)
        {
            match self.owners.insert(network, Plain(number), EXISTS) {
                Err(error) if !is_missing(&error) => return Err(MapFault::new(NETWORKS, error).into()),
                _ => {}
            }
        }
        match self.states.insert(id, Plain(state), EXISTS) {
            Ok(()) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(MapFault::new(CGROUPS, error).into()),
        }
    }

    /// The cgroups that live, of those that were met.
    pub fn living(&self) -> impl Iterator<Item = u64> {
        self.states.keys().filter_map(Result::ok)
    }
}

/// Whether there was nothing to replace.
fn is_missing(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error) if error.io_error.kind() == io::ErrorKind::NotFound)
}

impl AsFd for Cgroups {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.births.as_fd()
    }
}

impl AsRawFd for Cgroups {
    fn as_raw_fd(&self) -> RawFd {
        self.births.as_raw_fd()
    }
}

impl std::fmt::Debug for Cgroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cgroups").finish_non_exhaustive()
    }
}

impl Kernel {
    /// The cgroups, once; `None` where workloads are not told apart, as [`Self::why_no_workloads`] says.
    ///
    /// # Errors
    /// [`ReadError::Map`] when the kernel does not show the maps, or somebody has them already.
    pub fn take_cgroups(&mut self) -> Result<Option<Cgroups>, ReadError> {
        if self.why_no_workloads().is_some() {
            return Ok(None);
        }
        Ok(Some(Cgroups {
            births: self.object.take(CGROUP_BIRTHS)?,
            states: self.object.take(CGROUPS)?,
            owners: self.object.take(NETWORKS)?,
            finder: self.find_cgroups.clone(),
        }))
    }

    /// Why workloads are not told apart; `None` when they are.
    pub fn why_no_workloads(&self) -> Option<&Off> {
        self.plan.why_off(CGROUP_MADE)
    }
}
