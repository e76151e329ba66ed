//! Pure in the middle: what takes values and gives values has no clock, no file, no socket, no runtime, no kernel.

use anyhow::Result;

use crate::tree::{Complaints, File, check, files, has_word, is_product, shows};

/// Folders and files of pure code. A folder ends with a slash and stands for all in it.
const PURE: &[&str] = &[
    "common/src/",
    "exporter/config/src/",
    "exporter/kernel/src/load/capacity.rs",
    "exporter/kernel/src/load/lookups.rs",
    "exporter/kernel/src/plan.rs",
    "exporter/kernel/src/plan/",
    "exporter/kernel/src/probe/btf.rs",
    "exporter/kernel/src/probe/btf/",
    "exporter/kernel/src/probe/reasons.rs",
    "exporter/metrics/src/",
    "exporter/src/cli/capture.rs",
    "exporter/src/cli/filters.rs",
    "exporter/src/commands/capture/extcap.rs",
    "exporter/src/commands/capture/file/link.rs",
    "exporter/src/commands/capture/file/pcapng.rs",
    "exporter/src/commands/capture/file/rotation.rs",
    "exporter/src/commands/capture/file/sites.rs",
    "exporter/src/commands/capture/filter.rs",
    "exporter/src/commands/capture/order.rs",
    "exporter/src/commands/top/columns/",
    "exporter/src/commands/top/format.rs",
    "exporter/src/commands/top/rows.rs",
    "exporter/src/commands/top/screen.rs",
    "exporter/src/commands/top/screen/",
    "exporter/src/commands/top/table.rs",
    "exporter/src/commands/top/view.rs",
    "exporter/src/commands/top/view/",
    "exporter/src/commands/trace/binary.rs",
    "exporter/src/commands/trace/filter.rs",
    "exporter/src/commands/trace/json.rs",
    "exporter/src/commands/trace/seed.rs",
    "exporter/src/commands/trace/text.rs",
    "exporter/src/serve/http/access.rs",
    "exporter/src/serve/http/api/",
    "exporter/src/serve/push/answer.rs",
    "exporter/src/serve/web/config.rs",
    "exporter/src/serve/web/config/",
    "exporter/src/kubernetes/backoff.rs",
    "exporter/src/kubernetes/lines.rs",
    "exporter/src/kubernetes/objects.rs",
    "exporter/src/kubernetes/request.rs",
    "exporter/src/kubernetes/status.rs",
];

/// The places of the configuration that open files and read variables, and a list of error names that a crate of the system has.
const NOT_PURE: &[&str] = &[
    "exporter/config/src/file/files.rs",
    "exporter/config/src/file/read.rs",
    "exporter/metrics/src/labels/sites.rs",
];

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
    is_product(path) && !NOT_PURE.contains(&path) && PURE.iter().any(|own| holds(own))
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
    for own in PURE.iter().chain(NOT_PURE) {
        assert!(
            all.iter().any(|file| file.path.starts_with(own)),
            "{own} is gone: where is its code now?"
        );
    }
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

/// `common` depends on nothing but what proves layouts.
fn depends_on_little(file: &File) -> Complaints {
    let mut section = "";
    let mut complaints = Complaints::new();
    for line in file.text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && section != "[dev-dependencies]"
            && !line.is_empty()
            && !line.starts_with('#')
            && line != "zerocopy.workspace = true"
        {
            complaints.push(format!("{section} has {line}"));
        }
    }
    complaints
}

#[test]
fn common_depends_on_little_but_what_proves_layouts() -> Result<()> {
    check(|path| path == "common/Cargo.toml", depends_on_little)?;
    shows(
        depends_on_little,
        "common/Cargo.toml",
        "[target.'cfg(unix)'.dependencies]\nlibc.workspace = true\n",
        "libc",
        "[package]\nname = \"common\"\n[dependencies]\nzerocopy.workspace = true\n\n[dev-dependencies]\nproptest.workspace = true\n",
    );
    Ok(())
}
