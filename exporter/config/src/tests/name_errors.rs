//! Every fault of a network or of a name that an operator makes up, and the exact sentence it gets.

use super::refused as check;

#[test]
fn networks_are_exact_and_listed_once() {
    let not_a_network = |text: &str| {
        check(
            &format!("subnets:\n- name: a\n  cidrs:\n  - 10.1.0.0/16\n  - {text:?}\n"),
            &format!(
                "t.yaml:5: subnets[0].cidrs[1]: {text:?} is not a network; write an address and a prefix length, \
                 for example 10.1.0.0/16"
            ),
        );
    };
    for text in [
        "10.1.0.0/33",
        "10.1.0.0",
        "",
        "10.1.0/16",
        "fd00::/129",
        "host/8",
        "10.1.0.0/-1",
        "10.1.0.0/16 ",
    ] {
        not_a_network(text);
    }
    check(
        "subnets: [{name: a, cidrs: [10.1.2.3/16]}]",
        "t.yaml:1: subnets[0].cidrs[0]: \"10.1.2.3/16\" has address bits behind its prefix; write 10.1.0.0/16",
    );
    check(
        "subnets: [{name: a, cidrs: [\"fd00:1::5/32\"]}]",
        "t.yaml:1: subnets[0].cidrs[0]: \"fd00:1::5/32\" has address bits behind its prefix; write fd00:1::/32",
    );
    check(
        "subnets: [{name: a, cidrs: [\"::ffff:10.1.2.3/112\"]}]",
        "t.yaml:1: subnets[0].cidrs[0]: \"::ffff:10.1.2.3/112\" is an IPv4-mapped network; write it as IPv4: \
         10.1.0.0/16",
    );
    check(
        "subnets: [{name: a, cidrs: [\"::ffff:0:0/96\"]}]",
        "t.yaml:1: subnets[0].cidrs[0]: \"::ffff:0:0/96\" is an IPv4-mapped network; write it as IPv4: 0.0.0.0/0",
    );
    for (text, right) in [
        ("010.1.0.0/16", "10.1.0.0/16"),
        ("10.01.0.0/16", "10.1.0.0/16"),
        ("10.0.0.0/08", "10.0.0.0/8"),
        ("fd00::/032", "fd00::/32"),
    ] {
        check(
            &format!("subnets:\n- {{name: a, cidrs: [{text:?}]}}"),
            &format!(
                "t.yaml:2: subnets[0].cidrs[0]: {text:?} has a number that begins with 0, which some read as octal; write {right}"
            ),
        );
    }
    check(
        "subnets:\n  - {name: a, cidrs: [10.1.0.0/16]}\n  - name: b\n    cidrs:\n      - 10.0.0.0/8\n      \
         - 10.1.0.0/16\n",
        "t.yaml:6: subnets[1].cidrs[1]: the network 10.1.0.0/16 is already in subnets[0].cidrs[0]; remove one of \
         the two",
    );
    check(
        "subnets: [{name: a, cidrs: [\"fd00::/32\", \"fd00:0:0::/32\"]}]",
        "t.yaml:1: subnets[0].cidrs[1]: the network fd00::/32 is already in subnets[0].cidrs[0]; remove one of the \
         two",
    );
    check(
        "subnets: [{name: a, cidrs: []}]",
        "t.yaml:1: subnets[0].cidrs: the list is empty; give at least one network, for example 10.1.0.0/16",
    );
}

#[test]
fn names_are_printable_free_and_given_once() {
    for (name, fault) in [
        ("''", "the name is empty; write a word"),
        ("' '", "the name is empty; write a word"),
        (
            "",
            "there is no value; write one, in quotes if it is the word null or ~",
        ),
        (
            "null",
            "there is no value; write one, in quotes if it is the word null or ~",
        ),
        (
            "~",
            "there is no value; write one, in quotes if it is the word null or ~",
        ),
        (
            "other",
            "\"other\" is what the exporter calls everything else; choose another name",
        ),
        (
            "\"a\\nb\"",
            "\"a\\nb\" holds U+000A, a control character or an invisible one; remove it",
        ),
        (
            "\"a\\e[31m\"",
            "\"a\\u{1b}[31m\" holds U+001B, a control character or an invisible one; remove it",
        ),
        (
            "\"a\\u202eb\"",
            "\"a\\u{202e}b\" holds U+202E, a control character or an invisible one; remove it",
        ),
        (
            "\"a\\u200bb\"",
            "\"a\\u{200b}b\" holds U+200B, a control character or an invisible one; remove it",
        ),
        (
            "\"a\\U000e0041\"",
            "\"a\\u{e0041}\" holds U+E0041, a control character or an invisible one; remove it",
        ),
        (
            &"x".repeat(257),
            &format!(
                "\"{}…\" is longer than 256 bytes; choose a shorter name",
                "x".repeat(100)
            ),
        ),
    ] {
        check(
            &format!("subnets:\n  - name: {name}\n    cidrs: [10.0.0.0/8]"),
            &format!("t.yaml:2: subnets[0].name: {fault}"),
        );
        check(
            &format!("app_protocols:\n  - ports: [1]\n    name: {name}"),
            &format!("t.yaml:3: app_protocols[0].name: {fault}"),
        );
        if !["", "null", "~"].contains(&name) {
            check(
                &format!("subnets_fallback: {name}"),
                &format!("t.yaml:1: subnets_fallback: {fault}"),
            );
        }
    }
    check(
        "subnets:\n- {name: a, cidrs: [10.0.0.0/8]}\n- {name: a, cidrs: [11.0.0.0/8]}",
        "t.yaml:3: subnets[1].name: \"a\" is already the name of subnets[0]; join their cidrs or choose another name",
    );
    check(
        "app_protocols:\n- {name: a, ports: [1]}\n- {name: a, ports: [2]}",
        "t.yaml:3: app_protocols[1].name: \"a\" is already the name of app_protocols[0]; join their ports or choose \
         another name",
    );
    check(
        "subnets_fallback: auto",
        "t.yaml:1: subnets_fallback: \"auto\" needs prefix lengths; write {auto: {ipv4: 24, ipv6: 48}}, or another \
         name",
    );
    check(
        "subnets_fallback: cgnat",
        "t.yaml:1: subnets_fallback: \"cgnat\" is already the name of a subnet; choose another name",
    );
    check(
        "subnets: [{name: internet, cidrs: [10.0.0.0/8]}]",
        "t.yaml:1: subnets[0].name: \"internet\" is what addresses outside all subnets are called; choose \
         another name, or set subnets_fallback",
    );
}
