//! Passwords: many guesses, enumeration by time, and the rate limit.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::machine::wait::timed;

use super::{Stop, ask, get, refused, report, status, stay_honest, under};
use crate::web::{Web, hash};

fn user(name: &str, password: &str) -> String {
    format!(
        "Authorization: Basic {}\r\n",
        STANDARD.encode(format!("{name}:{password}"))
    )
}

/// Asks again and again from many threads, each time with another password.
fn guess(address: SocketAddr, threads: u64, name: &str, stop: &Stop) -> Result<u64> {
    let guesses = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.is_over() {
                    let number = guesses.fetch_add(1, Ordering::Relaxed);
                    ask(address, &get("/metrics", &user(name, &number.to_string()))).ok();
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
    });
    Ok(guesses.into_inner())
}

#[test]
fn guessers() -> Result<()> {
    let _turn = turn::alone()?;
    let config = |name: &str| Ok::<_, anyhow::Error>(format!("  {name}: {}\n", bcrypt::hash("open", 10)?));
    let users = format!("basic_auth_users:\n{}{}", config("alice")?, config("bob")?);
    let web = Web::new(&users)?;
    let exporter = web.start()?;
    let address = exporter.address();
    let (alice, bob) = (user("alice", "open"), user("bob", "open"));
    ensure!(
        status(&ask(address, &get("/metrics", &alice))?) == 200,
        "no first login"
    );
    under(
        |stop| guess(address, scaled(40), "mallory", stop).map(drop),
        || {
            stay_honest(address, &alice)?;
            // Only what was right before is known: this user's first login has its turn among the guesses.
            let (took, answer) = timed(|| ask(address, &get("/metrics", &bob)));
            report(&format!("a first login: {took:?}"));
            ensure!(status(&answer?) == 200, "the first login is refused");
            web.configure(&format!("{users}# Written anew.\n"))?;
            stay_honest(address, &alice)
        },
    )?;
    ensure!(refused(address, "logins", &alice)? > 0.0, "no guess had to wait");
    ensure!(refused(address, "password", &alice)? > 0.0, "no guess was compared");
    ensure!(
        exporter.stderr().matches("reason=\"password\"").count() == 1,
        "{}",
        exporter.stderr()
    );
    Ok(())
}

#[test]
fn users_by_time() -> Result<()> {
    let _turn = turn::alone()?;
    let (cheap, dear) = (hash("open")?, bcrypt::hash("open", 10)?);
    let web = Web::new(&format!("basic_auth_users: {{cheap: {cheap}, dear: {dear}}}\n"))?;
    let exporter = web.start()?;
    let mut times = Vec::new();
    for name in ["cheap", "dear", "nobody"] {
        // As many as do not cost a pause.
        let guesses = (0..3).map(|number| {
            let (took, answer) = timed(|| ask(exporter.address(), &get("/metrics", &user(name, &number.to_string()))));
            ensure!(status(&answer?) == 401, "{name} is let in");
            Ok(took)
        });
        let guesses: Vec<Duration> = guesses.collect::<Result<_>>()?;
        times.push(*guesses.iter().min().context("no guess")?);
    }
    report(&format!("cheap, dear, nobody: {times:?}"));
    let (least, most) = (times.iter().min().context("none")?, times.iter().max().context("none")?);
    ensure!(most.as_secs_f64() < 1.5 * least.as_secs_f64(), "{times:?}");
    Ok(())
}

#[test]
fn requests_beyond_the_rate() -> Result<()> {
    let _turn = turn::alone()?;
    let alice = user("alice", "open");
    // As many as honest clients ask for, and no more.
    let web = Web::new(&format!(
        "basic_auth_users: {{alice: {}}}\nrate_limit: {{interval: 20ms, burst: 20}}\n",
        hash("open")?
    ))?;
    let exporter = web.start()?;
    let address = exporter.address();
    ensure!(
        status(&ask(address, &get("/metrics", &alice))?) == 200,
        "no first login"
    );
    under(
        |stop| {
            let mut refusals = 0;
            while !stop.is_over() {
                refusals += u64::from(status(&ask(address, &get("/metrics", ""))?) == 429);
            }
            ensure!(refusals > 0, "the attacker was never refused");
            Ok(())
        },
        || stay_honest(address, &alice),
    )
}
