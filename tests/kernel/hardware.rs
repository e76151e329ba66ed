//! Packets that hardware drops and hands to the kernel: as many for each trap and each group as the kernel itself counts.
//!
//! The hardware is netdevsim, which pretends to trap a packet of each kind every tenth of a second while its port is up. Where the
//! kernel does not have it, nothing is tested.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::exporter::start;
use tests::kernel::kernel_facts::skip;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::host;

const BUS: &str = "/sys/bus/netdevsim";
const DEVICE: &str = "netdevsim/netdevsim77";
const PACKETS: &str = "tcpvitals_dropped_packets_total";
const BYTES: &str = "tcpvitals_dropped_bytes_total";
/// The source address of every packet that netdevsim makes up.
const CONFIG: &str = "subnets: [{name: simulated, cidrs: [192.0.2.1/32]}]\ncollect: {max_age: 1ms}\n";

/// A device of netdevsim with one port; removed on drop.
struct Simulated;

impl Simulated {
    fn new() -> Result<Self> {
        fs::write(format!("{BUS}/new_device"), "77 1").context("make a netdevsim device")?;
        Ok(Self)
    }

    /// Switches the port, and with it the traffic.
    fn switch(&self, state: &str) -> Result<()> {
        let path = Path::new("/sys/bus/netdevsim/devices/netdevsim77/net");
        let port = fs::read_dir(path)?
            .next()
            .context("a netdevsim device without a port")??;
        host(&format!("ip link set dev {} {state}", port.file_name().display()))?;
        Ok(())
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        fs::write(format!("{BUS}/del_device"), "77").ok();
    }
}

/// What the kernel counted of a trap.
#[derive(Clone, Debug, PartialEq)]
struct Trap {
    name: String,
    group: String,
    kind: String,
    packets: f64,
    bytes: f64,
}

/// All traps of the device, by devlink(8).
fn traps() -> Result<Vec<Trap>> {
    let listed: Value = serde_json::from_str(&host("devlink -j -s trap show")?)?;
    let traps = listed["trap"][DEVICE].as_array().context("devlink lists no traps")?;
    traps
        .iter()
        .map(|trap| {
            let text = |key: &str| {
                trap[key]
                    .as_str()
                    .map(str::to_owned)
                    .with_context(|| format!("{trap} has no {key}"))
            };
            let count = |key: &str| {
                trap["stats"]["rx"][key]
                    .as_f64()
                    .with_context(|| format!("{trap} has no {key}"))
            };
            Ok(Trap {
                name: text("name")?,
                group: text("group")?,
                kind: text("type")?,
                packets: count("packets")?,
                bytes: count("bytes")?,
            })
        })
        .collect()
}

/// All but those of control traffic, which is not dropped.
fn reported(traps: &[Trap]) -> impl Iterator<Item = &Trap> {
    traps.iter().filter(|trap| trap.kind != "control")
}

#[test]
fn hardware_drops_equal_the_kernels_own_statistics() -> Result<()> {
    let _turn = turn::alone()?;
    if !Path::new(BUS).exists() {
        skip(&format!("no device here can trap packets: {BUS} is missing"));
        return Ok(());
    }
    let exporter = start(CONFIG)?;
    let device = Simulated::new()?;
    for trap in reported(&traps()?).filter(|trap| trap.kind == "drop") {
        host(&format!("devlink trap set {DEVICE} trap {} action trap", trap.name))?;
    }
    device.switch("up")?;
    until("every trap to be hit ten times", || {
        Ok(reported(&traps()?).all(|trap| trap.packets >= 10.0).then_some(()))
    })?;
    device.switch("down")?;
    let traps = traps()?;
    let scrape = exporter.scrape()?;
    let of_hardware = |metric, label| scrape.by(metric, label, &[("source", "hardware")]);
    let expected = |key: fn(&Trap) -> &str, count: fn(&Trap) -> f64| {
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for trap in reported(&traps) {
            *sums.entry(key(trap).to_owned()).or_default() += count(trap);
        }
        sums
    };
    let name: fn(&Trap) -> &str = |trap| &trap.name;
    let group: fn(&Trap) -> &str = |trap| &trap.group;
    assert_eq!(of_hardware(PACKETS, "location")?, expected(name, |trap| trap.packets));
    assert_eq!(of_hardware(PACKETS, "reason")?, expected(group, |trap| trap.packets));
    assert_eq!(of_hardware(BYTES, "location")?, expected(name, |trap| trap.bytes));
    // Every one of these packets is a datagram from the same address, by way of the same port.
    let all: f64 = reported(&traps).map(|trap| trap.packets).sum();
    // It has a bus behind it, as hardware has.
    for (label, value) in [
        ("protocol", "udp"),
        ("direction", "receive"),
        ("subnet", "simulated"),
        ("connection_type", "wired"),
    ] {
        assert_eq!(of_hardware(PACKETS, label)?, [(value.to_owned(), all)].into());
    }
    for (location, class) in [
        ("blackhole_route", "policy"),
        ("tail_drop", "capacity"),
        ("ttl_value_is_too_small", "benign"),
    ] {
        let classes = scrape.by(PACKETS, "class", &[("source", "hardware"), ("location", location)])?;
        assert_eq!(classes.keys().collect::<Vec<_>>(), [class], "{location}");
    }
    Ok(())
}
