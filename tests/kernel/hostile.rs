//! What outsiders try, and what holds meanwhile: each attack of `tests::machine::hostile` is one test in this folder.
//!
//! They run alone, as they load the machine; `-- --nocapture` shows their figures.

mod answers;
mod browsers;
mod confined;
mod connections;
mod crowds;
mod exporters;
mod files;
mod http2;
mod logins;
mod machine;
mod pipelines;
mod protocols;
mod signals;

use std::fs::{read_to_string, write};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::exporter::Exporter;
use tests::machine::settings::{patience, scaled};
use tests::machine::wait::{Deadline, timed};

/// What a scraper waits for at most, and the kubelet.
const SCRAPE: Duration = Duration::from_secs(1);
const HEALTH: Duration = Duration::from_millis(100);

/// Resident memory at most, in KiB.
const MEMORY: u64 = 64 << 10;

/// How long an attack goes on.
const ATTACK: Duration = Duration::from_secs(3);

/// The end of an attack, for the threads that make it.
#[derive(Debug, Default)]
struct Stop(AtomicBool);

impl Stop {
    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs `attack` on a thread for as long as `honest` takes, and gives what that gives.
fn under<T>(attack: impl Fn(&Stop) -> Result<()> + Sync, honest: impl FnOnce() -> Result<T>) -> Result<T> {
    let stop = Stop::default();
    thread::scope(|scope| {
        let attacker = scope.spawn(|| attack(&stop));
        // Let it begin.
        thread::sleep(Duration::from_millis(500));
        let result = honest();
        stop.0.store(true, Ordering::Relaxed);
        attacker
            .join()
            .map_err(|_panic| anyhow::anyhow!("the attack panicked"))??;
        result
    })
}

/// One request on a connection of its own, with the whole answer.
fn ask(address: SocketAddr, head: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience()))?;
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A request that closes its connection.
fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: gzip\r\n{more}\r\n")
}

/// The status code of an answer; 0 for none.
fn status(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Scrapes and asks for health for the time of an attack, on new connections, and requires each answer in time.
fn stay_honest(address: SocketAddr, more: &str) -> Result<()> {
    Honest::new(|path| ask(address, &get(path, more)))?.stay(ATTACK)
}

/// A client that asks in some way, which alone takes a time of its own: a handshake by a client that was compiled without optimization.
struct Honest<F> {
    ask: F,
    own: Duration,
}

impl<F: Fn(&str) -> Result<String>> Honest<F> {
    /// Asks some times while nobody attacks.
    fn new(ask: F) -> Result<Self> {
        let mut times = Vec::new();
        for _ in 0..5 {
            let (took, answer) = timed(|| ask("/healthz"));
            answer?;
            times.push(took);
        }
        times.sort_unstable();
        let own = times.get(2).copied().unwrap_or_default();
        Ok(Self { ask, own })
    }

    /// Every answer is in time: but for what the client itself takes, and the longest time that a thread of this test waits for a
    /// processor meanwhile, which is the machine's. On an emulated machine that is the time that the tests wait for anything.
    fn stay(&self, time: Duration) -> Result<()> {
        let deadline = Deadline::after(time);
        let (mut scrapes, mut checks) = (Vec::new(), Vec::new());
        let stop = Stop::default();
        let late = thread::scope(|scope| {
            let pulse = scope.spawn(|| longest_wait_for_a_processor(&stop));
            let asked = (|| {
                while !deadline.passed() {
                    for (path, times) in [("/metrics", &mut scrapes), ("/healthz", &mut checks)] {
                        let (took, answer) = timed(|| (self.ask)(path));
                        let answer = answer.with_context(|| format!("{path} after {took:?}"))?;
                        ensure!(
                            status(&answer) == 200,
                            "{path} after {took:?}: {}",
                            answer.lines().next().unwrap_or("no answer")
                        );
                        times.push(took);
                    }
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(())
            })();
            stop.0.store(true, Ordering::Relaxed);
            let late = pulse.join().map_err(|_panic| anyhow::anyhow!("the pulse panicked"));
            asked.and(late)
        })?;
        let mut said = format!("the client itself takes {:?}, the machine {late:?}", self.own);
        let mut all_in_time = true;
        for (what, times, limit) in [("scrape", &mut scrapes, SCRAPE), ("/healthz", &mut checks, HEALTH)] {
            times.sort_unstable();
            let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
            let most = times.last().copied().context("nothing was asked")?;
            said += &format!(
                "; {what}: {} times, median {:?}, p99 {:?}, longest {most:?}",
                times.len(),
                at(50),
                at(99)
            );
            let limit = if scaled(100) == 100 { limit } else { patience() };
            all_in_time &= most <= limit + self.own + late;
        }
        report(&said);
        ensure!(all_in_time, "{said}");
        Ok(())
    }
}

/// How much later than it wanted a thread was woken, at most.
fn longest_wait_for_a_processor(stop: &Stop) -> Duration {
    const STEP: Duration = Duration::from_millis(1);
    let mut longest = Duration::ZERO;
    while !stop.is_over() {
        longest = longest.max(timed(|| thread::sleep(STEP)).0.saturating_sub(STEP));
    }
    longest
}

/// A number of `/proc/PID/status`: KiB of `VmRSS` and `VmHWM`, or `Threads`.
fn of_process(exporter: &Exporter<'_>, what: &str) -> Result<u64> {
    let text = read_to_string(format!("/proc/{}/status", exporter.process()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("no {what}"))?.parse()?)
}

/// The most resident memory from now on is counted anew.
fn reset_peak(exporter: &Exporter<'_>) -> Result<()> {
    write(format!("/proc/{}/clear_refs", exporter.process()), "5").context("reset the peak of memory")
}

fn require_little_memory(exporter: &Exporter<'_>) -> Result<()> {
    let peak = of_process(exporter, "VmHWM")?;
    report(&format!(
        "memory: peak {peak} KiB, now {} KiB",
        of_process(exporter, "VmRSS")?
    ));
    ensure!(peak <= MEMORY, "{peak} KiB");
    Ok(())
}

/// How often the HTTP server refused for this reason.
fn refused(address: SocketAddr, reason: &str, more: &str) -> Result<f64> {
    let plain = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
    let text = ask(address, &plain)?;
    let name = format!("tcpvitals_http_refused_total{{reason=\"{reason}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    Ok(value.with_context(|| format!("no {name}: {text}"))?.parse()?)
}

/// Both ends of connections from many addresses of the loopback network, so that there are many series.
struct Flows(#[expect(dead_code, reason = "held open")] Vec<TcpStream>);

/// A configuration under which each of them is a subnet of its own.
const EACH_ITS_OWN: &str = "subnets: []\nsubnets_fallback: {auto: {ipv4: 32, ipv6: 64}}\n";

impl Flows {
    fn open(count: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let to = listener.local_addr()?;
        let mut ends = Vec::new();
        for number in 0..u32::try_from(count)? {
            let from = Ipv4Addr::from_bits(0x7f4d_0000 + number);
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((from, 0)).into())?;
            socket.connect(&to.into())?;
            let (mut accepted, _) = listener.accept()?;
            accepted.write_all(&[b'x'; 5000])?;
            ends.extend([accepted, socket.into()]);
        }
        Ok(Self(ends))
    }
}

/// The test runner shows this with `--nocapture`.
#[expect(clippy::print_stderr, reason = "figures for whoever asks for them")]
fn report(text: &str) {
    eprintln!("{text}");
}
