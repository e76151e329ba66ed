//! The exporter under test, as a process: start it, read it, stop it.

pub mod capture;
pub(crate) mod diagnostics;
pub mod exposition;
mod launch;
pub mod live_flow;
pub mod otlp;
pub mod program;
pub mod scrape;
pub mod trace;

use std::env;
use std::fs::{Permissions, set_permissions, write};
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, bail, ensure};
use diagnostics::Diagnostics;
pub use launch::Launch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;
use ureq::Body;
use ureq::http::Response;

use crate::exporter::exposition::protobuf::{decode, exposition};
use crate::exporter::exposition::{Format, parse};
use crate::exporter::scrape::Scrape;
use crate::machine::settings::patience;
use crate::machine::wait::until;
use crate::net::namespace::Namespace;

/// What a scraper of OpenMetrics asks for.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";
/// What a scraper of native histograms asks for.
pub const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,*/*;q=0.1";
/// What a scraper of the older format asks for.
pub const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4";

/// A configuration with the fewest kernel programs, for tests of what has nothing to do with them: with it the exporter starts some four
/// times as fast.
pub const FEWEST_PROGRAMS: &str = "tcp: {detail: \"off\"}\n";

/// The binary under test: `TCPVITALS_BIN`, or what cargo built beside the running test, in the same profile if possible.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness is told by its environment what to test"
)]
pub fn binary() -> Result<PathBuf> {
    if let Ok(path) = env::var("TCPVITALS_BIN") {
        return Ok(path.into());
    }
    let test = env::current_exe().context("find out where the test itself lies")?;
    // target/PROFILE/deps/TEST
    let profile = test
        .parent()
        .and_then(Path::parent)
        .context("the test lies in no build folder")?;
    let target = profile.parent().context("the test lies in no build folder")?;
    [profile.to_owned(), target.join("release"), target.join("debug")]
        .into_iter()
        .map(|folder| folder.join("tcpvitals"))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "no tcpvitals in {}: build it (`make build`), or name it in TCPVITALS_BIN",
                profile.display()
            )
        })
}

/// A configuration file that everybody may read, removed on drop.
pub fn config_file(text: &str) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::with_suffix(".yaml").context("make a configuration file")?;
    file.write_all(text.as_bytes())?;
    set_permissions(file.path(), Permissions::from_mode(0o644))?;
    Ok(file)
}

/// An address of the loopback device that nobody listens on, below the ports that the kernel gives away: nobody gets it
/// by chance between this look and the exporter's own.
pub fn free_address() -> Result<SocketAddr> {
    const PORTS: Range<u32> = 12_000..30_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Another test process begins elsewhere.
    let begin = process::id().wrapping_mul(89);
    for _ in PORTS {
        let number = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let address = (Ipv4Addr::LOCALHOST, u16::try_from(PORTS.start + number)?).into();
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("every port from {} to {} is in use", PORTS.start, PORTS.end)
}

/// What a run that ended by itself left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Diagnostics.
    pub stderr: String,
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> Result<Finished> {
    run_command(Command::new(binary()?).args(arguments))
}

/// Runs a command to its end; kills it when it does not come.
pub fn run_command(command: &mut Command) -> Result<Finished> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    // Read while it runs: what fits nowhere would hold it up.
    let (stdout, stderr) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
    let ended = until("a run that should end by itself", || Ok(child.try_wait()?));
    child.kill()?;
    let text = |reader: JoinHandle<String>| reader.join().unwrap_or_default();
    let finished = Finished {
        code: child.wait()?.code(),
        stdout: text(stdout),
        stderr: text(stderr),
    };
    ended.with_context(|| format!("{command:?} said {finished:?}"))?;
    Ok(finished)
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is.
        pipe.map(|mut pipe| pipe.read_to_end(&mut bytes)).transpose().ok();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Starts the exporter with this configuration.
pub fn start(config: impl Into<String>) -> Result<Exporter<'static>> {
    Launch::new(config).start()
}

/// A running exporter; killed on drop.
#[derive(Debug)]
pub struct Exporter<'net> {
    child: Child,
    address: SocketAddr,
    namespace: Option<&'net Namespace>,
    diagnostics: Diagnostics,
    config: NamedTempFile,
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct Page {
    /// Status code.
    pub status: u16,
    /// `Content-Type`
    pub content_type: String,
    /// Text.
    pub body: String,
}

/// An answer over HTTP, as it was sent.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `Content-Type`; "" for none.
    pub content_type: String,
    /// `Content-Encoding`; "" for none.
    pub content_encoding: String,
    /// The bytes, still encoded.
    pub body: Vec<u8>,
}

impl Answer {
    /// The text that it is.
    fn page(self) -> Result<Page> {
        let Self {
            status,
            content_type,
            content_encoding,
            body,
        } = self;
        ensure!(
            content_encoding.is_empty(),
            "it came in {content_encoding}, for which nobody asked"
        );
        Ok(Page {
            status,
            content_type,
            body: String::from_utf8(body).context("it is no text")?,
        })
    }
}

impl Exporter<'_> {
    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        self.diagnostics.text()
    }

    /// Reads a page, accepting what `accept` says.
    pub fn get(&self, path: &str, accept: &str) -> Result<Page> {
        self.request(path, &[("accept", accept)])?.page()
    }

    /// Asks for a page with these headers.
    pub fn request(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let url = format!("http://{}{path}", self.address);
        let fetch = || fetch(&url, headers).with_context(|| format!("get {url}"));
        match self.namespace {
            Some(namespace) => namespace.run(fetch),
            None => fetch(),
        }
    }

    /// Posts nothing to a path.
    pub fn post(&self, path: &str) -> Result<Page> {
        let url = format!("http://{}{path}", self.address);
        let post = || answer(agent().post(&url).send_empty()?)?.page();
        let post = || post().with_context(|| format!("post to {url}"));
        match self.namespace {
            Some(namespace) => namespace.run(post),
            None => post(),
        }
    }

    /// Where its configuration is.
    pub fn config_path(&self) -> &Path {
        self.config.path()
    }

    /// Writes another configuration into its file; the exporter does not know yet.
    pub fn configure(&self, config: &str) -> Result<()> {
        write(self.config.path(), config).context("write the configuration")
    }

    /// Goes over to another configuration. Needs `--web.enable-lifecycle`.
    pub fn reload(&self, config: &str) -> Result<()> {
        self.configure(config)?;
        let page = self.post("/-/reload")?;
        ensure!(page.status == 200, "the reload failed: {page:?}");
        Ok(())
    }

    /// Reads all metrics.
    pub fn scrape(&self) -> Result<Scrape> {
        self.read(|_| true)
    }

    /// Reads all metrics in the format of an Accept header: [`PROTOBUF`], [`OPEN_METRICS`] or [`PROMETHEUS_TEXT`].
    pub fn scrape_as(&self, accept: &str) -> Result<Scrape> {
        let answer = self.request("/metrics", &[("accept", accept)])?;
        ensure!(answer.status == 200, "the answer is {}", answer.status);
        if accept == PROTOBUF {
            return Ok(Scrape::new(exposition(&decode(&answer.body)?)?));
        }
        let format = match accept == OPEN_METRICS {
            true => Format::OpenMetrics,
            false => Format::Prometheus,
        };
        Ok(Scrape::new(parse(&String::from_utf8(answer.body)?, format)?))
    }

    /// Reads the families of which the names begin like one of these: of many label sets the rest takes long to take apart.
    pub fn scrape_only(&self, families: &[&str]) -> Result<Scrape> {
        self.read(|line| {
            let name = ["# HELP ", "# TYPE ", "# UNIT "]
                .iter()
                .find_map(|word| line.strip_prefix(word))
                .unwrap_or(line);
            name == "# EOF" || families.iter().any(|family| name.starts_with(family))
        })
    }

    fn read(&self, is_wanted: impl Fn(&str) -> bool) -> Result<Scrape> {
        let page = self.get("/metrics", OPEN_METRICS)?;
        ensure!(page.status == 200, "the scrape failed: {page:?}");
        ensure!(
            page.content_type.starts_with("application/openmetrics-text"),
            "the answer is {}",
            page.content_type
        );
        let body: String = page
            .body
            .split_inclusive('\n')
            .filter(|line| is_wanted(line.trim_end()))
            .collect();
        Ok(Scrape::new(
            parse(&body, Format::OpenMetrics).context("read /metrics as OpenMetrics")?,
        ))
    }

    /// Asks it to end by one signal, and gives how it did and what it said.
    pub fn stop(mut self, signal: Signal) -> Result<(ExitStatus, String)> {
        self.signal(signal)?;
        let status = until("the exporter to end", || Ok(self.child.try_wait()?))?;
        self.diagnostics.end();
        Ok((status, self.diagnostics.text()))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal).with_context(|| format!("send {signal}"))
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        self.wait_until("to be ready", |exporter| {
            exporter.listens() && exporter.get("/readyz", "*/*").is_ok_and(|page| page.status == 200)
        })
    }

    /// Whether it takes connections. Asked often, on machines where it starts for seconds and a request costs a start's time.
    fn listens(&self) -> bool {
        let connect = || Ok(TcpStream::connect(self.address).is_ok());
        match self.namespace {
            Some(namespace) => namespace.run(connect),
            None => connect(),
        }
        .unwrap_or(false)
    }

    fn wait_until_serving(&mut self) -> Result<()> {
        self.wait_until("to serve", |exporter| exporter.stderr().contains("serving"))
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let so = until(&format!("the exporter {what}"), || {
            if let Some(status) = self.child.try_wait()? {
                self.diagnostics.end();
                bail!("the exporter ended with {status} first: {}", self.diagnostics.text());
            }
            Ok(is_so(self).then_some(()))
        });
        so.with_context(|| format!("standard error: {}", self.diagnostics.text()))
    }
}

impl Drop for Exporter<'_> {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell if it cannot be killed.
        self.child.kill().ok();
        self.child.wait().ok();
        self.diagnostics.end();
        let said = self.diagnostics.text();
        if !said.is_empty() {
            print(&said);
        }
    }
}

/// The test runner shows this if the test fails.
#[expect(clippy::print_stderr, reason = "shown by the test runner if the test fails")]
fn print(diagnostics: &str) {
    eprintln!("--- standard error of the exporter:\n{diagnostics}---");
}

fn fetch(url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let request = headers
        .iter()
        .fold(agent().get(url), |request, (name, value)| request.header(*name, *value));
    answer(request.call()?)
}

/// No connection is kept, so that none is in the way when the exporter ends.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(patience()))
        .http_status_as_error(false)
        .build()
        .new_agent()
}

fn answer(mut response: Response<Body>) -> Result<Answer> {
    let header = |name| {
        let value = response
            .headers()
            .get(name)
            .map(|value| value.to_str().map(str::to_owned));
        anyhow::Ok(value.transpose()?.unwrap_or_default())
    };
    Ok(Answer {
        status: response.status().as_u16(),
        content_type: header("content-type")?,
        content_encoding: header("content-encoding")?,
        body: response.body_mut().with_config().limit(1 << 28).read_to_vec()?,
    })
}
