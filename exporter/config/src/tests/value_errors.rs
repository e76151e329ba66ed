//! Every fault of a number or of a word from a closed set, and the exact sentence it gets.

use super::refused as check;

#[test]
fn numbers_have_a_form_and_a_range() {
    let number = |before: &str, after: &str, text: &str, key: &str, fault: &str| {
        check(
            &format!("{before}{text}{after}"),
            &format!("t.yaml:1: {key}: {text:?} {fault}"),
        );
    };
    let digits = "is not a whole number; write digits only";
    for (text, fault) in [
        ("0", "is out of range; allowed are 1 to 65535"),
        ("65536", "is out of range; allowed are 1 to 65535"),
        ("99999999999999999999999", "is out of range; allowed are 1 to 65535"),
        ("-1", digits),
        ("http", digits),
        ("0x50", digits),
        ("80-90", digits),
        ("1.5", digits),
    ] {
        let key = "app_protocols[0].ports[1]";
        number("app_protocols: [{name: a, ports: [1, ", "]}]", text, key, fault);
    }
    for (text, fault) in [
        ("0", "is out of range; allowed are 1 to 32"),
        ("33", "is out of range; allowed are 1 to 32"),
        ("300", "is out of range; allowed are 1 to 32"),
        ("/24", digits),
    ] {
        number(
            "subnets_fallback: {auto: {ipv4: ",
            "}}",
            text,
            "subnets_fallback.auto.ipv4",
            fault,
        );
    }
    for (text, fault) in [
        ("0", "is out of range; allowed are 1 to 128"),
        ("129", "is out of range; allowed are 1 to 128"),
    ] {
        number(
            "subnets_fallback: {auto: {ipv6: ",
            "}}",
            text,
            "subnets_fallback.auto.ipv6",
            fault,
        );
    }
    for (text, fault) in [
        ("99", "is out of range; allowed are 100 to 10000000"),
        ("10000001", "is out of range; allowed are 100 to 10000000"),
        ("10_000", digits),
        ("all", digits),
    ] {
        number("limits: {series: ", "}", text, "limits.series", fault);
    }
    for (text, fault) in [
        ("0", "is out of range; allowed are 1 to 400"),
        ("401", "is out of range; allowed are 1 to 400"),
        ("none", digits),
    ] {
        number(
            "limits: {connections_per_peer: ",
            "}",
            text,
            "limits.connections_per_peer",
            fault,
        );
    }
    for (text, fault) in [
        ("0", "is out of range; allowed are 1 to 1000000"),
        ("1000001", "is out of range; allowed are 1 to 1000000"),
        ("none", digits),
    ] {
        number("limits: {subnets: ", "}", text, "limits.subnets", fault);
    }
    let size = "is not a size; write a number with KiB, MiB, GiB (or Ki, Mi, Gi), kB, MB, GB (or k, M, G) or nothing for \
                bytes, for example 32MiB";
    for (text, fault) in [
        ("15KiB", "is out of range; allowed are 16KiB to 4GiB"),
        ("0", "is out of range; allowed are 16KiB to 4GiB"),
        ("5GiB", "is out of range; allowed are 16KiB to 4GiB"),
        ("99999999999999999999GiB", "is out of range; allowed are 16KiB to 4GiB"),
        ("32Mib", size),
        ("32 MiB", size),
        ("1GiB512MiB", size),
        (".5GiB", size),
        ("MiB", size),
        ("-1", size),
        ("lots", size),
    ] {
        number("limits: {memory: ", "}", text, "limits.memory", fault);
    }
    let duration = "is not a duration; write numbers with d, h, m, s or ms, for example 500ms, 2s or 1m30s";
    for (text, fault) in [
        ("2h", "is out of range; allowed are 0 to 1h"),
        ("3600001ms", "is out of range; allowed are 0 to 1h"),
        ("59m61s", "is out of range; allowed are 0 to 1h"),
        ("1.5h", "is out of range; allowed are 0 to 1h"),
        ("5", "has no unit; write 5s"),
        ("1.5", duration),
        ("1;5s", duration),
        ("1m 30s", duration),
        ("5S", duration),
        ("1.5ns", duration),
        ("soon", duration),
    ] {
        number("collect: {max_age: ", "}", text, "collect.max_age", fault);
    }
}

#[test]
fn ports_are_listed_once() {
    check(
        "app_protocols:\n  - name: a\n    ports: [8443]\n  - name: b\n    ports:\n      - 1\n      - 8443",
        "t.yaml:7: app_protocols[1].ports[1]: the port 8443 is already in app_protocols[0].ports[0]; remove one of \
         the two",
    );
    check(
        "app_protocols: [{name: a, ports: []}]",
        "t.yaml:1: app_protocols[0].ports: the list is empty; give at least one port, for example 8443",
    );
}

#[test]
fn choices_and_patterns_say_what_is_allowed() {
    check(
        "connection_types: [{type: lan, interfaces: [eth0]}]",
        "t.yaml:1: connection_types[0].type: \"lan\" is not a connection type; use one of unknown, wired, wifi, cell, \
         loopback, tunnel, virtual",
    );
    for pattern in ["", "a*b", "sixteen-letters!", "käse", "a/b"] {
        check(
            &format!("connection_types:\n- type: wired\n  interfaces: [eth0, {pattern:?}]"),
            &format!(
                "t.yaml:3: connection_types[0].interfaces[1]: {pattern:?} cannot match a device name; write 1 to 15 \
                 ASCII characters without a slash, with ? for any one character and * only at the end, for example \
                 eth0.*"
            ),
        );
    }
    check(
        "connection_types: [{type: wired, interfaces: []}]",
        "t.yaml:1: connection_types[0].interfaces: the list is empty; give at least one device name",
    );
    check(
        "tcp: {detail: Full}",
        "t.yaml:1: tcp.detail: \"Full\" is not a level of detail; use one of full, essential, off",
    );
    check(
        "drops: {classes: [{class: bad, reason: X}]}",
        "t.yaml:1: drops.classes[0].class: \"bad\" is not a class; use one of benign, policy, error, capacity",
    );
    let everything = "the rule would match every drop; give a reason, a location or both";
    check(
        "drops:\n  ignore:\n    - {location: a}\n    - {}\n",
        &format!("t.yaml:4: drops.ignore[1]: {everything}"),
    );
    check(
        "drops:\n  classes:\n    - class: benign\n",
        &format!("t.yaml:3: drops.classes[0]: {everything}"),
    );
    for pattern in ["", "a b", "a?", "[a]", "{a,b}", "a\\d", "ä", "a\tb"] {
        for (list, rule) in [("ignore", "{"), ("classes", "{class: benign, ")] {
            for part in ["reason", "location"] {
                check(
                    &format!("drops:\n  {list}:\n    - {rule}{part}: {pattern:?}}}\n"),
                    &format!(
                        "t.yaml:3: drops.{list}[0].{part}: {pattern:?} is not a pattern; write a name without spaces, \
                         in which * stands for any text and nothing else is special, for example tcp_*"
                    ),
                );
            }
        }
    }
    check(
        "labels:\n  tcp: [subnet, host]",
        "t.yaml:2: labels.tcp[1]: \"host\" is not a label of the TCP metrics; use one of subnet, connection_type, \
         app_protocol, role, workload, workload_kind, workload_namespace",
    );
    check(
        "labels:\n  drops: [role]",
        "t.yaml:2: labels.drops[0]: \"role\" is not a label of the drop metrics; use one of location, reason, class, \
         protocol, direction, subnet, connection_type, app_protocol, workload, workload_namespace",
    );
    check(
        "labels:\n  tcp:\n  - role\n  - role\n",
        "t.yaml:4: labels.tcp[1]: the label \"role\" is listed twice; list each of subnet, connection_type, \
         app_protocol, role, workload, workload_kind, workload_namespace at most once",
    );
}

#[test]
fn device_patterns_fit_the_kernels_table() {
    let patterns = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("dev{number}")).collect();
        format!(
            "connection_types: [{{type: wired, interfaces: [{}]}}]",
            names.join(", ")
        )
    };
    crate::Config::from_yaml(&patterns(32), "t.yaml").unwrap();
    check(
        &patterns(33),
        "t.yaml:1: connection_types: 33 device-name patterns are too many; write at most 32 and merge some with *",
    );
}

#[test]
fn something_is_left_to_measure() {
    check(
        "drops: {enabled: false}\ntcp: {detail: off}",
        "t.yaml:2: tcp.detail: nothing is left to measure, as drops.enabled is false too; switch one of them on",
    );
}

#[test]
fn workloads_have_a_source_and_their_folder_a_whole_path() {
    const NO_SOURCE: &str = "t.yaml: workloads.source: is none, but a list of labels has one of workloads; set it to auto, or take the label out";
    for (yaml, fault) in [
        ("labels: {tcp: [workload]}", NO_SOURCE),
        ("labels: {drops: [workload_namespace]}", NO_SOURCE),
        ("views: [{name: a, labels: {tcp: [workload_kind]}}]", NO_SOURCE),
        (
            "workloads: {source: docker}",
            "t.yaml:1: workloads.source: \"docker\" is not a source of names; use one of none, auto, cgroup, pod-logs, kubernetes",
        ),
        (
            "workloads: {pod_logs: var/log}",
            "t.yaml:1: workloads.pod_logs: \"var/log\" is not a path from the root; write one that begins with /",
        ),
        (
            "limits: {workloads: 60001}",
            "t.yaml:1: limits.workloads: \"60001\" is out of range; allowed are 1 to 60000",
        ),
    ] {
        check(yaml, fault);
    }
}

#[test]
fn views_have_names_and_paths_of_their_own() {
    for (yaml, fault) in [
        (
            "views: [{name: a b}]",
            "views[0].name: \"a b\" is not the name of a view; write letters, digits, - and _ alone",
        ),
        (
            "views: [{name: a, path: fleet}]",
            "views[0].path: \"fleet\" is not a path; write / and letters, digits, ., -, _ and more of /, for example \
             /metrics/fleet",
        ),
        (
            "views: [{name: a, path: /a//b}]",
            "views[0].path: \"/a//b\" is not a path; write / and letters, digits, ., -, _ and more of /, for example \
             /metrics/fleet",
        ),
        (
            "views: [{name: a, path: /:a}]",
            "views[0].path: \"/:a\" is not a path; write / and letters, digits, ., -, _ and more of /, for example \
             /metrics/fleet",
        ),
        (
            "views: [{name: a, path: /docs/runbooks}]",
            "views[0].path: \"/docs/runbooks\" is served already; choose another path, for example /metrics/fleet",
        ),
        (
            "views: [{name: a, path: /api/v1/flows}]",
            "views[0].path: \"/api/v1/flows\" is served already; choose another path, for example /metrics/fleet",
        ),
        (
            "views: [{name: a}, {name: a, path: /a}]",
            "views[1].name: \"a\" is another view's too; give each view its own",
        ),
        (
            "views: [{name: a}, {name: b, path: /metrics/a}]",
            "views[1].path: \"/metrics/a\" is another view's too; give each view its own",
        ),
        (
            "views: [{name: a, labels: {tcp: [x]}}]",
            "views[0].labels.tcp[0]: \"x\" is not a label of the TCP metrics; use one of subnet, connection_type, \
             app_protocol, role, workload, workload_kind, workload_namespace",
        ),
        (
            "otlp: {view: fleet}",
            "otlp.view: \"fleet\" is no view; add it to views, or remove the key",
        ),
    ] {
        check(yaml, &format!("t.yaml:1: {fault}"));
    }
    let views = |count: usize| {
        let entries: Vec<String> = (0..count).map(|number| format!("{{name: v{number}}}")).collect();
        format!("views: [{}]", entries.join(", "))
    };
    assert_eq!(super::config(&views(32)).views.len(), 32);
    check(
        &views(33),
        "t.yaml:1: views: there are 33 views, and 32 are the most; leave some out",
    );
}

#[test]
fn metrics_and_buckets_have_a_form() {
    for (yaml, fault) in [
        (
            "metrics: {include: []}",
            "metrics.include: the list is empty, so no metric would be shown; name some, or remove the key",
        ),
        (
            "metrics: {exclude: [a b]}",
            "metrics.exclude[0]: \"a b\" is not a pattern; write a name without spaces, in which * stands for any text and \
             nothing else is special, for example tcp_*",
        ),
        (
            "histograms: {classic: {m: none}}",
            "histograms.classic[\"m\"]: \"none\" is neither a list of upper bounds nor the word all; write one of the two",
        ),
        (
            "histograms: {classic: {m: [1, x]}}",
            "histograms.classic[\"m\"][1]: \"x\" is not an upper bound; write a number above 0",
        ),
        (
            "histograms: {classic: {m: [1, 1.0]}}",
            "histograms.classic[\"m\"][1]: \"1.0\" is not above the bound before it; write bounds in rising order",
        ),
        (
            "histograms: {classic: {m: [], m: all}}",
            "histograms.classic[\"m\"]: the metric is named twice; keep one of the two",
        ),
    ] {
        check(yaml, &format!("t.yaml:1: {fault}"));
    }
}
