//! The arguments of `drops`.

use super::Output;
use clap::{Args, builder::PossibleValuesParser};
use std::{path::PathBuf, time::Duration};
use tcpvitals_config::{Class, DropLabel, Glob, duration};
use tcpvitals_metrics::rows::drops::filter::Filter;

/// Of `drops`.
#[derive(Clone, Debug, Args)]
pub struct DropsArguments {
    /// Configuration file: subnets, classes, and drops to ignore; without one the built-in configuration is used
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// Time between two tables
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    pub interval: Duration,
    /// How to print; json is one object a line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
    /// End after one table
    #[arg(long, conflicts_with_all = ["count", "duration"])]
    pub once: bool,
    /// End after so many tables
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = whole_duration)]
    pub duration: Option<Duration>,
    /// Sites in a table at most
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Only drops of these classes; several are separated by commas, or the flag is repeated
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = PossibleValuesParser::new(Class::ALL.map(Class::as_str)))]
    pub class: Vec<String>,
    /// Only drops with these reasons, in which * stands for any text
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', value_parser = Glob::new)]
    pub reason: Vec<Glob>,
    /// Only drops at these locations, in which * stands for any text
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', value_parser = Glob::new)]
    pub location: Vec<Glob>,
    /// Only drops of these subnets, by their names in the configuration
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub subnet: Vec<String>,
}

impl DropsArguments {
    /// Which rows are wanted.
    pub fn filter(&self) -> Filter {
        Filter {
            source: None,
            values: vec![
                (DropLabel::Class, self.class.clone()),
                (DropLabel::Subnet, self.subnet.clone()),
            ],
            patterns: vec![
                (DropLabel::Reason, self.reason.clone()),
                (DropLabel::Location, self.location.clone()),
            ],
        }
    }

    /// How many tables are wanted, if not any number.
    pub fn tables(&self) -> Option<u64> {
        if self.once { Some(1) } else { self.count }
    }
}

/// Time between two readings of the kernel.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(100)..=Duration::from_secs(3600))
}

fn whole_duration(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(100)..=Duration::from_secs(30 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use crate::cli::{Arguments, Command};
    use clap::Parser;

    #[test]
    fn filters_and_bounds_are_checked() {
        let drops = |arguments: &[&str]| {
            let all = ["tcpvitals", "drops"].iter().chain(arguments);
            Arguments::try_parse_from(all).map_err(|error| error.to_string())
        };
        let filters = [
            "--class",
            "policy,error",
            "--reason",
            "TCP_*",
            "--reason",
            "NO_SOCKET",
            "--once",
        ];
        let parsed = drops(&filters).unwrap();
        let Some(Command::Drops(parsed)) = parsed.command else {
            panic!("{parsed:?}")
        };
        assert_eq!((parsed.tables(), parsed.interval.as_secs()), (Some(1), 2));
        assert_eq!(
            (parsed.class.len(), parsed.reason.len(), parsed.location.len()),
            (2, 2, 0)
        );
        for (wrong, allowed) in [
            (&["--class", "bad"][..], "benign"),
            (&["--interval", "2"], "500ms"),
            (&["--interval", "1ms"], "100ms"),
            (&["--location", "a b"], "tcp_*"),
            (&["--once", "--count", "3"], "--count"),
            (&["--count", "0"], "1.."),
            (&["--output", "xml"], "json"),
        ] {
            let error = drops(wrong).unwrap_err();
            assert!(error.contains(allowed), "{error}");
        }
    }
}
