//! The manual page and the completions of shells, made from the command line's own description. One page holds all commands.

use crate::cli::Arguments;
use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::io;

/// Where the page belongs: every command but a few needs privileges.
const SECTION: &str = "8";

/// The manual page, in roff.
///
/// # Errors
/// None that a string can give.
pub fn page() -> io::Result<String> {
    let mut command = Arguments::command();
    command.build();
    let mut page = Vec::new();
    head(&command).to_writer(&mut page)?;
    for command in all_commands(&command) {
        of_command(command, &mut page)?;
    }
    page.extend(section(
        "OPTIONS OF EVERY COMMAND",
        &options(&command, Arg::is_global_set)?,
    ));
    tail(&command).to_writer(&mut page)?;
    String::from_utf8(page).map_err(io::Error::other)
}

/// The completions for a shell.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tcpvitals", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// What comes before the commands.
fn head(command: &Command) -> Roff {
    let source = format!("tcpvitals {}", command.get_version().unwrap_or_default());
    let about = about(command);
    let mut roff = Roff::default();
    roff.control(
        "TH",
        ["TCPVITALS", SECTION, "", source.as_str(), "System administration"],
    );
    roff.control("SH", ["NAME"])
        .text([roman(format!("tcpvitals - {}", about.trim_start_matches("The ")))]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("tcpvitals"), roman(" [OPTIONS OF serve]")]);
    for command in all_commands(command) {
        roff.control("br", []);
        roff.text([bold(command.get_bin_name().unwrap_or_default()), roman(" [OPTIONS]")]);
    }
    roff.control("SH", ["DESCRIPTION"]).text([roman(format!("{about}."))]);
    roff.text([roman("Without the name of a command it does what serve does.")]);
    roff
}

/// One command: what it does, how it is called, its own options, examples.
fn of_command(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or_default().to_uppercase();
    let mut roff = Roff::default();
    roff.control("SH", [name.as_str()]).text([roman(about(command))]);
    roff.to_writer(page)?;
    let own = options(command, |arg| !is_shared(arg))?;
    if !own.is_empty() {
        let mut usage = Vec::new();
        Man::new(without(command, is_shared)).render_synopsis_section(&mut usage)?;
        page.extend(b".PP\n");
        page.extend(without_heading(&usage));
        page.extend(own);
    }
    if let Some(examples) = command.get_after_help() {
        let mut roff = Roff::default();
        literal(&mut roff, &examples.to_string());
        roff.to_writer(page)?;
    }
    Ok(())
}

/// What comes after the commands.
fn tail(command: &Command) -> Roff {
    let mut roff = Roff::default();
    roff.control("SH", ["EXAMPLES AND EXIT STATUS"]);
    if let Some(text) = command.get_after_help() {
        literal(&mut roff, &text.to_string());
    }
    roff.control("SH", ["ENVIRONMENT"]);
    for (variable, meaning) in [
        ("NO_COLOR", "No color in what is written to a terminal."),
        (
            "OTEL_EXPORTER_OTLP_*, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME",
            "Where serve pushes to over OTLP, and as whom; the configuration file wins.",
        ),
        (
            "OTEL_SDK_DISABLED, OTEL_METRICS_EXPORTER",
            "Nothing is pushed with true in the first, or with none in the second, whatever the configuration file says.",
        ),
        (
            "HTTPS_PROXY, ALL_PROXY, NO_PROXY",
            "The proxy for pushes with TLS, and the hosts that need none.",
        ),
    ] {
        roff.control("TP", []);
        roff.text([bold(variable)]).text([roman(meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("ss(8), tc(8), nft(8), bpftool(8)")]);
    roff
}

/// Every command by its full name, those of `docs` too.
fn all_commands(command: &Command) -> Vec<&Command> {
    let is_for_people = |own: &&Command| own.get_name() != "help" && !own.is_hide_set();
    let own = command.get_subcommands().filter(is_for_people);
    own.flat_map(|own| {
        let mut all = all_commands(own);
        all.insert(0, own);
        all
    })
    .collect()
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about());
    about.map(ToString::to_string).unwrap_or_default()
}

/// Options that every command has are explained once.
fn is_shared(arg: &Arg) -> bool {
    arg.is_global_set() || ["help", "version"].contains(&arg.get_id().as_str())
}

fn without(command: &Command, left_out: impl Fn(&Arg) -> bool) -> Command {
    command.clone().mut_args(|arg| {
        let left_out = left_out(&arg);
        if left_out { arg.hide(true) } else { arg }
    })
}

/// The options of a command that are wanted, without a heading; empty for none.
fn options(command: &Command, wanted: impl Fn(&Arg) -> bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(without(command, |arg| !wanted(arg))).render_options_section(&mut text)?;
    Ok(without_heading(&text).to_vec())
}

/// A section of `clap_mangen` begins with two lines of preamble and the heading.
fn without_heading(section: &[u8]) -> &[u8] {
    const HEADING: &[u8] = b".SH ";
    let heading = section.windows(HEADING.len()).position(|window| window == HEADING);
    let line = heading.and_then(|at| {
        let end = section[at..].iter().position(|byte| *byte == b'\n')?;
        section.get(at + end + 1..)
    });
    line.unwrap_or_default()
}

fn section(heading: &str, text: &[u8]) -> Vec<u8> {
    [format!(".SH \"{heading}\"\n").as_bytes(), text].concat()
}

/// Lines as they are.
fn literal(roff: &mut Roff, text: &str) {
    roff.control("PP", []).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_command_and_every_option() {
        // A hyphen is a minus sign in roff.
        let page = page().unwrap().replace("\\-", "-");
        let mut command = Arguments::command();
        command.build();
        let commands = all_commands(&command);
        assert!(commands.len() > 4, "{commands:?}");
        for command in commands {
            let name = command.get_bin_name().unwrap();
            let heading = format!(".SH \"{}\"\n", name.to_uppercase());
            let (_, section) = page
                .split_once(&heading)
                .unwrap_or_else(|| panic!("{heading} is missing"));
            let section = section.split(".SH ").next().unwrap();
            // What a command refuses is left out.
            for option in command
                .get_arguments()
                .filter(|arg| !is_shared(arg) && !arg.is_hide_set())
            {
                let option = match option.get_long() {
                    Some(long) => format!("--{long}"),
                    None => option.get_value_names().unwrap().join(" "),
                };
                assert!(section.contains(&option), "{name}: {option} is missing in {section}");
            }
        }
        let shared = page.split_once(".SH \"OPTIONS OF EVERY COMMAND\"").unwrap().1;
        assert!(shared.contains("--log.level") && shared.contains("--log.format"));
        assert!(!shared.contains("--web.listen-address"));
    }

    #[test]
    fn every_command_has_an_example() {
        let mut command = Arguments::command();
        command.build();
        let shown = |own: &&Command| own.get_name() != "help" && !own.is_hide_set();
        for command in command.get_subcommands().filter(shown) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("tcpvitals {}", command.get_name());
            assert!(help.contains(&example), "{}: {help}", command.get_name());
        }
    }

    #[test]
    fn a_section_loses_its_heading() {
        assert_eq!(without_heading(b".ie\n.el\n.SH \"OPTIONS\"\na\n.SH B\n"), b"a\n.SH B\n");
        assert_eq!(without_heading(b"nothing"), b"");
    }
}
