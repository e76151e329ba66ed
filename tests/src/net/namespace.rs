//! A network namespace that lives as long as its value.
//!
//! Code runs inside on a thread of its own, so that the test's thread never leaves the namespace it started in.

use std::fs::{File, read_dir};
use std::io::Write as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, setns};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Keeps measurements of one flow from reaching the next, and flows from differing with the host's defaults. Of the
/// congestion controls, a namespace may choose only the host's default and reno.
const SETTINGS: [&str; 4] = [
    "net.ipv4.tcp_congestion_control=reno",
    "net.ipv4.tcp_no_metrics_save=1",
    "net.ipv4.ip_local_port_range=30000 65000",
    "net.ipv4.tcp_ecn=0",
];

/// Before the number of the process that made it.
const PREFIX: &str = "tcpvitals-";

/// A network namespace with its loopback device up; removed on drop.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one under a name that no other has.
    pub fn new() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            sweep();
        }
        let name = format!("{PREFIX}{}-{number}", process::id());
        host(&format!("ip netns add {name}"))?;
        let namespace = Self { name };
        namespace.exec("ip link set lo up")?;
        for setting in SETTINGS {
            namespace.set(setting)?;
        }
        Ok(namespace)
    }

    /// The name by which `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` inside. Sockets it opens stay in the namespace wherever they are used; threads it starts do too.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter(&self.name)?;
                work()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Runs a command inside and gives what it printed. Words are separated by blanks; there is no quoting.
    pub fn exec(&self, line: &str) -> Result<String> {
        self.feed(line, "")
    }

    /// The same, with `input` on its standard input.
    pub fn feed(&self, line: &str, input: &str) -> Result<String> {
        self.run(|| execute(line, input))
            .with_context(|| format!("in namespace {}", self.name))
    }

    /// Runs several commands of `ip` inside, without that word. One process for all: under emulation a start takes longer
    /// than the work.
    pub fn ip(&self, commands: &[String]) -> Result<()> {
        self.feed("ip -batch -", &(commands.join("\n") + "\n")).map(drop)
    }

    /// Sets a kernel parameter of the namespace: `net.ipv4.tcp_sack=0`.
    pub fn set(&self, setting: &str) -> Result<()> {
        let (path, value) = parameter(setting)?;
        self.run(|| std::fs::write(&path, value).with_context(|| format!("write {value} to {path}")))
    }

    /// Whether the namespace has a kernel parameter of its own.
    pub fn has(&self, setting: &str) -> Result<bool> {
        let (path, _) = parameter(setting)?;
        self.run(|| Ok(Path::new(&path).exists()))
    }
}

/// Removes what is left of runs that were interrupted. Whatever cannot be removed is in nobody's way.
fn sweep() {
    for entry in read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let maker = maker.and_then(|maker| maker.parse::<u32>().ok());
        if maker.is_some_and(|maker| !Path::new("/proc").join(maker.to_string()).exists()) {
            host(&format!("ip netns delete {name}")).ok();
        }
    }
}

/// Moves the calling thread into the namespace of that name, for good.
pub fn enter(name: &str) -> Result<()> {
    let path = format!("/run/netns/{name}");
    let handle = File::open(&path).with_context(|| format!("open {path}"))?;
    setns(&handle, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter {path}"))
}

/// The file and the value of `net.ipv4.tcp_sack=0`.
fn parameter(setting: &str) -> Result<(String, &str)> {
    let (key, value) = setting.split_once('=').context("a setting is written key=value")?;
    Ok((format!("/proc/sys/{}", key.replace('.', "/")), value))
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the test's own outcome must not change.
        host(&format!("ip netns delete {}", self.name)).ok();
    }
}

/// Runs a command where the test itself runs, and gives what it printed.
pub fn host(line: &str) -> Result<String> {
    execute(line, "")
}

fn execute(line: &str, input: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command line")?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{line}`: is {program} installed?"))?;
    let mut stdin = child.stdin.take().context("a child without standard input")?;
    stdin
        .write_all(input.as_bytes())
        .with_context(|| format!("write to `{line}`"))?;
    drop(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    if !status.success() {
        bail!(
            "`{line}` ended with {status}: {}",
            String::from_utf8_lossy(&stderr).trim()
        );
    }
    ensure!(stdout.len() < 1 << 24, "`{line}` printed {} bytes", stdout.len());
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}
