//! Every fault of a file that is not a matter of one value, and the exact sentence it gets.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::refused as check;
use crate::{Config, file::unreadable};

#[test]
fn a_text_that_is_no_document_is_refused_with_its_line() {
    check(
        "subnets: [",
        "t.yaml:2: the file is not YAML: did not find expected node content at line 2 column 1, while parsing a \
         flow node; check quotes, brackets and indentation there",
    );
    check(
        "drops:\n  ignore:\n    - {location: *_rcv}\n",
        "t.yaml:3: the file is not YAML: unknown anchor at line 3 column 18; check quotes, brackets and \
         indentation there",
    );
    check(
        "tcp: {detail: full}\n\tlimits: {}",
        "t.yaml:2: the line begins with a tab; YAML wants spaces",
    );
    check(
        "tcp:\n  detail: f\u{1b}ull",
        "t.yaml:2: the character U+001B is not allowed in YAML; remove it",
    );
    let two = "the file holds more than one YAML document; keep one and remove the rest";
    check("tcp: {}\n---\ndrops: {}\n", &format!("t.yaml:3: {two}"));
    check("---\ntcp: {}\n...\ndrops: {}\n", &format!("t.yaml:4: {two}"));
}

#[test]
fn an_unknown_key_names_the_version_that_does_not_know_it() {
    let error = Config::from_yaml("tcp: {from_tomorrow: true}", "t.yaml").unwrap_err();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        error.to_string().split("; use one of").next(),
        Some(format!("t.yaml:1: tcp: unknown key \"from_tomorrow\" in version {version}").as_str())
    );
}

#[test]
fn keys_are_known_given_once_and_complete() {
    check(
        "\nsubnet: []",
        "t.yaml:2: unknown key \"subnet\"; use one of subnets, subnets_files, subnets_fallback, app_protocols, connection_types, \
         tcp, drops, local_loss, listeners, devices, findings, labels, metrics, histograms, views, workloads, limits, collect, \
         otlp",
    );
    check(
        "subnets:\n  - name: a\n    cidr: [10.0.0.0/8]",
        "t.yaml:3: subnets[0]: unknown key \"cidr\"; use one of name, cidrs",
    );
    check(
        "tcp:\n  level: full",
        "t.yaml:2: tcp: unknown key \"level\"; use one of detail, memory",
    );
    check(
        "subnets_fallback: {auto: {ipv5: 1}}",
        "t.yaml:1: subnets_fallback.auto: unknown key \"ipv5\"; use one of ipv4, ipv6",
    );
    check(
        "subnets_fallback: {}",
        "t.yaml:1: subnets_fallback: the key \"auto\" is missing; add it",
    );
    check(
        "app_protocols:\n  - {name: a, ports: [1]}\n  - {name: b}",
        "t.yaml:3: app_protocols[1]: the key \"ports\" is missing; add it",
    );
    check(
        "tcp: {detail: full}\ndrops: {}\n\ntcp: {detail: off}\n",
        "t.yaml:4: the key \"tcp\" is given twice; keep one of the two",
    );
    check(
        "limits:\n  memory: 1GiB\n  memory: 2GiB\n",
        "t.yaml:3: limits: the key \"memory\" is given twice; keep one of the two",
    );
    check(
        "? |\n  a`, expected `b\n: 1",
        "t.yaml:1: unknown key \"a`, expected `b\\n\"; use one of subnets, subnets_files, subnets_fallback, app_protocols, \
         connection_types, tcp, drops, local_loss, listeners, devices, findings, labels, metrics, histograms, views, workloads, limits, \
         collect, otlp",
    );
}

#[test]
fn shapes_are_refused_with_the_shape_that_is_wanted() {
    check("5", "t.yaml:1: found integer `5`; write a mapping of settings");
    check("[]", "t.yaml:1: found a list; write a mapping of settings");
    check("subnets: {}", "t.yaml:1: subnets: found a mapping; write a list");
    check(
        "subnets:\n  - 10.0.0.0/8",
        "t.yaml:2: subnets[0]: found string \"10.0.0.0/8\"; write a mapping with the keys name and cidrs",
    );
    check(
        "subnets: [{name: a, cidrs: 10.0.0.0/8}]",
        "t.yaml:1: subnets[0].cidrs: found string \"10.0.0.0/8\"; write a list",
    );
    check(
        "subnets: [~]",
        "t.yaml:1: subnets[0]: found nothing; write a mapping with the keys name and cidrs",
    );
    check(
        "drops: {enabled: yes}",
        "t.yaml:1: drops.enabled: found string \"yes\"; write true or false",
    );
    check(
        "tcp: {detail: [full]}",
        "t.yaml:1: tcp.detail: found a list; write a single value",
    );
    check(
        "subnets_fallback: 10",
        "t.yaml:1: subnets_fallback: found integer `10`; write a name or {auto: {ipv4: 24, ipv6: 48}}",
    );
    for (section, keys) in [
        ("tcp", "keys detail and memory"),
        ("drops", "keys enabled, ignore and classes"),
        ("labels", "keys tcp and drops"),
        (
            "limits",
            "keys memory, series, connections_per_peer, subnets and workloads",
        ),
        ("collect", "key max_age"),
        (
            "otlp",
            "keys enabled, endpoint, protocol, interval, timeout, compression, headers, temporality, names, histograms, view and tls",
        ),
    ] {
        check(
            &format!("{section}: []"),
            &format!("t.yaml:1: {section}: found a list; write a mapping with the {keys}"),
        );
    }
    for (list, keys) in [
        ("app_protocols", "name and ports"),
        ("connection_types", "type and interfaces"),
    ] {
        check(
            &format!("{list}:\n  - 5"),
            &format!("t.yaml:2: {list}[0]: found integer `5`; write a mapping with the keys {keys}"),
        );
    }
    check(
        "drops: {ignore: [5]}",
        "t.yaml:1: drops.ignore[0]: found integer `5`; write a mapping with the keys reason and location",
    );
    check(
        "drops: {classes: [5]}",
        "t.yaml:1: drops.classes[0]: found integer `5`; write a mapping with the keys class, reason and location",
    );
}

#[test]
fn an_error_points_at_the_value_an_alias_stands_for() {
    check(
        "subnets:\n  - {name: a, cidrs: &list [10.0.0.0/8]}\n  - {name: b, cidrs: *list}\n",
        "t.yaml:2: subnets[1].cidrs[0]: the network 10.0.0.0/8 is already in subnets[0].cidrs[0]; remove one of the \
         two",
    );
}

#[test]
fn an_error_stays_on_one_line_whatever_the_file_is_called() {
    let error = Config::from_yaml("tcp: 1", "a\nb").unwrap_err();
    assert_eq!(
        error.to_string(),
        "a\\nb:1: tcp: found integer `1`; write a mapping with the keys detail and memory"
    );
}

#[test]
fn a_file_that_cannot_be_read_says_why_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let check = |path: &Path, rest: &str| {
        let error = Config::read(path, |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), format!("{}{rest}", path.display()));
    };
    check(
        &directory.path().join("absent.yaml"),
        ": there is no such file; check the path",
    );
    check(
        directory.path(),
        ": the file cannot be read: Is a directory; name a file in it",
    );
    let file = directory.path().join("binary.yaml");
    fs::write(&file, b"tcp: {}\n# \xff\n").unwrap();
    check(&file, ":2: the file is not UTF-8 text; save it as UTF-8");
    fs::write(&file, "tcp: {}\nlimits: {series: 1}\n").unwrap();
    check(
        &file,
        ":2: limits.series: \"1\" is out of range; allowed are 100 to 10000000",
    );
    // Root may read everything: the error is made by hand.
    assert_eq!(
        unreadable(&io::Error::from(ErrorKind::PermissionDenied), "give up"),
        "the file cannot be read: permission denied; let the user that runs tcpvitals read the file and search its \
         directories"
    );
    assert_eq!(
        unreadable(&io::Error::from(ErrorKind::NotADirectory), "give up"),
        "the file cannot be read: not a directory; check that the path names a regular file"
    );
}

#[test]
fn merge_keys_bring_what_a_mapping_has_not_itself() {
    let config = super::config(
        "tcp: &a {detail: essential}\nviews:\n- {name: x, labels: &l {tcp: [role], drops: [class]}, series: 500}\n\
         - name: y\n  labels: {<<: *l, tcp: [subnet]}\n",
    );
    let [x, y] = &config.views[..] else {
        panic!("other views")
    };
    assert_eq!(y.labels.drops, x.labels.drops);
    assert_ne!(y.labels.tcp, x.labels.tcp);
    let list = "subnets:\n- &a {name: a, cidrs: [10.0.0.0/8]}\n- &b {name: \"1.50\", cidrs: [11.0.0.0/8]}\n\
                - <<: [*b, *a]\n  cidrs: [12.0.0.0/8]\n";
    // The name of b, which is text, is given twice now: it came from there.
    super::refused(
        list,
        "t.yaml:4: subnets[2].name: \"1.50\" is already the name of subnets[1]; join their cidrs or choose another name",
    );
}

/// The text itself is short.
#[test]
fn what_aliases_repeat_is_bounded() {
    let list = "x, ".repeat(10_000);
    for yaml in [
        format!("subnets:\n- {{name: a, cidrs: &a [{list}]}}\n") + &"- {name: b, cidrs: *a}\n".repeat(200),
        format!(
            "tcp: {{detail: &a [{list}]}}\ndrops: {{<<: [{}]}}\n",
            "{a: *a}, ".repeat(200)
        ),
    ] {
        let error = Config::from_yaml(&yaml, "t.yaml").expect_err("too many values");
        assert_eq!(
            error.to_string(),
            "t.yaml: aliases make more than 1250000 values of it; use fewer"
        );
    }
}

#[test]
fn what_is_wrong_with_a_merge_key_or_behind_it_has_its_line() {
    for (yaml, sentence) in [
        (
            "tcp:\n  <<: full\n",
            "t.yaml:2: tcp.<<: this is no mapping; write an alias of one, or a list of such aliases",
        ),
        (
            "drops: &d {enabled: true}\ntcp:\n  <<: *d\n",
            concat!(
                "t.yaml:1: tcp: unknown key \"enabled\" in version ",
                env!("CARGO_PKG_VERSION"),
                "; use one of detail, memory"
            ),
        ),
        (
            "tcp: &a {detail: full}\ndrops:\n  <<: *a\n  <<: *a\n",
            "t.yaml:4: drops.<<: the key is given twice; write one list of aliases: <<: [*a, *b]",
        ),
        (
            "limits: {<<: {series: 1}}\n",
            "t.yaml:1: limits.series: \"1\" is out of range; allowed are 100 to 10000000",
        ),
    ] {
        let error = Config::from_yaml(yaml, "t.yaml").expect_err(yaml);
        assert_eq!(error.to_string(), sentence, "{yaml}");
    }
}
