//! Visits every socket that something is known of: the kernel does so by an iterator over its storage, or where it lets nobody do that,
//! programs do so by a list that is written here.

use crate::{Kernel, read::ReadError, sys::syscall::MapIterator};
use common::map::{
    catalog::{Map, REMOVING, WALK, WALK_LIST},
    table::{Kept, MOST_LISTED, Walk},
};
use std::{
    io,
    sync::atomic::{Ordering, fence},
    thread,
    time::Duration,
};

impl Kernel {
    /// Calls `visit` until the iterator has visited every socket of a table, or once where storage is walked. `failed` says what did not
    /// run to its end.
    pub(crate) fn visit<S>(
        &mut self,
        iterator: &MapIterator,
        table: Map<u64, Kept<S>>,
        mut visit: impl FnMut(&MapIterator) -> io::Result<()>,
        failed: fn(io::Error) -> ReadError,
    ) -> Result<(), ReadError> {
        if !self.plan.keeps_tables {
            return visit(iterator).map_err(failed);
        }
        self.set_walk(Walk {
            is_under_way: 1,
            ..Walk::default()
        })?;
        let walked = self.walk(table, || visit(iterator), failed);
        self.set_walk(Walk::default())?;
        walked
    }

    fn walk<S>(
        &mut self,
        table: Map<u64, Kept<S>>,
        mut run: impl FnMut() -> io::Result<()>,
        failed: fn(io::Error) -> ReadError,
    ) -> Result<(), ReadError> {
        self.wait_for_removals(failed)?;
        let (there, gone) = self.object.sockets(table)?;
        self.object.remove_sockets(table, &gone)?;
        for part in there.chunks(MOST_LISTED as usize) {
            self.object.set_first(WALK_LIST, part)?;
            let listed = part.len() as u64;
            let mut first = 0;
            while first < listed {
                self.set_walk(Walk {
                    is_under_way: 1,
                    listed,
                    first,
                    next: first,
                })?;
                run().map_err(failed)?;
                let next = self.object.values(WALK, 1)?.first().map_or(0, |walk| walk.next);
                if next <= first {
                    return Err(failed(io::Error::other("the iterator over maps has visited none")));
                }
                first = next;
            }
        }
        Ok(())
    }

    /// Waits for those hooks that began to remove something before they could see that somebody walks: an instruction or two, but who
    /// runs them may lose his CPU.
    fn wait_for_removals(&self, failed: fn(io::Error) -> ReadError) -> Result<(), ReadError> {
        const PATIENCE: Duration = Duration::from_secs(2);
        const PAUSE: Duration = Duration::from_micros(100);
        let most = PATIENCE.as_micros() / PAUSE.as_micros();
        for _ in 0..most {
            // What was written before is seen by all before anything is read.
            fence(Ordering::SeqCst);
            if self.only(REMOVING)? == 0 {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        Err(failed(io::ErrorKind::TimedOut.into()))
    }

    fn set_walk(&mut self, walk: Walk) -> Result<(), ReadError> {
        self.object.set(WALK, 0, walk).map_err(ReadError::Epoch)
    }
}
