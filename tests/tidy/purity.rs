//! Pure in the middle: what takes values and gives values has no clock, no file, no socket, no runtime, no kernel.

use anyhow::Result;

use crate::tree::{Complaints, File, check, files, has_word, is_product, shows};

/// Folders and files of pure code. A folder ends with a slash and stands for all in it.
const PURE: &[&str] = &[
    "common/src/",
    "exporter/src/api/",
    "exporter/src/capture/arguments.rs",
    "exporter/src/capture/extcap.rs",
    "exporter/src/capture/filter.rs",
    "exporter/src/capture/link.rs",
    "exporter/src/capture/order.rs",
    "exporter/src/capture/pcapng.rs",
    "exporter/src/capture/rotation.rs",
    "exporter/src/capture/sites.rs",
    "exporter/src/cardinality.rs",
    "exporter/src/classes.rs",
    "exporter/src/coverage.rs",
    "exporter/src/config/",
    "exporter/src/drops.rs",
    "exporter/src/drops/filter.rs",
    "exporter/src/drops/table.rs",
    "exporter/src/drops/text.rs",
    "exporter/src/families.rs",
    "exporter/src/families/",
    "exporter/src/flows.rs",
    "exporter/src/kernel/btf.rs",
    "exporter/src/kernel/capacity.rs",
    "exporter/src/kernel/btf/",
    "exporter/src/kernel/plan.rs",
    "exporter/src/kernel/purpose.rs",
    "exporter/src/kernel/reasons.rs",
    "exporter/src/kernel/rings.rs",
    "exporter/src/kernel/lookups.rs",
    "exporter/src/labels.rs",
    "exporter/src/ledger.rs",
    "exporter/src/numbering.rs",
    "exporter/src/otlp/answer.rs",
    "exporter/src/otlp/delta.rs",
    "exporter/src/otlp/encode.rs",
    "exporter/src/otlp/histogram.rs",
    "exporter/src/otlp/reading.rs",
    "exporter/src/page.rs",
    "exporter/src/page/",
    "exporter/src/prometheus.rs",
    "exporter/src/prometheus/",
    "exporter/src/snapshot.rs",
    "exporter/src/status.rs",
    "exporter/src/top/format.rs",
    "exporter/src/top/rows.rs",
    "exporter/src/top/screen.rs",
    "exporter/src/top/view.rs",
    "exporter/src/trace/binary.rs",
    "exporter/src/trace/filter.rs",
    "exporter/src/trace/item.rs",
    "exporter/src/trace/json.rs",
    "exporter/src/trace/names.rs",
    "exporter/src/trace/text.rs",
    "exporter/src/web/config.rs",
    "exporter/src/web/config/",
    "exporter/src/yaml.rs",
    "exporter/src/yaml/",
];

/// The one place of the configuration that opens a file and reads a variable.
const NOT_PURE: &str = "exporter/src/yaml/read.rs";

/// Paths into the world.
const WORLDLY: &[&str] = &[
    "std::env",
    "std::fs",
    "std::os",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
];

/// Names that mean it wherever they come from.
const WORLDLY_WORDS: &[&str] = &[
    "Instant",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "aya",
    "aya_obj",
    "axum",
    "caps",
    "libc",
    "nix",
    "procfs",
    "tokio",
    "tracing",
];

fn is_pure(path: &str) -> bool {
    let holds = |own: &str| path == own || (own.ends_with('/') && path.starts_with(own));
    is_product(path) && path != NOT_PURE && PURE.iter().any(|own| holds(own))
}

/// Pure code names nothing of the world.
fn names_nothing_worldly(file: &File) -> Complaints {
    let code: Vec<&str> = file.code().into_iter().map(|(_, line)| line).collect();
    let paths = paths(&code.join("\n"));
    let worldly = WORLDLY
        .iter()
        .filter(|worldly| {
            let within = format!("{worldly}::");
            paths.iter().any(|path| path == *worldly || path.starts_with(&within))
        })
        .chain(
            WORLDLY_WORDS
                .iter()
                .filter(|word| paths.iter().any(|path| has_word(path, word))),
        );
    worldly.map(|worldly| format!("names {worldly}")).collect()
}

/// Every path and name in a piece of code, those of braced imports in full. Quotes within texts are beyond it.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    // Prefixes of the braces that are open; a brace of a block has none.
    let mut open: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut characters = code.chars();
    while let Some(character) = characters.next() {
        match character {
            // What a text says is not named.
            '"' => while characters.next().is_some_and(|character| character != '"') {},
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | ':' => {
                word.push(character);
                continue;
            }
            '{' => {
                let outer = open.last().cloned().unwrap_or_default();
                let prefix = if word.ends_with("::") {
                    outer + &word
                } else {
                    String::new()
                };
                open.push(prefix);
            }
            _ if !word.is_empty() => {
                let prefix = open.last().map_or("", String::as_str);
                paths.push(format!("{prefix}{}", word.trim_end_matches(':')));
            }
            _ => {}
        }
        if character == '}' {
            open.pop();
        }
        word.clear();
    }
    paths.push(word);
    paths
}

#[test]
fn pure_code_names_nothing_worldly() -> Result<()> {
    check(is_pure, names_nothing_worldly)?;
    let all = files()?;
    for own in PURE {
        assert!(
            all.iter().any(|file| file.path.starts_with(own)),
            "{own} is gone: where is its code now?"
        );
    }
    assert!(all.iter().any(|file| file.path == NOT_PURE), "{NOT_PURE} is gone");
    Ok(())
}

#[test]
fn worldly_names_are_found_however_they_are_written() {
    let good = "use std::{fmt, net::Ipv4Addr, time::Duration};\nuse super::{maps, Map};\nfn a(instant: u32) -> &str {\n    \"a tokio, std::fs\"\n}\n\
                #[cfg(test)]\nmod tests {\n    use std::fs;\n}\n// std::fs\n";
    for (bad, complaint) in [
        ("use std::fs;\n", "std::fs"),
        ("use std::fs::File;\n", "std::fs"),
        ("use std::{\n    fmt,\n    fs::{File, read},\n};\n", "std::fs"),
        ("use std::{collections::{BTreeMap, HashMap}, env};\n", "std::env"),
        ("fn a() { let b = std::process::id(); }\n", "std::process"),
        ("use std::net::{Ipv4Addr, TcpStream};\n", "TcpStream"),
        ("use std::time;\nfn a() -> time::Instant {}\n", "Instant"),
        ("use std::time::{Duration, SystemTime as Clock};\n", "SystemTime"),
        ("use aya::maps::Map;\n", "aya"),
        ("fn a() { tokio::spawn(b()); }\n", "tokio"),
    ] {
        shows(names_nothing_worldly, "common/src/a.rs", bad, complaint, good);
    }
}

/// Only the folder `kernel` knows aya, not even by name.
fn does_not_know_aya(file: &File) -> Complaints {
    let known = ["aya", "aya_obj"].into_iter().filter(|name| has_word(&file.text, name));
    known.map(|name| format!("knows {name}")).collect()
}

#[test]
fn only_the_kernel_folder_knows_aya() -> Result<()> {
    let is_elsewhere = |path: &str| {
        let is_kernel = path == "exporter/src/kernel.rs" || path.starts_with("exporter/src/kernel/");
        path.starts_with("exporter/src/") && path.ends_with(".rs") && !is_kernel
    };
    assert!(!is_elsewhere("exporter/src/kernel/load.rs") && is_elsewhere("exporter/src/kernels.rs"));
    check(is_elsewhere, does_not_know_aya)?;
    shows(
        does_not_know_aya,
        "exporter/src/a.rs",
        "//! As aya does.\n",
        "aya",
        "//! As ayah does.\n",
    );
    Ok(())
}

/// `common` depends on nothing.
fn depends_on_nothing(file: &File) -> Complaints {
    let mut section = "";
    let mut complaints = Complaints::new();
    for line in file.text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && section != "[dev-dependencies]"
            && !line.is_empty()
            && !line.starts_with('#')
        {
            complaints.push(format!("{section} has {line}"));
        }
    }
    complaints
}

#[test]
fn common_depends_on_nothing() -> Result<()> {
    check(|path| path == "common/Cargo.toml", depends_on_nothing)?;
    shows(
        depends_on_nothing,
        "common/Cargo.toml",
        "[target.'cfg(unix)'.dependencies]\nlibc.workspace = true\n",
        "libc",
        "[package]\nname = \"common\"\n[dependencies]\n\n[dev-dependencies]\nproptest.workspace = true\n",
    );
    Ok(())
}
