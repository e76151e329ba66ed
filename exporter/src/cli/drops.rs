//! The arguments of `drops`.

use super::{
    filters::Filters,
    values::{Advanced, OUTPUT, Output, TIME, count, interval},
};
use clap::Args;
use std::time::Duration;
use tcpvitals_config::duration;

/// Of `drops`.
#[derive(Clone, Debug, Args)]
pub struct DropsArguments {
    /// Which drops.
    #[command(flatten)]
    pub filters: Filters,
    /// Output format; json prints one object per line, text on a terminal is the screen of top
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = OUTPUT)]
    pub output: Output,
    /// Maximum number of drop sites in a table
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = count::<u32>, allow_negative_numbers = true, help_heading = OUTPUT)]
    pub limit: u32,
    /// Time between two tables
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval, help_heading = TIME)]
    pub interval: Duration,
    /// Print one table and stop
    #[arg(long, conflicts_with_all = ["count", "duration"], help_heading = TIME)]
    pub once: bool,
    /// Stop after this many tables
    #[arg(long, value_name = "NUMBER", value_parser = count::<u64>, allow_negative_numbers = true, help_heading = TIME)]
    pub count: Option<u64>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = whole_duration, help_heading = TIME)]
    pub duration: Option<Duration>,
    /// Configuration and type information.
    #[command(flatten)]
    pub advanced: Advanced,
}

impl DropsArguments {
    /// How many tables are wanted, if not any number.
    pub fn tables(&self) -> Option<u64> {
        if self.once { Some(1) } else { self.count }
    }
}

fn whole_duration(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(100)..=Duration::from_secs(30 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use crate::cli::{Arguments, Command};
    use clap::Parser;
    use tcpvitals_config::DropLabel;

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
        let filter = &parsed.filters.drops;
        let given = |label| {
            let values = filter.values.iter().filter(|(own, _)| *own == label);
            let patterns = filter.patterns.iter().filter(|(own, _)| *own == label);
            values
                .map(|(_, all)| all.len())
                .chain(patterns.map(|(_, all)| all.len()))
                .sum::<usize>()
        };
        assert_eq!(
            [DropLabel::Class, DropLabel::Reason, DropLabel::Location].map(given),
            [2, 2, 0]
        );
        for (wrong, allowed) in [
            (&["--class", "bad"][..], "benign"),
            (&["--interval", "2"], "write 2s"),
            (&["--interval", "1ms"], "100ms"),
            (&["--location", "a b"], "tcp_*"),
            (&["--once", "--count", "3"], "--count"),
            (&["--count", "0"], "write a whole number from 1 on"),
            (&["--output", "xml"], "json"),
        ] {
            let error = drops(wrong).unwrap_err();
            assert!(error.contains(allowed), "{error}");
        }
    }
}
