//! The module netdevsim, which Debian ships with no kernel: compiled from Debian's source package of the kernel against its headers,
//! both only unpacked. Without it no device of a guest traps packets. From packages to the module's file, which is kept.

use std::fs::{create_dir_all, read_to_string, remove_dir_all, rename, write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::debian::unpack;
use crate::matrix::Kernel;
use crate::modules::Module;
use crate::programs::{run, text};

/// Where the module lies in the kernel's source.
const FOLDER: &str = "drivers/net/netdevsim";

/// The module for a kernel of this release. `folder` keeps it; it is that of the kernel's packages.
pub(crate) fn module(
    kernel: &Kernel,
    source: &str,
    release: &str,
    cache: &Path,
    mirror: Option<&str>,
    folder: &Path,
) -> Result<Module> {
    let file = folder.join("netdevsim.ko");
    if !file.is_file() {
        println!("vm: {}: compiling netdevsim from {source}", kernel.name);
        let scratch = folder.join("netdevsim");
        remove_dir_all(&scratch).ok();
        let built = build(kernel, source, release, cache, mirror, &scratch)?;
        rename(built, &file)?;
        remove_dir_all(&scratch)?;
    }
    let content = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    Ok(Module {
        name: "netdevsim".to_owned(),
        content,
    })
}

fn build(
    kernel: &Kernel,
    source: &str,
    release: &str,
    cache: &Path,
    mirror: Option<&str>,
    scratch: &Path,
) -> Result<PathBuf> {
    let (root, tree) = (scratch.join("root"), scratch.join("source"));
    create_dir_all(&tree)?;
    let headers = format!("linux-headers-{release}");
    unpack(&kernel.package(), &[&headers, source], cache, mirror, &root)?;
    let archive = root.join(format!("usr/src/{source}.tar.xz"));
    let wanted = format!("{source}/{FOLDER}");
    let options = ["--extract", "--strip-components=1", "--directory"];
    let (archive, target) = (text(&archive)?, text(&tree)?);
    run(
        "tar",
        &[&options[..], &[target, "--file", archive, wanted.as_str()]].concat(),
    )?;
    // The headers of a flavour take the rest from where the common ones would be installed.
    let headers = root.join("usr/src").join(headers);
    let makefile = headers.join("Makefile");
    let installed = read_to_string(&makefile)?;
    write(
        &makefile,
        installed.replace("/usr/src/", &format!("{}/usr/src/", root.display())),
    )?;
    let module = tree.join(FOLDER);
    let target = format!("M={}", module.display());
    run(
        "make",
        &["--directory", text(&headers)?, &target, "CONFIG_NETDEVSIM=m", "modules"],
    )?;
    let built = module.join("netdevsim.ko");
    run("objcopy", &["--strip-debug", text(&built)?])?;
    Ok(built)
}

/// The release that a folder of modules is of.
pub(crate) fn release(modules: &Path) -> Result<String> {
    let name = modules.file_name().context("a folder without a name")?;
    Ok(name.to_string_lossy().into_owned())
}
