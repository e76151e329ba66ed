//! What differs between kernels in a way that no counter shows: told by the kernel's own type information, never by its
//! version. A test that cannot show something on a kernel says so here, and never passes in silence.

use std::fs::read;
use std::io::Write as _;
use std::thread;

use anyhow::{Context as _, Result};

use crate::net::namespace::Namespace;

/// Whether this name is among those of the kernel's types, their members and enumerators.
pub fn has_type_name(name: &str) -> Result<bool> {
    let path = "/sys/kernel/btf/vmlinux";
    let types = read(path).with_context(|| format!("read {path}"))?;
    // Names lie one after another, each ended by a zero.
    let wanted = [&[0], name.as_bytes(), &[0]].concat();
    Ok(types.windows(wanted.len()).any(|window| window == wanted))
}

/// Whether a task can lose its processor within a tracepoint (since Linux 7.0): in no type of the kernel, but the function that
/// keeps iterators over storage from what goes is as old.
pub fn has_preemptible_tracepoints() -> Result<bool> {
    has_type_name("bpf_selem_unlink_nofail")
}

/// Whether softirqs are threads, so that only hard interrupts come upon a program (PREEMPT_RT).
pub fn has_threaded_softirqs() -> bool {
    read("/sys/kernel/realtime").is_ok_and(|text| text.starts_with(b"1"))
}

/// Gives a device a queueing discipline; `false`, and a word about it, where the kernel does not have it.
pub fn add_queue(namespace: &Namespace, device: &str, queue: &str) -> Result<bool> {
    match namespace.exec(&format!("tc qdisc add dev {device} root {queue}")) {
        Err(error) if format!("{error:#}").contains("qdisc kind is unknown") => {
            let kind = queue.split(' ').next().unwrap_or_default();
            skip(&format!("this kernel has no queueing discipline {kind}"));
            Ok(false)
        }
        other => other.map(|_| true),
    }
}

/// Says that the running test, or a part of it, cannot be shown on this kernel.
pub fn skip(reason: &str) {
    say("skipped", reason);
}

/// Says what the running test did not meet, where that is no failure and not for want of anything in the kernel.
pub fn note(fact: &str) {
    say("note", fact);
}

/// The line goes past the test runner, which keeps what a test prints to itself unless it fails.
fn say(kind: &str, what: &str) {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    // Whoever closed standard error does not want to know.
    std::io::stderr()
        .write_all(format!("{kind} {name}: {what}\n").as_bytes())
        .ok();
}
