//! The matrix: which kernels there are, and which of them are meant. It reads one file and decides nothing about how they
//! boot. From `tests/tools/vm/kernels.toml` to the rest of the runner.

use std::fs::read_to_string;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::architecture::Architecture;
use crate::debian::Suite;

/// One kernel, as `kernels.toml` has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kernel {
    /// For KERNEL=…
    pub(crate) name: String,
    /// Suite of Debian.
    pub(crate) suite: String,
    /// The package that depends on the suite's newest kernel.
    pub(crate) package: String,
    /// Whose kernel it is.
    #[serde(default)]
    pub(crate) architecture: Architecture,
    /// QEMU's `-cpu`.
    pub(crate) cpu: String,
    /// Added to the kernel's command line.
    #[serde(default)]
    pub(crate) boot: String,
    /// The package with its source, from which netdevsim is compiled.
    pub(crate) netdevsim: Option<String>,
    /// It is run when none is named.
    #[serde(default)]
    pub(crate) every_change: bool,
    /// Words in the names of the tests that run here when no others are asked for; none for all.
    #[serde(default)]
    pub(crate) only: Vec<String>,
    /// What the exporter must say here before it ends with code 3.
    pub(crate) refuses: Option<String>,
}

/// A kernel whose types are read, as `kernels.toml` has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Foreign {
    /// How it is called in what is printed.
    pub(crate) name: String,
    /// Suite of Debian.
    pub(crate) suite: String,
    /// The package that depends on the suite's newest kernel.
    pub(crate) package: String,
    /// Whose kernel it is.
    pub(crate) architecture: Architecture,
    /// Fields that it does not have.
    pub(crate) lacks: Vec<String>,
}

/// Where a kernel comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package<'a> {
    /// Where Debian has it.
    pub(crate) suite: Suite<'a>,
    /// The package that depends on the suite's newest kernel.
    pub(crate) name: &'a str,
}

impl Kernel {
    /// Where it comes from.
    pub(crate) fn package(&self) -> Package<'_> {
        Package {
            suite: Suite {
                name: &self.suite,
                architecture: self.architecture,
            },
            name: &self.package,
        }
    }
}

impl Foreign {
    /// Where it comes from.
    pub(crate) fn package(&self) -> Package<'_> {
        Package {
            suite: Suite {
                name: &self.suite,
                architecture: self.architecture,
            },
            name: &self.package,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    kernel: Vec<Kernel>,
    foreign: Vec<Foreign>,
}

/// Every kernel that is booted, in the order of the file.
pub(crate) fn kernels() -> Result<Vec<Kernel>> {
    Ok(read()?.kernel)
}

/// Every kernel whose types are read.
pub(crate) fn foreign() -> Result<Vec<Foreign>> {
    Ok(read()?.foreign)
}

fn read() -> Result<Matrix> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vm/kernels.toml");
    let text = read_to_string(path).with_context(|| format!("read {path}"))?;
    toml::from_str(&text).with_context(|| format!("parse {path}"))
}

/// Those that are meant: by name, `all`, or those of every change if there is no name.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Kernel>> {
    let kernels = kernels()?;
    for name in names {
        if name != "all" && !kernels.iter().any(|kernel| kernel.name == *name) {
            let known: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
            bail!(
                "no kernel {name} in tests/tools/vm/kernels.toml: choose from all, {}",
                known.join(", ")
            );
        }
    }
    let is_meant = |kernel: &Kernel| {
        let is_named = names.iter().any(|name| name == "all" || *name == kernel.name);
        is_named || (names.is_empty() && kernel.every_change)
    };
    Ok(kernels.into_iter().filter(is_meant).collect())
}
