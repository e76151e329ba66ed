//! The arguments of `top`.

use super::{
    filters::{FILTERS, Filters},
    values::{Advanced, OUTPUT, Output, TIME, count, interval},
};
use clap::{Args, ValueEnum};
use std::time::Duration;

/// Of `top`.
#[derive(Clone, Debug, Default, Args)]
pub struct TopArguments {
    /// Which connections, and which drops.
    #[command(flatten)]
    pub filters: Filters,
    /// Words that each row must contain: addresses, names, what the sender waits for
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true, help_heading = FILTERS)]
    pub filter: String,
    /// First view; subnets by default, with --once flows
    #[arg(long, value_name = "VIEW", help_heading = OUTPUT)]
    pub view: Option<Tab>,
    /// Sort key: a column of the first view, for example p90 or retransmits; of flows (--view flows, or --once) for example rtt
    #[arg(long, value_name = "KEY", help_heading = OUTPUT)]
    pub sort: Option<String>,
    /// Print the first view once and stop; needs no terminal
    #[arg(long, help_heading = OUTPUT)]
    pub once: bool,
    /// Output format (with --once)
    #[arg(long, value_name = "FORMAT", default_value = "text", requires = "once", help_heading = OUTPUT)]
    pub output: Output,
    /// Maximum number of rows (with --once)
    #[arg(long, value_name = "NUMBER", default_value = "100", requires = "once", value_parser = count::<u32>, allow_negative_numbers = true, help_heading = OUTPUT)]
    pub limit: u32,
    /// Time between two readings, over which rates are computed; findings take at least ten seconds
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval, help_heading = TIME)]
    pub interval: Duration,
    /// Configuration and type information.
    #[command(flatten)]
    pub advanced: Advanced,
}

/// Which rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tab {
    /// What is wrong, the worst first
    Findings,
    /// Connections by subnet
    Subnets,
    /// Connections by workload
    Workloads,
    /// Connections one by one
    Flows,
    /// Drop sites
    Drops,
}

#[cfg(test)]
mod tests {
    use crate::cli::{Arguments, Command};
    use clap::Parser;

    #[test]
    fn what_is_printed_once_needs_the_word() {
        let top = |arguments: &[&str]| Arguments::try_parse_from(["tcpvitals", "top"].iter().chain(arguments));
        let Some(Command::Top(parsed)) = top(&["--once", "--output", "json", "--sort", "rtt"]).unwrap().command else {
            panic!("another command")
        };
        assert!(parsed.once && parsed.limit == 100 && parsed.filter.is_empty());
        assert!(top(&[]).is_ok());
        for wrong in [&["--output", "json"][..], &["--limit", "5"], &["--view", "speed"]] {
            assert!(top(wrong).is_err(), "{wrong:?}");
        }
    }
}
