//! Kernel modules: those that the tests need and what they need themselves, in the order in which they must be loaded. From
//! the folder of a kernel to their bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read, read_dir};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _};

use crate::programs::filter;

/// What the tests use. The kernel asks for most of them by itself, but a guest has no modprobe to answer.
const NEEDED: &[&str] = &[
    // nf_tables asks for the checksum by its algorithm's name, which no dependency shows.
    "crc32c_generic",
    "crc32c_intel",
    "crc32c_cryptoapi",
    "virtio_pci",
    "virtio_net",
    "veth",
    "tun",
    "nf_tables",
    "nft_numgen",
    "nft_objref",
    "nft_reject_inet",
    "nft_limit",
    "nft_ct",
    "nft_counter",
    "sch_tbf",
    "sch_netem",
    "sch_fq",
    "tcp_bbr",
    "openvswitch",
    // Of the tables of healthy activities and of losses: devices,
    "bridge",
    "macvlan",
    "macvtap",
    "ipvlan",
    "8021q",
    "vrf",
    "bonding",
    "vxlan",
    "geneve",
    "ip_gre",
    "ipip",
    "sit",
    "ip6_tunnel",
    "ip6_gre",
    // queues, filters and classifiers.
    "sch_htb",
    "sch_ingress",
    "cls_matchall",
    "act_gact",
    "nft_dup_netdev",
    "nft_queue",
    "nfnetlink_queue",
    "nft_nat",
    "nft_redir",
    "nft_chain_nat",
    "nft_masq",
    // What `ss` asks.
    "tcp_diag",
    // netdevsim needs it, and is not in this folder.
    "psample",
];

/// A module as the guest loads it.
pub(crate) struct Module {
    /// Without its ending.
    pub(crate) name: String,
    /// The uncompressed file.
    pub(crate) content: Vec<u8>,
}

/// All that the tests need, and `more`, each after those that it needs itself. What a kernel does not have as a module is built in, or has
/// another name there.
pub(crate) fn needed(folder: &Path, more: &[&str]) -> Result<Vec<Module>> {
    let mut tree = Tree {
        files: files(folder)?,
        done: BTreeSet::new(),
        ordered: Vec::new(),
    };
    for name in NEEDED.iter().chain(more) {
        tree.add(name)?;
    }
    Ok(tree.ordered)
}

struct Tree {
    files: BTreeMap<String, PathBuf>,
    done: BTreeSet<String>,
    ordered: Vec<Module>,
}

impl Tree {
    fn add(&mut self, name: &str) -> Result<()> {
        let Some(file) = self.files.get(name) else {
            return Ok(());
        };
        if !self.done.insert(name.to_owned()) {
            return Ok(());
        }
        let content = content(file).with_context(|| format!("read {}", file.display()))?;
        for dependency in dependencies(&content).with_context(|| format!("read the needs of {name}"))? {
            self.add(&dependency)?;
        }
        let name = name.to_owned();
        self.ordered.push(Module { name, content });
        Ok(())
    }
}

fn files(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.join("kernel")];
    while let Some(folder) = folders.pop() {
        for entry in read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(name_of(&path), path);
            }
        }
    }
    Ok(found)
}

/// Files have dashes where the kernel has underscores.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().replace('-', "_")
}

fn content(file: &Path) -> Result<Vec<u8>> {
    let bytes = read(file)?;
    match file.extension().and_then(|ending| ending.to_str()) {
        Some(program @ "xz") => filter(program, &["-dc"], &bytes),
        Some("zst") => filter("zstd", &["-dc"], &bytes),
        _ => Ok(bytes),
    }
}

fn dependencies(content: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(content)?;
    let section = file.section_by_name(".modinfo").context("a module without .modinfo")?;
    let entries = section.data()?.split(|byte| *byte == 0);
    let depends = entries.filter_map(|entry| entry.strip_prefix(b"depends="));
    let names = depends.flat_map(|names| names.split(|byte| *byte == b','));
    Ok(names
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).replace('-', "_"))
        .collect())
}
