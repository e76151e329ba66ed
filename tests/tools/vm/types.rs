//! `vm types`: what can be told of kernels of another architecture without booting them. The exporter's doctor reads their type
//! information (BTF), which is carved out of the kernel's image; it must find every field but those that the matrix names.

use std::collections::BTreeSet;
use std::fs::{read, rename, write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::debian::{self, Unpacked};
use crate::matrix::{Foreign, foreign};
use crate::{Types, cache};

/// `struct btf_header` of the kernel's `btf.h` as it begins where bytes are little-endian: magic, version 1, no flags, 24 bytes
/// long, and types at once behind it.
const HEADER: [u8; 12] = [0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0];

#[derive(Deserialize)]
struct Doctor {
    #[serde(default)]
    fatal: Option<String>,
    fields_missing: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
}

/// Asks the doctor about each such kernel.
pub(crate) fn run(arguments: &Types) -> Result<ExitCode> {
    for kernel in foreign()? {
        let missing = missing(&kernel, arguments).with_context(|| format!("kernel {}", kernel.name))?;
        let expected: BTreeSet<String> = kernel.lacks.iter().cloned().collect();
        ensure!(
            missing == expected,
            "kernel {} of {}: the doctor misses the fields {missing:?}, and tests/tools/vm/kernels.toml says {expected:?}",
            kernel.name,
            kernel.architecture.name()
        );
        println!(
            "vm: {} ({}): every field is found but {missing:?}",
            kernel.name,
            kernel.architecture.name()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The fields that the doctor does not find.
fn missing(kernel: &Foreign, arguments: &Types) -> Result<BTreeSet<String>> {
    let btf = unpacked(kernel, arguments.mirror.as_deref())?;
    let mut command = Command::new(&arguments.exporter);
    command.args(["doctor", "--output", "json", "--btf"]).arg(btf);
    // Its exit code is about loading programs here, which is not asked.
    let said = command
        .output()
        .with_context(|| format!("start {}", arguments.exporter.display()))?;
    let doctor: Doctor = serde_json::from_slice(&said.stdout).with_context(|| format!("the doctor said {said:?}"))?;
    ensure!(
        doctor.fatal.is_none(),
        "the doctor says: {}",
        doctor.fatal.unwrap_or_default()
    );
    Ok(doctor.fields_missing.into_iter().map(|field| field.name).collect())
}

/// The file with its types, fetched if it is not there.
fn unpacked(kernel: &Foreign, mirror: Option<&str>) -> Result<PathBuf> {
    let folder = debian::kernel(&kernel.package(), &cache(), mirror)?;
    let btf = folder.join("vmlinux.btf");
    if !btf.is_file() {
        let unfinished = folder.join("vmlinux.btf.part");
        write(&unfinished, carved(&Unpacked::find(&folder)?.vmlinuz)?)?;
        rename(&unfinished, &btf)?;
    }
    Ok(btf)
}

/// The type information in an uncompressed image, which is no ELF file and so has no sections to look in.
fn carved(image: &Path) -> Result<Vec<u8>> {
    let image = read(image)?;
    let mut places = image
        .windows(HEADER.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == HEADER);
    let (start, _) = places
        .next()
        .context("the image has no type information, or is compressed")?;
    ensure!(places.next().is_none(), "the image has type information twice");
    let word = |at: usize| {
        let bytes = image
            .get(start + at..start + at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
    };
    // hdr_len, str_off, str_len
    let end = start + word(4) + word(16) + word(20);
    Ok(image
        .get(start..end)
        .context("type information that is cut off")?
        .to_vec())
}
