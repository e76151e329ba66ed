//! The scripted peer: that the kernel counts exactly what the peer was told to say.

use std::io::{Read as _, Write as _};

use anyhow::Result;
use tests::kernel::counters::Counters;
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::packet::{datagram, flag, spoiled};
use tests::net::peer::{Connection, Offer, Peer};
use tests::net::subnet::{CLIENT, Subnet};
use tests::net::traffic::listen;

/// A namespace whose kernel keeps to what the script provokes: no probes of its own for lost tails.
fn stage() -> Result<(Namespace, Peer)> {
    let namespace = Namespace::new()?;
    namespace.set("net.ipv4.tcp_early_retrans=0")?;
    let peer = Peer::new(&namespace, Subnet::take()?)?;
    Ok((namespace, peer))
}

#[test]
fn the_kernel_shakes_hands_with_it_both_ways() -> Result<()> {
    let _turn = turn::shared()?;
    for (sack, timestamps, window_scale) in [(false, false, None), (true, true, Some(7)), (true, false, Some(0))] {
        let offer = Offer {
            sack,
            timestamps,
            window_scale,
            ..Offer::default()
        };
        let (namespace, peer) = stage()?;
        let (mut client, mut connection) = peer.accept(&namespace, 80, offer)?;
        client.write_all(&[1; 2500])?;
        connection.take(2500)?;
        connection.acknowledge()?;
        connection.send(b"answer", 0)?;
        let mut answer = [0; 6];
        client.read_exact(&mut answer)?;
        assert_eq!(&answer, b"answer");
        let info = TcpInfo::of(&client)?;
        assert_eq!((info.bytes_acked, info.bytes_received), (2501, 6));
        assert_eq!(
            info.options & 7,
            u8::from(timestamps) | u8::from(sack) << 1 | u8::from(window_scale.is_some()) << 2
        );
        assert_eq!(usize::try_from(info.snd_mss)?, connection.segment_size());

        let listener = listen(&namespace, (peer.kernel_at(0).ip().to_owned(), 8080).into())?;
        let (mut server, mut connection) = peer.connect(&listener, 40_000, offer)?;
        connection.send(&[2; 300], 0)?;
        connection.end()?;
        assert_eq!(TcpInfo::of(&server)?.bytes_received, 301);
        // Closing with data unread would be a reset.
        server.read_to_end(&mut Vec::new())?;
        drop(server);
        connection.acknowledge_end()?;
    }
    Ok(())
}

/// A connection in which ten full segments of the kernel wait for their acknowledgment.
fn with_ten_outstanding<'peer>(
    namespace: &Namespace,
    peer: &'peer Peer,
    offer: Offer,
) -> Result<(std::net::TcpStream, Connection<'peer>)> {
    let (mut client, mut connection) = peer.accept(namespace, 80, offer)?;
    client.write_all(&vec![1; 10 * connection.segment_size()])?;
    connection.take(10 * connection.segment_size())?;
    assert_eq!(connection.outstanding(), 10);
    Ok((client, connection))
}

#[test]
fn duplicate_acknowledgments_are_counted_one_by_one() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, peer) = stage()?;
    let offer = Offer {
        sack: false,
        ..Offer::default()
    };
    let (client, mut connection) = with_ten_outstanding(&namespace, &peer, offer)?;
    let (before, segments) = (Counters::read(&namespace)?, TcpInfo::of(&client)?.segs_in);
    connection.repeat_acknowledgment(2)?;
    assert_eq!(TcpInfo::of(&client)?.segs_in, segments + 2);
    assert_eq!(TcpInfo::of(&client)?.total_retrans, 0);
    connection.repeat_acknowledgment(5)?;
    connection.take_again()?;
    let info = TcpInfo::of(&client)?;
    assert_eq!(info.segs_in, segments + 7);
    let after = Counters::read(&namespace)?;
    // The third is the one that the kernel takes for a loss.
    assert_eq!(after.since(&before, "TcpExtTCPRenoRecovery")?, 1);
    assert_eq!(after.since(&before, "TcpExtTCPFastRetrans")?, 1);
    assert_eq!(info.total_retrans, 1);
    Ok(())
}

#[test]
fn selective_acknowledgments_carry_as_many_blocks_as_told() -> Result<()> {
    let _turn = turn::shared()?;
    for (blocks, timestamps) in [(1, false), (2, true), (3, true), (4, false)] {
        let (namespace, peer) = stage()?;
        let offer = Offer {
            timestamps,
            ..Offer::default()
        };
        let (client, mut connection) = with_ten_outstanding(&namespace, &peer, offer)?;
        connection.acknowledge_selectively(blocks)?;
        assert_eq!(usize::try_from(TcpInfo::of(&client)?.sacked)?, blocks);
        connection.acknowledge_selectively(blocks)?;
        assert_eq!(usize::try_from(TcpInfo::of(&client)?.sacked)?, blocks);
    }
    Ok(())
}

#[test]
fn segments_out_of_order_are_queued_one_by_one() -> Result<()> {
    let _turn = turn::shared()?;
    for count in [1, 7, 60] {
        let (namespace, peer) = stage()?;
        let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
        let before = Counters::read(&namespace)?;
        connection.send_out_of_order(count)?;
        let after = Counters::read(&namespace)?;
        assert_eq!(after.since(&before, "TcpExtTCPOFOQueue")?, i64::from(count));
        assert_eq!(TcpInfo::of(&client)?.rcv_ooopack, count);
        connection.send(b"y", count)?;
        let mut all = vec![0; 1 + usize::try_from(count)?];
        client.read_exact(&mut all)?;
        assert_eq!(TcpInfo::of(&client)?.rcv_ooopack, count);
    }
    Ok(())
}

#[test]
fn a_duplicate_of_a_retransmission_is_reported() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, peer) = stage()?;
    let (client, mut connection) = with_ten_outstanding(&namespace, &peer, Offer::default())?;
    let twice = connection.take_again()?;
    connection.acknowledge_with_dsack(twice)?;
    let info = TcpInfo::of(&client)?;
    assert_eq!((info.dsack_dups, info.unacked), (1, 0));
    assert!(info.total_retrans >= 1);
    assert_eq!(Counters::read(&namespace)?.get("TcpExtTCPDSACKRecv")?, 1);
    Ok(())
}

#[test]
fn a_closed_window_limits_the_kernel() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, peer) = stage()?;
    let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
    connection.open_window(0)?;
    client.write_all(&[1; 100])?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(TcpInfo::of(&client)?.rwnd_limited > 200_000);
    connection.open_window(1000)?;
    connection.take(100)?;
    connection.acknowledge()?;
    assert_eq!(TcpInfo::of(&client)?.unacked, 0);
    Ok(())
}

#[test]
fn resets_go_both_ways() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, peer) = stage()?;
    let (client, connection) = peer.accept(&namespace, 80, Offer::default())?;
    connection.reset()?;
    let error = (&client).read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let answer = peer.knock(9, 41_000, Offer::default())?;
    assert!(answer.has(flag::RST));
    let counters = Counters::read(&namespace)?;
    assert_eq!((counters.get("TcpEstabResets")?, counters.get("TcpOutRsts")?), (1, 1));
    Ok(())
}

#[test]
fn a_spoiled_packet_fails_its_checksum() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    let listener = listen(&namespace, (subnet.v4(CLIENT), 80).into())?;
    let packet = datagram(peer.at(1000), peer.kernel_at(2000), b"hello");
    let receiver = namespace.run(|| Ok(std::net::UdpSocket::bind(peer.kernel_at(2000))?))?;
    peer.inject(&packet)?;
    for _ in 0..5 {
        peer.inject(&spoiled(packet.clone()))?;
    }
    // The kernel counts an arrival when it is read.
    assert_eq!(receiver.recv(&mut [0; 100])?, 5);
    let counters = Counters::read(&namespace)?;
    assert_eq!(
        (counters.get("UdpInDatagrams")?, counters.get("UdpInCsumErrors")?),
        (1, 5)
    );

    let (_server, mut connection) = peer.connect(&listener, 42_000, Offer::default())?;
    let segments = Counters::read(&namespace)?.get("TcpInCsumErrors")?;
    connection.spoil(b"spoiled", 3)?;
    assert_eq!(Counters::read(&namespace)?.get("TcpInCsumErrors")?, segments + 3);
    Ok(())
}
