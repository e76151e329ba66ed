//! The thread: it waits for cgroups and for news of pods, and for nothing else.

use super::{Book, Given, Known};
use crate::lifecycle::{start::StartError, threads::TooFew};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{collections::HashSet, io, os::fd::AsFd as _, sync::Arc, thread};
use tcpvitals_kernel::{
    Kernel,
    read::{ReadError, cgroups::Cgroups},
};

/// Follows the cgroups that the kernel meets, where workloads are told apart. The thread ends with the process.
///
/// # Errors
/// [`StartError`]
pub fn follow(kernel: &mut Kernel, book: Book, known: &Arc<Known>) -> Result<(), StartError> {
    let Some(cgroups) = kernel.take_cgroups()? else {
        return Ok(());
    };
    known.learn(book.names());
    let follower = Follower {
        cgroups,
        book,
        known: Arc::clone(known),
    };
    let run = move || {
        if let Err(error) = follower.run() {
            tracing::error!(%error, "workloads are told apart no more");
        }
    };
    let thread = thread::Builder::new().name("tcpvitals-workloads".to_owned()).spawn(run);
    thread.map(drop).map_err(|error| TooFew::new(1, error))?;
    Ok(())
}

struct Follower {
    cgroups: Cgroups,
    book: Book,
    known: Arc<Known>,
}

impl Follower {
    fn run(mut self) -> io::Result<()> {
        loop {
            self.wait()?;
            let mut given = Vec::new();
            while let Some(birth) = self.cgroups.next_birth() {
                given.extend(self.book.meet(birth.id, birth.names()));
            }
            self.give(&given).map_err(io::Error::other)?;
            if self.book.is_due_to_forget() {
                let living: HashSet<u64> = self.cgroups.living().collect();
                self.book.forget_all_but(&living);
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut sources = [PollFd::new(self.cgroups.as_fd(), PollFlags::POLLIN)];
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Names first: whoever reads a number of the kernel's finds its name.
    fn give(&mut self, given: &[Given]) -> Result<(), ReadError> {
        if given.is_empty() {
            return Ok(());
        }
        self.known.learn(self.book.names());
        for (id, number) in given {
            self.cgroups.give(*id, *number)?;
        }
        self.known.count(given.len());
        Ok(())
    }
}
