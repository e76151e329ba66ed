//! The node: namespaces and cgroups of its own, in which nothing is seen of outside, no packet leaves, and everything ends with the
//! first process.

use std::collections::BTreeMap;
use std::fs::{File, create_dir, create_dir_all, read_to_string, remove_dir, remove_dir_all, write};
use std::io::{BufRead as _, BufReader};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::exporter::{Finished, run_command};
use tests::machine::wait::until;

use crate::access::Access;
use crate::programs::Program;

/// Its name in Kubernetes.
pub(crate) const NODE: &str = "node-1";
/// Its address; this and the next are of the ranges for documentation, and lead nowhere else.
pub(crate) const NODE_ADDRESS: &str = "192.0.2.1";
/// Where pods are.
pub(crate) const PODS: &str = "203.0.113.0/25";
/// Where Services are.
pub(crate) const SERVICES: &str = "203.0.113.128/25";
/// The Service of the API server.
pub(crate) const API_ADDRESS: &str = "203.0.113.129";
/// The API server's own port.
pub(crate) const API_PORT: u16 = 6443;

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    folder: PathBuf,
    tools: PathBuf,
    pub(crate) access: Access,
    /// `unshare`, which the kernel kills when this process ends.
    outer: Child,
    /// The first process within, by its number outside.
    first: i32,
    programs: BTreeMap<&'static str, Running>,
    /// The cgroups that were made for it, and where this process was before.
    cgroups: Vec<Home>,
}

#[derive(Debug)]
struct Running {
    /// `nsenter`, which waits for the program.
    outer: Child,
    program: i32,
}

#[derive(Debug)]
struct Home {
    before: PathBuf,
    own: PathBuf,
    /// Of version 2.
    is_unified: bool,
}

impl Node {
    /// Makes the node, without any program of Kubernetes yet.
    pub(crate) fn start(folder: &Path, tools: &Path) -> Result<Self> {
        if folder.exists() {
            remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        for part in ["logs", "manifests", "cni"] {
            create_dir_all(folder.join(part))?;
        }
        let folder = folder.canonicalize()?;
        let access = Access::make(&folder.join("access"))?;
        let cgroups = leave_for_own_cgroups()?;
        let mut outer = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--kill-child",
                "--fork",
                "--mount-proc",
            ])
            .args(["--mount", "--propagation", "private"])
            .args(["--net", "--pid", "--uts", "--ipc", "--cgroup"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/node.sh"))
            .arg(&folder)
            .args([NODE, NODE_ADDRESS, API_ADDRESS, &API_PORT.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("logs/node.log"))?)
            .spawn()
            .context("start unshare")?;
        let mut said = String::new();
        BufReader::new(outer.stdout.take().context("no standard output")?).read_line(&mut said)?;
        ensure!(
            said == "ready\n",
            "the node: {}",
            read_to_string(folder.join("logs/node.log"))?
        );
        let first = only_child(outer.id())?;
        if let [alone] = &*cgroups {
            leave_root_empty(&alone.own)?;
        }
        Ok(Self {
            folder,
            tools: tools.canonicalize()?,
            access,
            outer,
            first,
            programs: BTreeMap::new(),
            cgroups,
        })
    }

    /// A file of this run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file that was brought.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.tools.join(name)
    }

    /// Starts a program in it.
    pub(crate) fn launch(&mut self, program: &Program) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.file(&format!("logs/{}.log", program.name)))?;
        let outer = self
            .entering(&self.tool(&format!("bin/{}", program.name)))
            .args(&program.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let program_id = until("a program to start", || Ok(only_child(outer.id()).ok()))?;
        self.programs.insert(
            program.name,
            Running {
                outer,
                program: program_id,
            },
        );
        Ok(())
    }

    /// Kills a program.
    pub(crate) fn kill(&mut self, name: &str) -> Result<()> {
        let mut running = self
            .programs
            .remove(name)
            .with_context(|| format!("{name} does not run"))?;
        kill(Pid::from_raw(running.program), Signal::SIGKILL)?;
        running.outer.wait()?;
        Ok(())
    }

    /// Fails if a program has ended by itself.
    pub(crate) fn require_all(&mut self) -> Result<()> {
        for (name, running) in &mut self.programs {
            if let Some(status) = running.outer.try_wait()? {
                let log = read_to_string(self.folder.join(format!("logs/{name}.log")))?;
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!("{name} has ended ({status}): {last:#?}");
            }
        }
        Ok(())
    }

    /// Runs a program in it, and gives what that printed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let finished = self.try_run(program, arguments)?;
        ensure!(finished.code == Some(0), "{program} {arguments:?}: {finished:?}");
        Ok(finished.stdout)
    }

    /// The same, whatever became of it.
    pub(crate) fn try_run(&self, program: &str, arguments: &[&str]) -> Result<Finished> {
        run_command(self.command(program).args(arguments))
    }

    /// A command that runs a program in it: one that was brought, else the machine's.
    pub(crate) fn command(&self, program: &str) -> Command {
        let brought = self.tool(&format!("bin/{program}"));
        let mut command = self.entering(if brought.exists() { &brought } else { Path::new(program) });
        command
            .env("KUBECONFIG", self.access.file("admin.json"))
            .env("HELM_CACHE_HOME", self.file("helm"))
            .env("HELM_CONFIG_HOME", self.file("helm"))
            .env("HELM_DATA_HOME", self.file("helm"));
        command
    }

    fn entering(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.first))
            .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--"])
            .arg(program)
            .env(
                "PATH",
                format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.tool("bin").display()),
            )
            .current_dir("/");
        command
    }

    /// Runs `work` in its network namespace.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        in_network_of(self.first, work)
    }

    /// Which versions of cgroups it has, in words.
    pub(crate) fn cgroup_versions(&self) -> &'static str {
        match &*self.cgroups {
            [_] => ALONE,
            _ => BESIDE,
        }
    }

    /// Where its cgroups of version 2 are, seen from outside.
    pub(crate) fn cgroup(&self) -> Result<&Path> {
        let unified = self.cgroups.iter().find(|home| home.is_unified);
        Ok(&unified.context("no cgroups of version 2")?.own)
    }
}

/// Runs `work` in the network namespace of a process.
pub(crate) fn in_network_of<T: Send>(process: i32, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let path = format!("/proc/{process}/ns/net");
            let handle = File::open(&path).with_context(|| format!("open {path}"))?;
            setns(&handle, CloneFlags::CLONE_NEWNET)?;
            work()
        });
        inside.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nobody can be told of what fails here; the next run meets it.
        kill(Pid::from_raw(self.first), Signal::SIGKILL).ok();
        self.outer.wait().ok();
        for running in self.programs.values_mut() {
            running.outer.wait().ok();
        }
        for home in &self.cgroups {
            write(home.before.join("cgroup.procs"), std::process::id().to_string()).ok();
            until("cgroups to be empty", || Ok(remove(&home.own).is_ok().then_some(()))).ok();
        }
    }
}

/// The process that another one has started.
fn only_child(process: u32) -> Result<i32> {
    let children = read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    let child = children.split_whitespace().next().context("no child")?;
    Ok(child.parse()?)
}

/// What the kubelet finds.
pub(crate) const ALONE: &str = "cgroup v2 alone";
/// The same where version 1 has the controllers.
pub(crate) const BESIDE: &str = "cgroup v1 and an empty cgroup v2";

/// Moves this process, and with it all that it starts, into a cgroup of its own in each hierarchy.
fn leave_for_own_cgroups() -> Result<Vec<Home>> {
    let own = read_to_string("/proc/self/cgroup")?;
    let is_alone = own.lines().count() == 1;
    let mut homes = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let folder = match controllers.strip_prefix("name=").unwrap_or(controllers) {
            "" if is_alone => "/sys/fs/cgroup".to_owned(),
            "" => "/sys/fs/cgroup/unified".to_owned(),
            name => format!("/sys/fs/cgroup/{name}"),
        };
        let before = PathBuf::from(format!("{folder}{}", path.trim_end_matches('/')));
        ensure!(
            before.is_dir(),
            "no {}: the kubelet wants the controllers of cgroups of version 1 and version 2 in /sys/fs/cgroup/unified, or version 2 alone",
            before.display()
        );
        let own = before.join("tcpvitals-cluster");
        if own.exists() {
            remove(&own).with_context(|| format!("remove {}; does another cluster run?", own.display()))?;
        }
        create_dir(&own).with_context(|| format!("make {}", own.display()))?;
        if is_alone {
            let control = before.join("cgroup.subtree_control");
            for controller in read_to_string(before.join("cgroup.controllers"))?.split_whitespace() {
                write(&control, format!("+{controller}")).with_context(|| {
                    format!(
                        "hand {controller} on in {}: it may have no processes of its own",
                        before.display()
                    )
                })?;
            }
        }
        if controllers == "cpuset" {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                write(own.join(file), read_to_string(before.join(file))?)?;
            }
            write(own.join("cgroup.clone_children"), "1")?;
        }
        write(own.join("cgroup.procs"), std::process::id().to_string())?;
        homes.push(Home {
            before,
            own,
            is_unified: controllers.is_empty(),
        });
    }
    Ok(homes)
}

/// Moves all processes from what is the root of the node into a cgroup below it: version 2 hands controllers on from empty ones only.
fn leave_root_empty(root: &Path) -> Result<()> {
    let programs = root.join("programs");
    create_dir(&programs)?;
    until("the root of the node's cgroups to be empty", || {
        let processes = read_to_string(root.join("cgroup.procs"))?;
        for process in processes.lines() {
            // One may have ended.
            write(programs.join("cgroup.procs"), process).ok();
        }
        Ok(processes.is_empty().then_some(()))
    })
}

/// Removes a folder of cgroups and those in it.
fn remove(folder: &Path) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    remove_dir(folder)
}
