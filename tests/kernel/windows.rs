//! Zero windows, delivery rates, and what paths and peers take, against `TCP_INFO` and the namespace's counters.

use std::io::Write as _;

use anyhow::Result;
use tests::exporter::scrape::Scrape;
use tests::exporter::start;
use tests::kernel::counters::Counters;
use tests::kernel::kernel_facts::note;
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::Namespace;
use tests::net::pair::{Pair, of_each_family};
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{Family, Subnet, config};
use tests::net::traffic::{Flow, receive, settle};

/// What few ask for is not shown by default.
const SHOWN: &str = "metrics: {include: [tcpvitals_*, process_*]}\n";

/// Live connections of a subnet whose peer has closed its window, and whose own window is closed.
fn zero_windows(scrape: &Scrape, labels: &[(&str, &str)]) -> Result<[f64; 2]> {
    let of = |side| scrape.sum(&format!("tcpvitals_tcp_{side}_zero_windows"), labels);
    Ok([of("peer")?, of("own")?])
}

#[test]
fn both_ends_see_a_window_that_is_zero_as_long_as_it_is() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config + SHOWN)?;
    for (family, pair) in pairs {
        let subnet = pair.subnet()?.name();
        let [client, server] = ["client", "server"].map(|role| [("subnet", &*subnet), ("role", role)]);
        let closed = || {
            let counters = Counters::read(&pair.server)?;
            Ok::<_, anyhow::Error>(
                counters.get("TcpExtTCPToZeroWindowAdv")? - counters.get("TcpExtTCPFromZeroWindowAdv")?,
            )
        };
        let flow = Flow::open(&pair, family, 443)?;
        let scrape = exporter.scrape()?;
        assert_eq!(
            (zero_windows(&scrape, &client)?, zero_windows(&scrape, &server)?),
            ([0.0; 2], [0.0; 2])
        );
        let taken = flow.fill()?;
        until("a window of zero at both ends", || {
            Ok((flow.info()?.client.snd_wnd == 0 && closed()? == 1).then_some(()))
        })?;
        let scrape = exporter.scrape()?;
        assert_eq!(zero_windows(&scrape, &client)?, [1.0, 0.0], "{family:?}");
        assert_eq!(zero_windows(&scrape, &server)?, [0.0, 1.0], "{family:?}");
        receive(&flow.server, taken)?;
        let flows = [flow];
        settle(&flows)?;
        assert_eq!(closed()?, 0);
        let scrape = exporter.scrape()?;
        assert_eq!(
            (zero_windows(&scrape, &client)?, zero_windows(&scrape, &server)?),
            ([0.0; 2], [0.0; 2])
        );
    }
    Ok(())
}

#[test]
fn the_smallest_mtu_and_mss_are_those_of_the_path_and_of_the_peer() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    let exporter = start(config(&[subnet]) + SHOWN)?;
    let sizes = || {
        let scrape = exporter.scrape()?;
        let of = |name| {
            scrape.sum(
                &format!("tcpvitals_tcp_{name}_min_bytes"),
                &[("subnet", &subnet.name())],
            )
        };
        Ok::<_, anyhow::Error>([of("path_mtu")?, of("peer_mss")?])
    };
    let offer = |mss| Offer {
        mss,
        ..Offer::default()
    };
    let (_large, _of_large) = peer.accept(&namespace, 80, offer(1200))?;
    assert_eq!(sizes()?, [1500.0, 1200.0]);
    let (mut small, mut of_small) = peer.accept(&namespace, 80, offer(900))?;
    assert_eq!(sizes()?, [1500.0, 900.0]);
    small.write_all(&[1; 900])?;
    of_small.take(900)?;
    of_small.announce_mtu(700)?;
    until("a smaller MTU", || Ok((TcpInfo::of(&small)?.pmtu == 700).then_some(())))?;
    assert_eq!(sizes()?, [700.0, 900.0]);
    Ok(())
}

/// One that has always something to send, and one that has not.
#[test]
fn delivery_rates_are_those_of_tcp_info_unless_the_application_limits_them() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config() + SHOWN)?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    flow.exchange(3_000_000, 10)?;
    let flows = [flow];
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    let mut shown = 0;
    for ends in &ends {
        for (role, info) in [("client", &ends.client), ("server", &ends.server)] {
            let of = |part| {
                let name = format!("tcpvitals_tcp_delivery_rate_bytes_per_second_{part}");
                scrape.sum(&name, &[("subnet", &*subnet), ("role", role)])
            };
            // The bit in front is that of the last measurement; the others are of TCP Fast Open.
            let is_limited = info.application_limited & 1 != 0;
            let count = f64::from(u8::from(!is_limited && info.delivery_rate != 0));
            assert_eq!(of("count")? > 0.0, count > 0.0, "{role}: {info:?}");
            assert_eq!(
                of("sum")?,
                info.delivery_rate as f64 * of("count")? * count,
                "{role}: {info:?}"
            );
            shown += u8::from(!is_limited);
        }
    }
    note(&format!(
        "{shown} of two delivery rates were not limited by the application"
    ));
    Ok(())
}
