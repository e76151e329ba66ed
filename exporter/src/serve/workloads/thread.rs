//! The thread: it waits for cgroups and for news of pods, and for nothing else.

use super::{
    Known,
    sources::{Source, chosen},
};
use crate::lifecycle::{start::StartError, threads::TooFew};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{collections::HashSet, io, os::fd::AsFd as _, sync::Arc, thread};
use tcpvitals_config::Config;
use tcpvitals_kernel::{
    Kernel,
    read::{ReadError, cgroups::Cgroups},
};
use tcpvitals_metrics::workloads::{
    Rules,
    book::{Book, Given},
};

/// Follows the cgroups that the kernel meets, where workloads are told apart. The threads end with the process.
///
/// # Errors
/// [`StartError`] when the source of names is not there, or no thread.
pub fn follow(kernel: &mut Kernel, config: &Config, known: &Arc<Known>) -> Result<(), StartError> {
    if !config.workloads.are_told_apart() {
        return Ok(());
    }
    let (source, note) = chosen(config.workloads.source);
    let off = kernel.why_no_workloads().map(ToString::to_string);
    let name = source.as_str();
    match (&off, &note) {
        (Some(reason), _) => tracing::warn!(reason, "workloads are not told apart"),
        (None, Some(note)) => tracing::info!(source = name, "workloads: {note}"),
        (None, None) => tracing::debug!(source = name, "workloads are told apart"),
    }
    known.health.begin(name, off, note);
    let Some(cgroups) = kernel.take_cgroups()? else {
        return Ok(());
    };
    let source = Source::start(&config.workloads, &known.health)?;
    let rules = Rules {
        merge_templates: config.workloads.merges_templates,
    };
    let mut book = Book::new(rules, source.has_pods(), config.limits.workloads);
    known.learn(book.names(), book.fill());
    let mut follower = Follower {
        cgroups,
        source,
        book,
        known: Arc::clone(known),
    };
    let run = move || {
        if let Err(error) = follower.run() {
            tracing::error!(%error, "workloads are told apart no more");
        }
    };
    let thread = thread::Builder::new().name("tcpvitals-owners".to_owned()).spawn(run);
    thread.map(drop).map_err(|error| TooFew::new(1, error))?;
    Ok(())
}

struct Follower {
    cgroups: Cgroups,
    source: Source,
    book: Book,
    known: Arc<Known>,
}

impl Follower {
    fn run(&mut self) -> io::Result<()> {
        loop {
            self.wait()?;
            let mut given = Vec::new();
            let mut has_met = false;
            while let Some(birth) = self.cgroups.next_birth() {
                has_met = true;
                let names: Vec<&[u8]> = birth.names().collect();
                given.extend(self.book.meet(birth.id, &names));
            }
            given.extend(self.source.tell(&mut self.book, has_met, &self.known.health));
            self.give(&given).map_err(io::Error::other)?;
            if self.book.is_due_to_forget() {
                let living: HashSet<u64> = self.cgroups.living().collect();
                self.book.forget_all_but(&living);
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let (news, time) = self.source.wait_for(&self.book);
        let mut sources = vec![PollFd::new(self.cgroups.as_fd(), PollFlags::POLLIN)];
        sources.extend(news);
        let time = time.and_then(|time| PollTimeout::try_from(time).ok());
        match poll(&mut sources, time.unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Names first: whoever reads a number of the kernel's finds its name.
    fn give(&mut self, given: &[Given]) -> Result<(), ReadError> {
        if given.is_empty() {
            return Ok(());
        }
        self.known.learn(self.book.names(), self.book.fill());
        for (id, number) in given {
            self.cgroups.give(*id, *number)?;
        }
        self.known.count(given.len());
        Ok(())
    }
}
