//! Attaches iterator programs: those that run once at the start, and those that are run again and again.

use crate::{
    Kernel,
    sys::{
        object::MapFault,
        syscall::{self, MapIterator},
    },
};
use aya::programs::{Iter, ProgramError};
use common::{
    kernel::programs::{
        ADOPT, DUMP, DUMP_TABLE, FIND_CGROUPS, FIND_LISTENERS, FOLD, FOLD_LISTENER_TABLE, FOLD_LISTENERS, FOLD_TABLE,
        SAMPLE_LISTENER_TABLE, SAMPLE_LISTENERS,
    },
    map::catalog::{FLOWS, LISTENERS, Map},
};
use std::{io, os::fd::AsFd as _, sync::Arc};

impl Kernel {
    pub(super) fn attach_iterator(&mut self, name: &str) -> Result<(), ProgramError> {
        match name {
            ADOPT | FIND_LISTENERS => run_once(self.program(name)?.try_into()?)?,
            FOLD => self.fold = Some(self.over(name, FLOWS)?),
            FOLD_LISTENERS => self.fold_listeners = Some(self.over(name, LISTENERS)?),
            SAMPLE_LISTENERS => self.sample_listeners = Some(self.over(name, LISTENERS)?),
            DUMP => self.dump = Some(self.over(name, FLOWS)?),
            FOLD_TABLE => self.fold = Some(self.over_list(name)?),
            FOLD_LISTENER_TABLE => self.fold_listeners = Some(self.over_list(name)?),
            FIND_CGROUPS => self.find_cgroups = Some(self.over_list(name)?),
            SAMPLE_LISTENER_TABLE => self.sample_listeners = Some(self.over_list(name)?),
            DUMP_TABLE => self.dump = Some(self.over_list(name)?),
            _ => return Err(ProgramError::NotLoaded),
        }
        Ok(())
    }

    /// A loaded iterator program, over all sockets that have storage in a map.
    fn over<K, V>(&self, name: &str, map: Map<K, V>) -> Result<Arc<MapIterator>, ProgramError> {
        let program: &Iter = self.object.program(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
        let map = self.object.descriptor(map);
        let map = map.map_err(|MapFault { source, .. }| ProgramError::IOError(source))?;
        let iterator = MapIterator::new(program.fd()?.as_fd(), map);
        iterator.map(Arc::new).map_err(ProgramError::IOError)
    }

    /// A loaded iterator program that does not care what it is over: that goes through a list, or a tree.
    fn over_list(&self, name: &str) -> Result<Arc<MapIterator>, ProgramError> {
        let program: &Iter = self.object.program(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
        let iterator = MapIterator::unbound(program.fd()?.as_fd());
        iterator.map(Arc::new).map_err(ProgramError::IOError)
    }
}

/// Runs a loaded iterator program over everything, once.
pub(super) fn run_once(program: &mut Iter) -> Result<(), ProgramError> {
    let link = program.attach()?;
    let iterator = program
        .take_link(link)?
        .into_file()
        .map_err(|error| ProgramError::IOError(io::Error::other(error)))?;
    syscall::read_to_end(iterator).map_err(ProgramError::IOError)
}
