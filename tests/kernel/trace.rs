//! `trace`: a connection that follows a script yields just the events that it must, with the numbers of `TCP_INFO`.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::exporter::trace::{Object, To, Trace, Traced, objects, require_same};
use tests::kernel::processes::Capabilities;
use tests::kernel::tcp_info::{CLOSED, TcpInfo};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::Namespace;
use tests::net::pair::Pair;
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{Family, Subnet, config};
use tests::net::traffic::{Flow, settle};

/// What both call the same thing: a name in a trace, and the field of `TCP_INFO`.
type Row = (&'static str, fn(&TcpInfo) -> u64);

const ROWS: &[Row] = &[
    ("segs_out", |info| info.segs_out.into()),
    ("data_segs_out", |info| info.data_segs_out.into()),
    ("data_octets_out", |info| info.bytes_sent),
    ("segs_in", |info| info.segs_in.into()),
    ("data_segs_in", |info| info.data_segs_in.into()),
    ("data_octets_in", |info| info.bytes_received),
    ("segs_retrans", |info| info.total_retrans.into()),
    ("octets_retrans", |info| info.bytes_retrans),
    ("dsacks_in", |info| info.dsack_dups.into()),
    ("reordering", |info| info.reord_seen.into()),
    ("ooo_in", |info| info.rcv_ooopack.into()),
    ("ecn_marks", |info| info.delivered_ce.into()),
    ("busy_us", |info| info.busy_time),
    ("receive_window_us", |info| info.rwnd_limited),
    ("send_buffer_us", |info| info.sndbuf_limited),
];

fn number(object: &Object, name: &str) -> Result<u64> {
    object
        .get(name)
        .and_then(Value::as_u64)
        .with_context(|| format!("no {name} in {object:?}"))
}

fn numbers<const N: usize>(object: &Object, names: [&str; N]) -> Result<Vec<u64>> {
    names.iter().map(|name| number(object, name)).collect()
}

#[track_caller]
fn require_account(object: &Object, info: &TcpInfo) -> Result<()> {
    for (name, field) in ROWS {
        assert_eq!(number(object, name)?, field(info), "{name} of {object:?}");
    }
    Ok(())
}

/// Plays the script: one fast retransmission, time-outs, a reset. Gives the kernel's last word, and what it said between.
fn play(namespace: &Namespace, peer: &Peer) -> Result<[TcpInfo; 2]> {
    let offer = Offer {
        sack: false,
        ..Offer::default()
    };
    let (mut client, mut connection) = peer.accept(namespace, 80, offer)?;
    client.write_all(&[1; 10_000])?;
    connection.take(10_000)?;
    connection.repeat_acknowledgment(3)?;
    connection.take_again()?;
    connection.acknowledge()?;
    let between = TcpInfo::of(&client)?;
    client.write_all(&[1; 500])?;
    connection.take(500)?;
    connection.take_again()?;
    connection.take_again()?;
    connection.acknowledge()?;
    connection.reset()?;
    let last = until("the connection to be closed", || {
        let info = TcpInfo::of(&client)?;
        Ok((info.state == CLOSED).then_some(info))
    })?;
    Ok([between, last])
}

/// Traces the script into a binary file.
fn scripted(arguments: &[&str]) -> Result<(Traced, Subnet, [TcpInfo; 2])> {
    let namespace = Namespace::new()?;
    namespace.set("net.ipv4.tcp_early_retrans=0")?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    let all = [&["--output", "binary"], arguments].concat();
    let trace = Trace::start(&config(&[subnet]), &all, To::File)?;
    let infos = play(&namespace, &peer)?;
    let traced = trace.stop(Signal::SIGTERM)?;
    ensure!(traced.code == Some(0), "{traced:?}");
    Ok((traced, subnet, infos))
}

#[test]
fn a_scripted_connection_yields_its_events_with_the_numbers_of_tcp_info() -> Result<()> {
    let _turn = turn::shared()?;
    let (traced, subnet, [between, last]) = scripted(&["--interval", "0"])?;
    let name = subnet.name();
    let json = traced.reprint(&["--output", "json", "--subnet", &name])?;
    ensure!(json.code == Some(0), "{json:?}");
    let events = objects(&json.stdout)?;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event.get("event")?.as_str()).collect();
    // More than two only where this test had to wait for a processor.
    let time_outs = usize::try_from(last.total_retrans - between.total_retrans)?;
    assert!(time_outs >= 2 && between.total_retrans == 1, "{between:?} {last:?}");
    let expected: Vec<&str> = ["established", "retrans"]
        .into_iter()
        .chain(std::iter::repeat_n("retrans_loss", time_outs))
        .chain(["close"])
        .collect();
    assert_eq!(kinds, expected);

    let split = [
        "timeout_segs_retrans",
        "probe_segs_retrans",
        "fast_segs_retrans",
        "other_segs_retrans",
        "segs_retrans",
    ];
    let [established, retrans, losses @ .., close] = &events[..] else {
        unreachable!("the kinds are those expected")
    };
    assert_eq!(numbers(established, split)?, [0; 5]);
    // The state after the retransmission is counted.
    assert_eq!(numbers(retrans, split)?, [0, 0, 1, 0, 1]);
    assert_eq!(number(retrans, "segs_out")?, u64::from(between.segs_out));
    assert_eq!(retrans["ca_state"], "recovery");
    for (event, count) in losses.iter().zip(1..) {
        assert_eq!(numbers(event, split)?, [count, 0, 1, 0, count + 1]);
        assert_eq!(event["ca_state"], "loss");
        assert_eq!(event["limit"], "network");
    }
    let time_outs = u64::try_from(time_outs)?;
    assert_eq!(numbers(close, split)?, [time_outs, 0, 1, 0, time_outs + 1]);
    require_account(close, &last)?;
    // Three of the script's, and whatever window update the stack takes for none.
    assert_eq!(number(close, "dup_acks_in")?, 3);
    assert_eq!(number(close, "sacks_in")?, 0);
    for event in &events {
        assert_eq!(
            event["remote_address"],
            subnet.v4(tests::net::subnet::SERVER).to_string()
        );
        assert_eq!(
            event["local_address"],
            subnet.v4(tests::net::subnet::CLIENT).to_string()
        );
        assert_eq!((&event["remote_port"], &event["role"]), (&80.into(), &"client".into()));
        assert_eq!(
            (&event["subnet"], &event["app_protocol"]),
            (&name.clone().into(), &"http".into())
        );
        assert_eq!(event["cookie"], close["cookie"]);
        assert_eq!(event["local_port"], established["local_port"]);
        assert_ne!(event["local_port"], 0);
    }
    let times: Vec<_> = events.iter().filter_map(|event| event["timestamp"].as_str()).collect();
    assert!(times.len() == events.len() && times.is_sorted(), "{times:?}");

    // The seed's text says the same, and the file is the same when it is written once more.
    let text = traced.reprint(&["--subnet", &name, "--output", "seed"])?;
    assert_eq!(text.stdout.lines().count(), events.len());
    for (line, event) in text.stdout.lines().zip(&events) {
        require_same(line, event)?;
    }
    let first = text.stdout.lines().next().unwrap_or_default();
    assert_eq!(first.split(' ').count(), 3 + 5, "{first}");

    // People get a line for each, of a hundred columns, and what they name.
    let people = traced.reprint(&["--subnet", &name])?;
    assert_eq!(people.stdout.lines().count(), events.len());
    for (line, event) in people.stdout.lines().zip(&events) {
        let time = event["timestamp"].as_str().context("a time")?;
        let kind = event["event"].as_str().context("a kind")?.to_uppercase();
        assert!(line.starts_with(&format!("{} {kind}", &time[11..23])), "{line}");
        assert!(
            line.chars().count() <= 100 && !line.split("  ").any(|part| part.ends_with(" 0")),
            "{line}"
        );
    }
    let named = traced.reprint(&[
        "--event",
        "close",
        "--subnet",
        &name,
        "--fields",
        "dup_acks_in,sacks_in",
    ])?;
    assert!(named.stdout.ends_with(" dup_acks_in=3 sacks_in=0\n"), "{named:?}");
    let all = traced.reprint(&["--event", "close", "--subnet", &name, "-v"])?;
    assert!(
        all.stdout.contains(" dup_acks_in=3 ") && !all.stdout.contains("sacks_in="),
        "{all:?}"
    );
    Ok(())
}

#[test]
fn filters_choose_events_of_a_recorded_trace() -> Result<()> {
    let _turn = turn::shared()?;
    let (traced, subnet, [_, last]) = scripted(&["--interval", "50ms"])?;
    let name = subnet.name();
    let lines = |arguments: &[&str]| -> Result<usize> {
        let finished = traced.reprint(&[&["--subnet", &name], arguments].concat())?;
        ensure!(finished.code == Some(0), "{finished:?}");
        Ok(finished.stdout.lines().count())
    };
    let all = lines(&[])?;
    let time_outs = usize::try_from(last.total_retrans)? - 1;
    assert_eq!(lines(&["--event", "retrans_loss"])?, time_outs);
    assert_eq!(lines(&["--event", "established", "--event", "close"])?, 2);
    let periodic = lines(&["--event", "periodic"])?;
    // The time-outs alone take several intervals.
    assert!(periodic > 0);
    assert_eq!(all, 3 + time_outs + periodic);
    assert_eq!(lines(&["--port", "80"])?, all);
    assert_eq!(lines(&["--port", "81"])?, 0);
    assert_eq!(lines(&["--port", "81", "--port", "80"])?, all);
    assert_eq!(lines(&["--cidr", &format!("{}/24", subnet.v4(0))])?, all);
    assert_eq!(lines(&["--cidr", "192.0.2.0/24"])?, 0);
    assert_eq!(
        lines(&["--event", "retrans_loss", "--min-retransmits", "3"])?,
        time_outs - 1
    );
    assert_eq!(lines(&["--count", "2"])?, 2);
    let types = ["wired", "wifi", "cell", "loopback", "tunnel", "virtual", "unknown"];
    let by_type = types.map(|kind| lines(&["--connection-type", kind]));
    assert_eq!(by_type.into_iter().sum::<Result<usize>>()?, all);
    let unknown = traced.reprint(&["--subnet", "nowhere"])?;
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("no subnet \"nowhere\""), "{unknown:?}");
    Ok(())
}

#[test]
fn a_recorded_trace_is_told_apart_from_what_is_none() -> Result<()> {
    let _turn = turn::shared()?;
    let (traced, _, _) = scripted(&["--interval", "0"])?;
    let bytes = traced.bytes()?;
    let folder = traced.folder().path().to_owned();
    let read = |name: &str, bytes: &[u8]| -> Result<_> {
        let path = folder.join(name);
        std::fs::write(&path, bytes)?;
        tests::exporter::run(&["trace", "--read", path.to_str().context("a path")?])
    };
    let whole = read("whole", &bytes)?;
    let cut = read("cut", &bytes[..bytes.len() - 1])?;
    assert_eq!((whole.code, cut.code), (Some(0), Some(1)));
    // What stands before the cut is printed.
    assert_eq!(cut.stdout.lines().count() + 1, whole.stdout.lines().count());
    assert!(whole.stdout.starts_with(&cut.stdout));
    assert!(cut.stderr.contains(&format!("byte {}", bytes.len() - 1)), "{cut:?}");
    let mut newer = bytes;
    newer[8] = 4;
    for (name, bytes, words) in [
        ("newer", newer, "version 4"),
        ("other", b"#!/bin/sh".to_vec(), "not a trace"),
    ] {
        let refused = read(name, &bytes)?;
        assert_eq!((refused.code, &*refused.stdout), (Some(1), ""));
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let missing = tests::exporter::run(&["trace", "--read", "nowhere"])?;
    assert!(
        missing.code == Some(1) && missing.stderr.contains("--read=nowhere"),
        "{missing:?}"
    );
    Ok(())
}

#[test]
fn periodic_events_show_live_flows_as_tcp_info_does() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let name = pair.subnet()?.name();
    let arguments = [
        "--output",
        "json",
        "--interval",
        "100ms",
        "--event",
        "periodic",
        "--subnet",
        &name,
    ];
    let trace = Trace::start(&pair.config(), &arguments, To::File)?;
    let flows = [Flow::open(&pair, Family::V6, 443)?];
    flows[0].exchange(300_000, 200_000)?;
    let idle = settle(&flows)?;
    let before = trace.printed()?.lines().count();
    // Two ends, twice: the second time is wholly after the flow came to rest.
    let printed = until("four more lines", || {
        let printed = trace.printed()?;
        Ok((printed.lines().count() >= before + 4 && printed.ends_with('\n')).then_some(printed))
    })?;
    let held = Capabilities::of(trace.process())?;
    assert_eq!((held.effective, held.permitted), (0, 0));
    let traced = trace.stop(Signal::SIGINT)?;
    assert_eq!(traced.code, Some(0), "{traced:?}");
    let events = objects(&printed)?;
    for (role, info) in [("client", &idle[0].client), ("server", &idle[0].server)] {
        let event = events.iter().rfind(|event| event["role"] == role);
        require_account(event.with_context(|| format!("no {role}"))?, info)?;
    }
    Ok(())
}

/// The kernel takes a port from a socket that closes before it says that it closes.
#[test]
fn both_ends_of_a_connection_keep_their_names_until_it_is_closed() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let name = pair.subnet()?.name();
    let arguments = ["--output", "json", "--interval", "0", "--subnet", &name];
    let trace = Trace::start(&pair.config(), &arguments, To::File)?;
    let flow = Flow::open(&pair, Family::V6, 443)?;
    flow.exchange(1000, 2000)?;
    let ends = flow.finish()?;
    let traced = trace.stop(Signal::SIGTERM)?;
    let events = objects(&String::from_utf8(traced.bytes()?)?)?;
    for (role, info) in [("client", &ends.client), ("server", &ends.server)] {
        let of = |kind: &str| {
            let found = events
                .iter()
                .find(|event| event["role"] == role && event["event"] == kind);
            found.with_context(|| format!("no {kind} of the {role} in {events:?}"))
        };
        let (opened, closed) = (of("established")?, of("close")?);
        require_account(closed, info)?;
        for same in [
            "local_address",
            "local_port",
            "remote_address",
            "remote_port",
            "app_protocol",
            "cookie",
        ] {
            assert_eq!(opened[same], closed[same], "{same} of the {role}");
        }
        assert_eq!(closed["app_protocol"], "https");
    }
    Ok(())
}

#[test]
fn a_reader_that_goes_away_ends_a_trace() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let mut trace = Trace::start(&pair.config(), &["--interval", "10ms"], To::UnreadPipe)?;
    let _flow = Flow::open(&pair, Family::V4, 443)?;
    trace.close_pipe();
    let traced = trace.end()?;
    assert_eq!(traced.code, Some(0), "{traced:?}");
    assert!(traced.stderr.contains("events received: "), "{traced:?}");
    Ok(())
}

#[test]
fn a_trace_ends_after_so_many_events_or_so_long() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let name = pair.subnet()?.name();
    let arguments = ["--interval", "10ms", "--subnet", &name, "--count", "3"];
    let trace = Trace::start(&pair.config(), &arguments, To::File)?;
    let _flow = Flow::open(&pair, Family::V4, 443)?;
    let traced = trace.end()?;
    assert_eq!((traced.code, traced.tally("shown")?), (Some(0), 3));
    assert_eq!(String::from_utf8(traced.bytes()?)?.lines().count(), 3);
    let short = Trace::start(&pair.config(), &["--duration", "200ms"], To::File)?.end()?;
    assert_eq!(short.code, Some(0), "{short:?}");
    Ok(())
}

#[test]
fn a_trace_whose_fallback_works_warns_of_nothing() -> Result<()> {
    let _turn = turn::shared()?;
    let finished = tests::exporter::run(&["trace", "--duration", "200ms", "--output", "json"])?;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!finished.stderr.contains("WARN"), "{finished:?}");
    Ok(())
}
