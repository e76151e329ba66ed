//! What a receiver says, against a peer that says exactly so much.

use std::io::Write as _;
use std::net::TcpStream;
use std::rc::Rc;

use anyhow::Result;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::peer::{Connection, Offer, Peer};
use tests::net::subnet::{CLIENT, Subnet, config};
use tests::net::traffic::listen;

struct Stage {
    namespace: Namespace,
    subnet: Subnet,
    peer: Peer,
    exporter: Rc<Exporter<'static>>,
}

impl Stage {
    fn new(more: &str) -> Result<Self> {
        let subnet = Subnet::take()?;
        Self::of(subnet, Rc::new(start(config(&[subnet]) + more)?))
    }

    /// One for each case, with one exporter.
    fn for_each<Case>(cases: impl IntoIterator<Item = Case>) -> Result<Vec<(Self, Case)>> {
        let cases: Vec<(Subnet, Case)> = cases
            .into_iter()
            .map(|case| Ok((Subnet::take()?, case)))
            .collect::<Result<_>>()?;
        let subnets: Vec<Subnet> = cases.iter().map(|(subnet, _)| *subnet).collect();
        let exporter = Rc::new(start(config(&subnets))?);
        let stage = |subnet| Self::of(subnet, Rc::clone(&exporter));
        cases
            .into_iter()
            .map(|(subnet, case)| Ok((stage(subnet)?, case)))
            .collect()
    }

    fn of(subnet: Subnet, exporter: Rc<Exporter<'static>>) -> Result<Self> {
        let namespace = Namespace::new()?;
        namespace.set("net.ipv4.tcp_early_retrans=0")?;
        Ok(Self {
            peer: Peer::new(&namespace, subnet)?,
            exporter,
            namespace,
            subnet,
        })
    }

    /// A connection in which ten full segments of the kernel wait for their acknowledgment.
    fn with_ten_outstanding(&self, offer: Offer) -> Result<(TcpStream, Connection<'_>)> {
        let (mut client, mut connection) = self.peer.accept(&self.namespace, 80, offer)?;
        client.write_all(&vec![1; 10 * connection.segment_size()])?;
        connection.take(10 * connection.segment_size())?;
        Ok((client, connection))
    }

    fn sum(&self, scrape: &Scrape, metric: &str) -> Result<f64> {
        scrape.sum(
            &format!("tcpvitals_tcp_{metric}_total"),
            &[("subnet", &self.subnet.name())],
        )
    }

    /// Requires duplicate acknowledgments, SACKs, SACK blocks, segments out of order.
    #[track_caller]
    fn require(&self, expected: [u32; 4]) -> Result<()> {
        let scrape = self.exporter.scrape()?;
        let metrics = ["duplicate_acks", "sacks", "sack_blocks", "out_of_order_segments"];
        for (metric, expected) in metrics.into_iter().zip(expected) {
            assert_eq!(self.sum(&scrape, metric)?, f64::from(expected), "{metric}");
        }
        Ok(())
    }
}

#[test]
fn every_duplicate_acknowledgment_is_counted() -> Result<()> {
    let _turn = turn::shared()?;
    let cases = [(false, false, None), (true, true, Some(7)), (true, false, Some(2))];
    for (stage, (sack, timestamps, window_scale)) in Stage::for_each(cases)? {
        let offer = Offer {
            sack,
            timestamps,
            window_scale,
            ..Offer::default()
        };
        let (_client, mut connection) = stage.with_ten_outstanding(offer)?;
        stage.require([0, 0, 0, 0])?;
        connection.repeat_acknowledgment(7)?;
        stage.require([7, 0, 0, 0])?;
    }
    Ok(())
}

#[test]
fn an_acknowledgment_that_says_something_is_no_duplicate() -> Result<()> {
    let _turn = turn::shared()?;
    let stage = Stage::new("")?;
    let (mut client, mut connection) = stage.with_ten_outstanding(Offer::default())?;
    // A new window, new data acknowledged, data carried, and nothing in flight.
    connection.open_window(30_000)?;
    connection.repeat_acknowledgment(3)?;
    client.write_all(&[1; 100])?;
    connection.take(100)?;
    connection.send(b"data", 0)?;
    stage.require([0, 0, 0, 0])
}

#[test]
fn every_sack_and_every_block_is_counted() -> Result<()> {
    let _turn = turn::shared()?;
    for (stage, (blocks, timestamps)) in Stage::for_each([(1, false), (2, true), (3, true), (4, false)])? {
        let offer = Offer {
            timestamps,
            ..Offer::default()
        };
        let (_client, mut connection) = stage.with_ten_outstanding(offer)?;
        for _ in 0..5 {
            connection.acknowledge_selectively(blocks)?;
        }
        stage.require([5, 5, 5 * u32::try_from(blocks)?, 0])?;
    }
    Ok(())
}

#[test]
fn every_segment_out_of_order_is_counted() -> Result<()> {
    let _turn = turn::shared()?;
    for (stage, count) in Stage::for_each([1, 9, 100])? {
        let (client, mut connection) = stage.peer.accept(&stage.namespace, 80, Offer::default())?;
        connection.send_out_of_order(count)?;
        stage.require([0, 0, 0, count])?;
        connection.send(b"x", count)?;
        assert_eq!(TcpInfo::of(&client)?.rcv_ooopack, count);
        stage.require([0, 0, 0, count])?;
    }
    Ok(())
}

#[test]
fn a_server_hears_the_same() -> Result<()> {
    let _turn = turn::shared()?;
    let stage = Stage::new("")?;
    let listener = listen(&stage.namespace, (stage.subnet.v4(CLIENT), 80).into())?;
    let (mut server, mut connection) = stage.peer.connect(&listener, 40_000, Offer::default())?;
    server.write_all(&[1; 10_000])?;
    connection.take(10_000)?;
    connection.repeat_acknowledgment(2)?;
    connection.acknowledge_selectively(1)?;
    connection.send_out_of_order(6)?;
    let scrape = stage.exporter.scrape()?;
    let roles = scrape.by(
        "tcpvitals_tcp_out_of_order_segments_total",
        "role",
        &[("subnet", &stage.subnet.name())],
    )?;
    assert_eq!(roles, [("server".to_owned(), 6.0)].into());
    assert_eq!(stage.sum(&scrape, "duplicate_acks")?, 3.0);
    assert_eq!(stage.sum(&scrape, "sack_blocks")?, 1.0);
    Ok(())
}

#[test]
fn without_a_program_on_the_segment_path_only_the_kernels_own_counters_remain() -> Result<()> {
    let _turn = turn::shared()?;
    let stage = Stage::new("tcp: {detail: essential}\n")?;
    let (_client, mut connection) = stage.with_ten_outstanding(Offer::default())?;
    connection.repeat_acknowledgment(2)?;
    connection.send_out_of_order(4)?;
    let scrape = stage.exporter.scrape()?;
    assert_eq!(stage.sum(&scrape, "out_of_order_segments")?, 4.0);
    assert!(
        scrape
            .exposition()
            .samples
            .keys()
            .all(|series| series.name != "tcpvitals_tcp_duplicate_acks_total")
    );
    assert_eq!(
        scrape.sum("tcpvitals_program_attached", &[("program", "tcp_probe")])?,
        0.0
    );
    Ok(())
}
