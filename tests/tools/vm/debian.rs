//! Debian's packages: fetched as this machine's own apt is configured to, but into a private root; verified by apt; unpacked
//! and never installed. From a kernel of the matrix, or names of packages, to a folder with the files.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{create_dir_all, read_dir, remove_dir_all, rename, write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::architecture::Architecture;
use crate::matrix::Package;
use crate::programs::{filter, run, text};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A suite for one architecture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite<'a> {
    /// Debian's name of it.
    pub(crate) name: &'a str,
    /// Whose packages are meant.
    pub(crate) architecture: Architecture,
}

impl fmt::Display for Suite<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.name, self.architecture.name())
    }
}

/// A private root of apt for one suite and architecture.
struct Archive {
    options: Vec<String>,
    folder: PathBuf,
}

/// The folder with the unpacked packages of a kernel, which are fetched if they are not there; what is made of them may be
/// kept beside them.
pub(crate) fn kernel(kernel: &Package<'_>, cache: &Path, mirror: Option<&str>) -> Result<PathBuf> {
    let Package { suite, name } = kernel;
    // Kernels that differ only in how they are started are one.
    let folder = cache.join("kernels").join(format!("{}-{name}", suite.name));
    once(&folder, |folder| {
        println!("vm: fetching {name} of {}", suite.name);
        let archive = Archive::open(*suite, cache, mirror)?;
        let packages = archive.depends(name, is_of_a_kernel)?;
        ensure!(!packages.is_empty(), "{name} depends on no kernel");
        archive.unpack(&packages, folder)
    })?;
    Ok(folder)
}

/// The folder with programs, unpacked with all that their packages depend on, which are fetched if they are not there.
pub(crate) fn programs(suite: Suite<'_>, packages: &[&str], cache: &Path, mirror: Option<&str>) -> Result<PathBuf> {
    let folder = cache.join("programs").join(suite.to_string());
    once(&folder, |folder| {
        println!("vm: fetching {} of {suite}", packages.join(", "));
        let archive = Archive::open(suite, cache, mirror)?;
        archive.unpack_from(folder, |debs| archive.download_with_needs(packages, debs))
    })?;
    Ok(folder)
}

/// Fills a folder that is not there. Under its own name it is only once complete, so that what an interrupted run left is
/// not taken for it.
fn once(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let unfinished = folder.with_added_extension("part");
    remove_dir_all(&unfinished).ok();
    fill(&unfinished)?;
    Ok(rename(&unfinished, folder)?)
}

/// Unpacks packages of a kernel's suite, and what they need to compile modules, into `folder`, which must not exist.
pub(crate) fn unpack(
    kernel: &Package<'_>,
    names: &[&str],
    cache: &Path,
    mirror: Option<&str>,
    folder: &Path,
) -> Result<()> {
    let archive = Archive::open(kernel.suite, cache, mirror)?;
    let mut packages = BTreeSet::new();
    for name in names {
        packages.insert((*name).to_owned());
        packages.extend(archive.depends(name, is_for_modules)?);
    }
    archive.unpack(&packages, folder)
}

impl Archive {
    fn open(suite: Suite<'_>, cache: &Path, mirror: Option<&str>) -> Result<Self> {
        ensure!(
            Path::new(KEYRING).is_file(),
            "no {KEYRING}, without which no package can be verified: install debian-archive-keyring"
        );
        let folder = cache.join("apt").join(suite.to_string());
        for part in ["lists/partial", "cache/archives/partial"] {
            create_dir_all(folder.join(part))?;
        }
        let mirror = mirror.map_or_else(mirror_of_this_machine, |mirror| Ok(mirror.to_owned()))?;
        // A mirror of a certain day stays right when that day is long past.
        let Suite { name, .. } = suite;
        let architecture = suite.architecture.name();
        let source =
            format!("deb [arch={architecture} signed-by={KEYRING} check-valid-until=no] {mirror} {name} main\n");
        write(folder.join("sources.list"), source)?;
        write(folder.join("status"), "")?;
        let place = |key: &str, file: &str| -> Result<String> { Ok(format!("{key}={}", text(&folder.join(file))?)) };
        let options = [
            place("Dir::Etc::SourceList", "sources.list")?,
            place("Dir::State", ".")?,
            place("Dir::State::status", "status")?,
            place("Dir::Cache", "cache")?,
            "Dir::Etc::SourceParts=/dev/null".into(),
            "Dir::Etc::Preferences=/dev/null".into(),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            format!("APT::Architecture={architecture}"),
            // The user that apt changes to may not enter the folder.
            "APT::Sandbox::User=root".into(),
            "Acquire::Languages=none".into(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false".into(),
        ];
        let archive = Self {
            options: options.into_iter().flat_map(|option| ["-o".into(), option]).collect(),
            folder,
        };
        archive.apt("apt-get", &["update", "--error-on=any"])?;
        Ok(archive)
    }

    /// What a package depends on, and what that depends on, as far as it is meant. A kernel is one package up to 6.18, and
    /// several later.
    fn depends(&self, package: &str, is_meant: fn(&str) -> bool) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut next = vec![package.to_owned()];
        while let Some(package) = next.pop() {
            let description = self.apt("apt-cache", &["show", "--no-all-versions", &package])?;
            let depends = description.lines().find_map(|line| line.strip_prefix("Depends:"));
            for word in depends.unwrap_or_default().split([' ', ',', '|']) {
                if is_meant(word) && found.insert(word.to_owned()) {
                    next.push(word.to_owned());
                }
            }
        }
        Ok(found)
    }

    fn unpack(&self, packages: &BTreeSet<String>, folder: &Path) -> Result<()> {
        self.unpack_from(folder, |debs| self.download(packages, debs))
    }

    /// Unpacks what `download` brings into the folder that it is given.
    fn unpack_from(&self, folder: &Path, download: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let debs = self.folder.join("debs");
        // What an earlier, interrupted run left.
        remove_dir_all(&debs).ok();
        create_dir_all(&debs)?;
        create_dir_all(folder)?;
        download(&debs)?;
        for file in read_dir(&debs)? {
            let file = file?.path();
            // apt-get leaves a lock beside them.
            if file.extension().is_some_and(|ending| ending == "deb") {
                run("dpkg-deb", &["--extract", text(&file)?, text(folder)?])?;
            }
        }
        remove_dir_all(&debs)?;
        Ok(())
    }

    fn download(&self, packages: &BTreeSet<String>, into: &Path) -> Result<()> {
        // apt-get downloads into the folder it runs in.
        let script = r#"cd "$1" && shift && exec apt-get "$@""#;
        let options = self.options.iter().map(String::as_str);
        let mut arguments = vec!["-c", script, "sh", text(into)?];
        arguments.extend(options);
        arguments.extend(["--quiet", "download"]);
        arguments.extend(packages.iter().map(String::as_str));
        run("sh", &arguments).map(drop)
    }

    /// Packages and all that they depend on, as apt itself would bring them to a machine that has nothing.
    fn download_with_needs(&self, packages: &[&str], into: &Path) -> Result<()> {
        create_dir_all(into.join("partial"))?;
        let place = format!("Dir::Cache::archives={}", text(into)?);
        let mut arguments = vec![
            "--yes",
            "--download-only",
            "--no-install-recommends",
            "-o",
            &place,
            "install",
        ];
        arguments.extend(packages);
        self.apt("apt-get", &arguments).map(drop)
    }

    fn apt(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let options = self.options.iter().map(String::as_str);
        run(program, &options.chain(arguments.iter().copied()).collect::<Vec<_>>())
    }
}

/// What headers need besides themselves.
fn is_for_modules(package: &str) -> bool {
    ["linux-headers-", "linux-kbuild-"]
        .iter()
        .any(|part| package.starts_with(part))
}

/// `linux-image-6.1.0-50-amd64`, not `linux-base` and not `linux-image-amd64`.
fn is_of_a_kernel(package: &str) -> bool {
    ["linux-image-", "linux-binary-", "linux-modules-", "linux-base-"]
        .iter()
        .filter_map(|part| package.strip_prefix(part))
        .any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Where this machine's own apt has Debian's main archive from.
fn mirror_of_this_machine() -> Result<String> {
    let places = run("apt-get", &["indextargets", "--format", "$(REPO_URI)"])?;
    let place = places.lines().find(|place| place.ends_with("/debian/"));
    let place = place.context("this machine's apt has no mirror of Debian: name one with --mirror URL")?;
    Ok(place.trim_end_matches('/').to_owned())
}

/// What a kernel's folder has.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The folder of its modules.
    pub(crate) modules: PathBuf,
    /// The compressed kernel.
    pub(crate) vmlinuz: PathBuf,
}

impl Unpacked {
    /// Finds its way in a folder of unpacked packages: places have moved over the years.
    pub(crate) fn find(folder: &Path) -> Result<Self> {
        let trees = ["lib/modules", "usr/lib/modules"].map(|tree| folder.join(tree));
        let mut modules = trees.iter().filter_map(|tree| read_dir(tree).ok()).flatten();
        let modules = modules.next().context("the packages have no modules")??.path();
        let release = modules.file_name().context("a folder without a name")?;
        let release = release.to_string_lossy();
        let places = [
            folder.join("boot").join(format!("vmlinuz-{release}")),
            modules.join("vmlinuz"),
        ];
        let vmlinuz = places.into_iter().find(|place| place.is_file());
        Ok(Self {
            vmlinuz: vmlinuz.context("the packages have no vmlinuz")?,
            modules,
        })
    }

    /// The kernel as an ELF file. QEMU starts it as such, so that the guest does not have to decompress it under emulation,
    /// which takes seconds.
    pub(crate) fn vmlinux(&self) -> Result<Vec<u8>> {
        let image = std::fs::read(&self.vmlinuz)?;
        let field = |at: usize| {
            let bytes = image.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_le_bytes).context("a kernel image without a header")
        };
        // Documentation/arch/x86/boot.rst: setup_sects, the magic number, payload_offset, payload_length.
        ensure!(field(0x202)? == u32::from_le_bytes(*b"HdrS"), "not a kernel image");
        let setup = match image[0x1f1] {
            0 => 4,
            sectors => usize::from(sectors),
        };
        let begin = (setup + 1) * 512 + usize::try_from(field(0x248)?)?;
        let end = begin + usize::try_from(field(0x24c)?)?;
        let payload = image.get(begin..end).context("a kernel image that is cut off")?;
        // The size of what comes out stands behind it.
        let payload = &payload[..payload.len() - 4];
        let program = match payload {
            [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
            [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
            [0x02, 0x21, 0x4c, 0x18, ..] => "lz4",
            _ => anyhow::bail!(
                "the kernel is compressed in a way that is not known here: {:x?}",
                &payload[..6]
            ),
        };
        let vmlinux = filter(program, &["-dc"], payload)?;
        ensure!(vmlinux.starts_with(b"\x7fELF"), "the kernel image holds no ELF file");
        Ok(vmlinux)
    }
}
