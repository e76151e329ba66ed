//! `vm run`: prepares the chosen kernels, boots their guests beside each other, and says in one line each what came of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{create_dir_all, remove_dir_all, rename, write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::architecture::Architecture;
use crate::debian::{self, Unpacked};
use crate::guest::{self, Ending, Machine, Report};
use crate::initramfs::base;
use crate::job::Job;
use crate::matrix::{Kernel, chosen};
use crate::modules::needed;
use crate::results::Results;
use crate::userland::Userland;
use crate::{Run, cache, netdevsim, programs};

/// The exporter's exit code where the kernel lacks something.
const CANNOT_MEASURE: i32 = 3;

/// The tests that want netdevsim: the kernel's source is a large thing to fetch for others.
const TRAPS: &str = "hardware";

/// A kernel that is ready to boot.
struct Guest {
    kernel: Kernel,
    vmlinux: PathBuf,
    initramfs: PathBuf,
    folder: PathBuf,
}

/// Runs the tests on the chosen kernels.
pub(crate) fn run(arguments: &Run) -> Result<ExitCode> {
    let kernels = chosen(&arguments.kernels)?;
    let cache = cache();
    let mut jobs = BTreeMap::new();
    for architecture in kernels
        .iter()
        .map(|kernel| kernel.architecture)
        .collect::<BTreeSet<_>>()
    {
        programs::find(architecture.machine().qemu)?;
        jobs.insert(
            architecture,
            Job::prepare(architecture, arguments.exporter.as_deref(), &cache)?,
        );
    }
    let guests: Vec<Guest> = kernels
        .into_iter()
        .map(|kernel| {
            let name = kernel.name.clone();
            prepare(kernel, arguments, &cache, &jobs).with_context(|| format!("prepare {name}"))
        })
        .collect::<Result<_>>()?;
    let count = guests.len();
    let waiting = Mutex::new(VecDeque::from(guests));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        let mut good = 0;
        while let Some(guest) = next() {
            good += usize::from(boot(&guest, arguments)?);
        }
        Ok(good)
    };
    let good = thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs).map(|_| scope.spawn(work)).collect();
        let parts = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")));
        parts.sum::<Result<usize>>()
    })?;
    println!(
        "vm: {good} of {count} kernels passed; consoles and logs are in target/vm/{}",
        arguments
            .keep
            .as_deref()
            .unwrap_or("runs, those of some tests only in target/vm/parts")
    );
    Ok(if good == count {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Fetches what is not there and makes the archive that the guest boots with.
fn prepare(kernel: Kernel, arguments: &Run, cache: &Path, jobs: &BTreeMap<Architecture, Job>) -> Result<Guest> {
    let mirror = arguments.mirror.as_deref();
    let folder = debian::kernel(&kernel.package(), cache, mirror)?;
    let unpacked = Unpacked::find(&folder)?;
    let vmlinux = match kernel.architecture {
        Architecture::Amd64 => decompressed(&unpacked, &folder)?,
        // It lies there as it is started.
        Architecture::Arm64 => unpacked.vmlinuz.clone(),
    };
    let mut modules = needed(&unpacked.modules, &[])?;
    let wants_traps = arguments.filter.is_empty() || arguments.filter.iter().any(|word| word.starts_with(TRAPS));
    if let Some(source) = kernel.netdevsim.as_ref().filter(|_| wants_traps) {
        let release = netdevsim::release(&unpacked.modules)?;
        match netdevsim::module(&kernel, source, &release, cache, mirror, &folder) {
            Ok(module) => modules.push(module),
            // The test that wants it says that it is skipped.
            Err(error) => println!("vm: {}: without netdevsim: {error:#}", kernel.name),
        }
    }
    let mut archive = base(Userland::of(kernel.architecture, cache, mirror)?, &modules)?;
    let job = jobs.get(&kernel.architecture).context("a kernel without a job")?;
    job.add_to(&mut archive, &kernel, &arguments.filter, arguments.command.as_deref())?;
    // Whoever ran some tests only has nothing to say about the kernel as a whole.
    let is_whole = arguments.filter.is_empty() && arguments.command.is_none();
    let otherwise = if is_whole { "runs" } else { "parts" };
    let runs = cache
        .join(arguments.keep.as_deref().unwrap_or(otherwise))
        .join(&kernel.name);
    remove_dir_all(&runs).ok();
    create_dir_all(&runs)?;
    let initramfs = runs.join("initramfs");
    write(&initramfs, archive.finish()?)?;
    Ok(Guest {
        kernel,
        vmlinux,
        initramfs,
        folder: runs,
    })
}

/// The kernel's ELF file, which is kept in its folder.
pub(crate) fn decompressed(unpacked: &Unpacked, folder: &Path) -> Result<PathBuf> {
    let vmlinux = folder.join("vmlinux");
    if !vmlinux.is_file() {
        let unfinished = folder.join("vmlinux.part");
        write(&unfinished, unpacked.vmlinux()?)?;
        rename(&unfinished, &vmlinux)?;
    }
    Ok(vmlinux)
}

/// Boots one, prints what came of it, and says whether that is as it should be.
fn boot(guest: &Guest, arguments: &Run) -> Result<bool> {
    let machine = Machine {
        processors: arguments.processors,
        possible: arguments.possible.unwrap_or(0).max(arguments.processors),
        memory: 1024,
        disk: None,
        limit: Duration::from_secs(7200),
    };
    let name = &guest.kernel.name;
    let tell = |line: &str| {
        if arguments.verbose {
            println!("{name}: {line}");
        }
    };
    let report = guest::run(
        &guest.kernel,
        &guest.vmlinux,
        &guest.initramfs,
        &machine,
        &guest.folder,
        tell,
    )?;
    let verdict = match arguments.command {
        Some(_) => Ok("the command ended".to_owned()),
        None => verdict(&guest.kernel, &report),
    };
    if let Ending::Job { doctor, .. } = &report.ending {
        write(guest.folder.join("doctor.json"), doctor)?;
    }
    let times = format!(
        "boot {:.1} s, run {:.0} s",
        report.boot.as_secs_f64(),
        report.run.as_secs_f64()
    );
    match &verdict {
        Ok(said) => println!("vm: {name} ({}): {said}; {times}", report.release),
        Err(said) => println!("vm: {name} ({}): FAILED: {said}; {times}", report.release),
    }
    Ok(verdict.is_ok())
}

/// What came of a guest, in words.
fn verdict(kernel: &Kernel, report: &Report) -> Result<String, String> {
    let code = match &report.ending {
        Ending::Job { code, .. } => *code,
        Ending::Died(console) => return Err(format!("the guest died; the end of its console:\n{console}\n")),
        Ending::NoBoot(console) => return Err(format!("the guest did not boot; the end of its console:\n{console}\n")),
        Ending::TooLong => {
            let last = report.said.last().map_or("nothing", String::as_str);
            return Err(format!(
                "the tests did not end in time; the last that they said: {last}"
            ));
        }
    };
    match &kernel.refuses {
        Some(words) => refusal(words, code, &report.said),
        None => tested(code, &report.said),
    }
}

fn refusal(words: &str, code: i32, said: &[String]) -> Result<String, String> {
    let all = said.join("\n");
    if code == CANNOT_MEASURE && all.matches(words).count() == 2 {
        Ok(format!("refused with exit code {code}: {all}"))
    } else {
        Err(format!(
            "expected exit code {CANNOT_MEASURE} and {words:?} of the exporter and of its doctor, not {code} and:\n{all}\n"
        ))
    }
}

fn tested(code: i32, said: &[String]) -> Result<String, String> {
    let results = Results::read(said);
    let mut line = format!(
        "{} passed, {} skipped, {} failed",
        results.passed.len(),
        results.skipped.len(),
        results.failed.len()
    );
    for (kind, tests) in [("skipped", &results.skipped), ("note", &results.notes)] {
        for (test, reasons) in tests {
            for reason in reasons {
                line.push_str(&format!("\n    {kind} {test}: {reason}"));
            }
        }
    }
    if code == 0 && results.is_complete && results.failed.is_empty() {
        return Ok(line);
    }
    let details = said.iter().skip_while(|line| *line != "failures:");
    let details: Vec<&str> = details.map(String::as_str).collect();
    Err(format!("{line}; exit code {code}\n{}\n", details.join("\n")))
}
