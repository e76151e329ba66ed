//! The API: its answers are as its description says, and equal what the kernel says.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::exporter::live_flow::{find, require_equal};
use tests::exporter::{Exporter, Launch, start};
use tests::machine::turn;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, listen, send_datagrams, settle, small_udp_receiver};
use tests::readers::curl::curl;
use tests::readers::openapi::require;

/// An answer in JSON.
fn ask(exporter: &Exporter<'_>, path: &str, status: u16) -> Result<Value> {
    let page = exporter.get(path, "*/*")?;
    assert_eq!(
        (page.status, page.content_type.as_str()),
        (status, "application/json"),
        "{path}: {}",
        page.body
    );
    serde_json::from_str(&page.body).with_context(|| format!("{path} says {}", page.body))
}

#[test]
fn flows_equal_tcp_info() -> Result<()> {
    let _turn = turn::shared()?;
    for family in [Family::V4, Family::V6] {
        let pair = Pair::one_segment_per_packet()?;
        let subnet = pair.subnet()?.name();
        let exporter = start(pair.config())?;
        let loads = [(443, 1, 1), (5432, 300_000, 10), (9999, 0, 200_000)];
        let flows: Vec<Flow> = loads
            .iter()
            .map(|load| Flow::open(&pair, family, load.0))
            .collect::<Result<_>>()?;
        nft::drop_matching(&pair.server, "prerouting", "tcp dport 5432 numgen random mod 100 < 4")?;
        for (flow, (_, up, down)) in flows.iter().zip(loads) {
            flow.exchange(up, down)?;
        }
        let idle = settle(&flows)?;
        let answer = ask(&exporter, &format!("/api/v1/flows?subnet={subnet}"), 200)?;
        require(&answer, "Flows")?;
        assert_eq!((&answer["total"], &answer["cut"]), (&6.into(), &false.into()));
        assert!(
            idle.iter().any(|ends| ends.client.total_retrans > 0),
            "nothing was sent again"
        );
        for ((port, ..), ends) in loads.iter().zip(&idle) {
            for (role, info) in [("client", &ends.client), ("server", &ends.server)] {
                let flow = find(&answer["flows"], role, *port)?;
                require_equal(flow, info)?;
                assert_eq!(flow["connection_type"], "virtual");
                let at = |name: &str| flow[name].as_str().and_then(|text| text.parse().ok());
                let server = if role == "server" {
                    "local_address"
                } else {
                    "remote_address"
                };
                assert_eq!(at(server), Some(pair.to(family, *port)?.ip()));
            }
        }
        drop(flows);
    }
    Ok(())
}

#[test]
fn flows_are_filtered_sorted_and_cut() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let to = pair.to(Family::V4, 443)?;
    let listener = listen(&pair.server, to)?;
    let flows: Vec<Flow> = (0..5)
        .map(|_| Flow::through(&listener, &pair, to))
        .collect::<Result<_>>()?;
    for (flow, bytes) in flows.iter().zip([30, 10, 50, 20, 40]) {
        flow.exchange(bytes, 0)?;
    }
    settle(&flows)?;
    let sent = |query: &str| {
        let answer = ask(&exporter, &format!("/api/v1/flows?subnet={subnet}&{query}"), 200)?;
        require(&answer, "Flows")?;
        let shown = answer["flows"].as_array().context("no flows")?;
        let bytes: Option<Vec<u64>> = shown
            .iter()
            .map(|flow| flow["transmitted_data_bytes"].as_u64())
            .collect();
        anyhow::Ok((
            bytes.context("no bytes")?,
            answer["total"].clone(),
            answer["cut"].clone(),
        ))
    };
    assert_eq!(sent("role=client")?, (vec![50, 40, 30, 20, 10], 5.into(), false.into()));
    assert_eq!(sent("role=client&limit=2")?, (vec![50, 40], 5.into(), true.into()));
    assert_eq!(
        sent("role=client&sort=transmitted_data_bytes&order=asc&limit=3")?,
        (vec![10, 20, 30], 5.into(), true.into())
    );
    assert_eq!(
        sent("role=server&app_protocol=https&connection_type=virtual")?.1,
        Value::from(5)
    );
    assert_eq!(sent("app_protocol=nonesuch")?.1, Value::from(0));
    for (path, parameter) in [
        ("flows?sort=speed", "sort"),
        ("flows?limit=10001", "limit"),
        ("flows?peer=1", "peer"),
        ("drops?class=bad", "class"),
        ("drops?order=up", "order"),
        ("status?verbose=1", "verbose"),
    ] {
        let wrong = ask(&exporter, &format!("/api/v1/{path}"), 400)?;
        require(&wrong, "WrongParameter")?;
        assert_eq!(wrong["parameter"], parameter);
    }
    drop(flows);
    Ok(())
}

#[test]
fn rows_of_drops_equal_the_filters_counter_and_say_where() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config() + "labels: {drops: [subnet]}\n")?;
    nft::drop_matching(&pair.server, "input", "udp dport 4000")?;
    let to = pair.to(Family::V4, 4000)?;
    let socket = small_udp_receiver(&pair.server, to)?;
    send_datagrams(&pair.client, to, 17, 100)?;
    let dropped = nft::dropped(&pair.server)?;
    assert_eq!(dropped.packets, 17);
    let answer = ask(
        &exporter,
        &format!("/api/v1/drops?subnet={subnet}&reason=NETFILTER_*"),
        200,
    )?;
    require(&answer, "Drops")?;
    let [row] = answer["drops"].as_array().context("no rows")?.as_slice() else {
        panic!("{answer:#?}")
    };
    for (name, value) in [
        ("packets", Value::from(dropped.packets)),
        ("bytes", dropped.bytes.into()),
        ("source", "software".into()),
        ("class", "policy".into()),
        ("protocol", "udp".into()),
        ("direction", "receive".into()),
        // Nobody looked.
        ("connection_type", "other".into()),
    ] {
        assert_eq!(row[name], value, "{name}: {row:#?}");
    }
    assert!(
        row["offset_bytes"].as_u64().is_some_and(|offset| offset > 0),
        "{row:#?}"
    );
    let none = ask(&exporter, &format!("/api/v1/drops?subnet={subnet}&class=error"), 200)?;
    assert_eq!(none["total"], 0);
    drop(socket);
    Ok(())
}

#[test]
fn the_status_says_what_runs_and_how_full_it_is() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config() + "tcp: {detail: essential}\n")?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    flow.exchange(1, 1)?;
    let scrape = exporter.scrape()?;
    let status = ask(&exporter, "/api/v1/status", 200)?;
    require(&status, "Status")?;
    let program = |name: &str| {
        let programs = status["programs"].as_array().into_iter().flatten();
        programs
            .into_iter()
            .find(|program| program["program"] == name)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(program("kfree_skb")["attached"], true);
    assert_eq!(program("tcp_probe")["attached"], false);
    assert_eq!(program("tcp_probe")["reason"], "tcp.detail is essential");
    assert!(
        status["metrics_off"].as_array().is_some_and(|off| !off.is_empty()),
        "{status:#?}"
    );
    let gauge = |name: &str| scrape.sum(&format!("tcpvitals_{name}"), &[]);
    assert_eq!(status["groups"]["capacity"].as_f64(), Some(gauge("groups_capacity")?));
    assert!(status["groups"]["used"].as_u64() >= Some(2), "{status:#?}");
    assert_eq!(
        status["last_reload"]["success_time_seconds"].as_f64(),
        Some(gauge("config_last_reload_timestamp_seconds")?)
    );
    assert_eq!(status["lost"]["drop_overflow"], 0);
    Ok(())
}

#[test]
fn flows_are_closed_where_everybody_may_ask() -> Result<()> {
    let _turn = turn::shared()?;
    let port = |exporter: &Exporter<'_>| exporter.address().port();
    let status = |exporter: &Exporter<'_>, path: &str, options: &[&str]| {
        let url = format!("http://127.0.0.1:{}{path}", port(exporter));
        curl(&url, options)
    };
    let everywhere = Launch::new("").on_every_address().start()?;
    let closed = status(&everywhere, "/api/v1/flows", &[])?;
    assert_eq!(closed.status, 403);
    let error: Value = serde_json::from_str(&closed.body)?;
    require(&error, "Error")?;
    for remedy in ["--web.config.file", "loopback", "--web.enable-flows"] {
        assert!(closed.body.contains(remedy), "{}", closed.body);
    }
    for open in ["/api/v1/drops", "/api/v1/status", "/metrics"] {
        assert_eq!(status(&everywhere, open, &[])?.status, 200, "{open}");
    }
    let enabled = Launch::new("")
        .on_every_address()
        .arguments(&["--web.enable-flows"])
        .start()?;
    assert_eq!(status(&enabled, "/api/v1/flows", &[])?.status, 200);
    let folder = tempfile::tempdir()?;
    let web = folder.path().join("web.yml");
    std::fs::write(
        &web,
        format!("basic_auth_users: {{alice: {}}}\n", bcrypt::hash("sesame", 4)?),
    )?;
    let argument = format!("--web.config.file={}", web.display());
    let guarded = Launch::new("")
        .on_every_address()
        .arguments(&[&argument])
        .start_guarded()?;
    assert_eq!(status(&guarded, "/api/v1/flows", &[])?.status, 401);
    assert_eq!(
        status(&guarded, "/api/v1/flows", &["--user", "alice:sesame"])?.status,
        200
    );
    Ok(())
}
