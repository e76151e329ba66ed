//! Basic authentication, headers and the rate limit.

use anyhow::{Context as _, Result};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::readers::curl::curl;

use super::{Web, hash};

/// What is asked for without a password, or with a wrong one, on every path.
const PATHS: &[&str] = &["/metrics", "/healthz", "/readyz", "/", "/nonesuch"];

#[test]
fn only_the_right_password_of_a_known_user_gets_an_answer() -> Result<()> {
    let _turn = turn::shared()?;
    let web = Web::new(&format!(
        "basic_auth_users:\n  alice: {}\n  'bob b.': {}\n",
        hash("open: sesame")?,
        hash("")?
    ))?;
    let exporter = web.start()?;
    let url = |path: &str| format!("http://{}{path}", exporter.address());
    for path in PATHS {
        let wrong: &[&[&str]] = &[
            &[],
            &["--user", "alice:sesame"],
            &["--user", "alice:"],
            &["--user", "mallory:open: sesame"],
            &["--header", "Authorization: Bearer open: sesame"],
            &["--header", "Authorization: Basic !"],
            &["--request", "POST"],
        ];
        for options in wrong {
            let answer = curl(&url(path), options)?;
            assert_eq!(answer.status, 401, "{path} {options:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Basic"));
            assert!(answer.body.contains("basic_auth_users"), "{}", answer.body);
        }
        for right in ["alice:open: sesame", "bob b.:"] {
            let answer = curl(&url(path), &["--user", right])?;
            assert_eq!(answer.status, if *path == "/nonesuch" { 404 } else { 200 }, "{path}");
            assert_eq!(answer.header("www-authenticate"), None);
        }
    }
    Ok(())
}

#[test]
fn users_come_and_go_while_it_runs_but_the_last_one_stays() -> Result<()> {
    let _turn = turn::shared()?;
    let (alice, bob) = (hash("a")?, hash("b")?);
    let web = Web::new(&format!("basic_auth_users: {{alice: {alice}}}"))?;
    let exporter = web.start()?;
    let url = format!("http://{}/healthz", exporter.address());
    let status = |user: &str| Ok::<_, anyhow::Error>(curl(&url, &["--user", user])?.status);
    assert_eq!((status("alice:a")?, status("bob:b")?), (200, 401));
    web.change(&exporter, &format!("basic_auth_users: {{bob: {bob}}}"))?;
    assert_eq!((status("alice:a")?, status("bob:b")?), (401, 200));
    // A file without users, half written for example, opens nothing.
    for wrong in ["", "basic_auth_users: {bob: b}", "basic_auth_users: ["] {
        web.change(&exporter, wrong)?;
        assert_eq!(
            (status("alice:a")?, status("bob:b")?, status(":")?),
            (401, 200, 401),
            "{wrong}"
        );
    }
    let stderr = until("the log to say so", || {
        let stderr = exporter.stderr();
        Ok((stderr.matches("the one before stays").count() == 3).then_some(stderr))
    });
    let stderr = stderr.with_context(|| exporter.stderr())?;
    assert!(stderr.contains("would switch off a protection"), "{stderr}");
    assert!(
        stderr.contains("web.yml:1: basic_auth_users.bob: this is not a bcrypt hash"),
        "{stderr}"
    );
    Ok(())
}

#[test]
fn headers_are_on_every_answer_and_the_limit_is_kept() -> Result<()> {
    let _turn = turn::shared()?;
    let config = |rest: &str| {
        format!(
            "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Content-Security-Policy: default-src 'none'\n{rest}"
        )
    };
    let user = format!("basic_auth_users: {{alice: {}}}\n", hash("a")?);
    let web = Web::new(&config(&user))?;
    let exporter = web.start()?;
    let url = format!("http://{}/healthz", exporter.address());
    let check = |options: &[&str], status: u16| {
        let answer = curl(&url, options)?;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-frame-options"), Some("deny"));
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'"));
        assert_eq!(answer.header("strict-transport-security"), None);
        Ok::<_, anyhow::Error>(())
    };
    let alice = &["--user", "alice:a"];
    check(alice, 200)?;
    check(&[], 401)?;
    web.change(
        &exporter,
        &config(&format!("{user}rate_limit: {{interval: 1h, burst: 2}}\n")),
    )?;
    // Who has logged in has a limit of their own.
    for (options, status) in [
        (&alice[..], 200),
        (&[], 401),
        (alice, 200),
        (alice, 429),
        (&[], 401),
        (&[], 429),
    ] {
        check(options, status)?;
    }
    Ok(())
}
