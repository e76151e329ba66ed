//! Threads: all of them at the start, so that a limit of the system is met then, and not by a request.
//! It must never leave a thread to be started later. From `serve` and the pusher.

pub mod panics;

use std::{
    fs, io,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// The system gives too few threads.
#[derive(Debug, thiserror::Error)]
#[error(
    "{wanted} threads more cannot be started: {source}; raise the limit: pids.max of the control group (TasksMax= of a unit), \
     `ulimit -u`, or memory"
)]
pub struct TooFew {
    wanted: usize,
    source: io::Error,
}

impl TooFew {
    /// Why there is no thread more.
    pub const fn new(wanted: usize, source: io::Error) -> Self {
        Self { wanted, source }
    }
}

/// A runtime that has all its threads: those that run tasks, none for the caller's own, and those that may block.
///
/// # Errors
/// [`TooFew`].
pub fn runtime(name: &str, workers: usize, blocking: usize) -> Result<Runtime, TooFew> {
    /// Longer than any exporter runs.
    const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let failed = |source| TooFew::new(workers + blocking, source);
    // The runtime's own way to say that there is no thread is a panic.
    at_once(workers + blocking).map_err(failed)?;
    let mut builder = if workers == 0 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    let runtime = builder
        .max_blocking_threads(blocking)
        .thread_keep_alive(FOR_EVER)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(failed)?;
    let (arrived, all) = channel();
    let gates: Vec<Sender<()>> = (0..blocking)
        .map(|_| {
            let (gate, closed) = channel();
            let arrived = arrived.clone();
            runtime.spawn_blocking(move || meet(&arrived, &closed));
            gate
        })
        .collect();
    wait_for(blocking, &all).map_err(failed)?;
    drop(gates);
    Ok(runtime)
}

/// Starts so many threads and ends them again.
fn at_once(count: usize) -> io::Result<()> {
    let before = running();
    let (arrived, all) = channel();
    let mut gates = Vec::new();
    for _ in 0..count {
        let (gate, closed) = channel();
        let arrived = arrived.clone();
        let started = thread::Builder::new().spawn(move || meet(&arrived, &closed))?;
        gates.push((gate, started));
    }
    wait_for(count, &all)?;
    for (gate, started) in gates {
        drop(gate);
        // It has nothing to panic over.
        let _ended = started.join();
    }
    // One that has ended counts until the kernel lets go of it, a moment later.
    for _ in 0..1000 {
        if running() <= before {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// How many threads the kernel counts for this process; none where there is no /proc, which is no lack of threads.
fn running() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// Says that this thread is there, and stays until its gate is gone.
fn meet(arrived: &Sender<()>, gate: &Receiver<()>) {
    if arrived.send(()).is_ok() {
        let _gone = gate.recv();
    }
}

fn wait_for(count: usize, all: &Receiver<()>) -> io::Result<()> {
    /// Far longer than threads take.
    const PATIENCE: Duration = Duration::from_secs(3);
    for _ in 0..count {
        all.recv_timeout(PATIENCE).map_err(io::Error::other)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_has_its_threads_from_the_start_and_never_more() {
        let count = || {
            let tasks = fs::read_dir("/proc/self/task").unwrap();
            let name = |task: io::Result<fs::DirEntry>| fs::read_to_string(task.unwrap().path().join("comm"));
            tasks
                .filter_map(|task| name(task).ok())
                .filter(|name| name == "threads-test\n")
                .count()
        };
        let runtime = runtime("threads-test", 2, 3).unwrap();
        assert_eq!(count(), 5);
        let tasks: Vec<_> = (0..20).map(|number| runtime.spawn_blocking(move || number)).collect();
        let done: Vec<i32> = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
        assert_eq!(done, (0..20).collect::<Vec<_>>());
        assert_eq!(count(), 5);
    }
}
