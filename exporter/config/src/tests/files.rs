//! Whole files: none, the sample, the documented one.

use std::fs;
use std::time::Duration;

use common::net::connection::{ConnectionType, NamePattern};

use super::config;
use crate::{Class, Config, Detail, DropLabel, Fallback, SAMPLE, TcpLabel, WorkloadSource};

#[test]
fn a_file_that_says_nothing_is_the_built_in_configuration() {
    for yaml in [
        "",
        "\n",
        "# nothing\n",
        "---\n",
        "---\n...\n",
        "{}",
        "~",
        "\u{feff}tcp: {}",
        "%YAML 1.2\n---\ntcp:\n",
        "tcp: {}\r\ndrops: {}\r\nlabels: {}\r\nlimits: {}\r\ncollect: {}\r\n",
        "subnets:\nsubnets_fallback:\napp_protocols:\nconnection_types:\ntcp:\ndrops:\nlabels:\n",
        "limits:\ncollect:\notlp:\n",
        "tcp: {detail: }\nlimits: {memory: , series: ~}\ncollect: {max_age: null}\nlabels: {tcp: , drops: }",
        "drops: {enabled: , ignore: , classes: }",
    ] {
        assert_eq!(config(yaml), Config::built_in(), "{yaml}");
    }
}

#[test]
fn the_built_in_configuration_is_as_documented() {
    let config = Config::built_in();
    let named: Vec<String> = config
        .subnets
        .networks()
        .map(|(network, id)| format!("{} {network}", config.subnets.names()[id as usize]))
        .collect();
    assert_eq!(
        named,
        [
            "loopback 127.0.0.0/8",
            "loopback ::1/128",
            "link-local 169.254.0.0/16",
            "link-local fe80::/10",
            "private-10 10.0.0.0/8",
            "private-172 172.16.0.0/12",
            "private-192 192.168.0.0/16",
            "cgnat 100.64.0.0/10",
            "ula fc00::/7",
        ]
    );
    assert!(config.subnets.networks().all(|(network, _)| network.trunc() == network));
    assert_eq!(config.subnets.fallback(), &Fallback::Name("internet".to_owned()));
    assert_eq!(config.connection_types, []);
    assert_eq!(config.tcp.detail, Detail::Full);
    assert!(config.drops.enabled && config.drops.ignore.is_empty() && config.drops.classes.is_empty());
    assert_eq!(config.shown.labels.tcp, TcpLabel::defaults().collect());
    assert_eq!(config.shown.labels.drops, DropLabel::defaults().collect());
    assert_eq!(config.limits.memory, 32 * 1024 * 1024);
    assert_eq!(config.limits.series, 10_000);
    assert_eq!(config.limits.connections_per_peer, 16);
    assert_eq!(config.limits.subnets, 100_000);
    assert_eq!(config.limits.workloads, 1024);
    assert_eq!(config.workloads.source, WorkloadSource::None);
    assert_eq!(config.collect.max_age, Duration::from_secs(1));
}

#[test]
fn the_sample_means_the_built_in_configuration_and_its_examples_change_it() {
    assert_eq!(config(SAMPLE), Config::built_in());
    let examples: Vec<&str> = SAMPLE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("# example: "))
        .collect();
    assert_eq!(examples.len(), 45);
    for example in examples {
        assert_ne!(config(example), Config::built_in(), "{example}");
    }
}

#[test]
fn the_sample_has_every_key() {
    // The parser itself lists the keys when it meets one that it does not know.
    for yaml in [
        "x: 1",
        "subnets: [{x: 1}]",
        "subnets_fallback: {x: 1}",
        "subnets_fallback: {auto: {x: 1}}",
        "app_protocols: [{x: 1}]",
        "connection_types: [{x: 1}]",
        "tcp: {x: 1}",
        "drops: {x: 1}",
        "drops: {ignore: [{x: 1}]}",
        "drops: {classes: [{x: 1}]}",
        "labels: {x: 1}",
        "limits: {x: 1}",
        "collect: {x: 1}",
        "otlp: {x: 1}",
        "otlp: {tls: {x: 1}}",
    ] {
        let error = Config::from_yaml(yaml, "t.yaml").unwrap_err().to_string();
        let (_, keys) = error.split_once("use one of ").unwrap();
        for key in keys.split(", ") {
            let shown = [format!("{key}: "), format!("\n{key}:\n"), format!("\n  {key}:\n")];
            assert!(shown.iter().any(|shown| SAMPLE.contains(shown)), "{key}");
        }
    }
}

#[test]
fn the_documented_file_is_accepted() {
    let yaml = r#"
subnets:
  - {name: office-wifi, cidrs: [10.20.0.0/16, "fd00:20::/32"]}
  - {name: dc-east, cidrs: [10.1.0.0/16]}
subnets_fallback: internet            # or  auto: {ipv4: 24, ipv6: 48}
app_protocols: [{name: orders-api, ports: [8443]}]
connection_types: [{type: wired, interfaces: ["bond*", "eth0.*"]}]
tcp: {detail: full}                   # full | essential (no program on the segment path) | off
drops: {enabled: true, ignore: [{reason: NOT_SPECIFIED, location: unix_*}], classes: [{class: benign, reason: X}]}
labels: {tcp: [subnet, connection_type, app_protocol, role], drops: [location]}
limits: {memory: 32MiB, series: 10000}
collect: {max_age: 1s}
otlp: {endpoint: "http://localhost:4317", protocol: grpc, interval: 15s, compression: gzip, headers: {}, temporality: cumulative, tls: {}}
"#;
    let config = config(yaml);
    assert_eq!(config.subnets.names(), ["office-wifi", "dc-east"]);
    let networks: Vec<String> = config
        .subnets
        .networks()
        .map(|(network, id)| format!("{network} {id}"))
        .collect();
    assert_eq!(networks, ["10.20.0.0/16 0", "fd00:20::/32 0", "10.1.0.0/16 1"]);
    assert_eq!(
        config.connection_types,
        ["bond*", "eth0.*"].map(|text| (NamePattern::new(text).unwrap(), ConnectionType::Wired))
    );
    assert!(config.drops.ignore[0].matches("NOT_SPECIFIED", "unix_stream_connect"));
    assert_eq!(config.drops.classes[0].1, Class::Benign);
    assert_eq!(config.shown.labels.drops, [DropLabel::Location].into());
    assert_eq!(
        (config.tcp, config.limits, config.collect),
        (
            Config::built_in().tcp,
            Config::built_in().limits,
            Config::built_in().collect
        )
    );
}

#[test]
fn a_file_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tcpvitals.yaml");
    fs::write(&path, SAMPLE).unwrap();
    assert_eq!(Config::read(&path, |_| Ok(())).unwrap(), Config::built_in());
}
