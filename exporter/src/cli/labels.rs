//! Flags that choose by labels: one for each label that has a flag of the command.

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches,
    builder::{PossibleValuesParser, ValueParser},
    value_parser,
};
use tcpvitals_config::{
    DropLabel, Glob, TcpLabel,
    label::{Asker, Row, Values},
};
use tcpvitals_metrics::rows::filter::{DropFilter, FlowFilter, LabelFilter};

/// A set of labels with what each is asked to be.
macro_rules! flags {
    ($($(#[$about:meta])* $name:ident: $asker:expr, $labels:ident => $chosen:ident;)+) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        pub struct $name(pub $chosen);

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                $labels::ALL
                    .into_iter()
                    .fold(command, |command, label| add(command, $asker, label.row()))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                let mut chosen = $chosen::default();
                for label in $labels::ALL.into_iter().filter(|label| is_asked($asker, label.row())) {
                    fill(&mut chosen, label, label.row(), matches);
                }
                Ok(Self(chosen))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    )+};
}

flags! {
    /// Those of `top`.
    TopLabels: Asker::Top, TcpLabel => FlowFilter;
    /// Those of `trace`.
    TraceLabels: Asker::Trace, TcpLabel => FlowFilter;
    /// Those of `drops`.
    DropLabels: Asker::Drops, DropLabel => DropFilter;
    /// Those of `capture`.
    CaptureLabels: Asker::Capture, DropLabel => DropFilter;
}

fn fill<L>(chosen: &mut LabelFilter<L>, label: L, row: &Row, matches: &ArgMatches) {
    match row.values {
        Values::Patterns => chosen.patterns.push((label, all::<Glob>(matches, row))),
        Values::Names | Values::Words(_) => chosen.values.push((label, all(matches, row))),
    }
}

fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, row: &Row) -> Vec<T> {
    let values = matches.get_many(row.label.word);
    values.map(|values| values.cloned().collect()).unwrap_or_default()
}

fn is_asked(asker: Asker, row: &Row) -> bool {
    row.flag.as_ref().is_some_and(|flag| flag.of.contains(&asker))
}

fn add(command: Command, asker: Asker, row: &'static Row) -> Command {
    let Some(flag) = row.flag.as_ref().filter(|flag| flag.of.contains(&asker)) else {
        return command;
    };
    let parser = match row.values {
        Values::Patterns => ValueParser::new(Glob::new),
        Values::Words(words) => PossibleValuesParser::new(words()).into(),
        Values::Names => value_parser!(String),
    };
    command.arg(
        Arg::new(row.label.word)
            .long(flag.name)
            .value_name(flag.value)
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(parser)
            .help(flag.help),
    )
}
