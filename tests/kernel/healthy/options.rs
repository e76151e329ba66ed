//! What sockets may ask for beyond the ordinary, and copies of packets for others.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use tests::machine::settings::patience;
use tests::net::nft;
use tests::net::packet::checksum;
use tests::net::pair::DEVICE;
use tests::net::socket::{set_option, sign};
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{Flow, receive, send, send_frames};

use super::talk::{accept, any_port, datagrams, question_and_answer};
use crate::suite::Stage;
use crate::suite::packets::{ethernet, ethertype, hardware, ipv4, protocol, udp_v4};

/// A socket that is both ends of its connection: each opens it.
pub(super) fn to_itself(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let own: SocketAddr = (stage.subnet().address(family, CLIENT), 7000).into();
        let mut stream = stage.client().run(|| {
            let socket = Socket::new(Domain::for_address(own), Type::STREAM, None)?;
            socket.bind(&own.into())?;
            socket.connect(&own.into()).context("connect to itself")?;
            socket.set_read_timeout(Some(patience()))?;
            Ok(TcpStream::from(socket))
        })?;
        stream.write_all(&[1; 1000])?;
        stream.read_exact(&mut [0; 1000]).context("hear oneself")?;
    }
    Ok(())
}

/// As routers have it for BGP.
pub(super) fn signed(stage: &Stage) -> Result<()> {
    let make = |end: &tests::net::namespace::Namespace, own: SocketAddr, peer: SocketAddr| {
        end.run(|| {
            let socket = Socket::new(Domain::for_address(own), Type::STREAM, None)?;
            sign(&socket, peer.ip(), b"secret")?;
            socket.bind(&own.into())?;
            Ok(socket)
        })
    };
    let to = stage.to(Family::V4, 179);
    let from: SocketAddr = (stage.subnet().v4(CLIENT), 0).into();
    let listener = make(stage.server(), to, from)?;
    listener.listen(8)?;
    let client = make(stage.client(), from, to)?;
    client.connect(&to.into()).context("connect with a signature")?;
    let flow = Flow {
        client: client.into(),
        server: accept(&TcpListener::from(listener))?,
    };
    send(&flow.client, 50_000)?;
    receive(&flow.server, 50_000)?;
    flow.finish()?;
    Ok(())
}

/// Data that is collected for one datagram: sent at last, or given up.
pub(super) fn corked(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let to = stage.to(family, 4000);
        let (client, server) = (any_port(stage.client(), family)?, datagrams(stage.server(), to)?);
        client.connect(to)?;
        let cork = |on| set_option(&client, libc::IPPROTO_UDP, libc::UDP_CORK, on);
        for _ in 0..3 {
            cork(1)?;
            client.send(&[1; 100])?;
            client.send(&[2; 100])?;
            cork(0)?;
            ensure!(server.recv(&mut [0; 400])? == 200, "another length");
        }
        cork(1)?;
        client.send(&[3; 100])?;
    }
    Ok(())
}

/// Options of IPv4: some that only fill, and one that asks routers to look.
pub(super) fn options(stage: &Stage) -> Result<()> {
    const FILLING: [u8; 4] = [1, 1, 1, 0];
    const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];
    let to = stage.to(Family::V4, 4000);
    let server = datagrams(stage.server(), to)?;
    for bytes in [FILLING, ROUTER_ALERT] {
        let client = any_port(stage.client(), Family::V4)?;
        set_option(&client, libc::IPPROTO_IP, libc::IP_OPTIONS, i32::from_ne_bytes(bytes))?;
        question_and_answer(&client, &server, to, 5, 100)?;
    }
    Ok(())
}

/// A packet socket of the server that gets everything.
fn sniffer(stage: &Stage) -> Result<Socket> {
    const ALL: i32 = 0x0300;
    stage
        .server()
        .run(|| Ok(Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ALL)))?))
}

/// What it misses, the application gets all the same.
pub(super) fn slow_sniffer(stage: &Stage) -> Result<()> {
    let sniffer = sniffer(stage)?;
    sniffer.set_recv_buffer_size(2048)?;
    let to = stage.to(Family::V4, 9000);
    let (client, server) = (any_port(stage.client(), Family::V4)?, datagrams(stage.server(), to)?);
    question_and_answer(&client, &server, to, 40, 1000)?;
    drop(sniffer);
    Ok(())
}

/// Sniffers that share the packets among them.
pub(super) fn fanout(stage: &Stage) -> Result<()> {
    const PACKET_FANOUT: i32 = 18;
    const GROUP: i32 = 77;
    let sniffers = [sniffer(stage)?, sniffer(stage)?];
    for sniffer in &sniffers {
        set_option(sniffer, libc::SOL_PACKET, PACKET_FANOUT, GROUP)?;
    }
    let to = stage.to(Family::V4, 9000);
    let (client, server) = (any_port(stage.client(), Family::V4)?, datagrams(stage.server(), to)?);
    question_and_answer(&client, &server, to, 20, 300)
}

/// A fragment that the network brings twice: the datagram is complete, and arrives once.
pub(super) fn fragments_twice(stage: &Stage) -> Result<()> {
    let (from, to) = (stage.subnet().v4(CLIENT), stage.subnet().v4(SERVER));
    let server = datagrams(stage.server(), (to, 4000).into())?;
    let whole = udp_v4(1000, 4000, &[5; 72]);
    let part = |content: &[u8], place: [u8; 2]| {
        let mut packet = ipv4(from, to, protocol::UDP, 64, content);
        packet[4..8].copy_from_slice(&[0, 7, place[0], place[1]]);
        packet[10..12].copy_from_slice(&[0, 0]);
        let sum = checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        ethernet(hardware(SERVER), hardware(CLIENT), ethertype::IPV4, &packet)
    };
    // More fragments from 0 on, and the last from 40 on.
    let (first, last) = (part(&whole[..40], [0x20, 0]), part(&whole[40..], [0, 5]));
    send_frames(stage.client(), DEVICE, 2, &first)?;
    send_frames(stage.client(), DEVICE, 1, &last)?;
    ensure!(
        server.recv(&mut [0; 200]).context("receive what was cut")? == 72,
        "another length"
    );
    Ok(())
}

/// A filter of a device that sends a copy of each packet through another one.
pub(super) fn copied(stage: &Stage) -> Result<()> {
    stage.server().exec("ip link add copy0 type veth peer name copy1")?;
    stage.server().ip(&[
        "link set dev copy0 addrgenmode none up".to_owned(),
        "link set dev copy1 addrgenmode none up".to_owned(),
    ])?;
    nft::load(
        stage.server(),
        &format!(
            "table netdev copies {{\n chain c {{\n type filter hook ingress device {DEVICE} priority 0; policy accept;\n dup to \"copy0\"\n }}\n}}\n"
        ),
    )?;
    let flow = Flow::open(&stage.pair, Family::V4, 8080)?;
    flow.exchange(50_000, 50_000)?;
    flow.finish()?;
    Ok(())
}
