//! Every key and what it becomes.

use std::fmt::Debug;
use std::time::Duration;

use super::config;
use crate::{
    Class, ClassicBuckets, Config, Detail, DropLabel, Fallback, Mutes, ON_DEMAND, TcpLabel,
    kinds::units::{DURATION, SIZE},
    sections::protocols::BUILT_IN,
};

fn check<T: PartialEq + Debug>(yaml: &str, part: impl Fn(&Config) -> T, expected: T) {
    assert_eq!(part(&config(yaml)), expected, "{yaml}");
}

#[test]
fn subnets_replace_the_built_in_ones_and_may_nest() {
    let names = |config: &Config| config.subnets.names().join(" ");
    check("subnets: []", names, String::new());
    check(
        "subnets: [{name: wide, cidrs: [0.0.0.0/0, \"::/0\"]}, {name: 10, cidrs: [10.0.0.0/8]}]",
        names,
        "wide 10".to_owned(),
    );
    check("subnets_fallback: rest", |config| config.subnets.names().len(), 7);
}

#[test]
fn the_fallback_is_a_name_or_prefix_lengths() {
    let fallback = |config: &Config| config.subnets.fallback().clone();
    let auto = |ipv4, ipv6| Fallback::Auto { ipv4, ipv6 };
    check("subnets_fallback: rest", fallback, Fallback::Name("rest".to_owned()));
    check("subnets_fallback: \"10\"", fallback, Fallback::Name("10".to_owned()));
    check(
        "subnets_fallback: {auto: {ipv4: 16, ipv6: 128}}",
        fallback,
        auto(16, 128),
    );
    check("subnets_fallback:\n  auto: {ipv4: 1}\n", fallback, auto(1, 48));
    check("subnets_fallback: {auto: {ipv6: 64}}", fallback, auto(24, 64));
    check("subnets_fallback: {auto: {}}", fallback, auto(24, 48));
    check("subnets_fallback: {auto: }", fallback, auto(24, 48));
}

#[test]
fn app_protocols_extend_the_table_and_win_over_it() {
    let name = |config: &Config, wanted: u16| {
        let id = config.app_protocols.ports().find(|(port, _)| *port == wanted)?.1;
        Some(config.app_protocols.names()[usize::from(id)].clone())
    };
    let yaml = "app_protocols: [{name: orders-api, ports: [8443, 9]}, {name: https, ports: [9443]}, \
                {name: x, ports: [22]}]";
    for (port, expected) in [
        (8443, Some("orders-api")),
        (9, Some("orders-api")),
        (443, Some("https")),
        (9443, Some("https")),
        (22, Some("x")),
        (25, Some("smtp")),
        (7, None),
    ] {
        check(yaml, |config| name(config, port), expected.map(str::to_owned));
    }
    let names = config(yaml).app_protocols.names().to_vec();
    assert_eq!(names[0], "other");
    assert_eq!(names.iter().filter(|name| *name == "https").count(), 1);
    assert!(!names.contains(&"ssh".to_owned()), "a name without a port has no id");
}

#[test]
fn the_built_in_ports_are_named_once() {
    let protocols = Config::built_in().app_protocols;
    let ports: usize = BUILT_IN.iter().map(|(_, ports)| ports.len()).sum();
    assert_eq!(protocols.ports().count(), ports);
    assert_eq!(protocols.names().len(), BUILT_IN.len() + 1);
    assert!(protocols.ports().all(|(port, id)| port != 0 && id != 0));
}

#[test]
fn every_port_may_have_a_name_of_its_own() {
    let yaml: String = (1..=65535)
        .map(|port| format!("- {{name: p{port}, ports: [{port}]}}\n"))
        .collect();
    let protocols = config(&format!("app_protocols:\n{yaml}")).app_protocols;
    assert_eq!(protocols.names().len(), 65536);
    assert!(protocols.ports().eq((1..=65535).map(|port| (port, port))));
}

#[test]
fn connection_types_keep_their_order() {
    let types = |config: &Config| {
        let types = config.connection_types.iter();
        types.map(|(_, connection)| connection.as_str()).collect::<Vec<_>>()
    };
    check(
        "connection_types: [{type: cell, interfaces: [wwan?, usb0]}, {type: unknown, interfaces: ['*']}]",
        types,
        vec!["cell", "cell", "unknown"],
    );
}

#[test]
fn a_view_is_as_the_metrics_path_but_for_what_it_says() {
    let shown = |yaml: &str, index: usize| Config::from_yaml(yaml, "t.yaml").unwrap().views[index].clone();
    let yaml = "{labels: {tcp: [role]}, histograms: {native: false}, limits: {series: 500}, views: [\
        {name: a}, \
        {name: b, path: /b, labels: {drops: [class]}, metrics: {include: [x_*], exclude: [x_y]}, \
        histograms: {classic: {m: all, n: [0.5, 1]}}, series: 200}]}";
    let a = shown(yaml, 0);
    assert_eq!((a.path.as_str(), a.series), ("/metrics/a", 500));
    assert_eq!(a.labels.tcp, [TcpLabel::Role].into());
    assert!(!a.histograms.native && a.metrics.shows("anything"));
    let b = shown(yaml, 1);
    assert_eq!((b.path.as_str(), b.series), ("/b", 200));
    assert_eq!(b.labels.tcp, [TcpLabel::Role].into());
    assert_eq!(b.labels.drops, [DropLabel::Class].into());
    assert_eq!(
        ["x_z", "x_y", "y"].map(|name| b.metrics.shows(name)),
        [true, false, false]
    );
    // What few ask for is shown where it is asked for.
    let shows = |yaml: &str| {
        Config::from_yaml(yaml, "t.yaml")
            .unwrap()
            .shown
            .metrics
            .shows(ON_DEMAND[0])
    };
    let choices = ["{}", "metrics: {include: [\"*\"]}", "metrics: {include: [tcpvitals_*]}"];
    assert_eq!(choices.map(shows), [false, false, true]);
    let classic = [
        ("m".to_owned(), ClassicBuckets::All),
        ("n".to_owned(), ClassicBuckets::UpTo(vec![0.5, 1.0])),
    ];
    assert_eq!(b.histograms.classic, classic.into());
    assert!(!b.histograms.native);
}

#[test]
fn detail_switches_and_labels_are_words() {
    for detail in Detail::ALL {
        check(
            &format!("tcp: {{detail: {}}}", detail.as_str()),
            |config| config.tcp.detail,
            detail,
        );
    }
    check("drops: {enabled: false}", |config| config.drops.enabled, false);
    let of_host = |config: &Config| (config.devices.enabled, config.tcp.memory);
    check("{}", of_host, (false, false));
    check("devices: {enabled: true}", of_host, (true, false));
    check("{devices: {}, tcp: {memory: true}}", of_host, (false, true));
    check("findings: {enabled: false}", |config| config.findings.enabled, false);
    let yaml = "findings: {thresholds: {network_loss: {rate: 1, share: 0.02}}}";
    let of_loss = |config: &Config| {
        config
            .findings
            .thresholds
            .get("network_loss")
            .map(|own| (own.rate, own.share))
    };
    check(yaml, of_loss, Some((Some(1.0), Some(0.02))));
    let yaml = "findings: {ignore: [{finding: refused, subnet: \"lab*\"}]}";
    let muted = |config: &Config| {
        [("refused", "lab-2"), ("refused", "office")]
            .map(|(name, subnet)| config.findings.mutes(name, subnet) == Mutes::All)
    };
    check(yaml, muted, [true, false]);
    check("labels: {tcp: []}", |config| config.shown.labels.tcp.len(), 0);
    check("labels: {drops: []}", |config| config.shown.labels.drops.len(), 0);
    check("labels: {drops: []}", |config| config.shown.labels.tcp.len(), 4);
    for label in TcpLabel::ALL {
        let yaml = format!("{{workloads: {{source: auto}}, labels: {{tcp: [{}]}}}}", label.as_str());
        check(&yaml, |config| config.shown.labels.tcp.clone(), [label].into());
    }
    for label in DropLabel::ALL {
        let yaml = format!(
            "{{workloads: {{source: auto}}, labels: {{drops: [{}]}}}}",
            label.as_str()
        );
        check(&yaml, |config| config.shown.labels.drops.clone(), [label].into());
    }
    for class in Class::ALL {
        let yaml = format!("drops: {{classes: [{{class: {}, location: x}}]}}", class.as_str());
        check(&yaml, |config| config.drops.classes[0].1, class);
    }
}

#[test]
fn rules_match_every_part_they_give() {
    let check = |rule: &str, reason: &str, location: &str, expected: bool| {
        let config = config(&format!("drops: {{ignore: [{rule}], classes: []}}"));
        assert_eq!(
            config.drops.ignore[0].matches(reason, location),
            expected,
            "{rule}: {reason} {location}"
        );
    };
    check("{reason: TCP_OLD_DATA}", "TCP_OLD_DATA", "anything", true);
    check("{reason: TCP_OLD_DATA}", "TCP_OLD_DATA2", "anything", false);
    check("{reason: tcp_old_data}", "TCP_OLD_DATA", "anything", false);
    check("{location: unix_*}", "X", "unix_dgram_sendmsg", true);
    check("{location: unix_*}", "X", "sk_unix_", false);
    check("{location: unix_*}", "X", "unix_", true);
    check("{location: '*_rcv'}", "", "tcp_v4_rcv", true);
    check("{location: '*_rcv'}", "", "tcp_v4_rcv_x", false);
    check("{location: 'tcp*rcv*est'}", "", "tcp_rcv_established_est", true);
    check("{location: 'ab*ba'}", "", "aba", false);
    check("{location: 'ab*ba'}", "", "abba", true);
    check("{location: '*'}", "", "", true);
    check("{location: '**'}", "", "x", true);
    check("{reason: A, location: b}", "A", "b", true);
    check("{reason: A, location: b}", "A", "c", false);
    check("{reason: A, location: b}", "B", "b", false);
    check("{reason: 87}", "87", "b", true);
    check("{location: 0xffff*}", "", "0xffff81", true);
}

#[test]
fn sizes_and_durations_have_units() {
    for (text, bytes) in [
        ("1048576", 1 << 20),
        ("1048576B", 1 << 20),
        ("2048KiB", 2 << 20),
        ("32MiB", 32 << 20),
        ("4GiB", 4 << 30),
        ("2000kB", 2_000_000),
        ("2000KB", 2_000_000),
        ("64MB", 64_000_000),
        ("4GB", 4_000_000_000),
        ("\"64MB\"", 64_000_000),
        ("32Mi", 32 << 20),
        ("1Gi", 1 << 30),
        ("64Ki", 64 << 10),
        ("32M", 32_000_000),
        ("1G", 1_000_000_000),
        ("64k", 64_000),
        ("1.5GiB", 3 << 29),
        ("1.3Gi", 1_395_864_371),
    ] {
        check(
            &format!("limits: {{memory: {text}}}"),
            |config| config.limits.memory,
            bytes,
        );
    }
    for (text, milliseconds) in [
        ("0", 0),
        ("0s", 0),
        ("1ms", 1),
        ("500ms", 500),
        ("90s", 90_000),
        ("2m", 120_000),
        ("1h", 3_600_000),
        ("1m30s", 90_000),
        ("30s1m", 90_000),
        ("59m59s999ms", 3_599_999),
        ("1.5s", 1_500),
        ("0.25h", 900_000),
        ("2000us", 2),
    ] {
        let max_age = Duration::from_millis(milliseconds);
        check(
            &format!("collect: {{max_age: {text}}}"),
            |config| config.collect.max_age,
            max_age,
        );
    }
    for (series, expected) in [("100", 100), ("10000000", 10_000_000)] {
        check(
            &format!("limits: {{series: {series}}}"),
            |config| config.limits.series,
            expected,
        );
    }
    for (peer, expected) in [("1", 1), ("400", 400)] {
        check(
            &format!("limits: {{connections_per_peer: {peer}}}"),
            |config| config.limits.connections_per_peer,
            expected,
        );
    }
    for (subnets, expected) in [("2", 2), ("400000", 400_000)] {
        check(
            &format!("subnets: [{{name: a, cidrs: [10.0.0.0/8, 11.0.0.0/8]}}]\nlimits: {{subnets: {subnets}}}"),
            |config| config.limits.subnets,
            expected,
        );
    }
    assert_eq!(SIZE.format(32 << 20), "32MiB");
    assert_eq!(SIZE.format(1_000_000), "1MB");
    assert_eq!(DURATION.format(90_000_000_000), "90s");
}

#[test]
fn anchors_and_aliases_work() {
    let yaml = "drops:\n  classes:\n    - {class: error, reason: &r B}\n    - {class: policy, reason: *r}\n";
    check(yaml, |config| config.drops.classes.len(), 2);
}
