//! One guest: QEMU started, watched and ended. It knows nothing of tests. From a kernel and an archive to what the job said,
//! or how the guest failed.

use std::fs::{File, read_to_string, write};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::machine::wait::Deadline;

use crate::architecture;
use crate::matrix::Kernel;

/// A boot takes 3 to 5 seconds, on a busy machine 10.
const BOOT: Duration = Duration::from_secs(120);

/// Two network cards on one hub. Nothing boots from them.
const CARDS: [&str; 8] = [
    "-netdev",
    "hubport,id=first,hubid=0",
    "-device",
    "virtio-net-pci,netdev=first,romfile=",
    "-netdev",
    "hubport,id=second,hubid=0",
    "-device",
    "virtio-net-pci,netdev=second,romfile=",
];

/// Bytes of the console's end that tell why a guest died.
const LAST_WORDS: usize = 3000;

/// What a guest is given.
#[derive(Clone, Debug)]
pub(crate) struct Machine<'a> {
    /// Virtual processors that the kernel starts.
    pub(crate) processors: u32,
    /// Those that it could start.
    pub(crate) possible: u32,
    /// MiB.
    pub(crate) memory: u32,
    /// A file that is its disk.
    pub(crate) disk: Option<&'a str>,
    /// Longest that the job may take.
    pub(crate) limit: Duration,
}

/// How it went.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The job ended by itself.
    Job {
        /// Its exit code.
        code: i32,
        /// What `doctor --output json` said afterwards.
        doctor: String,
    },
    /// The guest ended before the job did; the end of its console.
    Died(String),
    /// It took too long to boot; the end of its console.
    NoBoot(String),
    /// The job took too long.
    TooLong,
}

/// What is known of a guest that has ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// `uname -r`, if it came that far.
    pub(crate) release: String,
    /// From QEMU's start to the job's.
    pub(crate) boot: Duration,
    /// From the job's start to its end.
    pub(crate) run: Duration,
    /// What the job said.
    pub(crate) said: Vec<String>,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// Boots a guest and waits for its end. `folder` takes its console and what the job says; `tell` hears the job's lines.
pub(crate) fn run(
    kernel: &Kernel,
    vmlinux: &Path,
    initramfs: &Path,
    machine: &Machine<'_>,
    folder: &Path,
    tell: impl Fn(&str),
) -> Result<Report> {
    let console = folder.join("console.log");
    write(&console, "")?;
    let mut qemu = start(kernel, vmlinux, initramfs, machine, &console)?;
    let lines = lines(&mut qemu)?;
    let mut log = File::create(folder.join("job.log"))?;
    let mut watch = Watch::new(machine.limit);
    let late = watch.until_the_end(&lines, |elapsed, line| {
        tell(line);
        writeln!(log, "[{:7.2}] {line}", elapsed.as_secs_f64())
    })?;
    // It ends by itself unless it is late.
    if late {
        qemu.kill().ok();
    }
    qemu.wait()?;
    let last_words = || {
        let text = read_to_string(&console).unwrap_or_default();
        let begin = text.ceil_char_boundary(text.len().saturating_sub(LAST_WORDS));
        text[begin..].to_owned()
    };
    let ending = match (watch.code, watch.boot) {
        (Some(code), _) if watch.is_over => Ending::Job {
            code,
            doctor: watch.doctor,
        },
        (_, None) if late => Ending::NoBoot(last_words()),
        (_, Some(_)) if late => Ending::TooLong,
        _ => Ending::Died(last_words()),
    };
    Ok(Report {
        release: watch.release,
        boot: watch.boot.unwrap_or_default(),
        run: watch.run,
        said: watch.said,
        ending,
    })
}

fn start(kernel: &Kernel, vmlinux: &Path, initramfs: &Path, machine: &Machine<'_>, console: &Path) -> Result<Child> {
    let architecture::Machine {
        qemu,
        model,
        console: line,
        job_line,
        job_device,
        boot,
    } = kernel.architecture.machine();
    // What a kernel does not know it puts into the environment of its first process: that is for init.sh.
    let command_line = format!(
        "console={line} panic=-1 oops=panic quiet loglevel=4 nokaslr mitigations=off random.trust_cpu=on \
         maxcpus={} job_line={job_line} {boot} {}",
        machine.processors, kernel.boot
    );
    let disk = machine
        .disk
        .map(|file| format!("file={file},if=virtio,format=raw,cache=unsafe"));
    let disk = disk.iter().flat_map(|disk| ["-drive", disk.as_str()]);
    Command::new(qemu)
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            "-nic",
            "none",
        ])
        .args(["-M", model, "-accel", "tcg,thread=multi", "-cpu", &kernel.cpu])
        .args(["-smp", &machine.possible.to_string(), "-m", &machine.memory.to_string()])
        .args(CARDS)
        .arg("-kernel")
        .arg(vmlinux)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &command_line])
        .args(["-monitor", "none", "-serial", &format!("file:{}", console.display())])
        .args(*job_device)
        .args(disk)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("start {qemu}: is it installed? `make setup-vm` brings it, for arm64 `make setup-vm-aarch64`")
        })
}

/// What the guest says on its second serial line; closed when QEMU ends.
fn lines(qemu: &mut Child) -> Result<Receiver<String>> {
    let output = qemu.stdout.take().context("a child without standard output")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// What has been heard of a guest.
struct Watch {
    /// Longest that the job may take.
    most: Duration,
    deadline: Deadline,
    limit: Duration,
    release: String,
    boot: Option<Duration>,
    run: Duration,
    said: Vec<String>,
    code: Option<i32>,
    doctor: String,
    is_over: bool,
}

impl Watch {
    fn new(most: Duration) -> Self {
        Self {
            most,
            deadline: Deadline::after(BOOT),
            limit: BOOT,
            release: String::new(),
            boot: None,
            run: Duration::ZERO,
            said: Vec::new(),
            code: None,
            doctor: String::new(),
            is_over: false,
        }
    }

    /// Listens until the guest has ended, and says whether it was too late for that.
    fn until_the_end(
        &mut self,
        lines: &Receiver<String>,
        mut hear: impl FnMut(Duration, &str) -> std::io::Result<()>,
    ) -> Result<bool> {
        loop {
            match lines.recv_timeout(self.deadline.left()) {
                Ok(line) => {
                    let elapsed = self.limit.saturating_sub(self.deadline.left());
                    hear(elapsed, &line)?;
                    self.understand(elapsed, line);
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                // After its last word nothing is lost.
                Err(RecvTimeoutError::Timeout) => return Ok(true),
            }
        }
    }

    fn understand(&mut self, elapsed: Duration, line: String) {
        if let Some(release) = line.strip_prefix("guest: kernel ") {
            self.release = release.to_owned();
            self.boot = Some(elapsed);
            self.limit = self.most;
            self.deadline = Deadline::after(self.limit);
        } else if let Some(code) = line.strip_prefix("guest: code ") {
            self.code = code.parse().ok();
            self.run = elapsed;
        } else if line == "guest: end" {
            self.is_over = true;
        } else if line.starts_with("guest: ") {
            // For whoever reads the log.
        } else if self.code.is_some() {
            self.doctor.push_str(&line);
            self.doctor.push('\n');
        } else {
            self.said.push(line);
        }
    }
}
