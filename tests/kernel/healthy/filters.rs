//! Filters, queues and programs that accept.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::kernel::counters::Queue;
use tests::machine::wait::until_stable;
use tests::net::devices::xdp::{Mode, Verdict, Xdp};
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::pair::DEVICE;
use tests::net::subnet::{CLIENT, Family, SERVER};

use super::talk::everything;
use crate::suite::Stage;

/// Rules in each hook of the server that count and accept.
pub(super) fn accepting(stage: &Stage) -> Result<()> {
    let chain =
        |hook| format!("chain {hook} {{\n type filter hook {hook} priority 0; policy drop;\n counter accept\n }}\n");
    let chains: String = ["prerouting", "input", "output", "postrouting"].map(chain).concat();
    nft::load(stage.server(), &format!("table inet accepting {{\n{chains}}}\n"))?;
    everything(stage, stage.subnet())
}

pub(super) const TRACKED: &str = "table inet tracked {\n chain input {\n type filter hook input priority 0; policy drop;\n \
    ct state established,related accept\n ct state new accept\n }\n}\n";

pub(super) fn tracked(stage: &Stage) -> Result<()> {
    for end in [stage.client(), stage.server()] {
        nft::load(end, TRACKED)?;
    }
    everything(stage, stage.subnet())?;
    // Tracked fragments are put together before, and sent on as one.
    super::datagrams::large(stage)?;
    super::echo::in_fragments(stage)
}

pub(super) const TRANSLATED: &str = "table ip translated {\n chain pre {\n type nat hook prerouting priority -100; policy accept;\n \
    tcp dport 8080 redirect to :8081\n }\n}\n";

pub(super) fn translated(stage: &Stage) -> Result<()> {
    nft::load(stage.server(), TRANSLATED)?;
    let at = |port: u16| stage.to(Family::V4, port);
    let listener = tests::net::traffic::listen(stage.server(), at(8081))?;
    for _ in 0..5 {
        let flow = super::talk::through(&listener, stage.client(), at(8080))?;
        flow.exchange(100_000, 100_000)?;
        flow.finish()?;
    }
    Ok(())
}

pub(super) const BYPASSED: &str = "table inet bypassed {\n chain input {\n type filter hook input priority 0; policy accept;\n \
    queue num 7 bypass\n }\n}\n";

pub(super) fn bypassed(stage: &Stage) -> Result<()> {
    nft::load(stage.server(), BYPASSED)?;
    everything(stage, stage.subnet())
}

/// A queueing discipline that has room for all.
pub(super) fn queued(stage: &Stage, words: &str) -> Result<()> {
    stage
        .client()
        .exec(&format!("tc qdisc add dev {DEVICE} root {words}"))?;
    everything(stage, stage.subnet())?;
    until_stable("the queue", Duration::from_millis(100), || {
        Queue::read(stage.client(), DEVICE)
    })?;
    let drops = Queue::read(stage.client(), DEVICE)?.drops;
    ensure!(drops == 0, "the queue dropped {drops}");
    Ok(())
}

/// A classifier that lets pass, both ways.
pub(super) fn classified(stage: &Stage, words: &str) -> Result<()> {
    let tc = |line: String| stage.server().exec(&format!("tc {line}"));
    tc(format!("qdisc add dev {DEVICE} clsact"))?;
    for way in ["ingress", "egress"] {
        tc(format!("filter add dev {DEVICE} {way} {words}"))?;
    }
    everything(stage, stage.subnet())
}

/// An XDP program that lets pass. The length is that of the frames of no packet; all others pass too.
fn passing(stage: &Stage, mode: Mode) -> Result<()> {
    const PASS: i32 = 2;
    let programs = [stage.client(), stage.server()]
        .map(|end| Xdp::attach(end, DEVICE, mode, ("passing", Verdict::Return(PASS)), 999))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    everything(stage, stage.subnet())?;
    super::datagrams::large(stage)?;
    drop(programs);
    Ok(())
}

pub(super) fn passing_generic(stage: &Stage) -> Result<()> {
    passing(stage, Mode::Generic)
}

pub(super) fn passing_driver(stage: &Stage) -> Result<()> {
    passing(stage, Mode::Driver)
}

/// The server routes between two others.
pub(super) fn routed(stage: &Stage) -> Result<()> {
    let host = routed_host(stage)?;
    for family in Family::BOTH {
        let to = (stage.second().address(family, SERVER), 8080).into();
        let flow = super::talk::flow(stage.client(), &host, to)?;
        flow.exchange(300_000, 300_000)?;
        flow.finish()?;
        let to = (stage.second().address(family, SERVER), 9000).into();
        let receiver = super::talk::datagrams(&host, to)?;
        let sender = super::talk::any_port(stage.client(), family)?;
        super::talk::question_and_answer(&sender, &receiver, to, 5, 4000)?;
    }
    Ok(())
}

/// Link-layer addresses of the ends of the second cable.
const NEAR: &str = "02:00:00:00:01:01";
const FAR: &str = "02:00:00:00:01:02";

/// A third namespace behind the server, on the second subnet.
fn routed_host(stage: &Stage) -> Result<Namespace> {
    let host = Namespace::new()?;
    let (near, far) = (stage.subnet(), stage.second());
    let names = (stage.server().name(), host.name());
    tests::net::namespace::host(&format!(
        "ip link add far0 address {NEAR} netns {} type veth peer name {DEVICE} address {FAR} netns {}",
        names.0, names.1
    ))?;
    for setting in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
        stage.server().set(setting)?;
    }
    let ends = [
        (stage.server(), "far0", CLIENT, (SERVER, FAR)),
        (&host, DEVICE, SERVER, (CLIENT, NEAR)),
    ];
    // What one end says of its addresses needs the other.
    for (end, device, ..) in ends {
        end.ip(&[
            format!("link set dev {device} addrgenmode none"),
            format!("link set dev {device} up"),
        ])?;
    }
    for (end, device, address, (other, hardware)) in ends {
        end.ip(&[
            format!("address add {}/24 dev {device}", far.v4(address)),
            format!("address add {}/64 dev {device} nodad", far.v6(address)),
            format!(
                "neighbour replace {} lladdr {hardware} dev {device} nud permanent",
                far.v4(other)
            ),
            format!(
                "neighbour replace {} lladdr {hardware} dev {device} nud permanent",
                far.v6(other)
            ),
        ])?;
    }
    stage.client().ip(&[
        format!("route add {}/24 via {}", far.v4(0), near.v4(SERVER)),
        format!("route add {}/64 via {}", far.v6(0), near.v6(SERVER)),
    ])?;
    host.ip(&[
        format!("route add default via {}", far.v4(CLIENT)),
        format!("route add ::/0 via {}", far.v6(CLIENT)),
    ])?;
    Ok(host)
}
