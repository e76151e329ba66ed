//! Files that are no files, too large, too deep or too many: refused with a sentence, at once and in little memory, and whoever is
//! served meanwhile notices nothing.

use std::fmt::Write as _;
use std::fs::{File, create_dir, remove_file, write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;
use tests::exporter::{Exporter, FEWEST_PROGRAMS, Finished, Launch, run};
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::machine::wait::{timed, until};

use super::{EACH_ITS_OWN, Flows, of_process, report};
use crate::privileges::public_binary;

/// Longest time for what used to take for ever; on a machine that does other things, too.
const SOON: Duration = Duration::from_secs(5);

/// Most memory that a file may cost, in kB.
const MEMORY: u64 = 200 << 10;

/// What is at the path of a file, and the words of the refusal.
struct Trap {
    name: &'static str,
    lay: fn(&Path) -> Result<()>,
    words: &'static [&'static str],
}

/// For a configuration.
const TRAPS: &[Trap] = &[
    Trap {
        name: "a pipe that nobody writes",
        lay: |path| Ok(mkfifo(path, Mode::S_IRWXU)?),
        words: &["it is a pipe", "regular file"],
    },
    Trap {
        name: "a device without an end",
        lay: |path| Ok(symlink("/dev/zero", path)?),
        words: &["it is a device", "regular file"],
    },
    Trap {
        name: "a folder",
        lay: |path| Ok(create_dir(path)?),
        words: &["directory", "name a file in it"],
    },
    Trap {
        name: "a file of a terabyte",
        lay: |path| Ok(File::create(path)?.set_len(1 << 40)?),
        words: &["larger than 16 MiB"],
    },
    Trap {
        name: "nested in braces",
        lay: |path| Ok(write(path, "{a: ".repeat(100_000))?),
        words: &[":1", "nested deeper than 64"],
    },
    Trap {
        name: "nested in brackets that close",
        lay: |path| Ok(write(path, "[".repeat(100_000) + &"]".repeat(100_000))?),
        words: &[":1", "nested deeper than 64"],
    },
    Trap {
        name: "nested in lists on one line",
        lay: |path| Ok(write(path, "- ".repeat(100_000))?),
        words: &[":1", "nested deeper than 64"],
    },
    Trap {
        name: "a word for every two bytes",
        lay: |path| {
            Ok(write(
                path,
                "subnets:\n- {name: a, cidrs: [".to_owned() + &"x,".repeat(8_000_000),
            )?)
        },
        words: &[":2", "more than 1250000 words", "join networks"],
    },
    Trap {
        name: "aliases of lists of aliases",
        lay: |path| {
            let networks = "10.0.0.0/8, ".repeat(20_000);
            let text = format!("subnets:\n- {{name: a, cidrs: &a [{networks}]}}\n");
            Ok(write(path, text + &"- {name: b, cidrs: *a}\n".repeat(400))?)
        },
        words: &["aliases make more than 1250000 values"],
    },
    Trap {
        name: "a thousand views",
        lay: |path| {
            let views: Vec<String> = (0..1000).map(|number| format!("{{name: v{number}}}")).collect();
            Ok(write(path, format!("views: [{}]", views.join(", ")))?)
        },
        words: &["there are 1000 views", "32 are the most"],
    },
    Trap {
        name: "more networks than are allowed",
        lay: |path| Ok(write(path, networks(100_001)?)?),
        words: &["100001 networks", "limits.subnets allows 100000"],
    },
];

fn networks(count: u32) -> Result<String> {
    let mut text = String::from("subnets:\n- name: many\n  cidrs:\n");
    for number in 0..count {
        let [_, b, c, d] = number.to_be_bytes();
        writeln!(text, "  - 10.{b}.{c}.{d}/32")?;
    }
    Ok(text)
}

/// Requires the answer of a command that refuses what it was given.
#[track_caller]
fn require_refusal(finished: &Finished, code: i32, words: &[&str], took: Duration) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "no {word:?} in {finished:?}");
    }
    assert!(finished.stderr.len() < 2000, "{} bytes", finished.stderr.len());
    assert!(took < SOON, "it took {took:?}");
}

fn is_served(exporter: &Exporter<'_>) -> Result<()> {
    for path in ["/metrics", "/api/v1/drops", "/healthz"] {
        let (took, page) = timed(|| exporter.get(path, "*/*"));
        ensure!(page?.status == 200 && took < SOON, "{path} took {took:?}");
    }
    Ok(())
}

#[test]
fn configurations_that_are_no_files() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = Launch::new(FEWEST_PROGRAMS)
        .arguments(&["--web.enable-lifecycle"])
        .start()?;
    for Trap { name, lay, words } in TRAPS {
        let folder = TempDir::new()?;
        let path = folder.path().join("config.yaml");
        lay(&path)?;
        let file = path.to_str().context("a path that is text")?;
        let (took, finished) = timed(|| run(&["check-config", file]));
        require_refusal(&finished?, 2, words, took);

        remove_file(exporter.config_path())?;
        lay(exporter.config_path())?;
        let (took, page) = timed(|| exporter.post("/-/reload"));
        let page = page?;
        assert_eq!(page.status, 500, "{name}: {page:?}");
        assert!(words.iter().all(|word| page.body.contains(word)), "{name}: {page:?}");
        assert!(took < SOON, "{name}: it took {took:?}");
        is_served(&exporter).context(*name)?;
        if exporter.config_path().is_dir() {
            std::fs::remove_dir(exporter.config_path())?;
            write(exporter.config_path(), "")?;
        }
    }
    let peak = of_process(&exporter, "VmHWM")?;
    assert!(peak < MEMORY, "{peak} kB");
    let said = exporter.stderr();
    assert_eq!(
        said.matches("reloading the configuration").count(),
        TRAPS.len(),
        "{said}"
    );
    assert_eq!(
        said.matches("reload failed, the old configuration stays").count(),
        TRAPS.len(),
        "{said}"
    );

    // What is right is taken again.
    remove_file(exporter.config_path())?;
    exporter.reload(FEWEST_PROGRAMS)?;
    assert!(exporter.stderr().contains("configuration reloaded"));
    Ok(())
}

#[test]
#[ignore = "long: make test-long"]
fn web_configurations_that_are_pipes() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let path = folder.path().join("web.yaml");
    write(&path, "{}")?;
    let argument = format!("--web.config.file={}", path.display());
    let exporter = Launch::new(FEWEST_PROGRAMS).arguments(&[&argument]).start()?;
    remove_file(&path)?;
    mkfifo(&path, Mode::S_IRWXU)?;
    until("the log to say so", || {
        is_served(&exporter)?;
        Ok(exporter.stderr().contains("it is a pipe").then_some(()))
    })?;
    let (took, ended) = timed(|| exporter.stop(Signal::SIGTERM));
    let (status, said) = ended?;
    assert!(status.success() && took < SOON, "{status} after {took:?}: {said}");
    assert_eq!(said.matches("the web configuration is wrong").count(), 1, "{said}");
    Ok(())
}

#[test]
fn keys_without_an_end() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    mkfifo(&folder.path().join("pipe"), Mode::S_IRWXU)?;
    for (file, word) in [("/dev/zero", "it is a device"), (&path("pipe"), "it is a pipe")] {
        let web = format!("tls_server_config: {{cert_file: {file}, key_file: {file}}}");
        write(path("web.yaml"), web)?;
        let push = format!("otlp: {{endpoint: 'https://localhost:1', tls: {{ca_file: {file}}}}}");
        write(path("push.yaml"), push)?;
        let networks = folder.path().join("networks.csv");
        if networks.is_symlink() {
            remove_file(&networks)?;
        }
        symlink(file, &networks)?;
        write(path("networks.yaml"), "subnets_files: ['*.csv']")?;
        for (command, code) in [
            (format!("check-config --web.config.file={}", path("web.yaml")), 2),
            (format!("check-config {}", path("push.yaml")), 2),
            (format!("check-config {}", path("networks.yaml")), 2),
            (format!("demo --file={file}"), 1),
            (format!("cardinality --login-file={file}"), 2),
            (format!("explain --from=https://localhost:1 --ca-file={file}"), 2),
            (format!("record --config.file={file} --output={}", path("recording")), 2),
            (format!("serve --btf={file}"), 3),
            (format!("trace --btf={file}"), 3),
        ] {
            let (took, finished) = timed(|| run(&command.split(' ').collect::<Vec<_>>()));
            require_refusal(&finished?, code, &[word], took);
        }
    }
    Ok(())
}

#[test]
fn names_and_values_without_bounds() -> Result<()> {
    let _turn = turn::shared()?;
    let file = tests::exporter::config_file("")?;
    let path = file.path().to_str().context("a path that is text")?;
    let long = "x".repeat(1 << 20);
    for (config, word) in [
        (format!("subnets_fallback: {long}"), "longer than 256 bytes"),
        (
            format!("subnets: [{{name: {}, cidrs: [10.0.0.0/8]}}]", "é".repeat(129)),
            "longer than 256 bytes",
        ),
        (
            "app_protocols: [{name: \"a\u{202e}b\", ports: [1]}]".to_owned(),
            "an invisible one",
        ),
        ("subnets_fallback: \"\\e[31m\"".to_owned(), "control character"),
        (format!("limits: {{memory: {long}}}"), "is not a size"),
        (format!("tcp: {{detail: {long}}}"), "is not a level of detail"),
        (format!("{}: 1", "x".repeat(1000)), "unknown key"),
        (format!("tcp: {long}"), "a mapping with the keys detail and memory"),
    ] {
        write(path, &config)?;
        let (took, finished) = timed(|| run(&["check-config", path]));
        require_refusal(&finished?, 2, &[word], took);
    }
    write(path, format!("subnets_fallback: {}", "x".repeat(256)))?;
    assert_eq!(run(&["check-config", path])?.code, Some(0));
    Ok(())
}

#[test]
fn reloads_between_two_pushes() -> Result<()> {
    // What one of them could leave behind is a megabyte.
    const RELOADS: u32 = 60;
    let _turn = turn::alone()?;
    // Nobody listens there, and the push after the first is an hour away.
    let push = "otlp: {endpoint: 'http://127.0.0.1:9', protocol: http/protobuf, interval: 1h, timeout: 100ms, temporality: delta}\n";
    let config = |number: u32| format!("{EACH_ITS_OWN}{push}collect: {{max_age: {number}ms}}\n");
    let exporter = Launch::new(config(1)).arguments(&["--web.enable-lifecycle"]).start()?;
    let _flows = Flows::open(scaled(200))?;
    let reload = |number: u32| exporter.reload(&config(number));
    (0..20).try_for_each(|number| reload(number % 3))?;
    let before = of_process(&exporter, "VmRSS")?;
    (0..RELOADS).try_for_each(|number| reload(number % 3))?;
    let after = of_process(&exporter, "VmRSS")?;
    report(&format!("{RELOADS} reloads: {before} KiB, then {after} KiB"));
    assert!(after < before + (15 << 10), "{before} KiB, then {after} KiB");
    Ok(())
}

#[test]
fn addresses_of_the_kernel() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = public_binary()?;
    let capabilities = "-all,+bpf,+perfmon";
    let exporter = Launch::new("")
        .binary(&folder.path().join("tcpvitals"))
        .wrapped_in(&[
            "setpriv",
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
            &format!("--bounding-set={capabilities}"),
            &format!("--inh-caps={capabilities}"),
            &format!("--ambient-caps={capabilities}"),
        ])
        .start()?;
    // Nobody listens there either: some packets are dropped.
    for port in 1..9 {
        TcpStream::connect(("127.0.0.1", port)).ok();
    }
    for path in [
        "/metrics",
        "/api/v1/drops",
        "/api/v1/flows",
        "/api/v1/status",
        "/api/v1/findings",
        "/api/v1/cardinality",
        "/readyz",
        "/",
    ] {
        let page = exporter.get(path, "*/*")?;
        assert_eq!(page.status, 200, "{path}");
        assert!(
            !page.body.contains("0xffff") && !page.body.contains("18446"),
            "{path}: {}",
            page.body
        );
    }
    Ok(())
}
