//! What people and programs see besides the metrics: the API, `top`, `drops` and `trace` name workloads, and choose by them.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::exporter::trace::{Object, To, Trace, Traced, objects, require_same};
use tests::exporter::{Finished, config_file, run};
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::Flow;

use super::*;

const CART: &str = "cart.service";
const WEB: &str = "web.service";

/// A connection in each of two units, the second of which is made first.
fn in_units(cgroups: &Cgroups, pair: &Pair) -> Result<Vec<Flow>> {
    let open = |(name, port)| {
        let unit = make_for_program(cgroups, &format!("system.slice/{name}"))?;
        let flow = unit.run(|| Flow::open(pair, Family::V4, port))?;
        flow.exchange(1000, 1000)?;
        Ok(flow)
    };
    [(WEB, 5432), (CART, 443)].into_iter().map(open).collect()
}

fn path(file: &Path) -> Result<&str> {
    file.to_str().context("a path that is text")
}

fn parsed(finished: &Finished) -> Result<Value> {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    serde_json::from_str(&finished.stdout).with_context(|| format!("read {finished:?}"))
}

#[track_caller]
fn require_of_cart(flow: &Value) {
    let labels = ["workload", "workload_kind", "workload_namespace"].map(|label| &flow[label]);
    assert_eq!(labels, [CART, "unit", ""], "{flow:#}");
}

#[test]
fn the_api_names_a_new_workload_before_the_next_collection() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let cgroups = Cgroups::of_threads()?;
    let exporter = start(&config(&pair, "{source: cgroup}"))?;
    let collections = |exporter: &Exporter<'_>| -> Result<Value> {
        let status: Value = serde_json::from_str(&exporter.get("/api/v1/status", "*/*")?.body)?;
        Ok(status["collections"].clone())
    };
    let before = collections(&exporter)?;
    let flows = in_units(&cgroups, &pair)?;
    // Others may have a unit of that name at the same time.
    let query = format!(
        "/api/v1/flows?workload=ca*.service&sort=workload&subnet={}",
        pair.subnet()?.name()
    );
    let page = exporter.get(&query, "*/*")?;
    let answer: Value = serde_json::from_str(&page.body)?;
    let shown = answer["flows"].as_array().context("no flows")?;
    // Both ends are of the unit that has made both sockets.
    assert_eq!(shown.len(), 2, "{answer:#}");
    shown.iter().for_each(require_of_cart);
    // `max_age` is a millisecond: the status itself has collected, and nothing else since.
    let after = collections(&exporter)?;
    assert_eq!(after.as_u64(), before.as_u64().map(|before| before + 1));
    drop(flows);
    Ok(())
}

#[test]
fn top_names_workloads_and_shows_those_that_are_asked_for() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let cgroups = Cgroups::of_threads()?;
    let config = config_file(&format!("{}workloads: {{source: cgroup}}\n", pair.config()))?;
    let flows = in_units(&cgroups, &pair)?;
    let top = |more: &[&str]| {
        let common = [
            "top",
            "--once",
            "--interval=300ms",
            "--config.file",
            path(config.path())?,
        ];
        pair.client.run(|| run(&[&common[..], more].concat()))
    };
    let printed = parsed(&top(&["--output=json", "--workload=cart*"])?)?;
    assert_eq!(printed["total"], 1, "{printed:#}");
    require_of_cart(&printed["flows"][0]);
    let text = top(&["--sort=workload", "--filter", &pair.subnet()?.name()])?;
    let units: Vec<&str> = text
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.ends_with(".service")))
        .collect();
    assert_eq!(units, [CART, WEB], "{text:?}");
    drop(flows);
    Ok(())
}

#[test]
fn a_filter_by_workload_needs_a_source_of_names() -> Result<()> {
    let _turn = turn::shared()?;
    for command in [
        "top --once",
        "drops --once",
        "trace --count=1",
        "capture --write /nowhere/x",
    ] {
        let arguments: Vec<&str> = command.split(' ').chain(["--workload-namespace=shop"]).collect();
        let refused = run(&arguments)?;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        for words in ["--workload-namespace", "workloads.source is none", "source: cgroup"] {
            assert!(refused.stderr.contains(words), "{words}: {refused:?}");
        }
    }
    Ok(())
}

#[test]
fn drops_names_workloads_and_shows_those_that_are_asked_for() -> Result<()> {
    const SENDER: &str = "sender.service";
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let cgroups = Cgroups::of_threads()?;
    let config = config_file(&format!("{}workloads: {{source: cgroup}}\n", pair.config()))?;
    nft::drop_matching(&pair.client, "output", "udp dport 4001")?;
    let unit = cgroups.make(&format!("system.slice/{SENDER}"))?;
    let to = pair.to(Family::V4, 4001)?;
    let is_over = AtomicBool::new(false);
    let printed = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            unit.run(|| {
                let socket = pair.client.run(|| Ok(UdpSocket::bind("0.0.0.0:0")?))?;
                while !is_over.load(Ordering::Relaxed) {
                    // The filter may refuse it at once.
                    socket.send_to(&[0; 100], to).ok();
                    sleep(Duration::from_millis(2));
                }
                Ok(())
            })
        });
        let printed = run(&[
            "drops",
            "--count=2",
            "--interval=500ms",
            "--output=json",
            "--workload=sender*",
            "--config.file",
            path(config.path())?,
        ]);
        is_over.store(true, Ordering::Relaxed);
        sender.join().unwrap_or_else(|_| bail!("the sender panicked"))?;
        printed
    })?;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    // Before the first table the unit may have been met.
    let last = printed.stdout.lines().last().context("no table")?;
    let table: Value = serde_json::from_str(last)?;
    let sites = table["sites"].as_array().context("no sites")?;
    assert_eq!(sites.len(), 1, "{table:#}");
    let packets = &sites[0]["packets"];
    assert!(packets.as_u64() > Some(10), "{table:#}");
    let expected = serde_json::json!([{"workload": SENDER, "packets": packets}]);
    assert_eq!(sites[0]["workloads"], expected, "{table:#}");
    Ok(())
}

/// What a trace prints of connections in two units, one after the other.
fn traced(output: &str) -> Result<Traced> {
    let pair = Pair::new()?;
    let cgroups = Cgroups::of_threads()?;
    let config = format!("{}workloads: {{source: cgroup}}\n", pair.config());
    let subnet = pair.subnet()?.name();
    let arguments = [output, "--interval=0", "--subnet", &subnet, "--event=close"];
    let trace = Trace::start(&config, &arguments, To::File)?;
    for flow in in_units(&cgroups, &pair)? {
        flow.finish()?;
    }
    trace.stop(Signal::SIGINT)
}

/// The units of events, by the alphabet.
fn units(events: &[Object]) -> Vec<&str> {
    let mut units: Vec<&str> = events
        .iter()
        .filter_map(|event| event.get("workload")?.as_str())
        .collect();
    units.sort_unstable();
    units
}

#[test]
fn a_trace_and_what_it_recorded_name_workloads() -> Result<()> {
    let _turn = turn::shared()?;
    let printed = traced("--output=json")?;
    let events = objects(&String::from_utf8(printed.bytes()?)?)?;
    assert_eq!(units(&events), [CART, CART, WEB, WEB], "{events:#?}");

    let recorded = traced("--output=binary")?;
    let json = recorded.reprint(&["--output=json"])?;
    let events = objects(&json.stdout)?;
    assert_eq!(units(&events), [CART, CART, WEB, WEB], "{events:#?}");
    let text = recorded.reprint(&["--output=seed"])?;
    for (line, event) in text.stdout.lines().zip(&events) {
        // An empty word is quoted in text.
        require_same(&line.replace("=\"\"", "="), event)?;
    }
    let web = recorded.reprint(&["--output=json", "--workload=web*"])?;
    let events = objects(&web.stdout)?;
    assert_eq!(units(&events), [WEB, WEB]);
    Ok(())
}
