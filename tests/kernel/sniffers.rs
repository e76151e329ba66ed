//! Copies of packets for sniffers, which the kernel frees where a sniffer has no room or wants none.

use std::net::UdpSocket;

use anyhow::{Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use tests::exporter::start;
use tests::kernel::counters::Counters;
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::pair::of_each_family;
use tests::net::socket::set_option;
use tests::net::traffic::send_datagrams;

const PACKETS: &str = "tcpvitals_dropped_packets_total";

/// A socket that gets every packet of a namespace.
fn sniffer(namespace: &Namespace, kind: Type) -> Result<Socket> {
    // ETH_P_ALL, in network byte order.
    const ALL: i32 = 0x0300;
    namespace.run(|| Ok(Socket::new(Domain::PACKET, kind, Some(Protocol::from(ALL)))?))
}

#[test]
fn copies_of_what_goes_out_are_benign_and_go_out() -> Result<()> {
    const PACKET_FANOUT: i32 = 18;
    const GROUP: i32 = 78;
    // Where sniffers are of no namespace until a packet comes, what others send would be freed here, too.
    let _turn = turn::alone()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        let receiver = pair.server.run(|| Ok(UdpSocket::bind(pair.to(family, 4000)?)?))?;
        // Some kernels offer it what every namespace sends.
        let stranger = Namespace::new()?;
        let shared = sniffer(&stranger, Type::RAW)?;
        set_option(&shared, libc::SOL_PACKET, PACKET_FANOUT, GROUP)?;
        // With the link-layer header and without it, one after the other: of several sniffers only the last frees the copy.
        for kind in [Type::RAW, Type::DGRAM] {
            let small = sniffer(&pair.client, kind)?;
            small.set_recv_buffer_size(1)?;
            for _ in 0..20 {
                send_datagrams(&pair.client, pair.to(family, 4000)?, 1, 1000)?;
                receiver.recv(&mut [0; 2000])?;
            }
        }
        Counters::at_rest(&pair.client)?;
        let scrape = exporter.scrape()?;
        let name = pair.subnet()?.name();
        let labels = [("subnet", &*name), ("protocol", "udp")];
        let rows: Vec<_> = scrape
            .matching(PACKETS, &labels)
            .filter(|(_, packets)| *packets != 0.0)
            .collect();
        ensure!(!rows.is_empty(), "the sniffers had room for all");
        for (series, packets) in rows {
            let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
            let of_copies = (label("class"), label("direction"));
            ensure!(
                of_copies == ("benign", "transmit"),
                "{packets} packets are {of_copies:?}: {:?}",
                series.labels
            );
        }
    }
    Ok(())
}
