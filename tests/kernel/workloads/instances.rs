//! Which pod and which container a connection is of: where connections are shown one by one, and nowhere else.

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::exporter::trace::{To, Trace, objects};
use tests::exporter::{config_file, run};
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::Flow;

use super::pods::{CONTAINER, Logs, of_systemd};
use super::*;

const UID: &str = "6c6b8ad4-af60-4fb4-a0bc-6dc26fd45a77";
const POD: &str = "web-7d4b9c6f5-x2x9z";

/// A connection in the container of a pod, and one in a unit.
fn in_pod_and_unit(cgroups: &Cgroups, pair: &Pair) -> Result<[Flow; 2]> {
    let open = |path: &str, port| {
        let cgroup = make_for_program(cgroups, path)?;
        let flow = cgroup.run(|| Flow::open(pair, Family::V4, port))?;
        flow.exchange(1000, 1000)?;
        Ok::<_, anyhow::Error>(flow)
    };
    Ok([open(&of_systemd(UID), 443)?, open("system.slice/unit.service", 5432)?])
}

#[track_caller]
fn require_instance(flow: &Value, expected: [Value; 2]) {
    assert_eq!([&flow["pod"], &flow["container_id"]], expected.each_ref(), "{flow:#}");
}

#[test]
fn the_api_tells_pods_and_containers_and_no_metric_does() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (logs, cgroups) = (Logs::new()?, Cgroups::of_threads()?);
    logs.tell("shop", POD, UID)?;
    let exporter = start(&config(&pair, &logs.source()))?;
    let flows = in_pod_and_unit(&cgroups, &pair)?;
    let subnet = pair.subnet()?.name();
    let shown = |workload: &str| -> Result<Vec<Value>> {
        let page = exporter.get(&format!("/api/v1/flows?workload={workload}&subnet={subnet}"), "*/*")?;
        let answer: Value = serde_json::from_str(&page.body)?;
        Ok(answer["flows"].as_array().context("no flows")?.clone())
    };
    for (workload, expected) in [
        ("web", [POD.into(), CONTAINER.into()]),
        ("unit.service", [Value::Null, Value::Null]),
    ] {
        let shown = shown(workload)?;
        // Both ends are of the cgroup that has made both sockets.
        assert_eq!(shown.len(), 2, "{shown:#?}");
        for flow in &shown {
            require_instance(flow, expected.clone());
        }
    }
    let page = exporter.get("/metrics", PROMETHEUS_TEXT)?.body;
    assert!(page.contains("workload=\"web\"") && !page.contains(POD) && !page.contains(CONTAINER));
    drop(flows);
    Ok(())
}

#[test]
fn without_a_source_nobody_tells_pods() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(&pair.config())?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    let page = exporter.get("/api/v1/flows?limit=1", "*/*")?;
    let answer: Value = serde_json::from_str(&page.body)?;
    let first = answer["flows"][0].as_object().context("no flow")?;
    assert!(
        !first.contains_key("pod") && !first.contains_key("container_id"),
        "{first:#?}"
    );
    drop(flow);
    Ok(())
}

#[test]
fn top_tells_pods_and_containers() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (logs, cgroups) = (Logs::new()?, Cgroups::of_threads()?);
    logs.tell("shop", POD, UID)?;
    let config = config_file(&format!("{}workloads: {}\n", pair.config(), logs.source()))?;
    let path = config.path().to_str().context("a path that is text")?;
    let flows = in_pod_and_unit(&cgroups, &pair)?;
    let arguments = [
        "top",
        "--once",
        "--interval=300ms",
        "--output=json",
        "--workload=web",
        "--config.file",
        path,
    ];
    let printed = pair.client.run(|| run(&arguments))?;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let printed: Value = serde_json::from_str(&printed.stdout)?;
    assert_eq!(printed["total"], 1, "{printed:#}");
    require_instance(&printed["flows"][0], [POD.into(), CONTAINER.into()]);
    drop(flows);
    Ok(())
}

#[test]
fn a_trace_and_what_it_recorded_tell_pods_and_containers() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (logs, cgroups) = (Logs::new()?, Cgroups::of_threads()?);
    logs.tell("shop", POD, UID)?;
    let config = format!("{}workloads: {}\n", pair.config(), logs.source());
    let subnet = pair.subnet()?.name();
    let arguments = ["--output=binary", "--interval=0", "--subnet", &subnet, "--event=close"];
    let trace = Trace::start(&config, &arguments, To::File)?;
    for flow in in_pod_and_unit(&cgroups, &pair)? {
        flow.finish()?;
    }
    let recorded = trace.stop(Signal::SIGINT)?;
    let events = objects(&recorded.reprint(&["--output=json"])?.stdout)?;
    let mut told: Vec<_> = events
        .iter()
        .map(|event| ["workload", "pod", "container_id"].map(|name| event[name].clone()))
        .collect();
    told.sort_by_key(|told| told[0].to_string());
    let of_unit: [Value; 3] = ["unit.service".into(), "".into(), "".into()];
    let of_pod: [Value; 3] = ["web".into(), POD.into(), CONTAINER.into()];
    assert_eq!(told, [of_unit.clone(), of_unit, of_pod.clone(), of_pod], "{events:#?}");
    let text = recorded.reprint(&["--output=seed", "--workload=web"])?;
    for line in text.stdout.lines() {
        assert!(
            line.ends_with(&format!(" pod={POD} container_id={CONTAINER}")),
            "{line}"
        );
    }
    Ok(())
}
