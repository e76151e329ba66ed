//! A machine with systemd as process 1: a root file system that `tests/setup.sh root` made, in namespaces of its own. What is
//! installed goes into a layer above it, which goes with the machine.

use std::fs::{File, create_dir, read_to_string};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tests::exporter::{Finished, run_command};
use tests::machine::wait::until;

use crate::chart::top;

/// A running machine.
#[derive(Debug)]
pub(super) struct Machine {
    unshare: Child,
    /// Process 1, as it is known outside.
    init: u32,
    folder: TempDir,
}

impl Machine {
    /// Boots one that sees a folder of packages as /run/packages.
    pub(super) fn boot(packages: &Path) -> Result<Self> {
        let lower = top().join("target/tools/root").canonicalize();
        let lower = lower.context("no target/tools/root: run `tests/setup.sh root`")?;
        let folder = TempDir::new()?;
        let at = |name: &str| folder.path().join(name);
        for name in ["upper", "work", "root"] {
            create_dir(at(name))?;
        }
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            at("upper").display(),
            at("work").display()
        );
        // Mounted where nobody else sees it, so that it goes with the last process.
        let script = "mount -t overlay overlay --options \"$0\" \"$1\" && exec \"$2\" \"$1\" \"$3\"";
        let log = File::create(at("console.log"))?;
        let mut unshare = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--cgroup",
                "--uts",
                "--ipc",
                "--net",
            ])
            .args(["--propagation=private", "sh", "-c", script, &layers])
            .arg(at("root"))
            .arg(top().join("tests/deploy/packages/boot.sh").canonicalize()?)
            .arg(packages)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start unshare")?;
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let booted = until("a machine to have a process 1", || {
            if let Some(status) = unshare.try_wait()? {
                anyhow::bail!("it ended with {status}: {}", read_to_string(at("console.log"))?);
            }
            Ok(read_to_string(&children)?.split_whitespace().next().map(str::parse))
        });
        let machine = Self {
            unshare,
            init: booted??,
            folder,
        };
        until("a machine to be up", || {
            let state = machine.run("systemctl is-system-running")?.stdout;
            Ok(["running", "degraded"].contains(&state.trim()).then_some(()))
        })
        .with_context(|| machine.console())?;
        Ok(machine)
    }

    /// Runs a shell command inside.
    pub(super) fn run(&self, command: &str) -> Result<Finished> {
        let target = self.init.to_string();
        let mut enter = Command::new("nsenter");
        enter.args([
            "--target", &target, "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net",
        ]);
        enter.args([
            "--root",
            "--wd",
            "--",
            "/usr/bin/env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        ]);
        run_command(enter.args(["DEBIAN_FRONTEND=noninteractive", "sh", "-c", command]))
    }

    /// Requires that a command succeeds, and gives what it printed.
    pub(super) fn must(&self, command: &str) -> Result<String> {
        let finished = self.run(command)?;
        ensure!(finished.code == Some(0), "{command}: {finished:?}: {}", self.console());
        Ok(finished.stdout.trim().to_owned())
    }

    /// Reads a page of the machine's loopback device, with the curl of the host.
    pub(super) fn get(&self, path: &str) -> Result<String> {
        let target = self.init.to_string();
        let mut enter = Command::new("nsenter");
        enter.args([
            "--target",
            &target,
            "--net",
            "curl",
            "--silent",
            "--show-error",
            "--fail",
        ]);
        let finished = run_command(enter.arg(format!("http://127.0.0.1:10717{path}")))?;
        ensure!(finished.code == Some(0), "{path}: {finished:?}");
        Ok(finished.stdout)
    }

    fn console(&self) -> String {
        read_to_string(self.folder.path().join("console.log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its process 1 goes with it, and all others with that; there is nobody to tell if it cannot be killed.
        self.unshare.kill().ok();
        self.unshare.wait().ok();
    }
}
