//! The flags that choose connections and drops: the same names with the same meaning in `top`, `drops`, `trace` and `capture`.

use super::values::port;
use crate::lifecycle::exit::{Ends, Exit};
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches,
    builder::{PossibleValuesParser, ValueParser},
    value_parser,
};
use common::drops::skip;
use ipnet::IpNet;
use std::collections::BTreeSet;
use tcpvitals_config::{
    Config, DropLabel, Fallback, Glob, TcpLabel,
    label::{Row, Values},
    network,
};
use tcpvitals_metrics::{
    labels::{NO_SUBNET, OTHER},
    rows::filter::{DropFilter, EndFilter, FlowFilter, LabelFilter},
};

/// What is asked for. A row passes when it is one of each kind that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Of connections.
    pub flows: FlowFilter,
    /// Of drops.
    pub drops: DropFilter,
    /// Of connections, and in part of packets: addresses and ports.
    pub ends: EndFilter,
    /// Every flag with its values, as they were given.
    pub given: Vec<(&'static str, Vec<String>)>,
}

/// What a command shows, and so what it can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Connections, and packets where they are dropped.
    Everything,
    Connections,
    /// Counts of drops, which know no addresses.
    Drops,
    /// Dropped packets one by one.
    Packets,
}

impl Shows {
    /// Why a command cannot choose by a flag, and what can; `None` if it can, and for a flag that is no filter.
    fn why_not(self, flag: &str) -> Option<&'static str> {
        const OF_DROPS: &str = "connections have none; choose drops with \"tcpvitals drops\"";
        const OF_ENDS: &str =
            "drops are counted by subnet, not by address; \"tcpvitals capture --address\" chooses dropped packets";
        const OF_ROLE: &str = "a dropped packet does not tell it; choose connections with \"tcpvitals top\"";
        const OF_PACKETS: &str = "capture does not look for it; choose by --address, --subnet or --protocol, or filter the file in Wireshark";
        let has = |row: &Row| flag_of(row) == Some(flag);
        let is_of_flows = TcpLabel::ALL.iter().any(|label| has(label.row()));
        let is_of_drops = DropLabel::ALL.iter().any(|label| has(label.row()));
        // What capture finds for each packet.
        const FOUND: u8 = skip::HEADERS | skip::SUBNET | skip::WORKLOAD;
        let is_beyond_packets = DropLabel::ALL
            .iter()
            .any(|label| has(label.row()) && label.row().looks_for & !FOUND != 0);
        let is_of_ends = [ADDRESS, PORT].contains(&flag);
        if !is_of_flows && !is_of_drops && !is_of_ends {
            return None;
        }
        match self {
            Self::Everything => None,
            Self::Connections => (!is_of_flows && !is_of_ends).then_some(OF_DROPS),
            Self::Drops if is_of_ends => Some(OF_ENDS),
            Self::Drops | Self::Packets if !is_of_drops && !is_of_ends => Some(OF_ROLE),
            Self::Packets => (flag == PORT || is_beyond_packets).then_some(OF_PACKETS),
            Self::Drops => None,
        }
    }

    /// Leaves an argument out of the help of a command that cannot choose by it.
    pub(super) fn help(self, arg: Arg) -> Arg {
        let is_foreign = arg.get_long().is_some_and(|flag| self.why_not(flag).is_some());
        if is_foreign { arg.hide(true) } else { arg }
    }
}

/// Why nothing can be what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("no {what} {name:?}; {}", known(.there))]
    Unknown {
        /// What it should be the name of.
        what: &'static str,
        name: String,
        /// Who has which names.
        there: (&'static str, Vec<String>),
    },
    #[error("no address is in these subnets and networks; give other values of --subnet or --address")]
    NoNetwork,
    #[error("--{flag} cannot choose here: {why}")]
    Foreign {
        flag: &'static str,
        /// Why not, and what can.
        why: &'static str,
    },
}

/// Names that there are: of very many the first ones.
fn known((whose, names): &(&'static str, Vec<String>)) -> String {
    const MOST: usize = 200;
    let more = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{whose} has {}{more}", names[..names.len().min(MOST)].join(", "))
}

/// The heading of the help.
pub(super) const FILTERS: &str = "Filters (a row has to be one of each kind that is given; several values with commas)";
const ADDRESS: &str = "address";
const PORT: &str = "port";

impl Filters {
    /// The flags as they were given; "" for none.
    pub fn as_given(&self) -> String {
        let flag = |(name, values): &(&str, Vec<String>)| format!("--{name} {}", values.join(","));
        self.given.iter().map(flag).collect::<Vec<_>>().join(" ")
    }

    /// The flags that were given by which counts of connections and drops cannot be told apart.
    pub fn of_ends(&self) -> Vec<String> {
        let given = self.given.iter().map(|(name, _)| *name);
        let given = given.filter(|name| [ADDRESS, PORT].contains(name));
        given.map(|name| format!("--{name}")).collect()
    }

    /// The labels that rows have to have certain values of.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let of_flows = self.flows.labels().map(TcpLabel::row);
        of_flows.chain(self.drops.labels().map(DropLabel::row))
    }

    /// Refuses what a command cannot choose by.
    ///
    /// # Errors
    /// [`FilterError::Foreign`]
    pub fn of(&self, shows: Shows) -> Result<&Self, FilterError> {
        let mut foreign = self
            .given
            .iter()
            .filter_map(|(flag, _)| Some((*flag, shows.why_not(flag)?)));
        match foreign.next() {
            Some((flag, why)) => Err(FilterError::Foreign { flag, why }),
            None => Ok(self),
        }
    }

    /// Refuses names that a configuration does not have.
    ///
    /// # Errors
    /// [`FilterError::Unknown`]
    pub fn check(&self, config: &Config) -> Result<(), FilterError> {
        self.check_names(
            "this configuration",
            (config.subnets.names(), config.subnets.fallback()),
            config.app_protocols.names(),
        )
    }

    /// Refuses names of subnets and application protocols that are not there.
    ///
    /// # Errors
    /// [`FilterError::Unknown`]
    pub fn check_names(
        &self,
        whose: &'static str,
        (subnets, fallback): (&[String], &Fallback),
        protocols: &[String],
    ) -> Result<(), FilterError> {
        let mut all: Vec<String> = subnets.to_vec();
        // Any prefix may be a name where the fallback is automatic.
        let is_open = match fallback {
            Fallback::Name(name) => {
                all.push(name.clone());
                false
            }
            Fallback::Auto { .. } => true,
        };
        let asked = |label: TcpLabel| {
            let kinds = self.flows.values.iter().filter(move |(own, _)| *own == label);
            kinds.flat_map(|(_, names)| names)
        };
        let of_all = [NO_SUBNET, OTHER];
        let is_subnet = |name: &String| {
            all.contains(name) || of_all.contains(&name.as_str()) || (is_open && name.parse::<IpNet>().is_ok())
        };
        let is_protocol = |name: &String| protocols.contains(name) || name == OTHER;
        let unknown = |what, name: &String, names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            Err(FilterError::Unknown {
                what,
                name: name.clone(),
                there: (whose, names),
            })
        };
        if let Some(name) = asked(TcpLabel::Subnet).find(|name| !is_subnet(name)) {
            return unknown("subnet", name, &all);
        }
        match asked(TcpLabel::AppProtocol).find(|name| !is_protocol(name)) {
            Some(name) => unknown("application protocol", name, protocols),
            None => Ok(()),
        }
    }

    /// Refuses reasons that no drop of this kernel can have; `reasons` are all names that the kernel has. Where it names none, as old ones
    /// do not, anything may be asked for; XDP and the hardware have reasons of their own.
    ///
    /// # Errors
    /// [`FilterError::Unknown`]
    pub fn check_reasons(&self, reasons: &BTreeSet<&str>) -> Result<(), FilterError> {
        let kinds = self
            .drops
            .patterns
            .iter()
            .filter(|(label, _)| *label == DropLabel::Reason);
        let mut asked = kinds.flat_map(|(_, globs)| globs);
        let is_of_kernel = |glob: &Glob| {
            let text = glob.to_string();
            let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_*".contains(&byte);
            text.bytes().all(is_upper)
                && text.contains(|letter: char| letter.is_ascii_uppercase())
                && !text.starts_with("XDP")
        };
        let is_unknown = |glob: &&Glob| is_of_kernel(glob) && !reasons.iter().any(|reason| glob.matches(reason));
        match asked.find(|glob| !reasons.is_empty() && is_unknown(glob)) {
            None => Ok(()),
            Some(glob) => Err(FilterError::Unknown {
                what: "drop reason",
                name: glob.to_string(),
                there: ("this kernel", reasons.iter().map(|name| String::from(*name)).collect()),
            }),
        }
    }
}

impl Ends for FilterError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

fn flag_of(row: &Row) -> Option<&'static str> {
    row.flag.as_ref().map(|flag| flag.name)
}

/// Every label that has a flag, each word once.
fn rows() -> impl Iterator<Item = &'static Row> {
    let of_flows = TcpLabel::ALL.into_iter().map(TcpLabel::row);
    let is_of_drops_only = |label: &DropLabel| TcpLabel::ALL.iter().all(|own| own.label() != label.label());
    let of_drops = DropLabel::ALL.into_iter().filter(is_of_drops_only).map(DropLabel::row);
    of_flows.chain(of_drops).filter(|row| row.flag.is_some())
}

impl Args for Filters {
    fn augment_args(command: Command) -> Command {
        let command = command.next_help_heading(FILTERS);
        rows()
            .fold(command, |command, row| command.args(arg(row)))
            .arg(
                Arg::new(ADDRESS)
                    .long(ADDRESS)
                    .visible_alias("cidr")
                    .value_name("NETWORK")
                    .value_delimiter(',')
                    .action(ArgAction::Append)
                    .value_parser(network)
                    .help("Network or address of either end: 10.0.0.0/8 or 2001:db8::1"),
            )
            .arg(
                Arg::new(PORT)
                    .long(PORT)
                    .value_name("PORT")
                    .value_delimiter(',')
                    .action(ArgAction::Append)
                    .value_parser(port)
                    .help("Port of either end"),
            )
            .next_help_heading(None)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Filters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut filters = Self {
            ends: EndFilter {
                networks: all(matches, ADDRESS),
                ports: all(matches, PORT),
            },
            ..Self::default()
        };
        for label in TcpLabel::ALL {
            fill(&mut filters.flows, label, label.row(), matches);
        }
        for label in DropLabel::ALL {
            fill(&mut filters.drops, label, label.row(), matches);
        }
        let names = rows().filter_map(|row| Some((row.label.word, flag_of(row)?)));
        for (id, name) in names.chain([(ADDRESS, ADDRESS), (PORT, PORT)]) {
            let raw = matches.get_raw(id).into_iter().flatten();
            let values: Vec<String> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
            if !values.is_empty() {
                filters.given.push((name, values));
            }
        }
        Ok(filters)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn fill<L>(chosen: &mut LabelFilter<L>, label: L, row: &Row, matches: &ArgMatches) {
    if row.flag.is_none() {
        return;
    }
    match row.values {
        Values::Patterns => chosen.patterns.push((label, all::<Glob>(matches, row.label.word))),
        Values::Names | Values::Words(_) => chosen.values.push((label, all(matches, row.label.word))),
    }
}

fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Vec<T> {
    let values = matches.get_many(id);
    values.map(|values| values.cloned().collect()).unwrap_or_default()
}

fn arg(row: &'static Row) -> Option<Arg> {
    let flag = row.flag.as_ref()?;
    let parser = match row.values {
        Values::Patterns => ValueParser::new(Glob::new),
        Values::Words(words) => PossibleValuesParser::new(words()).into(),
        Values::Names => value_parser!(String),
    };
    Some(
        Arg::new(row.label.word)
            .long(flag.name)
            .value_name(flag.value)
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(parser)
            .help(flag.help),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Arguments;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        filters: Filters,
    }

    fn filters(flags: &str) -> Result<Filters, String> {
        let words = ["x"].into_iter().chain(flags.split_whitespace());
        Words::try_parse_from(words)
            .map(|words| words.filters)
            .map_err(|error| error.to_string())
    }

    fn config() -> Config {
        let yaml = "subnets: [{name: a, cidrs: [10.0.0.0/8]}, {name: b, cidrs: [10.1.0.0/16]}, {name: c, cidrs: [10.1.2.0/24]}]";
        Config::from_yaml(yaml, "test.yaml").unwrap()
    }

    #[test]
    fn a_flag_chooses_connections_and_drops_alike() {
        let filters = filters("--subnet a,b --subnet c --workload web* --address 10.0.0.0/8 --port 443,80").unwrap();
        assert_eq!(
            filters.flows.labels().collect::<Vec<_>>(),
            [TcpLabel::Subnet, TcpLabel::Workload]
        );
        assert_eq!(
            filters.drops.labels().collect::<Vec<_>>(),
            [DropLabel::Subnet, DropLabel::Workload]
        );
        assert_eq!(filters.ends.ports, [443, 80]);
        assert_eq!(
            filters.as_given(),
            "--subnet a,b,c --workload web* --address 10.0.0.0/8 --port 443,80"
        );
    }

    #[test]
    fn values_are_checked_as_in_a_file() {
        for (flags, remedy) in [
            ("--address 10.1.2.3/24", "10.1.2.0/24"),
            ("--cidr 10.0.0.0/33", "10.0.0.0/8"),
            ("--class bad", "benign"),
            ("--port 0", "from 1 to 65535"),
            ("--role peer", "client"),
        ] {
            let error = filters(flags).unwrap_err();
            assert!(error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn names_that_are_not_there_are_refused_with_those_that_are() {
        let refused = |flags: &str| {
            filters(flags)
                .unwrap()
                .check(&config())
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            refused("--subnet nosuch"),
            Err("no subnet \"nosuch\"; this configuration has a, b, c, internet".to_owned())
        );
        let protocol = refused("--app-protocol gopher").unwrap_err();
        assert!(
            protocol.starts_with("no application protocol \"gopher\"; this configuration has ")
                && protocol.contains("https")
        );
        for there in ["--subnet a,internet,none,other", "--app-protocol https,other", ""] {
            assert_eq!(refused(there), Ok(()), "{there}");
        }
        let open = Config::from_yaml("subnets_fallback: {auto: {ipv4: 24, ipv6: 64}}", "test.yaml");
        if let Ok(open) = open {
            assert_eq!(filters("--subnet 192.0.2.0/24").unwrap().check(&open), Ok(()));
        }
        let kernel = BTreeSet::from(["NO_SOCKET", "NETFILTER_DROP"]);
        let reasons = |flags: &str| {
            let checked = filters(flags).unwrap().check_reasons(&kernel);
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(
            reasons("--reason NO_SOCKET,NOSUCH"),
            Err("no drop reason \"NOSUCH\"; this kernel has NETFILTER_DROP, NO_SOCKET".to_owned())
        );
        for there in ["--reason NO_*", "--reason *", "--reason XDP_DROP", "--reason l2_drops"] {
            assert_eq!(reasons(there), Ok(()), "{there}");
        }
        assert_eq!(
            filters("--reason NOSUCH").unwrap().check_reasons(&BTreeSet::new()),
            Ok(())
        );
    }

    #[test]
    fn what_a_command_cannot_choose_by_is_refused_and_never_left_out() {
        let refused = |flags: &str, shows| match filters(flags).unwrap().of(shows) {
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        for (flags, shows, hint) in [
            ("--class error", Shows::Connections, "tcpvitals drops"),
            ("--port 443", Shows::Drops, "capture --address"),
            ("--role client", Shows::Drops, "tcpvitals top"),
            ("--role client", Shows::Packets, "tcpvitals top"),
            ("--port 443", Shows::Packets, "Wireshark"),
        ] {
            let error = refused(flags, shows).unwrap_or_default();
            assert!(error.contains(hint), "{flags}: {error}");
        }
        for (flags, shows) in [
            ("--class error --role client --port 1", Shows::Everything),
            ("--subnet a --address 10.0.0.1 --role client", Shows::Connections),
            ("--subnet a --class error --app-protocol https", Shows::Drops),
            ("--subnet a --class error --address 10.0.0.1", Shows::Packets),
        ] {
            assert_eq!(refused(flags, shows), None, "{flags}");
        }
    }

    #[test]
    fn every_command_that_chooses_has_the_same_flags() {
        for command in ["top", "drops", "trace", "capture"] {
            let parsed = Arguments::try_parse_from([
                "tcpvitals",
                command,
                "--subnet",
                "a",
                "--class",
                "error",
                "--port",
                "1",
                "--address",
                "::1",
            ]);
            let error = parsed.err().map(|error| error.kind());
            // A file to write is all that may lack.
            assert!(
                matches!(error, None | Some(clap::error::ErrorKind::MissingRequiredArgument)),
                "{command}: {error:?}"
            );
        }
    }
}
