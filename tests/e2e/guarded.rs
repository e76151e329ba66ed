//! An exporter that serves over TLS to those with a password, and Prometheus in front of it: with the right settings it
//! scrapes, with any other it does not.

use std::fs::write;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tests::exporter::{Exporter, Launch};
use tests::machine::certificates::Authority;
use tests::machine::turn;
use tests::readers::prometheus::{Job, Prometheus};

const USER: &str = "prometheus";
const PASSWORD: &str = "correct horse";

/// A folder with a web configuration file, what it names, and what a scraper must have.
pub(crate) struct Guard {
    folder: TempDir,
}

impl Guard {
    pub(crate) fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        let put =
            |name: &str, text: &str| write(folder.path().join(name), text).with_context(|| format!("write {name}"));
        let authority = Authority::new("servers")?;
        let own = authority.sign(&["IP:127.0.0.1"])?;
        put("ca.crt", &authority.certificate)?;
        put("host.crt", &own.certificate)?;
        put("host.key", &own.key)?;
        let hash = bcrypt::hash(PASSWORD, 4)?;
        let server = "tls_server_config: {cert_file: host.crt, key_file: host.key, min_version: TLS13}";
        put(
            "web.yml",
            &format!("{server}\nbasic_auth_users: {{{USER}: \"{hash}\"}}\n"),
        )?;
        Ok(Self { folder })
    }

    /// Starts an exporter behind it.
    pub(crate) fn start(&self, config: String) -> Result<Exporter<'static>> {
        let file = format!("--web.config.file={}", self.path("web.yml"));
        Launch::new(config).arguments(&[&file]).start_guarded()
    }

    /// A job that gets in.
    pub(crate) fn job(&self, name: &str, exporter: &Exporter<'_>) -> Job {
        let job = Job::new(name, exporter.address()).with("scheme: https");
        job.with(&self.trust()).with(&login(PASSWORD))
    }

    fn trust(&self) -> String {
        format!("tls_config: {{ca_file: {}}}", self.path("ca.crt"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

fn login(password: &str) -> String {
    format!("basic_auth: {{username: {USER}, password: {password}}}")
}

#[test]
fn prometheus_gets_in_only_with_trust_and_the_password() -> Result<()> {
    let _turn = turn::shared()?;
    let guard = Guard::new()?;
    let exporter = guard.start(String::new())?;
    let https = |name| Job::new(name, exporter.address()).with("scheme: https");
    let trusting = |name| https(name).with(&guard.trust());
    let old = format!("tls_config: {{ca_file: {}, max_version: TLS12}}", guard.path("ca.crt"));
    let cases = [
        (guard.job("right", &exporter), "up", ""),
        (
            trusting("wrong").with(&login("battery staple")),
            "down",
            "server returned HTTP status 401 Unauthorized",
        ),
        (
            trusting("nobody"),
            "down",
            "server returned HTTP status 401 Unauthorized",
        ),
        (
            https("stranger").with(&login(PASSWORD)),
            "down",
            "certificate signed by unknown authority",
        ),
        (
            https("old").with(&old).with(&login(PASSWORD)),
            "down",
            "protocol version",
        ),
        (
            Job::new("plain", exporter.address()).with(&login(PASSWORD)),
            "down",
            "HTTP",
        ),
    ];
    let jobs: Vec<Job> = cases.iter().map(|(job, ..)| job.clone()).collect();
    let prometheus = Prometheus::start(&jobs, &[])?;
    for (job, health, error) in cases {
        let target = prometheus.target(job.name())?;
        assert_eq!(target.health, health, "{job:?}: {target:?}");
        assert!(target.error.contains(error), "{job:?}: {target:?}");
    }
    Ok(())
}
