//! The command `drops`: its numbers equal the filter's own counter, its filters choose, and it ends as it is told.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::exporter::{binary, config_file, run};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{send_datagrams, small_udp_receiver};

/// The command at work; killed on drop.
struct Drops(Child);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_table_equals_the_filters_own_counter() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let config = config_file(&pair.config())?;
    let mut command = Command::new(binary()?);
    command
        .args([
            "drops",
            "--output",
            "json",
            "--interval",
            "200ms",
            "--class",
            "policy",
            "--location",
            "nf*",
        ])
        .args(["--subnet", &subnet, "--config.file"])
        .arg(config.path());
    let mut drops = Drops(command.stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(drops.0.stdout.take().context("no standard output")?).lines();
    let mut next = || -> Result<Value> { Ok(serde_json::from_str(&lines.next().context("it has ended")??)?) };
    assert_eq!(next()?["total_packets"], 0);
    nft::drop_matching(&pair.server, "input", "udp dport 4000")?;
    let to = pair.to(Family::V4, 4000)?;
    let socket = small_udp_receiver(&pair.server, to)?;
    // Of another class.
    send_datagrams(&pair.client, pair.to(Family::V4, 9)?, 5, 100)?;
    let (mut packets, mut bytes) = (0, 0);
    for burst in [7, 13] {
        send_datagrams(&pair.client, to, burst, 100)?;
        let dropped = nft::dropped(&pair.server)?;
        let table = until("the table to have the burst", || {
            let table = next()?;
            let [site] = table["sites"].as_array().context("no sites")?.as_slice() else {
                return Ok(None);
            };
            packets += site["packets"].as_u64().context("no packets")?;
            bytes += site["bytes"].as_u64().context("no bytes")?;
            Ok((packets == dropped.packets).then_some(table))
        })?;
        let site = &table["sites"][0];
        assert_eq!(
            (&site["total_packets"], &site["total_bytes"]),
            (&dropped.packets.into(), &dropped.bytes.into())
        );
        assert_eq!(bytes, dropped.bytes);
        assert_eq!(
            (&site["reason"], &site["class"]),
            (&"NETFILTER_DROP".into(), &"policy".into())
        );
        assert_eq!(
            (&site["direction"], &site["protocol"]),
            (&"receive".into(), &"udp".into())
        );
        assert_eq!(site["subnets"][0]["subnet"], *subnet);
    }
    let idle = next()?;
    assert_eq!(
        (&idle["sites"][0]["packets"], &idle["packets_per_second"]),
        (&0.into(), &0.0.into())
    );
    kill(Pid::from_raw(i32::try_from(drops.0.id())?), Signal::SIGTERM)?;
    let status = until("drops to end", || Ok(drops.0.try_wait()?))?;
    assert_eq!(status.code(), Some(0));
    drop(socket);
    Ok(())
}

#[test]
fn it_ends_after_as_many_tables_as_were_asked_for() -> Result<()> {
    let _turn = turn::shared()?;
    const SHORT: &str = "--interval=100ms";
    for (arguments, expected) in [
        (&["--once", SHORT][..], 1..=1),
        (&["--count=3", SHORT], 3..=3),
        // A busy machine may be late with them.
        (&["--duration=1s", "--interval=400ms"], 0..=2),
    ] {
        let all = [&["drops", "--output=json"][..], arguments].concat();
        let ended = run(&all)?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(expected.contains(&ended.stdout.lines().count()), "{ended:?}");
    }
    let text = run(&["drops", "--once", "--interval", "100ms"])?;
    assert!(
        text.stdout.contains("CLASS") && text.stdout.contains("SUBNETS"),
        "{text:?}"
    );
    assert!(!text.stdout.contains('\u{1b}'), "{text:?}");
    let wrong = run(&["drops", "--class", "bad"])?;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    Ok(())
}
