//! The binary `tcpvitals`: arguments, logging, and the exit code.
#![forbid(unsafe_code)]

mod logfmt;

use clap::Parser;
use logfmt::Logfmt;
use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};
use tcpvitals::{
    cli::{
        Arguments, Command, Docs, DoctorArguments, Log, LogFormat, capture::CaptureArguments,
        explain::ExplainArguments, manual,
    },
    commands::{
        capture::{self, extcap},
        cardinality, check,
        doctor::Diagnosis,
        drops, explain, record, subnets, top, trace,
        words::printable,
    },
    lifecycle::{
        exit::{Ends, Exit},
        setup, signals, stack,
    },
    serve,
};
use tcpvitals_config::{self as config, file::without_numbers};
use tcpvitals_metrics::{families, findings};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

fn main() -> ExitCode {
    if let Err(error) = signals::hold_back() {
        return failed(&error, ExitCode::FAILURE);
    }
    match stack::require() {
        Ok(()) => run(),
        Err(error) => failed(&error, ExitCode::FAILURE),
    }
}

/// All else. A function of its own, so that it takes nothing of the stack before the limit was checked.
#[inline(never)]
fn run() -> ExitCode {
    let Arguments { command, serve, log } = match arguments(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    start_log(&log);
    let command = command.unwrap_or(Command::Serve(serve));
    // The others end at once, as any program does.
    let handles_signals = matches!(
        command,
        Command::Serve(_)
            | Command::Demo(_)
            | Command::Top(_)
            | Command::Drops(_)
            | Command::Trace(_)
            | Command::Capture(_)
            | Command::Record(_)
    );
    if !handles_signals && let Err(error) = signals::let_through() {
        return failed(&error, ExitCode::FAILURE);
    }
    let result = match command {
        Command::Serve(arguments) => serve::serve(&arguments).map_err(ended),
        Command::Demo(arguments) => serve::serve_recording(&arguments).map_err(ended),
        Command::Top(arguments) => top::live::run(&arguments).map_err(ended),
        Command::Explain(arguments) => explain(&arguments),
        Command::Drops(arguments) => drops::run(&arguments).map_err(ended),
        Command::CheckConfig(arguments) => {
            let text = check::check(&arguments).map_err(ended);
            text.and_then(|text| print(&text))
        }
        Command::Trace(arguments) => trace::trace(&arguments).map_err(ended),
        Command::Cardinality(arguments) => {
            let text = cardinality::ask(&arguments).map_err(ended);
            text.and_then(|text| print_foreign(&text))
        }
        Command::Subnets(arguments) => {
            let text = subnets::run(&arguments).map_err(ended);
            text.and_then(|text| print(&text))
        }
        Command::Doctor(arguments) => doctor(&arguments),
        Command::Capture(arguments) => capture(&arguments),
        Command::Record(arguments) => record::run(&arguments).map_err(ended),
        Command::Docs(page) => docs(page),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

/// What the command line says. Help, and what is wrong with it, are printed at once.
fn arguments(words: Vec<OsString>) -> Result<Arguments, ExitCode> {
    Arguments::try_parse_from(extcap::with_command(words)).map_err(|error| {
        let code = u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        let said = error.render().to_string();
        if !error.use_stderr() || printable(&said, &OF_TEXT) == said {
            // Nobody is left to tell when the output is closed.
            let _unread = error.print();
            return code;
        }
        // Words of the command line that would do something to the terminal, without the colours of the rest.
        failed(&said.trim_end(), code)
    })
}

fn capture(arguments: &CaptureArguments) -> Result<(), ExitCode> {
    let answer = capture::run::capture(arguments).map_err(ended)?;
    answer.map_or(Ok(()), |text| print(&text))
}

fn explain(arguments: &ExplainArguments) -> Result<(), ExitCode> {
    let answer = explain::run(arguments).map_err(ended)?;
    print_foreign(&answer.text)?;
    if answer.exit == Exit::Asked {
        Ok(())
    } else {
        Err(answer.exit.into())
    }
}

fn docs(page: Docs) -> Result<(), ExitCode> {
    match page {
        Docs::Metrics => print(&families::reference::markdown()),
        Docs::Findings => print(&findings::reference::markdown()),
        Docs::Configuration => print(&config::docs::reference::markdown()),
        Docs::Schema => print(&config::docs::schema::json().map_err(|error| failed(&error, ExitCode::FAILURE))?),
        Docs::Man => print(&manual::page().map_err(|error| failed(&error, ExitCode::FAILURE))?),
        Docs::Completions { shell } => print(&manual::completions(shell)),
    }
}

fn doctor(arguments: &DoctorArguments) -> Result<(), ExitCode> {
    let config = setup::config_beside(arguments.config_file.as_deref()).map_err(ended)?;
    let diagnosis = Diagnosis::new(&config, arguments.btf.as_deref());
    let text = diagnosis
        .print(arguments.output, arguments.verbose)
        .map_err(|error| failed(&error, ExitCode::FAILURE))?;
    print(&text)?;
    if diagnosis.is_fit() {
        Ok(())
    } else {
        Err(Exit::Kernel.into())
    }
}

fn ended(error: impl Ends) -> ExitCode {
    failed(&error, error.exit().into())
}

/// Says on stderr what went wrong, whatever the level of the log. Names of files and arguments may hold anything.
fn failed(error: &impl Display, code: ExitCode) -> ExitCode {
    let said = printable(&without_numbers(&error.to_string()), &OF_TEXT);
    // Nobody is left to tell when stderr is closed; the exit code still says it.
    let _unread = writeln!(io::stderr(), "tcpvitals: {said}");
    code
}

/// What lines of text may hold.
const OF_TEXT: [char; 2] = ['\n', '\t'];

/// The same with words that another exporter may have said.
fn print_foreign(text: &str) -> Result<(), ExitCode> {
    print(&printable(text, &OF_TEXT))
}

/// Data goes to stdout. A reader that went away is no error.
fn print(text: &str) -> Result<(), ExitCode> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(&error, ExitCode::FAILURE)),
        _ => Ok(()),
    }
}

/// Diagnostics go to stderr, in colour only on a terminal and without `NO_COLOR`. What libraries say of each thing that a peer does is
/// not for an operator: a peer would fill the log. From `debug` on it is shown.
fn start_log(log: &Log) {
    let level = LevelFilter::from(log.level);
    let of_libraries = if level >= LevelFilter::DEBUG {
        level
    } else {
        LevelFilter::ERROR
    };
    let filter = Targets::new()
        .with_target("tcpvitals", level)
        .with_default(of_libraries);
    // Where stderr cannot be written, there is nobody to tell, and telling would panic.
    let lines = fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    match log.format {
        LogFormat::Text => {
            let colour =
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            registry().with(lines.with_ansi(colour).with_filter(filter)).init();
        }
        LogFormat::Logfmt => {
            registry().with(lines.event_format(Logfmt).with_filter(filter)).init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            registry().with(lines.with_filter(filter)).init();
        }
    }
}
