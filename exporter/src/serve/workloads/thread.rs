//! The thread: it waits for cgroups and for news of pods, and for nothing else.

use super::{
    Known,
    sources::{Source, chosen},
};
use crate::lifecycle::{
    start::StartError,
    threads::TooFew,
    throttle::{self, Throttle},
};
use common::workload::MOST_CGROUPS;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    collections::HashSet,
    io,
    os::fd::AsFd as _,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tcpvitals_config::Config;
use tcpvitals_kernel::{
    Kernel,
    read::{ReadError, cgroups::Cgroups},
};
use tcpvitals_metrics::workloads::{
    Rules,
    book::{Book, Given},
};

/// Until numbers are given again that the kernel did not take, for want of memory for example.
const AGAIN: Duration = Duration::from_secs(1);
/// What [`Throttle`] calls that.
const NOT_TAKEN: &str = "not taken";

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
        (Some(reason), _) => tracing::warn!(reason, "traffic is not separated by workload"),
        (None, Some(note)) => tracing::debug!(source = name, "workloads: {note}"),
        (None, None) => tracing::debug!(source = name, "traffic is separated by workload"),
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
    known.book.get_or_init(|| Mutex::new(book));
    let mut follower = Follower {
        cgroups,
        source,
        known: Arc::clone(known),
    };
    follower.meet_older()?;
    let run = move || {
        if let Err(error) = follower.run() {
            tracing::error!(%error, "new workloads get no names any more until a restart");
        }
    };
    let thread = thread::Builder::new().name("tcpvitals-owners".to_owned()).spawn(run);
    thread.map(drop).map_err(|error| TooFew::new(1, error))?;
    Ok(())
}

/// Cgroups that were made or met.
#[derive(Debug, Default)]
struct Met {
    count: usize,
    /// Those whose workload is known at once.
    given: Vec<Given>,
    /// Some are of pods that nobody has told yet.
    has_strangers: bool,
}

struct Follower {
    cgroups: Cgroups,
    source: Source,
    known: Arc<Known>,
}

impl Follower {
    /// Gives the cgroups that are older than the programs their numbers, as far as the source of names has told by now. The ring buffer
    /// holds some of them at a time.
    fn meet_older(&mut self) -> Result<(), ReadError> {
        let mut left = MOST_CGROUPS;
        loop {
            self.cgroups.find()?;
            let Met { given, count, .. } = self.meet();
            self.give(&given)?;
            left = left.saturating_sub(count);
            if count == 0 || left == 0 {
                break;
            }
        }
        // What can be read at once; the API server answers later.
        let given = self.source.tell(&self.known, true);
        self.give(&given)
    }

    fn run(&mut self) -> io::Result<()> {
        let log = Throttle::new(throttle::FAULT);
        let mut refused = Vec::new();
        loop {
            self.wait((!refused.is_empty()).then_some(AGAIN))?;
            let Met {
                given, has_strangers, ..
            } = self.meet();
            // What is newer comes later.
            refused.extend(given);
            refused.extend(self.source.tell(&self.known, has_strangers));
            refused = self.give_what_is_taken(refused, &log);
            self.forget();
        }
    }

    /// Takes the cgroups that were made or met; no more than some at a time, as whoever makes them may be as fast as this.
    fn meet(&mut self) -> Met {
        /// Twice what the ring buffer holds.
        const AT_ONCE: usize = 1024;
        let mut met = Met::default();
        while met.count < AT_ONCE
            && let Some(birth) = self.cgroups.next_birth()
        {
            met.count += 1;
            let names: Vec<&[u8]> = birth.names().collect();
            let book = self.known.book();
            let given = book.map(|mut book| book.meet(birth.id, birth.above(), &names));
            let given = given.unwrap_or_default();
            met.has_strangers |= given.is_empty();
            met.given.extend(given);
        }
        met
    }

    fn forget(&self) {
        let is_due = || self.known.book().is_some_and(|book| book.is_due_to_forget());
        if is_due() {
            let living: HashSet<u64> = self.cgroups.living().collect();
            if let Some(mut book) = self.known.book() {
                book.forget_all_but(&living);
            }
        }
    }

    /// Until there is something to do, but not longer than `most`.
    fn wait(&self, most: Option<Duration>) -> io::Result<()> {
        let (news, time) = self.source.wait_for(&self.known);
        let time = time.into_iter().chain(most).min();
        let mut sources = vec![PollFd::new(self.cgroups.as_fd(), PollFlags::POLLIN)];
        sources.extend(news);
        let time = time.and_then(|time| PollTimeout::try_from(time).ok());
        match poll(&mut sources, time.unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// [`Self::give`] of each; those that the kernel did not take.
    fn give_what_is_taken(&mut self, given: Vec<Given>, log: &Throttle) -> Vec<Given> {
        let Err(mut error) = self.give(&given) else {
            if log.over(NOT_TAKEN) {
                tracing::info!("the kernel has taken the numbers of new workloads");
            }
            return Vec::new();
        };
        let mut refused = Vec::new();
        for one in given {
            if let Err(why) = self.give(&[one]) {
                error = why;
                refused.push(one);
            }
        }
        if let Some(silent) = log.log(NOT_TAKEN) {
            tracing::warn!(%error, not_logged = silent, "some workloads have no names until the kernel takes their numbers");
        }
        refused
    }

    /// Names first: whoever reads a number of the kernel's finds its name.
    fn give(&mut self, given: &[Given]) -> Result<(), ReadError> {
        if given.is_empty() {
            return Ok(());
        }
        if let Some(mut book) = self.known.book() {
            self.known.learn(book.names(), book.fill());
        }
        for (id, number) in given {
            self.cgroups.give(*id, *number)?;
        }
        self.known.count(given.len());
        Ok(())
    }
}
