//! Events of flows, as they come: the reader's end of the ring buffer.

use crate::{Kernel, read::ReadError};
use aya::maps::{MapData, RingBuf};
pub use common::map::catalog::EVENTS;
use common::{map::catalog::EVENTS_LOST, tcp::event::Event};
use std::os::fd::{AsFd, BorrowedFd};
use zerocopy::FromBytes as _;

/// The events that nobody has read yet. Its descriptor can be read when there are some.
pub struct Events(RingBuf<MapData>);

impl Events {
    /// The next one; `None` when there is none yet.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            let entry = self.0.next()?;
            // All entries have the same size: the programs reserve whole events.
            if let Ok((event, _)) = Event::read_from_prefix(&entry) {
                return Some(event);
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Kernel {
    /// The reader of events, once.
    ///
    /// # Errors
    /// [`ReadError::Map`] when the kernel does not show the ring buffer, or somebody has its reader already.
    pub fn take_events(&mut self) -> Result<Events, ReadError> {
        Ok(Events(self.object.take(EVENTS)?))
    }

    /// Events that found no room so far.
    ///
    /// # Errors
    /// [`ReadError::Map`]
    pub fn events_lost(&self) -> Result<u64, ReadError> {
        self.only(EVENTS_LOST)
    }
}
