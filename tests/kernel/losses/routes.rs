//! Packets that a router does not send on, or that a host does not believe.

use std::net::UdpSocket;

use anyhow::{Result, ensure};
use tests::kernel::counters::Counters;
use tests::machine::wait::until;
use tests::net::pair::DEVICE;
use tests::net::socket::set_option;
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::send_frames;

use super::{Dropped, Told};
use crate::suite::Stage;
use crate::suite::packets::{ethernet, ethertype, hardware, ipv4, ipv6, protocol, udp_v4, udp_v6};

/// How many are lost in each way.
const COUNT: u32 = 5;

/// The server forwards to a second subnet, behind a device whose MTU is smaller and where nobody is. Gives the counters of its stack:
/// what a new device says to groups may come before the other end of its cable has a route for them, and is counted.
fn router(stage: &Stage) -> Result<Counters> {
    let (near, far) = (stage.subnet(), stage.second());
    let server = stage.server();
    for setting in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
        server.set(setting)?;
    }
    server.exec("ip link add far0 type veth peer name far1")?;
    server.ip(&[
        "link set dev far0 addrgenmode none".to_owned(),
        "link set dev far1 addrgenmode none".to_owned(),
        "link set dev far0 arp off mtu 1300 up".to_owned(),
        "link set dev far1 up".to_owned(),
        format!("address add {}/24 dev far0", far.v4(CLIENT)),
        format!("address add {}/64 dev far0 nodad", far.v6(CLIENT)),
    ])?;
    stage.client().ip(&[
        format!("route add default via {}", near.v4(SERVER)),
        format!("route add ::/0 via {}", near.v6(SERVER)),
    ])?;
    let [_, server] = stage.at_rest()?;
    Ok(server)
}

/// Sends datagrams of a size to a host, with a lifetime and whole.
fn sent(stage: &Stage, family: Family, host: std::net::IpAddr, lifetime: u32, size: usize) -> Result<()> {
    stage.client().run(|| {
        let any = match family {
            Family::V4 => "0.0.0.0:0",
            Family::V6 => "[::]:0",
        };
        let socket = UdpSocket::bind(any)?;
        match family {
            Family::V4 => {
                socket.set_ttl(lifetime)?;
                set_option(
                    &socket,
                    libc::IPPROTO_IP,
                    libc::IP_MTU_DISCOVER,
                    libc::IP_PMTUDISC_PROBE,
                )?;
            }
            Family::V6 => {
                set_option(
                    &socket,
                    libc::IPPROTO_IPV6,
                    libc::IPV6_UNICAST_HOPS,
                    i32::try_from(lifetime)?,
                )?;
                set_option(
                    &socket,
                    libc::IPPROTO_IPV6,
                    libc::IPV6_MTU_DISCOVER,
                    libc::IP_PMTUDISC_PROBE,
                )?;
            }
        }
        for _ in 0..COUNT {
            socket.send_to(&vec![0; size], (host, 9))?;
        }
        Ok(())
    })
}

/// The headers of IP and UDP.
fn headers(family: Family) -> u64 {
    match family {
        Family::V4 => 28,
        Family::V6 => 48,
    }
}

/// Requires that the server's stack counts each since `before`, and tells of them as of received packets.
fn told(stage: &Stage, before: &Counters, counter: &str, class: &'static str, each: u64) -> Result<Told> {
    let [_, server] = stage.at_rest()?;
    let lost = u64::try_from(server.since(before, counter)?)?;
    ensure!(lost == u64::from(COUNT), "the kernel counts {lost} of {counter}");
    Ok(Told::drops([Dropped::received(stage, class, lost, lost * each)]))
}

pub(super) fn lifetime_over(stage: &Stage, family: Family, counter: &str) -> Result<Told> {
    let before = router(stage)?;
    sent(stage, family, stage.second().address(family, 9), 1, 100)?;
    told(stage, &before, counter, "error", 100 + headers(family))
}

pub(super) fn too_big(stage: &Stage, family: Family, counter: &str) -> Result<Told> {
    let before = router(stage)?;
    sent(stage, family, stage.second().address(family, 9), 64, 1400)?;
    let told = told(stage, &before, counter, "error", 1400 + headers(family))?;
    // Over IPv6 the packet already has the device through which it would leave: the one that it came through is only a number.
    let connection_type = match family {
        Family::V4 => "virtual",
        Family::V6 => "unknown",
    };
    let drops = told.drops.into_iter().map(|dropped| Dropped {
        connection_type,
        ..dropped
    });
    Ok(Told::drops(drops.collect::<Vec<_>>()))
}

pub(super) fn no_route(stage: &Stage, family: Family, counter: &str) -> Result<Told> {
    let before = router(stage)?;
    sent(stage, family, stage.subnets[2].address(family, 9), 64, 100)?;
    told(stage, &before, counter, "error", 100 + headers(family))
}

/// A route of the router that says no, which the kernel does not count over IPv4. Over IPv6 it counts it as if there were no route.
pub(super) fn refused_by_a_route(stage: &Stage, family: Family, route: &str) -> Result<Told> {
    let before = router(stage)?;
    let network = match family {
        Family::V4 => format!("{}/24", stage.subnets[2].v4(0)),
        Family::V6 => format!("{}/64", stage.subnets[2].v6(0)),
    };
    stage.server().ip(&[format!("route add {route} {network}")])?;
    sent(stage, family, stage.subnets[2].address(family, 9), 64, 100)?;
    let each = 100 + headers(family);
    if family == Family::V6 && route != "blackhole" {
        return told(stage, &before, "Ip6InNoRoutes", "policy", each);
    }
    stage.at_rest()?;
    let lost = u64::from(COUNT);
    Ok(Told::drops([
        Dropped::received(stage, "policy", lost, lost * each).because(&["NOT_SPECIFIED"])
    ]))
}

/// This host is no router, and yet gets a packet for another.
pub(super) fn not_forwarding(stage: &Stage) -> Result<Told> {
    let (from, to) = (stage.subnet().v4(CLIENT), stage.second().v4(9));
    let packet = ipv4(from, to, protocol::UDP, 64, &udp_v4(1, 9, &[0; 72]));
    send_frames(
        stage.client(),
        DEVICE,
        COUNT,
        &ethernet(hardware(SERVER), hardware(CLIENT), ethertype::IPV4, &packet),
    )?;
    stage.at_rest()?;
    Ok(Told::drops([Dropped::received(
        stage,
        "error",
        COUNT.into(),
        u64::from(COUNT) * 100,
    )]))
}

/// A source that this host would reach by another way.
pub(super) fn wrong_way(stage: &Stage) -> Result<Told> {
    let server = stage.server();
    server.set(&format!("net.ipv4.conf.{DEVICE}.rp_filter=1"))?;
    server.exec("ip link add far0 type veth peer name far1")?;
    server.ip(&[
        "link set dev far0 addrgenmode none".to_owned(),
        "link set dev far1 addrgenmode none".to_owned(),
        "link set dev far0 arp off up".to_owned(),
        "link set dev far1 up".to_owned(),
        format!("address add {}/24 dev far0", stage.second().v4(CLIENT)),
    ])?;
    let [_, before] = stage.at_rest()?;
    let (from, to) = (stage.second().v4(9), stage.subnet().v4(SERVER));
    let packet = ipv4(from, to, protocol::UDP, 64, &udp_v4(1, 9, &[0; 72]));
    send_frames(
        stage.client(),
        DEVICE,
        COUNT,
        &ethernet(hardware(SERVER), hardware(CLIENT), ethertype::IPV4, &packet),
    )?;
    let told = told(stage, &before, "TcpExtIPReversePathFilter", "policy", 100)?;
    let drops = told.drops.into_iter().map(|dropped| Dropped {
        subnet: stage.second().name(),
        ..dropped.because(&["IP_RPFILTER"])
    });
    Ok(Told::drops(drops.collect::<Vec<_>>()))
}

/// A fragment whose others never come.
pub(super) fn incomplete(stage: &Stage, family: Family, counter: &str) -> Result<Told> {
    let (name, part) = match family {
        Family::V4 => {
            stage.server().set("net.ipv4.ipfrag_time=1")?;
            let (from, to) = (stage.subnet().v4(CLIENT), stage.subnet().v4(SERVER));
            let mut packet = ipv4(from, to, protocol::UDP, 64, &udp_v4(1000, 9, &[0; 72]));
            // More fragments, from 0 on.
            packet[6..8].copy_from_slice(&[0x20, 0]);
            packet[10..12].copy_from_slice(&[0, 0]);
            let sum = tests::net::packet::checksum(&packet[..20]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            (ethertype::IPV4, packet)
        }
        Family::V6 => {
            stage.server().set("net.ipv6.ip6frag_time=1")?;
            let (from, to) = (stage.subnet().v6(CLIENT), stage.subnet().v6(SERVER));
            let header = [protocol::UDP, 0, 0, 1, 0, 0, 0, 5];
            let content = [&header[..], &udp_v6((from, 1000), (to, 9), &[0; 72])].concat();
            (ethertype::IPV6, ipv6(from, to, protocol::FRAGMENT, 64, &content))
        }
    };
    send_frames(
        stage.client(),
        DEVICE,
        1,
        &ethernet(hardware(SERVER), hardware(CLIENT), name, &part),
    )?;
    until("the kernel to give up", || {
        Ok((Counters::read(stage.server())?.get(counter)? > 0).then_some(()))
    })?;
    let [_, server] = stage.at_rest()?;
    let lost = server.get(counter)?;
    ensure!(lost == 1, "the kernel counts {lost} of {counter}");
    Ok(Told::drops([
        Dropped::received(stage, "error", 1, 80).because(&["FRAG_REASM_TIMEOUT", "NOT_SPECIFIED"])
    ]))
}
