//! A reload changes labels and nothing else: no count is lost or doubled, none falls, and a wrong file changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, Launch};
use tests::kernel::skipped::Skipped;
use tests::machine::settings::{rest, scaled};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Ending, Flow, churn, listen, send_datagrams, settle};

use crate::account::{End, require_equal, require_equal_where};

const BYTES: &str = "tcpvitals_tcp_data_bytes_total";
const CONNECTIONS: &str = "tcpvitals_tcp_connections";
const DROPPED: &str = "tcpvitals_dropped_packets_total";
const SUCCESSFUL: &str = "tcpvitals_config_last_reload_successful";
const WHEN: &str = "tcpvitals_config_last_reload_timestamp_seconds";

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Port of the long flows, and of the short ones.
const LONG: u16 = 7001;
const SHORT: [u16; 2] = [7002, 7003];

fn start(config: &str) -> Result<Exporter<'static>> {
    Launch::new(config).arguments(&["--web.enable-lifecycle"]).start()
}

/// One of several configurations that differ in whatever may change, but for the names of the two ports: by these a test
/// finds its flows whatever their subnet is called.
fn variant(pair: &Pair, number: usize) -> Result<String> {
    let subnet = pair.subnet()?;
    let (name, v4, v6) = (subnet.name(), subnet.v4(0), subnet.v6(0));
    let protocols = format!(
        "app_protocols: [{{name: long-{name}, ports: [{LONG}]}}, {{name: short-{name}, ports: {SHORT:?}}}]\ncollect: {{max_age: 0s}}\n"
    );
    let rest = match number % 4 {
        0 => format!("subnets: [{{name: {name}, cidrs: [{v4}/24, \"{v6}/64\"]}}]\n"),
        1 => format!(
            "subnets: [{{name: moved-{name}, cidrs: [{v4}/24]}}, {{name: {name}, cidrs: [\"{v6}/64\"]}}]\n\
             drops: {{classes: [{{class: benign, reason: NETFILTER_DROP}}]}}\nlimits: {{series: 12000}}\n"
        ),
        2 => format!(
            "subnets: [{{name: moved-{name}, cidrs: [{v4}/24, \"{v6}/64\"]}}]\nsubnets_fallback: far\n\
             connection_types: [{{type: wired, interfaces: [\"veth*\"]}}]\n"
        ),
        _ => "subnets: []\nsubnets_fallback: {auto: {ipv4: 24, ipv6: 64}}\nlimits: {series: 9000}\n".to_owned(),
    };
    Ok(protocols + &rest)
}

#[test]
fn many_reloads_under_traffic_lose_and_double_nothing() -> Result<()> {
    // At least twice each variant.
    let count = usize::try_from(scaled(50))?.max(8);
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let name = pair.subnet()?.name();
    nft::drop_matching(&pair.server, "input", "udp dport 4000")?;
    let exporter = start(&variant(&pair, 0)?)?;
    let mut long = Vec::new();
    for family in FAMILIES {
        let to = pair.to(family, LONG)?;
        let listener = listen(&pair.server, to)?;
        for _ in 0..2 {
            long.push(Flow::through(&listener, &pair, to)?);
        }
    }
    let stop = AtomicBool::new(false);
    let short: Vec<_> = FAMILIES
        .into_iter()
        .zip(SHORT)
        .map(|(family, port)| pair.to(family, port))
        .collect::<Result<_>>()?;
    let more = |_| {
        thread::sleep(rest());
        !stop.load(Ordering::Relaxed)
    };
    let made = thread::scope(|scope| {
        let exchanges: Vec<_> = long
            .iter()
            .map(|flow| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        flow.exchange(20_000, 3_000)?;
                        thread::sleep(rest());
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        let short = scope.spawn(|| churn(&pair, &short, 2, Ending::Orderly, more));
        let reloads = (1..=count).try_for_each(|number| {
            let before = exporter.scrape()?;
            exporter.reload(&variant(&pair, number)?)?;
            for family in FAMILIES {
                send_datagrams(&pair.client, pair.to(family, 4000)?, 5, 100)?;
            }
            exporter.scrape()?.require_no_fall_since(&before)
        });
        stop.store(true, Ordering::Relaxed);
        for exchange in exchanges {
            exchange
                .join()
                .unwrap_or_else(|_| bail!("an exchanging thread panicked"))?;
        }
        let made = short.join().unwrap_or_else(|_| bail!("the churning thread panicked"));
        reloads.and(made)
    })?;
    settle(&long)?;
    let ends: Vec<_> = long.iter().map(Flow::finish).collect::<Result<_>>()?;

    let (of_long, of_short) = (format!("long-{name}"), format!("short-{name}"));
    let scrape = until("the last short connection to be counted as closed", || {
        let scrape = exporter.scrape()?;
        let closed = scrape.sum("tcpvitals_tcp_connections_closed_total", &[("app_protocol", &of_short)])?;
        Ok((closed + Skipped::of(&scrape)?.runs() >= 2.0 * made as f64).then_some(scrape))
    })?;
    for end in End::BOTH {
        let sockets: Vec<_> = ends.iter().map(|ends| end.of(ends)).collect();
        require_equal_where(&scrape, &[("app_protocol", &of_long)], end, &sockets)?;
        for metric in ["opened", "closed"] {
            let metric = format!("tcpvitals_tcp_connections_{metric}_total");
            let labels = [("app_protocol", &*of_short), ("role", end.role())];
            Skipped::of(&scrape)?.require(scrape.sum(&metric, &labels)?, made as f64, 1.0, (&metric, labels));
        }
    }
    assert_eq!(scrape.sum(CONNECTIONS, &[("app_protocol", &of_long)])?, 0.0);
    // Whatever it was called meanwhile, each name has its share.
    let mut names = [
        name.clone(),
        format!("moved-{name}"),
        format!("{}/24", pair.subnet()?.v4(0)),
    ]
    .to_vec();
    let subnets = scrape.by(BYTES, "subnet", &[("app_protocol", &of_long)])?;
    assert!(names.iter().all(|name| subnets.contains_key(name)), "{subnets:?}");
    names.push(format!("{}/64", pair.subnet()?.v6(0)));
    let dropped = nft::dropped(&pair.server)?.packets;
    assert_eq!(dropped, 2 * 5 * count as u64);
    let of_names = names.iter().map(|name| {
        let labels = [
            ("subnet", name.as_str()),
            ("protocol", "udp"),
            ("reason", "NETFILTER_DROP"),
        ];
        scrape.sum(DROPPED, &labels)
    });
    assert_eq!(of_names.sum::<Result<f64>>()?, dropped as f64);
    assert_eq!(scrape.value(SUCCESSFUL, &[])?, 1.0);
    Ok(())
}

#[test]
fn a_live_flow_counts_under_its_new_name_from_the_reload_on() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (old, new) = (pair.subnet()?.name(), format!("moved-{}", pair.subnet()?.name()));
    let exporter = start(&variant(&pair, 0)?)?;
    let flow = [Flow::open(&pair, Family::V4, LONG)?];
    flow[0].exchange(5_000, 7_000)?;
    let before = settle(&flow)?;
    exporter.reload(&variant(&pair, 2)?)?;
    let reloaded = exporter.scrape()?;
    flow[0].exchange(11_000, 13_000)?;
    let ends = settle(&flow)?;
    let after = exporter.scrape()?;
    for (end, payload) in [(End::Client, 11_000), (End::Server, 13_000)] {
        // On a slow machine some of it is sent twice.
        let [now, then] = [&ends, &before].map(|ends| end.of(&ends[0]));
        let sent = now.bytes_sent - then.bytes_sent;
        assert_eq!(sent - (now.bytes_retrans - then.bytes_retrans), payload);
        // What was counted before stays under the old name, as it was.
        for scrape in [&reloaded, &after] {
            require_equal(scrape, &old, end, &[end.of(&before[0])])?;
        }
        let moved = [("subnet", &*new), ("role", end.role()), ("connection_type", "wired")];
        assert_eq!(reloaded.sum(CONNECTIONS, &moved)?, 1.0);
        assert_eq!(
            reloaded.sum(CONNECTIONS, &[("subnet", &old), ("role", end.role())])?,
            0.0
        );
        let mut transmitted = moved.to_vec();
        transmitted.push(("direction", "transmit"));
        assert_eq!(reloaded.sum(BYTES, &transmitted)?, 0.0);
        assert_eq!(after.sum(BYTES, &transmitted)?, sent as f64);
    }
    Ok(())
}

#[test]
fn labels_that_are_switched_off_and_on_merge_and_part_exactly() -> Result<()> {
    // Without the subnet among the labels, others' connections to the same port count with these.
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let protocol = format!("long-{}", pair.subnet()?.name());
    let all = variant(&pair, 0)?;
    let exporter = start(&all)?;
    let flows = [
        Flow::open(&pair, Family::V4, LONG)?,
        Flow::open(&pair, Family::V6, LONG)?,
    ];
    let mut first = None;
    for labels in ["", "[app_protocol, role]", "[app_protocol, role, subnet]", ""] {
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("labels: {{tcp: {labels}}}\n")
        };
        exporter.reload(&format!("{all}{labels}"))?;
        for flow in &flows {
            flow.exchange(3_000, 2_000)?;
        }
        let ends = settle(&flows)?;
        let scrape = exporter.scrape()?;
        for end in End::BOTH {
            let sockets: Vec<_> = ends.iter().map(|ends| end.of(ends)).collect();
            require_equal_where(&scrape, &[("app_protocol", &protocol)], end, &sockets)?;
        }
        let first: &Scrape = first.get_or_insert(scrape.clone());
        if labels.is_empty() {
            scrape.require_no_fall_since(first)?;
        }
    }
    Ok(())
}

#[test]
fn a_higher_series_limit_gives_the_refused_their_own_series_from_then_on() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let name = pair.subnet()?.name();
    let config =
        |series: u32| -> Result<String> { Ok(format!("{}limits: {{series: {series}}}\n", variant(&pair, 0)?)) };
    // Room for no group at all but `other`: whatever else runs here cannot take it.
    let few = config(100)?.replace(
        "app_protocols",
        "labels: {tcp: [subnet, app_protocol, role]}\napp_protocols",
    );
    let many = few.replace("series: 100", "series: 100000");
    let exporter = start(&few)?;
    // Takes the only place there is.
    let crowd = Pair::new()?;
    let _first = Flow::open(&crowd, Family::V4, LONG)?;
    exporter.scrape()?;
    let flow = [Flow::open(&pair, Family::V4, LONG)?];
    flow[0].exchange(5_000, 0)?;
    settle(&flow)?;
    let own = [("subnet", &*name), ("role", "client"), ("direction", "transmit")];
    let refused = exporter.scrape()?;
    assert_eq!(refused.matching(BYTES, &own).count(), 0);
    let overflow = refused.sum("tcpvitals_series_overflow_total", &[("metrics", "tcp")])?;
    assert!(overflow >= 2.0, "{overflow}");

    exporter.reload(&many)?;
    flow[0].exchange(6_000, 0)?;
    let ends = settle(&flow)?;
    let admitted = exporter.scrape()?;
    admitted.require_no_fall_since(&refused)?;
    assert_eq!(admitted.sum(BYTES, &own)?, 6_000.0);
    assert_eq!(ends[0].client.bytes_sent, 11_000);
    Ok(())
}

#[test]
fn a_file_that_is_wrong_or_needs_a_restart_changes_nothing() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let name = pair.subnet()?.name();
    let good = variant(&pair, 0)?;
    let exporter = start(&good)?;
    let flow = [Flow::open(&pair, Family::V4, LONG)?];
    let read_at = exporter.scrape()?.value(WHEN, &[])?;
    let moved = variant(&pair, 2)?;
    for (config, complaints) in [
        (format!("{moved}surplus: 1\n"), vec!["surplus", ".yaml:6: "]),
        (
            format!("{moved}tcp: {{detail: essential}}\n"),
            vec!["tcp.detail cannot change", "restart"],
        ),
        (format!("{moved}limits: {{memory: 1MiB}}\n"), vec!["limits.memory"]),
        (format!("{moved}drops: {{enabled: false}}\n"), vec!["drops.enabled"]),
    ] {
        exporter.configure(&config)?;
        let page = exporter.post("/-/reload")?;
        assert_eq!(page.status, 500, "{page:?}");
        assert!(complaints.iter().all(|part| page.body.contains(part)), "{page:?}");
        let scrape = exporter.scrape()?;
        assert_eq!(scrape.value(SUCCESSFUL, &[])?, 0.0);
        assert_eq!(scrape.value(WHEN, &[])?, read_at);
        assert_eq!(scrape.sum(CONNECTIONS, &[("subnet", &name)])?, 2.0);
    }
    assert!(exporter.stderr().contains("reload failed, the old configuration stays"));
    exporter.reload(&good)?;
    flow[0].exchange(1_000, 1_000)?;
    let ends = settle(&flow)?;
    let scrape = exporter.scrape()?;
    assert_eq!(scrape.value(SUCCESSFUL, &[])?, 1.0);
    assert!(scrape.value(WHEN, &[])? > read_at);
    for end in End::BOTH {
        require_equal(&scrape, &name, end, &[end.of(&ends[0])])?;
    }
    Ok(())
}

#[test]
fn a_hangup_reloads_and_the_path_is_off_unless_asked_for() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = Launch::new(variant(&pair, 0)?).start()?;
    let _flow = Flow::open(&pair, Family::V4, LONG)?;
    exporter.configure(&variant(&pair, 2)?)?;
    let page = exporter.post("/-/reload")?;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(page.body.contains("--web.enable-lifecycle"), "{page:?}");
    assert_eq!(exporter.get("/-/reload", "*/*")?.status, 405);
    exporter.signal(Signal::SIGHUP)?;
    let moved = format!("moved-{}", pair.subnet()?.name());
    until("the flow to be renamed", || {
        let live = exporter.scrape()?.sum(CONNECTIONS, &[("subnet", &moved)])?;
        Ok((live == 2.0).then_some(()))
    })
}
