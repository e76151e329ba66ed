//! Rules of the whole repository: what lies where, what no file may say, how long one may be.

use std::fs::read_dir;

use anyhow::Result;

use crate::tree::{Complaints, File, check, files, is_product, shows, top};

/// What `ls` shows at the top. Settings of tools are dotfiles; `target` is what is built.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "common",
    "dashboards",
    "deploy",
    "docs",
    "ebpf",
    "exporter",
    "rust-toolchain.toml",
    "target",
    "tests",
];

fn belongs_at_the_top(name: &str) -> bool {
    name.starts_with('.') || TOP.contains(&name)
}

#[test]
fn the_top_of_the_repository_shows_the_product() -> Result<()> {
    for entry in read_dir(top())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        assert!(belongs_at_the_top(&name), "{name} does not belong at the top");
    }
    assert!(!belongs_at_the_top("scripts") && !belongs_at_the_top("notes.md"));
    Ok(())
}

/// Most lines of a file of product code, without its tests.
const LONGEST: usize = 400;

/// Files that are longer, and why.
const LONGER: &[(&str, &str)] = &[
    (
        "exporter/metrics/src/families/table/tcp.rs",
        "the metric table: data, one entry per metric",
    ),
    ("exporter/metrics/src/families/table/exporter.rs", "the same"),
];

fn is_not_too_long(file: &File) -> Complaints {
    let lines = file.product().len();
    let too_long = lines > LONGEST && !LONGER.iter().any(|(path, _)| *path == file.path);
    too_long
        .then(|| format!("{lines} lines without tests; cut it, or say in `LONGER` why not"))
        .into_iter()
        .collect()
}

#[test]
fn files_of_product_code_are_short() -> Result<()> {
    check(is_product, is_not_too_long)?;
    let all = files()?;
    for (path, _) in LONGER {
        let file = all.iter().find(|file| file.path == *path);
        assert!(
            file.is_some_and(|file| file.product().len() > LONGEST),
            "{path} needs no exception any more"
        );
    }
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // line\n".repeat(LONGEST));
    shows(
        is_not_too_long,
        "common/src/a.rs",
        &"// line\n".repeat(LONGEST + 1),
        "401 lines",
        &("// line\n".repeat(LONGEST) + &tests),
    );
    Ok(())
}

/// Data that others wrote, kept as it is.
const FOREIGN: &str = "tests/schemas/grafana/";

fn is_ours(path: &str) -> bool {
    !path.starts_with(FOREIGN)
}

/// Nothing is left for later without a word to the tracker.
fn leaves_nothing_undone(file: &File) -> Complaints {
    // Put together, so that this file does not say them.
    let marks = ["TO~DO", "FIX~ME", "XX~X", "todo~!(", "unimplemented~!("].map(|mark| mark.replace('~', ""));
    let marked = marks.into_iter().filter(|mark| file.text.contains(mark));
    marked.map(|mark| format!("says {mark}")).collect()
}

#[test]
fn nothing_is_left_undone() -> Result<()> {
    check(|path| path != "Cargo.lock" && is_ours(path), leaves_nothing_undone)?;
    let bad = "// TO~DO: later\n".replace('~', "");
    shows(
        leaves_nothing_undone,
        "a.rs",
        &bad,
        "says TO",
        "// Done. To do so is easy.\n",
    );
    Ok(())
}

/// Hosts that the repository may name. Anything else could be the mirror or the machine of whoever wrote it.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "LOCALHOST",
    "[::1]",
    "a",
    "collector.invalid",
    "crates.io",
    "docs.rs",
    "evil.example",
    "git.kernel.org",
    "github.com",
    "json-schema.org",
    "keepachangelog.com",
    "kubernetes.default.svc",
    "localhost",
    "localhost:1.evil.example",
    "opentelemetry.io",
    "prometheus",
    "prometheus.io",
    "rustup.rs",
    "semver.org",
    "sh.rustup.rs",
    "static.rust-lang.org",
    "www.apache.org",
    "www.debian.org",
    "www.kernel.org",
    "www.rfc-editor.org",
    "www.w3.org",
];

/// Folders of one machine, not of every one.
const OF_ONE_MACHINE: &[&str] = &["/home/", "/root/", "/Users/", "/work/", "/mnt/", "/opt/"];

/// No file names a registry mirror or a place on somebody's machine.
fn could_be_anybodys(file: &File) -> Complaints {
    let mut complaints = Complaints::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for (_, rest) in line
            .match_indices("://")
            .map(|(at, mark)| line.split_at(at + mark.len()))
        {
            let end = |character: char| !character.is_ascii_alphanumeric() && !"-.[]:".contains(character);
            let place = rest.split(end).next().unwrap_or_default();
            let host = match place.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
                _ => place.trim_end_matches([':', '.']),
            };
            // A host that is filled in by a program has no name here, nor has one in a regular expression.
            if !host.is_empty() && host != "[" && !HOSTS.contains(&host) {
                complaints.push(format!("line {number} names the host {host}"));
            }
        }
        for folder in OF_ONE_MACHINE {
            let begins = |at: usize| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|before| !before.is_alphanumeric() && !".-_}".contains(before))
            };
            if line.match_indices(folder).any(|(at, _)| begins(at)) {
                complaints.push(format!("line {number} names {folder}, a folder of one machine"));
            }
        }
        let source = line
            .strip_prefix("source = \"")
            .map(|source| source.trim_end_matches('"'));
        if file.path == "Cargo.lock" && source.is_some_and(|source| source != CRATES_IO) {
            complaints.push(format!("line {number} has a crate from elsewhere than crates.io"));
        }
    }
    complaints
}

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn no_file_names_a_mirror_or_a_machine() -> Result<()> {
    // This file has to name them to forbid them.
    check(
        |path| path != "tests/tidy/repository.rs" && is_ours(path),
        could_be_anybodys,
    )?;
    let good = "See <https://github.com/torvalds/linux>. http://localhost:4317/v1 and http://{address}/ are fine, \
                and so are ../work/a, target/root/x and [::1]:80.\n";
    for (bad, complaint) in [
        (
            "index = \"https://mirror.example.org:8443/index\"\n",
            "mirror.example.org",
        ),
        ("sparse+http://10.1.2.3/crates\n", "10.1.2.3"),
        ("cd /home/somebody/src\n", "/home/"),
        ("path = \"/work/main\"\n", "/work/"),
        ("from file:///root/key\n", "/root/"),
    ] {
        shows(could_be_anybodys, "a.toml", bad, complaint, good);
    }
    shows(
        could_be_anybodys,
        "Cargo.lock",
        "source = \"git+https://github.com/someone/fork\"\n",
        "elsewhere",
        &format!("source = \"{CRATES_IO}\"\n"),
    );
    Ok(())
}
