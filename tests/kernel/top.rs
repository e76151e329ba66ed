//! `top --once`: what it prints for programs equals `TCP_INFO`, and it says what it needs.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::exporter::live_flow::{find, require_equal};
use tests::exporter::{config_file, run};
use tests::machine::turn;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, settle};

#[test]
fn flows_that_are_printed_once_equal_tcp_info() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let config = config_file(&pair.config())?;
    let file = config.path().to_str().context("a path that is no text")?;
    let ports = [443, 5432];
    let flows: Vec<Flow> = ports
        .iter()
        .map(|port| Flow::open(&pair, Family::V4, *port))
        .collect::<Result<_>>()?;
    flows[0].exchange(200_000, 1000)?;
    flows[1].exchange(10, 700_000)?;
    let idle = settle(&flows)?;
    // In the namespace of the sockets: those that are older than the command are found there without a segment.
    for (namespace, role) in [(&pair.client, "client"), (&pair.server, "server")] {
        let top = |more: &[&str]| {
            let common = [
                "top",
                "--once",
                "--interval=200ms",
                "--filter",
                &subnet,
                "--config.file",
                file,
            ];
            namespace.run(|| run(&[&common[..], more].concat()))
        };
        let printed = top(&["--output=json"])?;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        let printed: Value = serde_json::from_str(&printed.stdout)?;
        assert_eq!(
            (&printed["total"], &printed["cut"]),
            (&2.into(), &false.into()),
            "{printed:#?}"
        );
        for (port, ends) in ports.into_iter().zip(&idle) {
            let flow = find(&printed["flows"], role, port)?;
            require_equal(flow, if role == "client" { &ends.client } else { &ends.server })?;
            // Nothing happened in the interval.
            assert_eq!(flow["transmitted_bytes_per_second"], 0.0);
            assert_eq!(
                (&flow["retransmit_ratio"], &flow["adopted"]),
                (&Value::Null, &true.into())
            );
        }
        let text = top(&["--limit=1", "--sort=remote"])?;
        assert_eq!((text.code, text.stdout.lines().count()), (Some(0), 2), "{text:?}");
        assert!(
            text.stdout.starts_with("FLOW") && text.stdout.contains(&subnet),
            "{text:?}"
        );
    }
    drop(flows);
    Ok(())
}

#[test]
fn without_a_terminal_it_says_what_to_do() -> Result<()> {
    let refused = run(&["top"])?;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.stderr.contains("tcpvitals top --once"), "{refused:?}");
    Ok(())
}

/// Two flows, and a connection that is refused again and again. What each view says of the subnet is what the traffic was.
#[test]
fn every_view_is_printed_once_as_the_kernel_counts() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let config = config_file(&pair.config())?;
    let file = config.path().to_str().context("a path that is no text")?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    let top = |view: &str, interval: &str, more: &[&str]| {
        let of = ["--subnet", &subnet, "--view", view, "--interval", interval];
        run(&[&["top", "--once", "--config.file", file][..], &of, more].concat())
    };
    // The programs know connections that do something.
    let busy = |view: &str, interval: &str, more: &[&str]| {
        thread::scope(|scope| {
            let printing = scope.spawn(|| top(view, interval, more));
            let mut sent = 0;
            while !printing.is_finished() {
                flow.exchange(1000, 10)?;
                sent += 1;
                thread::sleep(Duration::from_millis(20));
            }
            let printed = printing.join().map_err(|_panic| anyhow::anyhow!("top did not end"))??;
            Ok::<_, anyhow::Error>((printed, sent))
        })
    };
    let (printed, sent) = busy("subnets", "3s", &["--output=json"])?;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let printed: Value = serde_json::from_str(&printed.stdout)?;
    assert_eq!(printed["total"], 1, "{printed:#}");
    let row = &printed["subnets"][0];
    assert_eq!(
        (&row["subnet"], &row["connections"]),
        (&subnet.clone().into(), &2.into()),
        "{row:#}"
    );
    // Both ends are here: what one sends the other receives.
    let rate = |name: &str| row[name].as_f64().with_context(|| format!("no {name} in {row:#}"));
    let (out, into) = (
        rate("transmitted_bytes_per_second")?,
        rate("received_bytes_per_second")?,
    );
    assert!(
        (out - into).abs() <= 0.02 * out && out > 0.0 && out <= 1010.0 * f64::from(sent),
        "{row:#} {sent}"
    );
    assert_eq!(
        (&row["retransmit_ratio"], &row["failed_opens_ratio"]),
        (&0.0.into(), &Value::Null)
    );

    for (view, titles) in [
        ("subnets", &["SUBNET", "RETR", "HERE", "FAIL", "WAIT", "VERDICT"][..]),
        ("flows", &["FLOW", "RETR", "HERE", "CAUSE", "AGE"]),
        ("drops", &["DROPS/s", "REASON", "SUBNETS", "MEANING"]),
    ] {
        let text = top(view, "200ms", &[])?;
        let first = text.stdout.lines().next().unwrap_or_default();
        assert!(titles.iter().all(|title| first.contains(title)), "{view}: {text:?}");
    }
    // In text both ends are one row.
    let (text, _) = busy("flows", "1s", &[])?;
    assert_eq!(
        text.stdout.lines().filter(|line| line.contains(" <> ")).count(),
        1,
        "{text:?}"
    );
    let unknown = top("subnets", "200ms", &["--sort=speed"])?;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(
        unknown
            .stderr
            .contains("unknown sort key \"speed\"; subnets have subnet, retransmits"),
        "{unknown:?}"
    );
    drop(flow);
    Ok(())
}

#[test]
fn what_is_not_there_is_refused_by_every_command_with_what_is() -> Result<()> {
    let _turn = turn::shared()?;
    for command in [
        "top --once",
        "drops --once",
        "trace --count=1",
        "capture --write /nowhere/x",
    ] {
        let refused = |flags: &[&str]| run(&[&command.split(' ').collect::<Vec<_>>()[..], flags].concat());
        for (flags, words) in [
            (
                ["--subnet", "nosuch"],
                "no subnet \"nosuch\"; this configuration has cgnat, internet, ",
            ),
            (
                ["--app-protocol", "gopher"],
                "no application protocol \"gopher\"; this configuration has ",
            ),
            (
                ["--reason", "NOSUCH_REASON"],
                "no drop reason \"NOSUCH_REASON\"; this kernel has ",
            ),
            (["--address", "10.1.2.3/24"], "write 10.1.2.0/24"),
            (["--class", "bad"], "benign"),
        ] {
            // A trace shows no drops, and a packet tells no application.
            let is_foreign = command.starts_with("trace") && flags[0] == "--reason"
                || command.starts_with("capture") && flags[0] == "--app-protocol";
            let refused = refused(&flags)?;
            assert_eq!(refused.code, Some(2), "{command} {flags:?}: {refused:?}");
            let words = if is_foreign { "cannot choose here" } else { words };
            assert!(refused.stderr.contains(words), "{command} {flags:?}: {refused:?}");
        }
    }
    Ok(())
}

#[test]
fn an_open_without_an_answer_is_shown_with_its_syns() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let config = config_file(&pair.config())?;
    let file = config.path().to_str().context("a path that is no text")?;
    nft::drop_matching(&pair.server, "prerouting", "tcp flags syn")?;
    let to = pair.to(Family::V4, 443)?;
    let [text, json] = thread::scope(|scope| {
        let top = |more: &[&str]| {
            let common = ["top", "--once", "--interval=6s", "--view=flows", "--config.file", file];
            run(&[&common[..], more].concat())
        };
        let text = scope.spawn(move || top(&[]));
        let json = scope.spawn(move || top(&["--output=json"]));
        // The commands see those opens only that begin when their programs run: one after the other, of three seconds each.
        while !text.is_finished() || !json.is_finished() {
            let opened = pair
                .client
                .run(|| Ok(TcpStream::connect_timeout(&to, Duration::from_secs(3)).is_ok()))?;
            anyhow::ensure!(!opened, "somebody answered");
        }
        let both = [text, json].map(|top| top.join().map_err(|_panic| anyhow::anyhow!("top did not end")));
        let [text, json] = both;
        Ok::<_, anyhow::Error>([text??, json??])
    })?;
    let subnet = pair.subnet()?.name();
    let row = text
        .stdout
        .lines()
        .find(|line| line.contains(&subnet) && line.contains("443"));
    let row = row.with_context(|| format!("no open in {text:?}"))?;
    let syns = row
        .split_whitespace()
        .find_map(|word| word.strip_prefix('x')?.parse::<u32>().ok());
    // The kernel repeats a SYN after one second, then after two more.
    assert!(
        row.contains(" SYN x") && syns.is_some_and(|syns| (1..=3).contains(&syns)),
        "{row}"
    );
    // As in the API: it is no connection yet.
    let json: Value = serde_json::from_str(&json.stdout)?;
    let flows = json["flows"].as_array().context("no flows")?;
    assert!(flows.iter().all(|flow| flow["subnet"] != *subnet), "{json:#}");
    Ok(())
}
