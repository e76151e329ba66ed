//! Wireshark's extcap: what Wireshark asks a capture program, and the sentences that answer. Pure.
//!
//! The interface is described in Wireshark's `doc/extcap.adoc`. Wireshark starts every program in its extcap folder without
//! a subcommand, so that what it asks has to be told from everything else by its flags.

use crate::cli::capture::ExtcapArguments;
use std::{ffi::OsString, path::PathBuf};

/// Name of the one interface.
pub const INTERFACE: &str = "tcpvitals";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    None,
    Answer(String),
    Capture(PathBuf),
    /// Wireshark asks for what there is not.
    Refuse(String),
}

impl ExtcapArguments {
    /// What is to be done.
    pub fn task(&self) -> Task {
        let Self {
            interfaces,
            wireshark: _,
            interface,
            link_types,
            options,
            capture,
            fifo,
            filter,
        } = self;
        if *interfaces {
            return Task::Answer(the_interface());
        }
        if let Some(name) = interface
            && name != INTERFACE
        {
            return Task::Refuse(format!(
                "--extcap-interface={name:?}: there is no such interface; the one there is is {INTERFACE}"
            ));
        }
        let filter = filter.as_deref().unwrap_or_default().trim();
        if !filter.is_empty() {
            let instead =
                "capture filters are not supported; choose reasons, protocols, addresses and more in the options";
            // To a question, any answer means that the filter is wrong; a capture must not begin without it.
            return if *capture {
                Task::Refuse(format!("--extcap-capture-filter: {instead}"))
            } else {
                Task::Answer(format!("{instead}\n"))
            };
        }
        match (fifo, interface) {
            (Some(fifo), _) if *capture => Task::Capture(fifo.clone()),
            (_, Some(_)) if *link_types => Task::Answer(LINK_TYPES.to_owned()),
            (_, Some(_)) if *options => Task::Answer(the_options()),
            (_, Some(_)) => Task::Answer(String::new()),
            _ => Task::None,
        }
    }
}

/// The arguments with the word `capture` where Wireshark leaves it out.
pub fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_extcap = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"--extcap-");
    let begins_with_flag = arguments
        .get(1)
        .is_some_and(|first| first.as_encoded_bytes().starts_with(b"--"));
    if begins_with_flag && arguments.iter().skip(1).any(is_extcap) {
        arguments.insert(1, OsString::from("capture"));
    }
    arguments
}

fn the_interface() -> String {
    format!(
        "extcap {{version={}}}{{display=tcpvitals}}\ninterface {{value={INTERFACE}}}{{display=Dropped packets}}\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Wireshark wants one to check filters with. Each packet has its own, by its interface in the file.
const LINK_TYPES: &str = "dlt {number=1}{name=EN10MB}{display=Ethernet, raw IP and cooked}\n";

/// Flag, type, what the dialogue shows, and its explanation.
const OPTIONS: &[(&str, &str, &str, &str)] = &[
    (
        "--reason",
        "string",
        "Drop reasons",
        "Patterns with *, separated by commas: NETFILTER_DROP,TCP_*",
    ),
    (
        "--location",
        "string",
        "Kernel functions",
        "Patterns with *, separated by commas: nft_*",
    ),
    (
        "--class",
        "string",
        "Classes",
        "benign, policy, error or capacity, separated by commas",
    ),
    (
        "--protocol",
        "string",
        "Protocols",
        "tcp, udp, icmp, icmpv6, arp and more, separated by commas",
    ),
    (
        "--subnet",
        "string",
        "Subnets",
        "Names of the configuration, separated by commas",
    ),
    (
        "--address",
        "string",
        "Addresses",
        "Networks of the source or the destination, separated by commas: 10.0.0.0/8,2001:db8::1",
    ),
    (
        "--interface",
        "string",
        "Devices",
        "Patterns with *, separated by commas: eth*",
    ),
    (
        "--workload",
        "string",
        "Workloads",
        "Patterns with *, separated by commas: cart,nginx*; the configuration file has to name a source",
    ),
    (
        "--workload-namespace",
        "string",
        "Namespaces of workloads",
        "Patterns with *, separated by commas; the configuration file has to name a source",
    ),
    ("--direction", "string", "Direction", "receive or transmit"),
    ("--snaplen", "unsigned", "Bytes of each packet", "0 is all of them"),
    (
        "--queue",
        "unsigned",
        "Packets that may wait",
        "What does not fit is counted",
    ),
    (
        "--config.file",
        "fileselect",
        "Configuration file",
        "Its drops.classes and drops.ignore",
    ),
];

fn the_options() -> String {
    let lines = OPTIONS.iter().enumerate().map(|(number, (flag, kind, shown, tip))| {
        let group = if *kind == "fileselect" { "{mustexist=true}" } else { "" };
        format!("arg {{number={number}}}{{call={flag}}}{{display={shown}}}{{type={kind}}}{{tooltip={tip}}}{group}\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn only_wireshark_may_leave_the_word_out() {
        for (given, meant) in [
            ("tcpvitals --extcap-interfaces", "tcpvitals capture --extcap-interfaces"),
            (
                "tcpvitals --capture --extcap-interface tcpvitals --fifo /tmp/f",
                "tcpvitals capture --capture --extcap-interface tcpvitals --fifo /tmp/f",
            ),
        ] {
            assert_eq!(with_command(words(given)), words(meant));
        }
        for as_it_is in [
            "tcpvitals",
            "tcpvitals --web.listen-address :1",
            "tcpvitals capture --extcap-interfaces",
            "tcpvitals serve --extcap-interfaces",
        ] {
            assert_eq!(with_command(words(as_it_is)), words(as_it_is));
        }
    }

    #[test]
    fn questions_are_answered() {
        let of = |change: &dyn Fn(&mut ExtcapArguments)| {
            let mut arguments = ExtcapArguments {
                interface: Some(INTERFACE.to_owned()),
                ..ExtcapArguments::default()
            };
            change(&mut arguments);
            arguments.task()
        };
        assert_eq!(ExtcapArguments::default().task(), Task::None);
        assert!(
            matches!(of(&|asked| asked.interfaces = true), Task::Answer(text) if text.contains("{value=tcpvitals}"))
        );
        assert!(
            matches!(of(&|asked| asked.link_types = true), Task::Answer(text) if text.starts_with("dlt {number=1}"))
        );
        let Task::Answer(options) = of(&|asked| asked.options = true) else {
            unreachable!("the options are an answer");
        };
        assert_eq!(options.lines().count(), OPTIONS.len());
        assert!(options.starts_with("arg {number=0}{call=--reason}"));
        let capture = |asked: &mut ExtcapArguments| {
            asked.capture = true;
            asked.fifo = Some("/tmp/f".into());
        };
        assert_eq!(of(&capture), Task::Capture("/tmp/f".into()));
        assert!(matches!(
            of(&|asked| asked.interface = Some("eth0".to_owned())),
            Task::Refuse(_)
        ));
        assert!(
            matches!(of(&|asked| asked.filter = Some("tcp".to_owned())), Task::Answer(text) if text.contains("not supported"))
        );
        assert_eq!(
            of(&|asked| asked.filter = Some(String::new())),
            Task::Answer(String::new())
        );
        let filtered = |asked: &mut ExtcapArguments| {
            capture(asked);
            asked.filter = Some("tcp".to_owned());
        };
        assert!(matches!(of(&filtered), Task::Refuse(_)));
    }
}
