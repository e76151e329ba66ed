//! The command line.

pub mod capture;
pub mod cardinality;
mod check;
mod demo;
mod doctor;
mod drops;
pub mod explain;
pub mod filters;
mod listen;
mod log;
pub mod manual;
mod record;
mod serve;
mod subnets;
mod top;
mod trace;
mod values;

use capture::CaptureArguments;
use cardinality::CardinalityArguments;
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use explain::ExplainArguments;
use filters::Shows;

pub use check::CheckArguments;
pub use demo::DemoArguments;
pub use doctor::DoctorArguments;
pub use drops::DropsArguments;
pub use listen::ListenAddress;
pub use log::{Log, LogFormat};
pub use record::RecordArguments;
pub use serve::ServeArguments;
pub use subnets::SubnetsArguments;
pub use top::{Tab, TopArguments};
pub use trace::{Interval, TraceArguments, TraceOutput};
pub use values::{Advanced, Output};

/// The vital signs of every TCP flow and the site of every dropped packet, as metrics.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tcpvitals                                  serve metrics on every address, port 10717
  tcpvitals doctor                           what this kernel offers, and what is missing and why
  tcpvitals check-config tcpvitals.yaml      what is wrong with a file, before it is used

Exit codes: 0 success; 1 failure; 2 wrong arguments or configuration; 3 the kernel lacks something or does not \
permit it; 10 `explain` has findings"
)]
pub struct Arguments {
    /// The command; `serve` if there is none.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For `serve` without its name.
    #[command(flatten)]
    pub serve: ServeArguments,
    /// How to log.
    #[command(flatten)]
    pub log: Log,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve metrics (the default)
    #[command(after_help = "\
Examples:
  tcpvitals serve --config.file tcpvitals.yaml
  tcpvitals serve --web.listen-address 127.0.0.1:10717 --web.enable-lifecycle
  tcpvitals serve --web.config.file web.yaml --log.format json")]
    Serve(ServeArguments),
    /// Serve the recording of a host with an incident, without privileges and on any kernel
    #[command(
        mut_arg("btf", |arg| arg.hide(true)),
        after_help = "\
Examples:
  tcpvitals demo                                       then http://localhost:10717, in the middle of the incident
  tcpvitals demo --at 0s --speed 10                    from its first moment, ten times as fast
  tcpvitals demo --web.listen-address 127.0.0.1:10717 --config.file views.yaml

When the recording is over it begins again, and its counters go on from where they were."
    )]
    Demo(DemoArguments),
    /// Say what is wrong here and whose it is, or what a word means
    #[command(after_help = "\
Examples:
  tcpvitals explain                                  what is wrong, after a look of ten seconds
  tcpvitals explain --from http://127.0.0.1:10717    what a running exporter has found
  tcpvitals explain 10.1.2.3:443                     the flows to a peer, and what is wrong with its subnet
  tcpvitals explain QDISC_DROP                       what a drop reason means
  tcpvitals explain TcpvitalsCapacityDrops           the runbook of an alert

Exit codes: 0 no findings; 10 findings; others as for every command")]
    Explain(ExplainArguments),
    /// Look around: findings, subnets, workloads, connections and drop sites, live
    #[command(after_help = "\
Examples:
  tcpvitals top                                  subnets first; 1 to 5 turn to other views, q ends it, ? lists the keys
  tcpvitals top --subnet private-10 --view flows --sort retransmits
  tcpvitals top --once --view subnets            prints it, without a terminal
  tcpvitals top --once --output json --filter '10.1.2.3 https' | jq '.flows[].smoothed_rtt_seconds'")]
    Top(TopArguments),
    /// Show where and why packets are dropped: on a terminal as top does, else in tables
    #[command(mut_args(|arg| Shows::Drops.help(arg)), after_help = "\
Examples:
  tcpvitals drops                                  the drop sites of top; Enter explains one
  tcpvitals drops --class error,capacity           without what is meant to be dropped
  tcpvitals drops --once --location 'nft_*' --subnet private-10
  tcpvitals drops --output json --duration 1m | jq .packets_per_second")]
    Drops(DropsArguments),
    /// Print the events of TCP connections as they happen, or those of a file
    #[command(mut_args(|arg| Shows::Connections.help(arg)), after_help = "\
Examples:
  tcpvitals trace --subnet private-10 --port 443
  tcpvitals trace --event retrans,retrans_loss --output json
  tcpvitals trace --event close --fields segs_retrans,locally_dropped,srtt_us
  tcpvitals trace --output binary >flows.trace; tcpvitals trace --read flows.trace

What every value means is in docs/trace-format.md")]
    Trace(TraceArguments),
    /// Check configuration files and say what is wrong with them
    #[command(after_help = "\
Examples:
  tcpvitals check-config tcpvitals.yaml
  tcpvitals check-config tcpvitals.yaml --lookup 10.1.2.3     which subnet it counts for, and by which line
  tcpvitals check-config --web.config.file web.yaml")]
    CheckConfig(CheckArguments),
    /// Say what each label and each metric of a running exporter costs
    #[command(after_help = "\
Examples:
  tcpvitals cardinality
  tcpvitals cardinality --from https://localhost:10717 --login-file login --ca-file ca.pem
  tcpvitals cardinality --output json | jq '.labels[] | select(.without < .label_sets / 2)'")]
    Cardinality(CardinalityArguments),
    /// Make subnets of the zones or pools of a cluster's nodes, for `subnets_files`
    #[command(after_help = "\
Examples:
  tcpvitals subnets --from-kubernetes >zones.csv
  tcpvitals subnets --from-kubernetes --label cloud.google.com/gke-nodepool
  tcpvitals subnets --from-kubernetes --config-map tcpvitals-zones --namespace tcpvitals    follows the nodes, in one pod")]
    Subnets(SubnetsArguments),
    /// Say what this kernel offers, what would be attached, what is missing and why
    #[command(after_help = "\
Examples:
  tcpvitals doctor
  tcpvitals doctor --config.file tcpvitals.yaml --output json")]
    Doctor(DoctorArguments),
    /// Write dropped packets to a pcapng file or a pipe; also as a capture interface of Wireshark
    #[command(mut_args(|arg| Shows::Packets.help(arg)), after_help = "\
Examples:
  tcpvitals capture -w drops.pcapng --class error,capacity --snaplen 128
  tcpvitals capture -w - --address 10.20.0.0/16 | wireshark -k -i -")]
    Capture(Box<CaptureArguments>),
    /// Record what is read of this kernel, for `demo`
    #[command(hide = true)]
    Record(RecordArguments),
    /// Print reference pages, the manual page, and completions for shells
    #[command(
        subcommand,
        after_help = "\
Examples:
  tcpvitals docs man | man -l -
  source <(tcpvitals docs completions bash)"
    )]
    Docs(Docs),
}

/// A reference page.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Docs {
    /// All metrics, in Markdown
    Metrics,
    /// The configuration file, in Markdown
    Configuration,
    /// All findings and drop reasons, in Markdown
    Findings,
    /// The JSON Schema of the configuration file
    Schema,
    /// The manual page, for section 8
    Man,
    /// Completions of this command line
    Completions {
        /// Name of the shell
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use tracing::Level;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn serving_is_the_default() {
        let arguments = Arguments::parse_from(["tcpvitals", "--web.listen-address", ":1234"]);
        assert!(arguments.command.is_none());
        assert_eq!(arguments.serve.listen_address, [ListenAddress::Every(1234)]);
    }

    #[test]
    fn flags_of_a_command_stand_behind_its_name() {
        let before = ["tcpvitals", "--web.listen-address", ":1", "serve"];
        assert!(Arguments::try_parse_from(before).is_err());
        let behind = Arguments::parse_from([
            "tcpvitals",
            "serve",
            "--web.listen-address",
            ":1",
            "--log.level",
            "debug",
        ]);
        assert_eq!(behind.log.level, Level::DEBUG);
        assert!(
            matches!(behind.command, Some(Command::Serve(serve)) if serve.listen_address == [ListenAddress::Every(1)])
        );
    }

    #[test]
    fn flags_of_a_trace_are_checked() {
        let trace = |flags: &[&str]| Arguments::try_parse_from(["tcpvitals", "trace"].iter().chain(flags));
        for (flag, value, remedy) in [
            ("--interval", "1 s", "or 0 for never"),
            ("--interval", "1ms", "10ms"),
            ("--buffer", "1KiB", "4KiB to 1GiB"),
            ("--address", "10.0.0.0/33", "10.0.0.0/8"),
            ("--fields", "speed", "snd_cwnd"),
            ("--event", "open", "retrans_loss"),
            ("--connection-type", "wire", "wired"),
            ("--port", "0", "from 1 to 65535"),
            ("--port", "abc", "a port is a number from 1 to 65535"),
            ("--interval", "2", "\"2\" has no unit; write 2s"),
            ("--count", "0", "write a whole number from 1 on, for example 100"),
            ("--count", "-1", "write a whole number from 1 on"),
            ("--count", "many", "write a whole number from 1 on"),
            ("--min-retransmits", "few", "write a whole number from 0 to 4294967295"),
        ] {
            let error = trace(&[flag, value]).unwrap_err().to_string();
            assert!(error.contains(flag) && error.contains(remedy), "{error}");
        }
        let arguments = trace(&[
            "--port",
            "1",
            "--port",
            "2",
            "--interval",
            "0",
            "--cidr",
            "::1",
            "--buffer",
            "5KiB",
        ]);
        let Some(Command::Trace(arguments)) = arguments.unwrap().command else {
            panic!("another command")
        };
        assert_eq!(
            (arguments.filters.ends.ports, arguments.interval),
            (vec![1, 2], Some(Interval(None)))
        );
        assert_eq!(
            (arguments.filters.ends.networks, arguments.buffer),
            (vec!["::1/128".parse().unwrap()], 5120)
        );
        assert!(trace(&["--read", "a", "--interval", "1s"]).is_err());
        assert!(trace(&["--read", "a", "--port", "1"]).is_ok());
    }

    #[test]
    fn a_number_that_is_none_is_answered_with_one_to_write() {
        for (command, flags) in [
            ("capture", &["--queue", "--count", "--snaplen", "--rotate-files"][..]),
            ("drops", &["--limit", "--count"]),
            ("top", &["--limit"]),
            ("trace", &["--count", "--min-retransmits"]),
            ("demo", &["--speed"]),
        ] {
            for flag in flags {
                for wrong in ["x", "-1", "1.5", "99999999999999999999", ""] {
                    let error = Arguments::try_parse_from(["tcpvitals", command, flag, wrong]).unwrap_err();
                    let error = error.to_string();
                    assert!(
                        error.contains(flag) && error.contains("write a whole number from "),
                        "{command} {flag} {wrong:?}: {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn subnets_come_from_somewhere_and_go_somewhere() {
        let parse = |words: &[&str]| Arguments::try_parse_from([&["tcpvitals", "subnets"], words].concat());
        for good in [
            &["--from-kubernetes"][..],
            &["--from-kubernetes", "--config-map", "a", "--namespace", "b"],
        ] {
            assert!(parse(good).is_ok(), "{good:?}");
        }
        for bad in [
            &[][..],
            &["--from-kubernetes", "--config-map", "a"],
            &["--from-kubernetes", "--namespace", "b"],
            &["--from-kubernetes", "--api-server", "https://localhost:1"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_and_paths_are_checked() {
        for (flag, value) in [
            ("--web.listen-address", "10717"),
            ("--web.listen-address", ":65536"),
            ("--web.telemetry-path", "metrics"),
            ("--web.telemetry-path", "/"),
            ("--web.telemetry-path", "/{x}"),
            ("--web.telemetry-path", "/*"),
            ("--web.telemetry-path", "/:x"),
            ("--web.telemetry-path", "/vital/:x"),
            ("--web.telemetry-path", "/readyz"),
        ] {
            let error = Arguments::try_parse_from(["tcpvitals", flag, value])
                .unwrap_err()
                .to_string();
            let remedy = ["for example", "did you mean", "from 1 to 65535"];
            assert!(
                error.contains(flag) && remedy.iter().any(|part| error.contains(part)),
                "{error}"
            );
        }
        let two = [
            "tcpvitals",
            "--web.listen-address",
            ":1",
            "--web.listen-address=localhost:2",
        ];
        let two = Arguments::parse_from(two).serve.listen_address;
        assert_eq!(
            two.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [":1", "localhost:2"]
        );
        let both = ["tcpvitals", "--web.systemd-socket", "--web.listen-address", ":1"];
        assert!(Arguments::try_parse_from(both).is_err());
        assert!(Arguments::parse_from(&both[..2]).serve.systemd_socket);
    }

    #[test]
    fn levels_and_formats_are_those_of_prometheus_too() {
        let log = |flag, value| Arguments::try_parse_from(["tcpvitals", flag, value]).map(|arguments| arguments.log);
        for (word, level) in [
            ("warning", Level::WARN),
            ("warn", Level::WARN),
            ("INFO", Level::INFO),
            ("trace", Level::TRACE),
        ] {
            assert_eq!(log("--log.level", word).unwrap().level, level);
        }
        let error = log("--log.level", "loud").unwrap_err().to_string();
        assert!(error.contains("use error, warn, info, debug or trace"), "{error}");
        assert!(log("--log.level", "3").is_err());
        assert_eq!(log("--log.format", "logfmt").unwrap().format, LogFormat::Logfmt);
    }
}
