//! `vm cluster`: the Kubernetes of `make test-cluster` in a guest, where cgroups are of version 2 alone, as no machine with the controllers
//! in version 1 can have them. The guest gets the programs of this machine and what `make test-cluster` needs, each where it is here.

use std::fs::{File, create_dir_all, remove_dir_all, write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::architecture::Architecture;
use crate::debian::{self, Unpacked};
use crate::guest::{self, Ending, Machine};
use crate::initramfs::base;
use crate::job::stripped;
use crate::matrix::chosen;
use crate::modules::needed;
use crate::programs::{find, run as call, text};
use crate::run::decompressed;
use crate::userland::Userland;
use crate::{Cluster, cache};

/// What the program and its steps call besides what all guests have; busybox's are too small.
const PROGRAMS: &[&str] = &[
    "bash", "chroot", "cp", "curl", "date", "find", "mke2fs", "mount", "nsenter", "tar", "timeout", "umount",
];

/// What it reads of the source, and what was brought and made.
const FILES: &[&str] = &[
    "deploy/chart",
    "deploy/seccomp",
    "docs/cluster.md",
    "target/image/tcpvitals.tar",
    "target/tools/chart/helm-3",
    "target/tools/chart/helm-4",
    "target/tools/chart/kubectl",
    "target/tools/cluster",
    "tests/tools/cluster/node.sh",
];

/// What only this needs of the kernel.
const MODULES: &[&str] = &["virtio_blk", "ext4", "overlay"];

/// Bytes of the disk, most of them never written.
const DISK: u64 = 4 << 30;

/// The chart that releases are upgraded from, as a step has it.
const OLDER: &str = "ba35a4c";

/// Runs the program of `make test-cluster` in a guest.
pub(crate) fn run(arguments: &Cluster) -> Result<ExitCode> {
    let cache = cache();
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("a package two folders below the top")?;
    find(Architecture::Amd64.machine().qemu)?;
    let kernel = chosen(std::slice::from_ref(&arguments.kernel))?
        .pop()
        .context("no kernel")?;
    let packages = debian::kernel(&kernel.package(), &cache, None)?;
    let unpacked = Unpacked::find(&packages)?;
    let vmlinux = decompressed(&unpacked, &packages)?;
    let folder = cache.join("cluster");
    remove_dir_all(&folder).ok();
    create_dir_all(&folder)?;

    let mut archive = base(Userland::Own, &needed(&unpacked.modules, MODULES)?)?;
    for program in PROGRAMS {
        archive.program(&format!("usr/bin/{program}"), &find(program)?)?;
    }
    // Sandboxes get a copy.
    archive.add("etc/hosts", 0o644, b"127.0.0.1 localhost\n")?;
    for file in FILES {
        archive.tree(&top.join(file))?;
    }
    let own = std::env::current_exe().context("find out where this program lies")?;
    let program = stripped("strip", &own.with_file_name("cluster"), folder.join("cluster"))
        .context("no program `cluster` beside this one")?;
    archive.program("job/cluster", &program)?;
    let older = folder.join("older.tar");
    call(
        "git",
        &[
            "-C",
            text(top)?,
            "archive",
            "--output",
            text(&older)?,
            OLDER,
            "deploy/chart",
        ],
    )?;
    archive.program("job/older.tar", &older)?;
    archive.add("job/guest.sh", 0o755, include_bytes!("../cluster/guest.sh"))?;
    let steps = arguments.steps.join(" ");
    archive.add(
        "job/run",
        0o644,
        format!("exec /bin/sh /job/guest.sh {} {steps}\n", text(top)?).as_bytes(),
    )?;
    let initramfs = folder.join("initramfs");
    write(&initramfs, archive.finish()?)?;

    let disk = folder.join("disk");
    File::create(&disk)?.set_len(DISK)?;
    let machine = Machine {
        processors: 2,
        possible: 2,
        memory: 4096,
        disk: Some(text(&disk)?),
        limit: Duration::from_secs(7200),
    };
    let tell = |line: &str| {
        if !line.starts_with(PAGE) {
            println!("{}: {line}", kernel.name);
        }
    };
    let report = guest::run(&kernel, &vmlinux, &initramfs, &machine, &folder, tell)?;
    let is_good = matches!(report.ending, Ending::Job { code: 0, .. });
    if !is_good {
        println!("vm: {:?}", report.ending);
        return Ok(ExitCode::FAILURE);
    }
    if let Some(page) = &arguments.page {
        let lines = report.said.iter().filter_map(|line| line.strip_prefix(PAGE));
        let lines: Vec<&str> = lines.collect();
        write(page, lines.join("\n") + "\n")?;
    }
    println!(
        "vm: the cluster passed on {} in {:.0} s",
        report.release,
        report.run.as_secs_f64()
    );
    Ok(ExitCode::SUCCESS)
}

/// What precedes a line of the page.
const PAGE: &str = "page: ";
