//! The web configuration file: who gets an answer, how, and what happens when its files change or a client misbehaves.

mod certificates;
mod listeners;
mod passwords;
mod rotation;
mod scrapers;
mod stubborn;

use std::fs::{read_to_string, write};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tests::exporter::{Exporter, FEWEST_PROGRAMS, Launch};
use tests::machine::certificates::{Authority, Signed};
use tests::machine::wait::until;

/// A folder with a web configuration and what it names: `web.yml`, `host.crt`, `host.key`, signed by `ca.crt`.
pub(super) struct Web {
    folder: TempDir,
    pub(super) authority: Authority,
}

/// The section that serves with the certificate of the folder; more keys may follow.
pub(super) const TLS: &str = "tls_server_config:\n  cert_file: host.crt\n  key_file: host.key\n";

/// The names that the exporter is asked by.
const HOST: &[&str] = &["DNS:localhost", "IP:127.0.0.1"];

impl Web {
    pub(super) fn new(config: &str) -> Result<Self> {
        let web = Self {
            folder: TempDir::new()?,
            authority: Authority::new("servers")?,
        };
        web.write("ca.crt", &web.authority.certificate)?;
        web.write_pair("host", &web.authority.sign(HOST)?)?;
        web.configure(config)?;
        Ok(web)
    }

    pub(super) fn configure(&self, config: &str) -> Result<()> {
        self.write("web.yml", config)
    }

    /// Writes another configuration and waits until it was read, well or not.
    pub(super) fn change(&self, exporter: &Exporter<'_>, config: &str) -> Result<()> {
        if read_to_string(self.path("web.yml")?)? == config {
            return Ok(());
        }
        let reads = || {
            let said = exporter.stderr();
            ["was read again", "the one before stays"]
                .map(|words| said.matches(words).count())
                .iter()
                .sum::<usize>()
        };
        let before = reads();
        self.configure(config)?;
        until("the web configuration to be read", || {
            Ok((reads() > before).then_some(()))
        })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(name);
        write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    fn write_pair(&self, name: &str, pair: &Signed) -> Result<()> {
        self.write(&format!("{name}.crt"), &pair.certificate)?;
        self.write(&format!("{name}.key"), &pair.key)
    }

    fn path(&self, name: &str) -> Result<String> {
        let path: PathBuf = self.folder.path().join(name);
        Ok(path.to_str().context("a path that is no text")?.to_owned())
    }

    /// Starts the exporter with it, and with the fewest programs.
    pub(super) fn start(&self) -> Result<Exporter<'static>> {
        self.start_with(FEWEST_PROGRAMS, &[])
    }

    pub(super) fn start_with(&self, config: &str, arguments: &[&str]) -> Result<Exporter<'static>> {
        self.launch(config, arguments)?.start_guarded()
    }

    /// How to start the exporter with it.
    pub(super) fn launch(&self, config: &str, arguments: &[&str]) -> Result<Launch<'static>> {
        let file = format!("--web.config.file={}", self.path("web.yml")?);
        let arguments: Vec<&str> = [file.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        Ok(Launch::new(config).arguments(&arguments))
    }

    /// The options with which curl(1) trusts the authority of the folder, and more.
    pub(crate) fn trusting<'a>(&self, more: &[&'a str]) -> Result<Trust<'a>> {
        Ok(Trust {
            authority: self.path("ca.crt")?,
            more: more.to_vec(),
        })
    }
}

/// Options of curl(1).
pub(crate) struct Trust<'a> {
    authority: String,
    more: Vec<&'a str>,
}

impl Trust<'_> {
    pub(crate) fn options(&self) -> Vec<&str> {
        let trust = ["--cacert", self.authority.as_str()];
        trust.into_iter().chain(self.more.iter().copied()).collect()
    }
}

/// A page of a server that speaks TLS.
fn https(exporter: &Exporter<'_>, path: &str) -> String {
    format!("https://{}{path}", exporter.address())
}

/// A bcrypt hash of the least cost.
pub(super) fn hash(password: &str) -> Result<String> {
    Ok(bcrypt::hash(password, 4)?)
}
