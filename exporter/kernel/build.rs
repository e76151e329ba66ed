//! Builds the kernel object: a child cargo compiles package `ebpf` for the BPF target into `OUT_DIR/ebpf`, and what only a
//! debugger reads is taken out of it.

use anyhow::{Context as _, Result};
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};
use std::{env, fs, path::Path};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for part in ["common", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
    }
    #[expect(unsafe_code, reason = "aya-build hands its own environment to the child")]
    // SAFETY: a build script has one thread. The stable compiler accepts `-Z build-std` for the child build only.
    unsafe {
        env::set_var("RUSTC_BOOTSTRAP", "1");
        // Its progress would be shown as warnings.
        env::set_var("CARGO_TERM_QUIET", "true");
    }
    let ebpf = root.join("ebpf");
    aya_build::build_ebpf(
        [aya_build::Package {
            name: "ebpf",
            root_dir: ebpf.to_str().context("the path of the workspace is not UTF-8")?,
            ..Default::default()
        }],
        aya_build::Toolchain::Custom("1.95.0"),
    )
    .context("build the kernel object; `make setup` installs what it needs")?;
    #[expect(clippy::disallowed_methods, reason = "so cargo tells a build script its folder")]
    let object = Path::new(&env::var("OUT_DIR")?).join("ebpf");
    strip(&object).with_context(|| format!("strip {}", object.display()))
}

/// Removes the DWARF sections, from which the linker has made the BTF and which are seven eighths of the object: the exporter
/// keeps the object in memory.
fn strip(path: &Path) -> Result<()> {
    let bytes = fs::read(path)?;
    let mut object = Builder::read(&*bytes)?;
    for section in &mut object.sections {
        let name = String::from_utf8_lossy(&section.name);
        section.delete = name.starts_with(".debug_") || name.starts_with(".rel.debug_");
    }
    // The linker names sections and symbols from one table; the writer wants two.
    let names = object.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = SHT_STRTAB;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    object.write(&mut stripped)?;
    Ok(fs::write(path, stripped)?)
}
