//! Type information of a kernel that is not quite this one: names in it are changed, all else stays, so that programs still
//! load against the real kernel.

use std::fs;
use std::io::Write as _;
use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::NamedTempFile;

/// The running kernel's own.
const KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// The running kernel's type information with every `from` called `to`; both are equally long.
pub fn renamed(names: &[(&str, &str)]) -> Result<NamedTempFile> {
    let mut btf = fs::read(KERNEL).with_context(|| format!("read {KERNEL}"))?;
    let strings = strings(&btf)?;
    let original = btf.get(strings.clone()).context("no strings")?.to_vec();
    for (from, to) in names {
        ensure!(from.len() == to.len(), "{from} and {to} are not equally long");
        let start = strings.start + position(&original, from)?;
        btf[start..start + to.len()].copy_from_slice(to.as_bytes());
    }
    let mut file = NamedTempFile::with_suffix(".btf")?;
    file.write_all(&btf)?;
    Ok(file)
}

/// Where the names are: `struct btf_header` of the kernel's `btf.h`.
fn strings(btf: &[u8]) -> Result<Range<usize>> {
    let word = |at: usize| -> Result<usize> {
        let bytes = btf.get(at..at + 4).context("a short header")?;
        Ok(u32::from_ne_bytes(bytes.try_into()?) as usize)
    };
    let (header, offset, length) = (word(4)?, word(16)?, word(20)?);
    Ok(header + offset..header + offset + length)
}

/// Where a whole name begins.
fn position(strings: &[u8], name: &str) -> Result<usize> {
    let mut start = 0;
    for string in strings.split(|byte| *byte == 0) {
        if string == name.as_bytes() {
            return Ok(start);
        }
        start += string.len() + 1;
    }
    bail!("this kernel has no name {name}")
}
