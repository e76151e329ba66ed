//! Pages in browsers, and requests that are none: Host, Origin, Sec-Fetch-Site.

use anyhow::{Result, ensure};
use tests::exporter::{FEWEST_PROGRAMS, Launch, start};
use tests::machine::turn;
use tests::machine::wait::until;

use super::{ask, refused, status};
use crate::web::{Web, hash};

const PATHS: [&str; 11] = [
    "/metrics",
    "/",
    "/healthz",
    "/readyz",
    "/api/v1/flows",
    "/api/v1/drops",
    "/api/v1/status",
    "/api/v1/cardinality",
    "/api/v1/findings",
    "/docs",
    "/nonesuch",
];

#[test]
fn another_host_s_name() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("")?;
    let address = exporter.address();
    let port = address.port();
    let request = |path: &str, version: &str, host: &str| {
        ask(
            address,
            &format!("GET {path} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
    };
    let mut foreign = 0.0;
    for path in PATHS {
        let right = if path == "/nonesuch" { 404 } else { 200 };
        for host in [
            "localhost",
            "LocalHost:1",
            "127.0.0.1",
            &format!("127.0.0.1:{port}"),
            "[::1]:80",
            "192.0.2.7",
        ] {
            let answer = request(path, "1.1", host)?;
            ensure!(status(&answer) == right, "{path} of {host}: {answer}");
        }
        for host in [
            "rebind.evil.example",
            &format!("evil.example:{port}"),
            "localhost.evil.example",
            "127.0.0.1.nip.example",
        ] {
            for version in ["1.1", "1.0"] {
                let answer = request(path, version, host)?.replacen("HTTP/1.0", "HTTP/1.1", 1);
                ensure!(status(&answer) == 403, "{path} of {host}: {answer}");
                foreign += 1.0;
            }
        }
        let absolute =
            format!("GET http://evil.example{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = ask(address, &absolute)?;
        ensure!(status(&answer) == 403, "{path}: {answer}");
        foreign += 1.0;
    }
    // A scrape shows what was counted when it was collected.
    until("the refusals to be shown", || {
        let counted = refused(address, "host", "")?;
        ensure!(counted <= foreign, "{counted} of {foreign} were refused");
        Ok((counted == foreign).then_some(()))
    })?;
    ensure!(
        exporter.stderr().matches("names another host").count() == 1,
        "{}",
        exporter.stderr()
    );

    // A password is a guard of its own: then a proxy's name will do.
    let web = Web::new(&format!("basic_auth_users: {{alice: {}}}\n", hash("open")?))?;
    let exporter = web.start()?;
    // alice:open
    let head = "GET /metrics HTTP/1.1\r\nHost: proxy.example\r\nConnection: close\r\nAuthorization: Basic YWxpY2U6b3Blbg==\r\n\r\n";
    ensure!(
        status(&ask(exporter.address(), head)?) == 200,
        "a proxy's name is not taken"
    );
    Ok(())
}

#[test]
fn pages_of_another_site() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = Launch::new("collect: {max_age: 0}\n")
        .arguments(&["--web.enable-lifecycle"])
        .start()?;
    let address = exporter.address();
    let foreign = [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://localhost:1",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://evil.example\r\nSec-Fetch-Site: same-origin",
    ];
    let origin = format!("Origin: http://localhost:{}", address.port());
    let own = [
        origin.as_str(),
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: none",
        "Accept: */*",
    ];
    for request in ["POST /-/reload", "GET /api/v1/flows?limit=1", "HEAD /api/v1/flows"] {
        let ask = |header: &str| {
            let host = format!("Host: localhost:{}", address.port());
            ask(
                address,
                &format!("{request} HTTP/1.1\r\n{host}\r\nConnection: close\r\n{header}\r\n\r\n"),
            )
        };
        for header in foreign {
            let answer = ask(header)?;
            ensure!(status(&answer) == 403, "{request} with {header}: {answer}");
        }
        for header in own {
            let answer = ask(header)?;
            ensure!(status(&answer) == 200, "{request} with {header}: {answer}");
        }
    }
    ensure!(refused(address, "cross_site", "")? == 18.0, "not all were counted");
    ensure!(
        exporter.stderr().matches("configuration reloaded").count() == 4,
        "{}",
        exporter.stderr()
    );
    Ok(())
}

#[test]
fn requests_for_no_host_or_two() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start(FEWEST_PROGRAMS)?;
    for headers in [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: local host\r\n",
        "Host: a@localhost\r\n",
        "Host: localhost/metrics\r\n",
    ] {
        // The answer ends because the connection is closed.
        let answer = ask(exporter.address(), &format!("GET /metrics HTTP/1.1\r\n{headers}\r\n"))?;
        ensure!(status(&answer) == 400, "{headers:?}: {answer}");
    }
    let old = ask(exporter.address(), "GET /healthz HTTP/1.0\r\n\r\n")?;
    ensure!(old.starts_with("HTTP/1.0 200"), "{old}");
    Ok(())
}
