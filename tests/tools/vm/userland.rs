//! The programs of a guest and the libraries that they need: this machine's own, or for another architecture those of Debian's
//! packages, which are only unpacked. From a program's name to files of this machine and where they lie in a guest.

use std::collections::BTreeMap;
use std::fs::read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _};

use crate::architecture::{Architecture, Cross};
use crate::debian::{self, Suite};
use crate::programs;

/// The release whose programs guests of other architectures get. Its C library is not older than what programs are linked with
/// on machines that the tests run on.
const SUITE: &str = "trixie";

/// The packages with them.
const PACKAGES: &[&str] = &["busybox-static", "coreutils", "iproute2", "nftables", "util-linux"];

/// Where programs come from.
#[derive(Debug)]
pub(crate) enum Userland {
    /// This machine.
    Own,
    /// Packages that are unpacked in a folder.
    Unpacked {
        /// The folder.
        root: PathBuf,
        /// Folders in it that have libraries, in the order in which a loader looks there.
        libraries: [String; 4],
    },
}

/// Files by their places in a guest.
pub(crate) type Files = BTreeMap<String, PathBuf>;

impl Userland {
    /// For guests of an architecture. What has to be fetched is kept in the cache.
    pub(crate) fn of(architecture: Architecture, cache: &Path, mirror: Option<&str>) -> Result<Self> {
        let Some(Cross { libraries, .. }) = architecture.cross() else {
            return Ok(Self::Own);
        };
        let suite = Suite {
            name: SUITE,
            architecture,
        };
        Ok(Self::Unpacked {
            root: debian::programs(suite, PACKAGES, cache, mirror)?,
            libraries: [
                format!("lib/{libraries}"),
                format!("usr/lib/{libraries}"),
                "lib".to_owned(),
                "usr/lib".to_owned(),
            ],
        })
    }

    /// Where a program lies.
    pub(crate) fn find(&self, program: &str) -> Result<PathBuf> {
        match self {
            Self::Own => programs::find(program),
            Self::Unpacked { root, .. } => ["usr/bin", "usr/sbin", "bin", "sbin"]
                .map(|folder| root.join(folder).join(program))
                .into_iter()
                .find(|file| file.is_file())
                .with_context(|| {
                    format!(
                        "no program {program} in {}: remove it, and it is fetched anew",
                        root.display()
                    )
                }),
        }
    }

    /// The libraries of a program and its loader; a static program has none.
    pub(crate) fn libraries(&self, program: &Path) -> Result<Files> {
        match self {
            Self::Own => own(program),
            Self::Unpacked { root, libraries } => unpacked(root, libraries, program),
        }
    }
}

fn own(program: &Path) -> Result<Files> {
    let files = programs::libraries(program)?.into_iter().map(|file| {
        let name = programs::text(&file)?.trim_start_matches('/').to_owned();
        Ok((name, file))
    });
    files.collect()
}

/// What a loader would find below `root`.
fn unpacked(root: &Path, folders: &[String], program: &Path) -> Result<Files> {
    let mut found = Files::new();
    let mut next = vec![program.to_owned()];
    while let Some(file) = next.pop() {
        let needs = Needs::read(&file).with_context(|| format!("read what {} needs", file.display()))?;
        if let Some(loader) = needs.loader {
            // Packages lie below `usr` today, and programs ask for what was there before.
            let name = loader.trim_start_matches('/');
            let place = [root.join(name), root.join("usr").join(name)];
            let place = place.into_iter().find(|place| place.is_file());
            found.insert(
                name.to_owned(),
                place.with_context(|| format!("no package has {loader}"))?,
            );
        }
        for library in needs.libraries {
            let names = folders.iter().map(|folder| format!("{folder}/{library}"));
            let name = names.into_iter().find(|name| root.join(name).is_file());
            let name = name.with_context(|| format!("no package has {library}, which {} needs", file.display()))?;
            let place = root.join(&name);
            if found.insert(name, place.clone()).is_none() {
                next.push(place);
            }
        }
    }
    Ok(found)
}

/// What is written in a binary.
struct Needs {
    loader: Option<String>,
    libraries: Vec<String>,
}

impl Needs {
    fn read(file: &Path) -> Result<Self> {
        let content = read(file)?;
        let content = content.as_slice();
        let elf = ElfFile64::<Endianness>::parse(content)?;
        let endian = elf.endian();
        let header: &FileHeader64<Endianness> = elf.elf_header();
        let loaders = header.program_headers(endian, content)?.iter();
        let loader = loaders
            .filter_map(|part| part.interpreter(endian, content).transpose())
            .next();
        let sections = header.sections(endian, content)?;
        let mut libraries = Vec::new();
        if let Some((entries, link)) = sections.dynamic(endian, content)? {
            let strings = sections.strings(endian, content, link)?;
            for entry in entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED) {
                libraries.push(text(entry.string(endian, strings)?));
            }
        }
        Ok(Self {
            loader: loader.transpose()?.map(text),
            libraries,
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
