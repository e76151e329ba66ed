//! Retransmissions that this host has caused by drops of its own, wherever on its ways, against a judge that reads captures of both
//! ends alone; and none for what is lost beyond it.

mod at_once;
mod judge;
mod strangers;

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Launch, config_file, run, start};
use tests::kernel::counters::Counters;
use tests::kernel::kernel_facts::{has_type_name, note, skip};
use tests::kernel::tcp_info::TcpInfo;
use tests::kernel::tracing::ftrace::has_field;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::path::Path;
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{CLIENT, Family, SERVER, Subnet, config};
use tests::net::traffic::{Flow, connect, listen, settle};

use judge::Captures;

const AFTER_DROP: &str = "tcpvitals_tcp_retransmitted_segments_after_local_drop_total";
const RETRANSMITTED: &str = "tcpvitals_tcp_retransmitted_segments_total";
const OF_SITES: &str = "tcpvitals_dropped_segments_retransmitted_total";

/// Bytes that a flow carries.
const VOLUME: usize = 3_000_000;

/// Whether this kernel gives types to addresses, without which the account is off; says so where not, and requires that the exporter
/// says it too.
fn is_there() -> Result<bool> {
    if has_type_name("bpf_rdonly_cast")? {
        return Ok(true);
    }
    let exporter = start("{}")?;
    let ready = exporter.get("/readyz", "*/*")?.body;
    let reason = "local_loss: off: this kernel has no typed pointers for programs (bpf_rdonly_cast, Linux 6.2)";
    ensure!(ready.contains(reason), "{ready}");
    skip("this kernel has no typed pointers for programs");
    Ok(false)
}

/// Opens a connection along a path to an address that the server has or stands for.
fn open(path: &Path, to: SocketAddr, at: SocketAddr) -> Result<Flow> {
    let listener = listen(&path.server, at)?;
    let client = connect(&path.client, to)?;
    let (server, _) = listener.accept().context("accept a connection")?;
    Ok(Flow { client, server })
}

/// Drops on the host what it forwards of the connection's data, one packet in so many.
fn lossy(one_in: u32) -> String {
    format!(
        "table inet loss {{\n\
         \x20 counter dropped {{ }}\n\
         \x20 chain lossy {{\n\
         \x20   type filter hook forward priority 0; policy accept;\n\
         \x20   meta l4proto tcp ct original proto-dst 443 ct direction original meta length > 200 numgen random mod {one_in} == 0 \
         counter name dropped drop\n\
         \x20 }}\n\
         }}\n"
    )
}

/// What the host of a path does to addresses.
fn translated(path: &Path, how: &str) -> Result<(SocketAddr, SocketAddr)> {
    let server: SocketAddr = (path.far.address(Family::V4, SERVER), 443).into();
    let rule = match how {
        "source" => format!(
            "chain out {{ type nat hook postrouting priority 100; oifname {} masquerade; }}",
            Path::FAR
        ),
        "destination" => format!(
            "chain in {{ type nat hook prerouting priority -100; tcp dport 443 dnat to {}:8443; }}",
            path.far.v4(SERVER)
        ),
        _ => return Ok((server, server)),
    };
    nft::load(&path.host, &format!("table ip translation {{\n{rule}\n}}\n"))?;
    Ok(if how == "destination" {
        (
            (path.near.address(Family::V4, SERVER), 443).into(),
            (server.ip(), 8443).into(),
        )
    } else {
        (server, server)
    })
}

fn sum(scrape: &Scrape, metric: &str, subnet: &str) -> Result<f64> {
    scrape.sum(metric, &[("subnet", subnet)])
}

/// The subnet that the client's flow counts for.
fn subnet_of(path: &Path, to: IpAddr) -> Subnet {
    if to == path.far.address(Family::V4, SERVER) {
        path.far
    } else {
        path.near
    }
}

#[test]
fn what_the_host_of_a_pod_drops_equals_the_judgement_of_both_captures() -> Result<()> {
    let _turn = turn::alone()?;
    if !is_there()? {
        return Ok(());
    }
    for (how, one_in, one_segment) in [
        ("none", 20, false),
        ("none", 100, true),
        ("source", 30, false),
        ("destination", 30, true),
    ] {
        let path = Path::new()?;
        let exporter = start(path.config())?;
        if one_segment {
            path.client.exec("ip link set dev veth0 gso_max_segs 1")?;
        }
        let (to, at) = translated(&path, how)?;
        nft::load(&path.host, &lossy(one_in))?;
        let captures = Captures::start(&path.client, &path.server)?;
        let flow = open(&path, to, at)?;
        flow.exchange(VOLUME, 1000)?;
        settle(std::slice::from_ref(&flow))?;
        let info = TcpInfo::of(&flow.client)?;
        let judged = captures.finish()?.judge(flow.client.local_addr()?, info.snd_mss)?;
        let scrape = exporter.scrape()?;
        let subnet = subnet_of(&path, to.ip()).name();
        let case = format!("{how}, 1 in {one_in}: {judged:?}, {} repeated", info.total_retrans);
        note(&case);
        ensure!(judged.after_drop > 5, "{case}");
        assert_eq!(
            sum(&scrape, RETRANSMITTED, &subnet)?,
            f64::from(info.total_retrans),
            "{case}"
        );
        assert_eq!(judged.repeated, u64::from(info.total_retrans), "{case}");
        assert_eq!(sum(&scrape, AFTER_DROP, &subnet)?, judged.after_drop as f64, "{case}");
        let of_filter = scrape.sum(OF_SITES, &[("reason", "NETFILTER_DROP"), ("source", "software")])?;
        assert_eq!(of_filter, judged.after_drop as f64, "{case}");
    }
    Ok(())
}

/// Tail drop of the own queue and of the own filter: what TCP learns of at once is no retransmission, all others are of the drop.
#[test]
fn every_retransmission_is_after_a_drop_where_nothing_else_loses() -> Result<()> {
    require_all_after_drops(&[
        (Family::V4, "queue"),
        (Family::V6, "queue"),
        (Family::V4, "output"),
        (Family::V4, "receiver"),
        (Family::V6, "receiver"),
    ])
}

/// A queue that drops its oldest packet for a new one: TCP takes both for sent.
#[test]
fn every_retransmission_is_after_a_drop_at_the_head_of_a_queue() -> Result<()> {
    require_all_after_drops(&[(Family::V4, "head of the queue"), (Family::V6, "head of the queue")])
}

/// A queue that cuts packets and has room for some of their segments: then TCP takes all of these for sent, and where there was room for
/// none it hears of it. Before Linux 6.17 no hook reports retransmissions that were refused.
#[test]
fn every_retransmission_is_after_a_drop_where_a_queue_takes_parts_of_packets() -> Result<()> {
    let _turn = turn::alone()?;
    if !is_there()? {
        return Ok(());
    }
    for (family, room) in [
        (Family::V4, 2_000),
        (Family::V6, 2_000),
        (Family::V4, 4_000),
        (Family::V6, 6_000),
    ] {
        let pair = Pair::new()?;
        let exporter = start(pair.config())?;
        let flow = Flow::open(&pair, family, 443)?;
        pair.client.exec(&format!(
            "tc qdisc add dev veth0 root tbf rate 20mbit burst 2000 limit {room}"
        ))?;
        flow.exchange(300_000, 1000)?;
        settle(std::slice::from_ref(&flow))?;
        let info = TcpInfo::of(&flow.client)?;
        let scrape = exporter.scrape()?;
        let subnet = pair.subnet()?.name();
        let labels = [("subnet", &*subnet), ("role", "client")];
        let after_drop = scrape.sum(AFTER_DROP, &labels)?;
        let case = format!(
            "{family:?}, room for {room}: {after_drop} of {} repeated, {info:?}",
            info.total_retrans
        );
        note(&case);
        ensure!(info.total_retrans > 2, "{case}");
        let unreported = if has_field("tcp/tcp_retransmit_skb", "err")? {
            0
        } else {
            Counters::read(&pair.client)?.get("TcpExtTCPRetransFail")?
        };
        assert_eq!(
            after_drop + f64::from(info.dsack_dups) + unreported as f64,
            f64::from(info.total_retrans),
            "{case}"
        );
    }
    Ok(())
}

fn require_all_after_drops(cases: &[(Family, &str)]) -> Result<()> {
    let _turn = turn::alone()?;
    if !is_there()? {
        return Ok(());
    }
    for (family, place) in cases.iter().copied() {
        let pair = Pair::one_segment_per_packet()?;
        let exporter = start(pair.config())?;
        let flow = Flow::open(&pair, family, 443)?;
        match place {
            "queue" => {
                pair.client
                    .exec("tc qdisc add dev veth0 root tbf rate 400mbit burst 5kb limit 20kb")?;
            }
            // What it drops TCP takes for sent: the oldest packet, for a new one.
            "head of the queue" => {
                pair.client
                    .exec("tc qdisc add dev veth0 root handle 1: tbf rate 400mbit burst 5kb limit 200kb")?;
                pair.client
                    .exec("tc qdisc add dev veth0 parent 1:1 pfifo_head_drop limit 10")?;
            }
            "output" => nft::drop_matching(&pair.client, "output", "tcp dport 443 numgen random mod 50 == 0")?,
            _ => nft::drop_matching(&pair.server, "input", "tcp dport 443 numgen random mod 50 == 0")?,
        }
        flow.exchange(VOLUME, 1000)?;
        settle(std::slice::from_ref(&flow))?;
        let info = TcpInfo::of(&flow.client)?;
        let scrape = exporter.scrape()?;
        let subnet = pair.subnet()?.name();
        note(&format!(
            "{family:?} {place}: {} repeated, {} duplicates",
            info.total_retrans, info.dsack_dups
        ));
        let is_told_at_once = matches!(place, "queue" | "output");
        ensure!(
            is_told_at_once || info.total_retrans > 10,
            "{family:?} {place}: {info:?}"
        );
        let needless = f64::from(info.dsack_dups);
        let after_drop = scrape.sum(AFTER_DROP, &[("subnet", &subnet), ("role", "client")])?;
        assert_eq!(
            after_drop + needless,
            f64::from(info.total_retrans),
            "{family:?} {place}"
        );
        let of_sites = scrape.sum(OF_SITES, &[("subnet", &subnet)])?;
        assert_eq!(
            of_sites,
            scrape.sum(AFTER_DROP, &[("subnet", &subnet)])?,
            "{family:?} {place}"
        );
    }
    Ok(())
}

/// A tunnel's packets are dropped by their own headers, and count by those inside.
#[test]
fn what_a_tunnel_loses_is_of_the_connections_inside() -> Result<()> {
    let _turn = turn::alone()?;
    if !is_there()? {
        return Ok(());
    }
    for (words, hook) in [
        ("type vxlan id 9 dstport 4791", "output"),
        ("type vxlan id 9 dstport 4791", "prerouting"),
        ("type gre", "output"),
        ("type ipip", "prerouting"),
    ] {
        let case = format!("{words}, {hook}");
        let (pair, inner) = (Pair::new()?, Subnet::take()?);
        let outer = pair.subnet()?;
        let mut is_there = true;
        for (end, own, other) in [(&pair.client, CLIENT, SERVER), (&pair.server, SERVER, CLIENT)] {
            let made = end.exec(&format!(
                "ip link add name inside0 {words} local {} remote {}",
                outer.v4(own),
                outer.v4(other)
            ));
            if let Err(error) = made {
                skip(&format!("{case}: {error:#}"));
                is_there = false;
                break;
            }
            end.ip(&[
                "link set dev inside0 addrgenmode none up".to_owned(),
                format!("address add {}/24 dev inside0", inner.v4(own)),
            ])?;
        }
        if !is_there {
            continue;
        }
        let exporter = start(config(&[inner, outer]))?;
        let dropping = if hook == "output" { &pair.client } else { &pair.server };
        let rule = format!(
            "ip daddr {} meta l4proto != tcp meta length > 200 numgen inc mod 30 == 15",
            outer.v4(SERVER)
        );
        nft::drop_matching(dropping, hook, &rule)?;
        let to = SocketAddr::from((inner.address(Family::V4, SERVER), 443));
        let captures = Captures::start(&pair.client, &pair.server)?;
        let listener = listen(&pair.server, to)?;
        let flow = Flow::through(&listener, &pair, to)?;
        flow.exchange(VOLUME, 1000)?;
        settle(std::slice::from_ref(&flow))?;
        let info = TcpInfo::of(&flow.client)?;
        let judged = captures.finish()?.judge(flow.client.local_addr()?, info.snd_mss)?;
        let scrape = exporter.scrape()?;
        note(&format!("{case}: {judged:?}, {} repeated", info.total_retrans));
        ensure!(judged.after_drop > 5, "{case}: {judged:?}");
        assert_eq!(judged.repeated, u64::from(info.total_retrans), "{case}");
        let after_drop = scrape.sum(AFTER_DROP, &[("subnet", &inner.name()), ("role", "client")])?;
        assert_eq!(after_drop, judged.after_drop as f64, "{case}");
        let of_filter = scrape.sum(OF_SITES, &[("reason", "NETFILTER_DROP"), ("subnet", &outer.name())])?;
        assert_eq!(of_filter, after_drop, "{case}");
    }
    Ok(())
}

/// A flow of which all that is lost is lost here, while `top` looks.
#[test]
fn top_says_whose_the_loss_is() -> Result<()> {
    let _turn = turn::alone()?;
    if !is_there()? {
        return Ok(());
    }
    let pair = Pair::one_segment_per_packet()?;
    let config = config_file(&pair.config())?;
    let file = config.path().to_str().context("a path that is no text")?;
    let subnet = pair.subnet()?.name();
    let flow = Flow::open(&pair, Family::V4, 443)?;
    nft::drop_matching(&pair.server, "input", "tcp dport 443 numgen inc mod 50 == 25")?;
    let top = |view: &str, more: &[&str]| {
        let of = [
            "top",
            "--once",
            "--interval=3s",
            "--config.file",
            file,
            "--subnet",
            &subnet,
        ];
        let arguments = [&of[..], &["--role=client", "--view", view], more].concat();
        std::thread::scope(|scope| {
            let printing = scope.spawn(|| run(&arguments));
            while !printing.is_finished() {
                flow.exchange(200_000, 1000)?;
            }
            let printed = printing.join().map_err(|_panic| anyhow::anyhow!("top did not end"))??;
            ensure!(printed.code == Some(0), "{printed:?}");
            anyhow::Ok(printed.stdout)
        })
    };
    for view in ["subnets", "flows"] {
        let printed: Value = serde_json::from_str(&top(view, &["--output=json"])?)?;
        let row = &printed[view][0];
        let share = |name: &str| row[name].as_f64().with_context(|| format!("no {name} in {printed:#}"));
        // What the peer had got is sent again for nothing now and then, and what was dropped before `top` looked is unknown to it.
        let ours = share("retransmitted_after_local_drop_ratio")?;
        ensure!((0.5..=1.0).contains(&ours), "{view}: {printed:#}");
        // The receiver's namespace dropped it, not the sender's.
        ensure!(share("dropped_here_ratio")? > 0.0, "{view}: {printed:#}");
        ensure!(share("retransmit_ratio")? > 0.0, "{view}: {printed:#}");
        let text = top(view, &[])?;
        ensure!(
            text.lines().next().is_some_and(|titles| titles.contains(" OURS ")),
            "{text}"
        );
    }
    Ok(())
}

fn stage() -> Result<(Namespace, Subnet, Peer)> {
    let (namespace, subnet) = (Namespace::new()?, Subnet::take()?);
    let peer = Peer::new(&namespace, subnet)?;
    Ok((namespace, subnet, peer))
}

#[test]
fn what_is_lost_beyond_this_host_is_not_its_own() -> Result<()> {
    use std::io::Write as _;
    let _turn = turn::shared()?;
    if !is_there()? {
        return Ok(());
    }
    let (namespace, subnet, peer) = stage()?;
    let exporter = start(config(&[subnet]))?;
    let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
    for _ in 0..5 {
        client.write_all(&[1; 500])?;
        connection.take(500)?;
        // The peer says nothing: as if it had been lost.
        connection.take_again()?;
        connection.acknowledge()?;
    }
    let info = TcpInfo::of(&client)?;
    ensure!(info.total_retrans >= 5, "{info:?}");
    let scrape = exporter.scrape()?;
    assert_eq!(sum(&scrape, AFTER_DROP, &subnet.name())?, 0.0);
    assert_eq!(sum(&scrape, OF_SITES, &subnet.name())?, 0.0);
    Ok(())
}

/// What the own filter refused at once and TCP then sent as new data is not of the filter when it is lost later.
#[test]
fn what_was_refused_and_then_sent_is_not_of_the_refusal() -> Result<()> {
    use std::io::Write as _;
    let _turn = turn::shared()?;
    if !is_there()? {
        return Ok(());
    }
    let (namespace, subnet, peer) = stage()?;
    let exporter = start(config(&[subnet]))?;
    let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
    nft::drop_matching(&namespace, "output", "tcp dport 80")?;
    client.write_all(&[1; 500])?;
    until(
        "a refusal",
        || Ok((nft::dropped(&namespace)?.packets > 0).then_some(())),
    )?;
    nft::flush(&namespace)?;
    connection.take(500)?;
    connection.take_again()?;
    connection.acknowledge()?;
    let info = TcpInfo::of(&client)?;
    ensure!(info.total_retrans >= 1, "{info:?}");
    let scrape = exporter.scrape()?;
    assert_eq!(sum(&scrape, AFTER_DROP, &subnet.name())?, 0.0);
    Ok(())
}

#[test]
fn it_can_be_switched_off() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = Launch::new(format!("{}local_loss: {{enabled: false}}\n", pair.config())).start()?;
    let scrape = exporter.scrape()?;
    for metric in [AFTER_DROP, OF_SITES, "tcpvitals_local_losses_forgotten_total"] {
        assert_eq!(scrape.matching(metric, &[]).count(), 0, "{metric}");
    }
    Ok(())
}
