//! Cgroups: who is in one, and that nothing is left of it.

use std::fs::read_to_string;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use tests::exporter::run_command;
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;

/// The cgroup of version 2 of whoever reads the file.
fn own(file: &str) -> Result<String> {
    let text = read_to_string(file)?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    own.map(str::to_owned).context("no cgroup of version 2")
}

#[test]
fn a_thread_is_in_a_cgroup_and_those_it_starts_and_nobody_else() -> Result<()> {
    const SELF: &str = "/proc/thread-self/cgroup";
    let _turn = turn::shared()?;
    let cgroups = Cgroups::of_threads()?;
    let outside = own(SELF)?;
    let cgroup = cgroups.make("a.slice/b.service")?;
    let inside = format!("/{}/a.slice/b.service", cgroups.name());
    let seen = cgroup.run(|| {
        let started = thread::scope(|scope| scope.spawn(|| own(SELF)).join());
        let seen = (own(SELF)?, started.ok().context("a panic")??);
        cgroups.leave()?;
        Ok((seen, own(SELF)?))
    })?;
    assert_eq!(seen, ((inside.clone(), inside), "/".to_owned()));
    assert_eq!(own(SELF)?, outside);
    cgroup.remove()
}

#[test]
fn a_process_begins_in_a_cgroup_and_nothing_is_left_of_it() -> Result<()> {
    let _turn = turn::shared()?;
    let cgroups = Cgroups::of_processes()?;
    let cgroup = cgroups.make("a.slice/b.service")?;
    let [program, arguments @ ..] = cgroup.wrapper()?;
    let finished = run_command(Command::new(program).args(arguments).args(["cat", "/proc/self/cgroup"]))?;
    let inside = format!("0::/{}/a.slice/b.service", cgroups.name());
    assert!(finished.stdout.lines().any(|line| line == inside), "{finished:?}");
    let others = Cgroups::of_processes()?;
    let same = others.of("..").path().join(cgroups.name());
    assert!(same.exists());
    drop(cgroups);
    assert!(!same.exists());
    Ok(())
}
