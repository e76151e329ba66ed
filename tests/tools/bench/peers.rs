//! Others that measure the same, as Debian packages them: `tests/setup.sh bench` unpacks them. One that only counts in maps has
//! its programs taken over like the exporter's. One that sends events needs its process, or nobody would take them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::kernel::processes::links_of;
use tests::kernel::tracing::of_process;
use tests::machine::wait::until;

use crate::pairs::Contestant;

/// A peer, or what the results say instead of one.
pub(crate) type Peer<T> = Result<T, String>;

/// A program of bpftrace on one tracepoint of perf (`tcp:tcp_probe`).
pub(crate) fn bpftrace(event: &str, action: &str) -> Result<Peer<Contestant>> {
    let Some(command) = command("usr/bin/bpftrace") else {
        return Ok(Err(absent("bpftrace")));
    };
    let script = format!("tracepoint:{event} {{ {action} }}");
    let running = match Running::start(&command, &["-e", &script])? {
        Ok(running) => running,
        Err(why) => return Ok(Err(why)),
    };
    let programs = of_process(running.0.id(), Some(event))?;
    ensure!(!programs.is_empty(), "bpftrace has attached nothing to {event}");
    Ok(Ok(Contestant {
        label: format!("bpftrace `{event} {{ {action} }}`"),
        programs,
        is_on_floor: false,
    }))
}

/// The words to start a peer with; none if it is not here. It comes from a release of Debian of its own and brings its dynamic
/// linker and libraries.
pub(crate) fn command(path: &str) -> Option<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bench");
    let first = |paths: [&str; 2]| paths.map(|path| root.join(path)).into_iter().find(|path| path.exists());
    let linker = first(["usr/lib64/ld-linux-x86-64.so.2", "usr/lib/ld-linux-aarch64.so.1"])?;
    let libraries = first(["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu"])?;
    let program = first([path, path])?;
    let word = |path: PathBuf| path.to_string_lossy().into_owned();
    Some(vec![
        word(linker),
        "--library-path".to_owned(),
        word(libraries),
        word(program),
    ])
}

/// What the results say instead of a peer.
pub(crate) fn absent(name: &str) -> String {
    format!("{name} was skipped: it is not here; `tests/setup.sh bench` brings it.")
}

/// A process at work; killed on drop.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts a peer and waits until it has attached something.
    pub(crate) fn start(command: &[String], arguments: &[&str]) -> Result<Peer<Self>> {
        let mut running = Self::spawn(command, arguments)?;
        let attached = until("a peer to attach", || {
            ensure!(running.0.try_wait()?.is_none(), "it ended by itself");
            Ok((links_of(running.0.id())? > 0).then_some(()))
        });
        if let Err(error) = attached {
            return Ok(Err(format!("`{}` was skipped: {error:#}.", arguments.join(" "))));
        }
        // The rest is attached right afterwards; nothing tells when.
        sleep(Duration::from_millis(200));
        Ok(Ok(running))
    }

    /// Starts any program.
    pub(crate) fn spawn(command: &[String], arguments: &[&str]) -> Result<Self> {
        let (program, first) = command.split_first().context("an empty command")?;
        let child = Command::new(program)
            .args(first)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {program}"))?;
        Ok(Self(child))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell if it cannot be killed.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
