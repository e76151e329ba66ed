//! The command line.

mod drops;
pub mod labels;
pub mod manual;
mod top;

use crate::commands::capture::arguments::CaptureArguments;
use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;
use common::tcp::event::EventKind;
use ipnet::IpNet;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tcpvitals_config::{duration, length, network, size};
use tracing::Level;

use labels::TraceLabels;

pub use drops::DropsArguments;
pub use top::TopArguments;

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

Exit codes: 0 ended as asked; 1 cannot do what was asked; 2 wrong arguments or configuration; 3 the kernel lacks something \
or does not permit it"
)]
pub struct Arguments {
    /// What to do; `serve` without a word.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For `serve` without the word.
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
    /// Show live flows and drop sites on the terminal
    #[command(after_help = "\
Examples:
  tcpvitals top                                  q ends it, ? lists the keys
  tcpvitals top --sort retransmits --interval 5s
  tcpvitals top --once --output json --filter '10.1.2.3 https' | jq '.flows[].smoothed_rtt_seconds'")]
    Top(TopArguments),
    /// Show where and why packets are dropped, live
    #[command(after_help = "\
Examples:
  tcpvitals drops                                  a table that is drawn anew every 2 seconds
  tcpvitals drops --class error --class capacity   without what is meant to be dropped
  tcpvitals drops --location 'nft_*' --subnet private-10
  tcpvitals drops --output json --duration 1m | jq .packets_per_second")]
    Drops(DropsArguments),
    /// Print the events of TCP connections as they happen, or those of a file
    #[command(after_help = "\
Examples:
  tcpvitals trace --subnet private-10 --port 443
  tcpvitals trace --event retrans --event retrans_loss --output json
  tcpvitals trace --output binary >flows.trace; tcpvitals trace --read flows.trace")]
    Trace(TraceArguments),
    /// Check configuration files and say what is wrong with them
    #[command(after_help = "\
Examples:
  tcpvitals check-config tcpvitals.yaml
  tcpvitals check-config --web.config.file web.yaml")]
    CheckConfig {
        /// The configuration file
        #[arg(required_unless_present = "web")]
        file: Option<PathBuf>,
        /// The web configuration file; the certificates and keys that it names are checked too
        #[arg(long = "web.config.file", value_name = "FILE", id = "web")]
        web: Option<PathBuf>,
    },
    /// Say what this kernel offers, what would be attached, what is missing and why
    #[command(after_help = "\
Examples:
  tcpvitals doctor
  tcpvitals doctor --config.file tcpvitals.yaml --output json")]
    Doctor(DoctorArguments),
    /// Write dropped packets to a pcapng file or a pipe; also as a capture interface of Wireshark
    #[command(after_help = "\
Examples:
  tcpvitals capture -w drops.pcapng --class error,capacity --snaplen 128
  tcpvitals capture -w - --address 10.20.0.0/16 | wireshark -k -i -")]
    Capture(Box<CaptureArguments>),
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
    /// The JSON Schema of the configuration file
    Schema,
    /// The manual page, for section 8
    Man,
    /// Completions of this command line
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// Of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArguments {
    /// Configuration file; without one the built-in configuration is used
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Address to serve on; `:PORT` is every address
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":10717", value_parser = listen_address)]
    pub listen_address: SocketAddr,
    /// File that says who may ask, and how; without one everybody may, over plain HTTP
    ///
    /// It holds TLS, passwords and headers in the format of the Prometheus exporter-toolkit. It and the files that it names are
    /// read again when they change.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    pub telemetry_path: String,
    /// Re-read the configuration file when it changes, as SIGHUP does
    ///
    /// The web configuration, and every key and certificate that either of them names, are read again in any case.
    #[arg(long = "config.watch", requires = "config_file")]
    pub config_watch: bool,
    /// Let POST /-/reload re-read the configuration file, as SIGHUP does
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Let /api/v1/flows show the addresses of peers to everybody who may ask
    ///
    /// Without it only where the address is a loopback address, or passwords or certificates of clients are asked for.
    #[arg(long = "web.enable-flows")]
    pub enable_flows: bool,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// Of `trace`.
#[derive(Clone, Debug, Args)]
pub struct TraceArguments {
    /// Configuration file; without one the built-in configuration is used. It names subnets and application protocols
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// How to print; binary is for --read
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: TraceOutput,
    /// Print a file that `--output binary` wrote, instead of tracing; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["interval", "buffer", "duration", "btf", "config_file"])]
    pub read: Option<PathBuf>,
    /// How often all live connections are shown; 0 is never
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    pub interval: Interval,
    /// Room for events that are not printed yet; rounded up to a power of two
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = buffer)]
    pub buffer: u32,
    /// Which connections.
    #[command(flatten)]
    pub labels: TraceLabels,
    /// Only connections of which an address is in one of these networks
    #[arg(long, visible_alias = "address", value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
    pub cidr: Vec<IpNet>,
    /// Only connections of which an end has one of these ports
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// Only these events
    #[arg(long, value_name = "EVENT", value_delimiter = ',', value_parser = words(&EventKind::ALL, EventKind::as_str))]
    pub event: Vec<EventKind>,
    /// Only connections that have sent so many segments again
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub min_retransmits: u32,
    /// End after so many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub duration: Option<Duration>,
}

/// How `trace` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceOutput {
    /// A line for people
    Text,
    /// One JSON object a line
    Json,
    /// Records for --read
    Binary,
}

/// Of `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArguments {
    /// Configuration file; without one the built-in configuration is used
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How to log.
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// Least level that is logged: error, warn, info, debug or trace
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", global = true)]
    pub level: Level,
    /// Format of the log
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "text", global = true)]
    pub format: LogFormat,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// One JSON object a line
    Json,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    full.parse().map_err(|_invalid| {
        "expected an address and a port, for example 127.0.0.1:10717, [::1]:10717 or :10717".to_owned()
    })
}

/// How often; `None` is never. A type of its own: an option would be a flag without a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Option<Duration>);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn interval(text: &str) -> Result<Interval, String> {
    if text == "0" {
        return Ok(Interval(None));
    }
    duration(text, Duration::from_millis(10)..=DAY)
        .map(|interval| Interval(Some(interval)))
        .map_err(|error| error + ", or 0 for never")
}

/// At least a page, at most what the kernel takes on every machine.
fn buffer(text: &str) -> Result<u32, String> {
    let bytes = size(text, 4096..=1 << 30)?;
    u32::try_from(bytes).map_err(|error| error.to_string())
}

/// One of the words of a closed set.
fn words<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let words = all.iter().map(move |value| word(*value));
    PossibleValuesParser::new(words.collect::<Vec<_>>()).try_map(move |chosen| {
        let value = all.iter().find(|value| word(**value) == chosen);
        value.copied().ok_or("not one of them")
    })
}

fn telemetry_path(text: &str) -> Result<String, String> {
    let plain = text.starts_with('/')
        && text.len() > 1
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"{}?#*".contains(&byte));
    if !plain {
        return Err("expected a path that begins with /, for example /metrics".to_owned());
    }
    if ["/healthz", "/readyz", "/-/reload"].contains(&text) || text.starts_with("/api/") {
        return Err("this path is taken; expected another, for example /metrics".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn serving_is_the_default() {
        let arguments = Arguments::parse_from(["tcpvitals", "--web.listen-address", ":1234"]);
        assert!(arguments.command.is_none());
        assert_eq!(arguments.serve.listen_address, "[::]:1234".parse().unwrap());
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
        assert!(matches!(behind.command, Some(Command::Serve(serve)) if serve.listen_address.port() == 1));
    }

    #[test]
    fn flags_of_a_trace_are_checked() {
        let trace = |flags: &[&str]| Arguments::try_parse_from(["tcpvitals", "trace"].iter().chain(flags));
        for (flag, value, remedy) in [
            ("--interval", "1", "or 0 for never"),
            ("--interval", "1ms", "10ms"),
            ("--buffer", "1KiB", "4KiB to 1GiB"),
            ("--cidr", "10.0.0.0/33", "10.0.0.0/8"),
            ("--event", "open", "retrans_loss"),
            ("--connection-type", "wire", "wired"),
            ("--port", "0", "1.."),
            ("--count", "0", "1.."),
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
        assert_eq!((arguments.port, arguments.interval), (vec![1, 2], Interval(None)));
        assert_eq!(
            (arguments.cidr, arguments.buffer),
            (vec!["::1/128".parse().unwrap()], 5120)
        );
        assert!(trace(&["--read", "a", "--interval", "1s"]).is_err());
        assert!(trace(&["--read", "a", "--port", "1"]).is_ok());
    }

    #[test]
    fn addresses_and_paths_are_checked() {
        for (flag, value) in [
            ("--web.listen-address", "10717"),
            ("--web.listen-address", "localhost:1"),
            ("--web.listen-address", ":65536"),
            ("--web.telemetry-path", "metrics"),
            ("--web.telemetry-path", "/"),
            ("--web.telemetry-path", "/{x}"),
            ("--web.telemetry-path", "/readyz"),
        ] {
            let error = Arguments::try_parse_from(["tcpvitals", flag, value])
                .unwrap_err()
                .to_string();
            assert!(error.contains(flag) && error.contains("for example"), "{error}");
        }
    }
}
