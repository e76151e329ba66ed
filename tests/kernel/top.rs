//! `top --once`: what it prints for programs equals `TCP_INFO`, and it says what it needs.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::exporter::live_flow::{find, require_equal};
use tests::exporter::{config_file, run};
use tests::machine::turn;
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
    assert!(refused.stderr.contains("--once"), "{refused:?}");
    Ok(())
}
