//! Rules of code that is close to the kernel: every hook is described, every unsafe block is explained.

use anyhow::Result;

use crate::tree::{Complaints, File, check, is_product, shows};

/// How far above an unsafe block its explanation may begin: the block may stand deep in a statement of several lines.
const REACH: usize = 8;

/// A probe opens with the kernel's prototype of its hook and the kernels that have it, and is attached to what it is named after.
fn describes_its_hook(file: &File) -> Complaints {
    let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    let target = name.strip_prefix("iter_").unwrap_or(name);
    let header: Vec<&str> = file
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .collect();
    let header = header.join(" ");
    let hooks = [name.to_owned(), format!("bpf_{name}"), format!("bpf_iter_{name}")];
    let mut complaints = Complaints::new();

    let prototype = hooks
        .iter()
        .find_map(|hook| header.strip_prefix(&format!("`{hook}("))?.split_once(")`"));
    match prototype {
        Some((arguments, _)) if arguments.contains(' ') => {}
        _ => complaints.push(format!(
            "its header does not begin with the kernel's prototype of {name}, as in `{name}(struct sock *sk)`"
        )),
    }
    let is_release = |word: &str| {
        let parts = word.split_once('.').map(|(major, minor)| [major, minor]);
        parts.is_some_and(|parts| {
            parts
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        })
    };
    let mut words = header.split(|character: char| !character.is_alphanumeric() && character != '.');
    if !words.any(|word| is_release(word.trim_end_matches('.'))) {
        complaints.push("its header names no kernel that has the hook".to_owned());
    }
    let attached = [
        format!("function = \"{target}\""),
        format!("link_section = \"iter/{target}\""),
    ];
    let is_one_of_two = file.text.contains("programs!(") && file.text.contains(&format!("\"{target}\","));
    if !is_one_of_two && !attached.iter().any(|attached| file.text.contains(attached)) {
        complaints.push(format!("no program of it is attached to {target}"));
    }
    complaints
}

#[test]
fn every_probe_describes_its_hook() -> Result<()> {
    check(|path| path.starts_with("ebpf/src/probes/"), describes_its_hook)?;
    let good = "//! `tcp_probe(struct sock *sk,\n//! const struct sk_buff *skb)`, 5.10 to 7.2: a segment came.\n\
                #[btf_tracepoint(function = \"tcp_probe\")]\n";
    for (from, to, complaint) in [
        ("tcp_probe(", "tcp_prove(", "prototype"),
        ("//! `", "//! The hook `", "prototype"),
        ("struct sock *sk,\n//! const struct sk_buff *skb", "", "prototype"),
        ("5.10 to 7.2", "everywhere", "no kernel"),
        ("\"tcp_probe\"", "\"kfree_skb\"", "attached"),
    ] {
        shows(
            describes_its_hook,
            "ebpf/src/probes/tcp_probe.rs",
            &good.replacen(from, to, 1),
            complaint,
            good,
        );
    }
    let iterator = "//! `bpf_iter_tcp(struct bpf_iter_meta *meta)`, 5.10.\n#[unsafe(link_section = \"iter/tcp\")]\n";
    shows(
        describes_its_hook,
        "ebpf/src/probes/iter_tcp.rs",
        "//! No.\n",
        "prototype",
        iterator,
    );
    Ok(())
}

/// A line with an unsafe block, implementation or function.
fn is_unsafe(line: &str) -> bool {
    line.contains("unsafe {") || line.contains("unsafe impl") || line.contains("unsafe fn")
}

/// Whoever is unsafe says so in the beginning and explains each block.
fn explains_what_is_unsafe(file: &File) -> Complaints {
    let product = file.product();
    let code = file.code();
    let mut complaints = Complaints::new();
    // However rustfmt breaks the line.
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let expects = |text: &str| squeezed(text).contains("expect(unsafe_code,reason=\"");
    // Documentation and attributes of the whole file stand before its first empty line.
    let opening = file.text.split("\n\n").next().unwrap_or_default();
    let opens = opening.contains("#![") && expects(opening);
    if code.iter().any(|(_, line)| is_unsafe(line)) && !opens {
        complaints.push("does not open with #![expect(unsafe_code, reason = \"…\")]".to_owned());
    }
    if code.iter().any(|(_, line)| line.contains("#[unsafe(")) && !expects(&file.text) {
        complaints.push("has an unsafe attribute without #[expect(unsafe_code, reason = \"…\")]".to_owned());
    }
    for (index, (number, line)) in product.iter().enumerate() {
        let is_comment = line.trim_start().starts_with("//");
        // The caller's duty is in the documentation of a function.
        if is_comment || !is_unsafe(line) || line.contains("unsafe fn") {
            continue;
        }
        let above = &product[index.saturating_sub(REACH)..index];
        if !above.iter().any(|(_, line)| line.contains("// SAFETY:")) {
            complaints.push(format!("line {number} is unsafe without // SAFETY:"));
        }
    }
    complaints
}

#[test]
fn every_unsafe_block_is_explained() -> Result<()> {
    check(
        |path| {
            is_product(path)
                || (path.ends_with(".rs") && (path.starts_with("tests/src/") || path.starts_with("tests/tools/")))
        },
        explains_what_is_unsafe,
    )?;
    let good = "//! A.\n#![expect(\n    unsafe_code,\n    reason = \"b\"\n)]\n\nfn a() {\n    // SAFETY: c.\n    unsafe { d() }\n}\n\
                #[cfg(test)]\nmod tests {\n    fn e() {\n        unsafe { f() }\n    }\n}\n";
    for (bad, complaint) in [
        (good.replace("// SAFETY: c.", "// c."), "line 9"),
        (good.replace("#![expect(", "#![allow("), "open"),
        (good.replace("unsafe_code,\n    reason = \"b\"", "unsafe_code"), "open"),
        (good.replace("//! A.\n", "//! A.\n\nfn a() {}\n"), "open"),
        ("// SAFETY: a.\nunsafe impl A for B {}\n".to_owned(), "open"),
        ("#[unsafe(no_mangle)]\nfn a() {}\n".to_owned(), "attribute"),
    ] {
        shows(explains_what_is_unsafe, "ebpf/src/a.rs", &bad, complaint, good);
    }
    Ok(())
}

/// The kernel is asked for what it has, never for its version.
fn compares_no_version(file: &File) -> Complaints {
    let asks = ["KernelVersion", "LINUX_VERSION_CODE", "bpf_get_kernel_version"];
    let asked = asks
        .into_iter()
        .filter(|asks| file.code().iter().any(|(_, line)| line.contains(asks)));
    asked.map(|asks| format!("asks for the version with {asks}")).collect()
}

#[test]
fn no_kernel_version_is_compared() -> Result<()> {
    check(is_product, compares_no_version)?;
    shows(
        compares_no_version,
        "exporter/kernel/src/a.rs",
        "if KernelVersion::current()? < KernelVersion::new(5, 11, 0) {\n",
        "KernelVersion",
        "// No KernelVersion here.\n",
    );
    Ok(())
}
