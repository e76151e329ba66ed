//! Devices on top of the cable, and the coming and going of devices and namespaces.

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};
use tests::machine::settings::patience;
use tests::net::namespace::{Namespace, host};
use tests::net::pair::DEVICE;
use tests::net::subnet::{CLIENT, Family, SERVER};

use super::talk::{ask, between, everything, flow, over, question_and_answer};
use crate::suite::Stage;

/// What a device on top of another is called.
const UPPER: &str = "upper0";

/// Longer than until a new device has asked for its address, and said which groups it is in.
const TOLD: Duration = Duration::from_millis(1500);

/// Fills the words of a device with addresses on the cable: `{own}` and `{other}`, `{own6}` and `{other6}`.
fn filled(stage: &Stage, words: &str, own: u8, other: u8) -> String {
    let subnet = stage.subnet();
    words
        .replace("{own6}", &subnet.v6(own).to_string())
        .replace("{other6}", &subnet.v6(other).to_string())
        .replace("{own}", &subnet.v4(own).to_string())
        .replace("{other}", &subnet.v4(other).to_string())
}

/// Makes a device at both ends, with addresses of the second subnet. No device says more than it is asked.
fn stacked(stage: &Stage, words: &str) -> Result<()> {
    for (end, own, other) in [(stage.client(), CLIENT, SERVER), (stage.server(), SERVER, CLIENT)] {
        let words = filled(stage, words, own, other);
        end.exec(&format!("ip link add name {UPPER} {words}"))?;
        if words.starts_with("link ") {
            // The cable's neighbors are known, and what stands on it would take that for its own.
            end.exec(&format!("ip link set dev {UPPER} arp on"))?;
        }
    }
    for end in [stage.client(), stage.server()] {
        up(end, UPPER)?;
    }
    for (end, own) in [(stage.client(), CLIENT), (stage.server(), SERVER)] {
        addressed(end, stage, UPPER, own)?;
    }
    Ok(())
}

/// Brings a device up that says nothing by itself before it has an address: what it says then shall find the other end.
fn up(end: &Namespace, device: &str) -> Result<()> {
    end.exec(&format!("ip link set dev {device} addrgenmode none")).ok();
    end.ip(&[format!("link set dev {device} up")])
}

/// Gives a device its addresses of the second subnet, up if it is not.
fn addressed(end: &Namespace, stage: &Stage, device: &str, own: u8) -> Result<()> {
    let subnet = stage.second();
    up(end, device)?;
    end.ip(&[
        format!("address add {}/24 dev {device}", subnet.v4(own)),
        format!("address add {}/64 dev {device} nodad", subnet.v6(own)),
    ])
}

/// Over a device that carries both families.
pub(super) fn stack(stage: &Stage, words: &str) -> Result<()> {
    stacked(stage, words)?;
    everything(stage, stage.second())
}

/// Over a device that carries one family.
pub(super) fn stack_for(stage: &Stage, family: Family, words: &str) -> Result<()> {
    stacked(stage, words)?;
    over(stage.client(), stage.server(), stage.second(), family)
}

/// A bridge in the server's namespace, with the address, over the cable and a second port.
pub(super) fn bridge(stage: &Stage) -> Result<()> {
    bridged(stage, "type bridge")
}

/// The same with the protocol that finds loops, which says something every two seconds.
pub(super) fn bridge_with_spanning_tree(stage: &Stage) -> Result<()> {
    bridged(stage, "type bridge stp_state 1 forward_delay 200 hello_time 100")
}

fn bridged(stage: &Stage, words: &str) -> Result<()> {
    let third = Namespace::new()?;
    let (server, name) = (stage.server(), third.name());
    host(&format!(
        "ip link add port0 netns {} type veth peer name {DEVICE} netns {name}",
        server.name()
    ))?;
    server.exec(&format!("ip link add name {UPPER} {words}"))?;
    for port in [DEVICE, "port0"] {
        server.exec(&format!("ip link set dev {port} master {UPPER} up"))?;
    }
    addressed(server, stage, UPPER, SERVER)?;
    server.exec(&format!("ip link set dev {DEVICE} arp on"))?;
    for (end, own) in [(stage.client(), CLIENT), (&third, 3)] {
        end.exec(&format!("ip link set dev {DEVICE} arp on"))?;
        addressed(end, stage, DEVICE, own)?;
    }
    // A port is silent until it is sure that there is no loop.
    tests::machine::wait::until("both ports to forward", || {
        let states = server.exec("ip -d link show master upper0")?;
        Ok((states.matches("state forwarding").count() == 2).then_some(()))
    })?;
    everything(stage, stage.second())?;
    // Through the bridge, to where it has not learned yet.
    let to = (stage.second().v4(3), 8080).into();
    let flow = flow(stage.client(), &third, to)?;
    flow.exchange(100_000, 100_000)?;
    flow.finish()?;
    Ok(())
}

/// A packet for a hardware address that the bridge has not learned goes to every port, and where it is for nobody it ends.
pub(super) fn bridge_with_unknown_unicast(stage: &Stage) -> Result<()> {
    use crate::suite::packets::{ethernet, ethertype, hardware, ipv4, protocol, udp_v4};
    let server = stage.server();
    server.exec(&format!("ip link add name {UPPER} type bridge"))?;
    server.exec(&format!("ip link set dev {DEVICE} master {UPPER} up"))?;
    addressed(server, stage, UPPER, SERVER)?;
    let subnet = stage.subnet();
    let packet = ipv4(
        subnet.v4(CLIENT),
        subnet.v4(77),
        protocol::UDP,
        64,
        &udp_v4(1, 9, &[0; 60]),
    );
    let frame = ethernet([2, 0, 0, 0, 0, 77], hardware(CLIENT), ethertype::IPV4, &packet);
    tests::net::traffic::send_frames(stage.client(), DEVICE, super::datagrams::FOREIGN, &frame)
}

/// The cable with the second subnet belongs to a routing domain of its own.
pub(super) fn routing_domain(stage: &Stage) -> Result<()> {
    for (end, own) in [(stage.client(), CLIENT), (stage.server(), SERVER)] {
        end.exec("ip link add dev vrf0 type vrf table 10")?;
        end.exec("ip link set dev vrf0 up")?;
        end.exec(&format!("ip link set dev {DEVICE} master vrf0 arp on"))?;
        addressed(end, stage, DEVICE, own)?;
    }
    // An address is that of its domain, and only there can it be bound.
    let bound = |end: &Namespace, at: SocketAddr| {
        end.run(|| {
            let socket = Socket::new(Domain::for_address(at), Type::DGRAM, None)?;
            socket.bind_device(Some(b"vrf0"))?;
            socket.bind(&at.into())?;
            socket.set_read_timeout(Some(patience()))?;
            Ok(UdpSocket::from(socket))
        })
    };
    for family in Family::BOTH {
        let at = |host, port| (stage.second().address(family, host), port).into();
        let (receiver, sender) = (
            bound(stage.server(), at(SERVER, 9000))?,
            bound(stage.client(), at(CLIENT, 0))?,
        );
        question_and_answer(&sender, &receiver, at(SERVER, 9000), 5, 600)?;
    }
    Ok(())
}

/// A second cable and the first are one.
pub(super) fn bond(stage: &Stage) -> Result<()> {
    let names = (stage.client().name(), stage.server().name());
    host(&format!(
        "ip link add other0 netns {} type veth peer name other0 netns {}",
        names.0, names.1
    ))?;
    for (end, own) in [(stage.client(), CLIENT), (stage.server(), SERVER)] {
        end.exec("ip link add dev bond0 type bond mode active-backup miimon 50")?;
        for port in [DEVICE, "other0"] {
            end.exec(&format!("ip link set dev {port} down"))?;
            end.exec(&format!("ip link set dev {port} master bond0"))?;
        }
        addressed(end, stage, "bond0", own)?;
    }
    sleep(Duration::from_millis(300));
    everything(stage, stage.second())
}

/// Devices come and go, in namespaces that are this entry's.
pub(super) fn come_and_go(stage: &Stage, devices: &[&str]) -> Result<()> {
    for device in devices {
        let words = filled(stage, device, CLIENT, SERVER);
        stage.client().exec(&format!("ip link add name {UPPER} {words}"))?;
        stage.client().exec(&format!("ip link del dev {UPPER}"))?;
    }
    Ok(())
}

/// Taps whose packets go through NAPI, as virtual machines have them.
pub(super) fn taps(stage: &Stage) -> Result<()> {
    for flags in [0x1002, 0x1012, 0x1032] {
        let tap = stage.client().run(|| {
            tests::net::socket::tap("tap0", flags).with_context(|| format!("make a tap with flags {flags:#x}"))
        })?;
        stage.client().exec("ip link set dev tap0 up")?;
        drop(tap);
    }
    Ok(())
}

/// A tap whose only queue is away: what the stack says to its groups has nobody to read it.
pub(super) fn tap_without_a_queue(stage: &Stage) -> Result<()> {
    const FLAGS: i32 = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE;
    let tap = stage
        .client()
        .run(|| tests::net::socket::tap("tap0", i16::try_from(FLAGS)?))?;
    tests::net::socket::detach_queue(&tap)?;
    stage.client().exec("ip link set dev tap0 up")?;
    sleep(TOLD);
    Ok(())
}

/// An overlay that knows no other host yet, as networks of containers begin: what the stack says to its groups goes to nobody.
pub(super) fn overlay_without_a_peer(stage: &Stage) -> Result<()> {
    for words in ["id 9 dstport 4792 nolearning", "dstport 4793 external"] {
        stage
            .client()
            .exec(&format!("ip link add name {UPPER} type vxlan {words}"))?;
        stage.client().exec(&format!("ip link set dev {UPPER} up"))?;
        sleep(TOLD);
        stage.client().exec(&format!("ip link del dev {UPPER}"))?;
    }
    Ok(())
}

/// A veth's receiving side goes over to NAPI and back.
pub(super) fn receive_offload_switched(stage: &Stage) -> Result<()> {
    use tests::net::socket::{Offload, set_offload};
    for on in [true, false, true] {
        set_offload(stage.server(), DEVICE, Offload::Gro, on)?;
        everything(stage, stage.subnet())?;
    }
    Ok(())
}

/// A container ends with connections that nobody closed.
pub(super) fn namespace_ends(stage: &Stage) -> Result<()> {
    for _ in 0..3 {
        let container = Namespace::new()?;
        let (own, other) = (container.name(), stage.server().name());
        host(&format!(
            "ip link add {UPPER} netns {other} type veth peer name eth0 netns {own}"
        ))?;
        addressed(&container, stage, "eth0", CLIENT)?;
        addressed(stage.server(), stage, UPPER, SERVER)?;
        between(&container, stage.server(), stage.second())?;
        let flow = flow(&container, stage.server(), (stage.second().v4(SERVER), 9090).into())?;
        ask(&flow, 100, 100)?;
        drop(flow.server);
        drop(flow.client);
        stage.at_rest()?;
        drop(container);
        // The kernel takes it apart in its own time.
        tests::machine::wait::until("the cable to go", || {
            Ok(stage
                .server()
                .exec(&format!("ip link show dev {UPPER}"))
                .is_err()
                .then_some(()))
        })?;
    }
    Ok(())
}

/// Address and routes change under an open connection that has nothing to send.
pub(super) fn addresses_change(stage: &Stage) -> Result<()> {
    let subnet = stage.second();
    for _ in 0..3 {
        for (end, own) in [(stage.client(), CLIENT), (stage.server(), SERVER)] {
            end.ip(&[format!("address add {}/24 dev {DEVICE}", subnet.v4(own))])?;
            end.ip(&[format!("address del {}/24 dev {DEVICE}", subnet.v4(own))])?;
        }
    }
    everything(stage, stage.subnet())
}
