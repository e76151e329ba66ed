//! Builds the kernel object: a child cargo compiles package `ebpf` for the BPF target into `OUT_DIR/ebpf`.

use anyhow::{Context as _, Result};
use std::path::Path;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for part in ["common", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
    }
    #[expect(unsafe_code, reason = "aya-build hands its own environment to the child")]
    // SAFETY: a build script has one thread. The stable compiler accepts `-Z build-std` for the child build only.
    unsafe {
        std::env::set_var("RUSTC_BOOTSTRAP", "1");
        // Its progress would be shown as warnings.
        std::env::set_var("CARGO_TERM_QUIET", "true");
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
    .context("build the kernel object; `make setup` installs what it needs")
}
