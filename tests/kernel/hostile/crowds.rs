//! Crowds: hundreds of connections ask at once for what is made for each of them alone, or for what takes long.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::exporter::{Launch, start};
use tests::machine::settings::{patience, scaled};
use tests::machine::turn;
use tests::machine::wait::timed;

use super::answers::trickle;
use super::{
    EACH_ITS_OWN, Flows, Honest, Stop, ask, get, of_process, refused, report, require_little_memory, reset_peak,
    status, stay_honest, under,
};

/// How long each of several attacks goes on.
const EACH: Duration = Duration::from_secs(4);

/// The metrics with all their names in the query: as large as without, and made for each who asks.
fn all_by_name(address: SocketAddr) -> Result<String> {
    let plain = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let text = ask(address, plain)?;
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let names: Vec<String> = names.map(|name| format!("name[]={name}")).collect();
    ensure!(names.len() > 30, "{} names", names.len());
    Ok(format!("/metrics?{}", names.join("&")))
}

#[test]
#[ignore = "long: make test-long"]
fn slow_readers_of_chosen_metrics() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start(EACH_ITS_OWN)?;
    let address = exporter.address();
    let _flows = Flows::open(scaled(300))?;
    let path = all_by_name(address)?;
    let first = ask(address, &get(&path, ""))?;
    ensure!(status(&first) == 200, "{first}");
    reset_peak(&exporter)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    under(
        |stop| trickle(address, scaled(200), &request, stop),
        || stay_honest(address, ""),
    )?;
    ensure!(
        scaled(100) < 100 || refused(address, "answer_memory", "")? > 0.0,
        "all had room"
    );
    require_little_memory(&exporter)
}

#[test]
#[ignore = "long: make test-long"]
fn crowds_that_ask_for_answers_of_their_own() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = start(EACH_ITS_OWN)?;
    let address = exporter.address();
    let _flows = Flows::open(scaled(300))?;
    let by_name = all_by_name(address)?;
    let asked = [
        "/api/v1/flows?limit=10000",
        "/api/v1/drops?limit=10000",
        "/api/v1/cardinality",
        "/api/v1/status",
        "/api/v1/findings",
        "/docs/reasons",
        &by_name,
    ];
    reset_peak(&exporter)?;
    for path in asked {
        let (request, answers) = (get(path, ""), AtomicU64::new(0));
        report(path.split('?').next().unwrap_or(path));
        let honest = Honest::new(|path| ask(address, &get(path, "")))?;
        under(|stop| crowd(address, &request, stop, &answers), || honest.stay(EACH))?;
        let answers = answers.load(Ordering::Relaxed);
        report(&format!("{answers} answers"));
        ensure!(answers > scaled(20), "{answers} answers are no attack");
    }
    require_little_memory(&exporter)
}

/// Asks on hundreds of connections at once, and on another for each that is answered.
fn crowd(address: SocketAddr, request: &str, stop: &Stop, answers: &AtomicU64) -> Result<()> {
    let mut held: Vec<TcpStream> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while !stop.is_over() {
        while held.len() < usize::try_from(scaled(400))? && !stop.is_over() {
            let Ok(mut stream) = TcpStream::connect(address) else {
                break;
            };
            if stream.write_all(request.as_bytes()).is_ok() {
                stream.set_nonblocking(true)?;
                held.push(stream);
            }
        }
        held.retain_mut(|stream| {
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => {
                        answers.fetch_add(1, Ordering::Relaxed);
                        return false;
                    }
                    Ok(_) => {}
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
            }
        });
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn reloads_that_nobody_waits_for() -> Result<()> {
    let _turn = turn::alone()?;
    let exporter = Launch::new("").arguments(&["--web.enable-lifecycle"]).start()?;
    let address = exporter.address();
    ensure!(exporter.post("/-/reload")?.status == 200, "no reload");
    let before = of_process(&exporter, "VmRSS")?;
    let attack = |stop: &Stop| {
        while !stop.is_over() {
            let Ok(mut stream) = TcpStream::connect(address) else {
                continue;
            };
            // It may have been closed already.
            stream
                .write_all(b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .ok();
            // Let it be read.
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    under(attack, || stay_honest(address, ""))?;
    // Whoever asks now waits for one reload that is under way, and for one of their own.
    let (took, page) = timed(|| exporter.post("/-/reload"));
    let after = of_process(&exporter, "VmRSS")?;
    let reloads = exporter.stderr().matches("configuration reloaded").count();
    report(&format!(
        "{reloads} reloads; the next took {took:?}; {before} KiB, then {after} KiB"
    ));
    ensure!(page?.status == 200, "no reload afterwards");
    let soon = if scaled(100) == 100 {
        Duration::from_secs(2)
    } else {
        patience()
    };
    ensure!(took < soon, "the next reload took {took:?}");
    ensure!(after < before + (10 << 10), "{before} KiB, then {after} KiB");
    Ok(())
}
