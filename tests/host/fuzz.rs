//! The parsers against a few thousand damaged inputs each: what `tests/fuzz` does for hours, in seconds and the same every time.

use std::fs::{read, read_dir};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tests::machine::fuzz::TARGETS;
use tests::machine::wait::timed;

/// Damaged inputs of each seed.
const ROUNDS: u32 = 1500;

/// Longest time for one input, in a debug build on a busy machine.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(5);

/// Pieces that mean something to one of the parsers.
const PIECES: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    "- ",
    ": ",
    "\"",
    "'",
    "|\n",
    "#",
    "&a ",
    "*a",
    "\u{202e}",
    "\u{1b}[31m",
    "%ff",
    ";q=0.5,",
];

fn seeds(target: &str) -> Result<Vec<Vec<u8>>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "fuzz", "seeds", target].iter().collect();
    let entries = read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    paths.into_iter().map(|path| Ok(read(path)?)).collect()
}

fn damage(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
            2 => {
                let piece = PIECES[random.random_range(0..PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
            3 => {
                let end = (at + random.random_range(0..64)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + random.random_range(0..256)).min(bytes.len());
                let part = bytes[at..end].repeat(random.random_range(1..40));
                bytes.splice(at..at, part);
            }
            _ => {
                let end = (at + 4).min(bytes.len());
                let number = [0, 1, 0xff, u32::MAX, u32::MAX / 2][random.random_range(0..5)].to_le_bytes();
                bytes.splice(at..end, number);
            }
        }
    }
}

#[test]
fn no_input_makes_a_parser_panic_dawdle_or_say_more_than_a_line() -> Result<()> {
    for (name, parse) in TARGETS {
        let mut random = StdRng::seed_from_u64(1);
        let seeds = seeds(name)?;
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            parse(&seed);
            for _ in 0..ROUNDS {
                let mut bytes = seed.clone();
                damage(&mut bytes, &mut random);
                let (took, ()) = timed(|| parse(&bytes));
                assert!(
                    took < LONGEST,
                    "{name}: {took:?} for {:?}",
                    String::from_utf8_lossy(&bytes)
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_seeds_are_what_the_parsers_are_for() -> Result<()> {
    let text = |target: &str| Ok::<_, anyhow::Error>(String::from_utf8(seeds(target)?.remove(0))?);
    tcpvitals_config::Config::from_yaml(&text("yaml")?, "seed")?;
    tcpvitals::serve::web::WebConfig::from_yaml(&text("web")?, std::path::Path::new("seed"))?;
    let trace = seeds("trace")?.remove(0);
    let mut reader = tcpvitals::commands::trace::binary::Reader::new(&*trace)?;
    assert!(reader.read()?.is_some());
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "subnets_files: [networks.csv]\n")?;
    std::fs::write(folder.path().join("networks.csv"), text("networks")?)?;
    let config = tcpvitals_config::Config::read(&config, |_| Ok(()))?.with_networks_of_files()?;
    assert!(config.networks_of_files.is_some_and(|read| read.networks == 6));
    let btf = tcpvitals_kernel::probe::btf::Btf::parse(seeds("btf")?.remove(0))?;
    assert!(btf.enumerators("skb_drop_reason").is_some());
    tcpvitals::serve::http::api::drops::Wanted::parse(&text("query")?).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
    Ok(())
}
