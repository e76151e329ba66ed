//! What any bytes may do to the parsers of what others write: nothing but an answer or one short line that says what is wrong.
//!
//! The targets of `tests/fuzz` and the replay in `tests/host/fuzz.rs` call the same functions; each panics where a parser breaks
//! its word.

use std::fs::write;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::text::is_unprintable;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use tcpvitals::commands::trace::binary::Reader;
use tcpvitals::commands::trace::text::Values;
use tcpvitals::commands::trace::{json, seed, text};
use tcpvitals::serve::http::api::{drops, flows};
use tcpvitals::serve::web::WebConfig;
use tcpvitals_config::{Config, ConfigError};
use tcpvitals_kernel::probe::btf::Btf;
use tcpvitals_kernel::probe::reasons::Reasons;
use tcpvitals_metrics::encode::prometheus::Format;
use tcpvitals_metrics::recording::{self, Pace, Player, Recording, Unreadable};
use tempfile::TempDir;

/// A parser: its name, and what it is given.
pub type Target = (&'static str, fn(&[u8]));

/// Every parser.
pub const TARGETS: [Target; 8] = [
    ("yaml", yaml),
    ("web", web),
    ("trace", trace),
    ("btf", btf),
    ("accept", accept),
    ("query", query),
    ("recording", recording),
    ("networks", networks),
];

/// A configuration file.
pub fn yaml(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes)
        && let Err(error) = Config::from_yaml(text, "fuzz.yaml")
    {
        require_line(&error.to_string());
    }
}

/// A web configuration file.
pub fn web(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes)
        && let Err(error) = WebConfig::from_yaml(text, Path::new("fuzz.yaml"))
    {
        require_line(&error.to_string());
    }
}

/// A binary trace.
pub fn trace(bytes: &[u8]) {
    let mut reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return require_line(&error.to_string()),
    };
    loop {
        match reader.read() {
            Ok(None) => return,
            Ok(Some(item)) => {
                for values in [Values::Usual, Values::All] {
                    require_line(text::line(&item, reader.setting(), &values).trim_end_matches('\n'));
                }
                let line = seed::line(&item, reader.setting());
                require_line(line.trim_end_matches('\n'));
                let line = json::line(&item, reader.setting()).unwrap_or_default();
                assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
            }
            Err(error) => return require_line(&error.to_string()),
        }
    }
}

/// Type information of a kernel, and of a module on top of it.
pub fn btf(bytes: &[u8]) {
    let look = |btf: &Btf| {
        for structure in ["sock", "sk_buff", "nothing"] {
            let _any = (btf.member(structure, "a"), btf.structure_number(structure));
        }
        let _any = (
            btf.tracepoint("a"),
            btf.enumerators("skb_drop_reason"),
            btf.function_number("a"),
        );
        Reasons::default().add(btf);
    };
    match Btf::parse(bytes.to_vec()) {
        Ok(kernel) => {
            look(&kernel);
            if let Ok(module) = Btf::parse_split(bytes.to_vec(), &Arc::new(kernel)) {
                look(&module);
            }
        }
        Err(error) => require_line(&error.to_string()),
    }
}

/// `Accept` headers, one a line.
pub fn accept(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let headers: Vec<&str> = text.lines().collect();
        let _any = Format::accepted(&headers);
    }
}

/// The query of a request.
pub fn query(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let wrong = [drops::Wanted::parse(text).err(), flows::Wanted::parse(text).err()];
        for wrong in wrong.into_iter().flatten() {
            assert!(serde_json::to_string(&wrong).is_ok(), "{wrong:?}");
        }
    }
}

/// What is in a recording once it is unpacked, and the same bytes as a file.
pub fn recording(bytes: &[u8]) {
    let mut packed = ZlibEncoder::new(recording::MAGIC.to_vec(), Compression::fast());
    let file = packed
        .write_all(bytes)
        .and_then(|()| packed.finish())
        .unwrap_or_default();
    for file in [file, bytes.to_vec()] {
        match Recording::read(&file) {
            Ok(recording) => assert!(replay(recording).is_ok()),
            Err(error) => require_line(&error.to_string()),
        }
    }
}

/// What was read can be replayed, whenever anybody looks.
fn replay(recording: Recording) -> Result<(), Unreadable> {
    let (now, length) = (Duration::from_secs(1 << 31), recording.length());
    let pace = Pace {
        from: Duration::ZERO,
        speed: 1,
    };
    let mut player = Player::new(recording, pace, now)?;
    for at in [now, now + length / 2, now + length * 3] {
        player.look(at)?;
    }
    Ok(())
}

/// A file of networks, as CSV.
pub fn networks(bytes: &[u8]) {
    let read = read_networks(bytes);
    assert!(read.is_ok(), "{read:?}");
    if let Ok(Err(error)) = read {
        require_line(&error.to_string());
    }
}

/// What a configuration says whose only networks are these.
fn read_networks(bytes: &[u8]) -> io::Result<Result<Config, ConfigError>> {
    let folder = TempDir::new()?;
    let config = folder.path().join("config.yaml");
    write(&config, "subnets_files: [networks.csv]\n")?;
    write(folder.path().join("networks.csv"), bytes)?;
    Ok(Config::read(&config, |_| Ok(())).and_then(Config::with_networks_of_files))
}

/// What goes to a log or a terminal.
#[track_caller]
fn require_line(line: &str) {
    assert!(!line.chars().any(is_unprintable), "{line:?}");
    assert!(line.len() < 10_000, "{} bytes", line.len());
}
