//! What a configuration holds, in one line: `check-config` prints it, and a reload logs it.

use crate::Config;

impl Config {
    /// What it holds, in one line.
    pub fn summary(&self) -> String {
        let switch = |on: bool| if on { "on" } else { "off" };
        let otlp = match self.otlp_settings() {
            Ok((Some(settings), _warnings)) => settings.target.to_string(),
            _ => switch(false).to_owned(),
        };
        format!(
            "{}, {}, tcp.detail {}, drops {}, workloads {}, findings {}, OTLP {otlp}",
            self.subnets_in_words(),
            counted(self.app_protocols.names().len(), "application protocol"),
            self.tcp.detail.as_str(),
            switch(self.drops.enabled),
            self.workloads.source.as_str(),
            switch(self.findings.enabled),
        )
    }

    fn subnets_in_words(&self) -> String {
        let own = format!(
            "{} ({})",
            counted(self.subnets.names().len(), "subnet"),
            counted(self.subnets.networks().count(), "network")
        );
        match self.networks_of_files {
            Some(read) => format!("{own}, {} of them from {}", read.networks, counted(read.files, "file")),
            None => own,
        }
    }
}

/// A number with its noun.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_and_names() {
        let file = "\
subnets: [{name: a, cidrs: [10.0.0.0/8, 192.0.2.0/24]}]
drops: {enabled: false}
otlp: {endpoint: \"http://localhost:4317\"}
";
        let said = Config::from_yaml(file, "config.yaml").unwrap().summary();
        let parts: Vec<&str> = said.split(", ").collect();
        for expected in [
            "1 subnet (2 networks)",
            "drops off",
            "workloads none",
            "OTLP http://localhost:4317/",
        ] {
            assert!(parts.contains(&expected), "{said} without {expected}");
        }
    }
}
