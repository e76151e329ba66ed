//! `tcpvitals check-config`: says what a good configuration holds, and which subnet an address belongs to.
//! It must never print before all files are checked: what is wrong is the caller's to say.
//! From the files of the command line; to the text on standard output.

use crate::{
    cli::CheckArguments,
    lifecycle::{
        exit::{Ends, Exit},
        setup,
    },
    serve::{push, web::Web},
};
use ipnet::IpNet;
use std::{
    fmt::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
};
use tcpvitals_config::{Config, ConfigError, file::files};

/// Checks the files and gives what there is to say of good ones.
///
/// # Errors
/// What is wrong with a file, with place and remedy.
pub fn check(arguments: &CheckArguments) -> Result<String, CheckError> {
    let CheckArguments { file, web, lookup } = arguments;
    let mut said = String::new();
    let config = setup::config(file.as_deref())?;
    if let Some(file) = file {
        push::or_nowhere(push::receiver(push::settings(&config)?)?);
        setup::warn_of_missed(&config);
        said += &format!("{}: ok\n  {}\n", file.display(), config.summary());
        if let Some(nested) = nested(&config) {
            said += &format!("  {nested}\n");
        }
    }
    Web::read(web.as_deref()).map_err(|error| CheckError::Other(error.to_string(), error.exit()))?;
    if let Some(web) = web {
        said += &format!("{}: ok\n", web.display());
    }
    for address in lookup {
        said += &format!("{}\n", found(&config, file.as_deref(), *address));
    }
    Ok(said)
}

/// Most pairs that are named.
const MOST: usize = 5;

/// Which subnets lie within others, if any: whoever reads the metrics of the larger one misses their traffic there.
fn nested(config: &Config) -> Option<String> {
    let subnets = &config.subnets;
    let mut pairs: Vec<(u32, u32)> = subnets.nested().collect();
    pairs.sort_unstable();
    pairs.dedup();
    let more = pairs.len().saturating_sub(MOST);
    let mut said = String::new();
    for (inner, outer) in pairs.iter().take(MOST) {
        let name = |id: u32| subnets.names().get(id as usize).map_or("", String::as_str);
        let separator = if said.is_empty() { "" } else { ", " };
        write!(said, "{separator}{:?} within {:?}", name(*inner), name(*outer)).ok()?;
    }
    if more > 0 {
        write!(said, " and {more} more").ok()?;
    }
    (!said.is_empty()).then(|| format!("the longest prefix decides: {said}"))
}

/// Which subnet an address counts for, and why.
fn found(config: &Config, file: Option<&Path>, address: IpAddr) -> String {
    let subnets = &config.subnets;
    let Some((network, name)) = subnets.find(address) else {
        let name = subnets.fallback_name(address);
        return format!("{address}: {name} (no network holds it: subnets_fallback)");
    };
    let place = place(config, file, network).map_or_else(
        || "built in".to_owned(),
        |(path, line)| format!("{} line {line}", path.display()),
    );
    format!("{address}: {name} ({network}, {place})")
}

/// The file and the line where a network stands.
fn place(config: &Config, file: Option<&Path>, network: IpNet) -> Option<(PathBuf, usize)> {
    let of_networks = config.subnets_files.expand().unwrap_or_default();
    let own = file.map(|file| (file.to_owned(), files::CONFIGURATION));
    let all = own
        .into_iter()
        .chain(of_networks.into_iter().map(|file| (file, files::SUBNETS)));
    all.into_iter().find_map(|(path, most)| {
        let text = String::from_utf8(files::read(&path, most).ok()?).ok()?;
        Some((path, line_of(&text, network)?))
    })
}

/// The first line that has a network, however it is written there; comments are no part of a line.
fn line_of(text: &str, network: IpNet) -> Option<usize> {
    let is_of_a_network = |char: char| char.is_ascii_hexdigit() || matches!(char, '.' | ':' | '/');
    let has_it = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        line.split(|char| !is_of_a_network(char))
            .any(|word| tcpvitals_config::network(word).is_ok_and(|found| found == network))
    };
    text.lines().position(has_it).map(|index| index + 1)
}

/// Why a configuration is not good.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The web configuration file, in its own words.
    #[error("{0}")]
    Other(String, Exit),
}

impl Ends for CheckError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Other(_, exit) => *exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
subnets:
  - name: dc-east   # 10.1.0.9/32 is not here
    cidrs: [10.1.0.0/16, \"fd00:1:0::/48\"]
  - name: apps
    cidrs:
      - 10.1.2.0/24
      - 192.0.2.0/24
";

    fn config() -> Config {
        Config::from_yaml(FILE, "config.yaml").unwrap()
    }

    #[test]
    fn an_address_belongs_to_the_longest_prefix_that_holds_it() {
        let scene = tempfile::tempdir().unwrap();
        let path = scene.path().join("config.yaml");
        std::fs::write(&path, FILE).unwrap();
        for (address, expected) in [
            ("10.1.2.3", "apps (10.1.2.0/24, FILE line 6)"),
            ("10.1.3.3", "dc-east (10.1.0.0/16, FILE line 3)"),
            ("::ffff:10.1.3.3", "dc-east (10.1.0.0/16, FILE line 3)"),
            ("fd00:1::7", "dc-east (fd00:1::/48, FILE line 3)"),
            ("8.8.8.8", "internet (no network holds it: subnets_fallback)"),
        ] {
            let said = found(&config(), Some(&path), address.parse().unwrap());
            let said = said.replace(&path.display().to_string(), "FILE");
            assert_eq!(said, format!("{address}: {expected}"));
        }
        let built_in = found(&Config::built_in(), None, "10.1.2.3".parse().unwrap());
        assert_eq!(built_in, "10.1.2.3: private-10 (10.0.0.0/8, built in)");
    }

    #[test]
    fn outside_all_networks_the_fallback_names_the_network() {
        let text = FILE.to_owned() + "subnets_fallback: {auto: {ipv4: 24, ipv6: 48}}\n";
        let config = Config::from_yaml(&text, "config.yaml").unwrap();
        let said = |address: &str| found(&config, None, address.parse().unwrap());
        assert!(
            said("8.8.8.8").starts_with("8.8.8.8: 8.8.8.0/24 ("),
            "{}",
            said("8.8.8.8")
        );
        assert!(said("2001:db8::1").starts_with("2001:db8::1: 2001:db8::/48 ("));
    }

    #[test]
    fn subnets_within_others_are_named() {
        assert_eq!(
            nested(&config()).unwrap(),
            "the longest prefix decides: \"apps\" within \"dc-east\""
        );
        let apart = Config::from_yaml("subnets: [{name: a, cidrs: [10.1.0.0/16]}]\n", "config.yaml");
        assert_eq!(nested(&apart.unwrap()), None);
    }
}
