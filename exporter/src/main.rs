//! The binary `tcpvitals`: arguments, logging, and the exit code.

use clap::Parser;
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};
use tcpvitals::{
    cli::{Arguments, Command, Docs, DoctorArguments, Log, LogFormat},
    config::Config,
    doctor::Diagnosis,
    families::reference,
    run::{self, RunError},
};

fn main() -> ExitCode {
    let Arguments { command, serve, log } = Arguments::parse();
    start_log(&log);
    let result = match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(arguments) => run::serve(&arguments, &log).map(|()| ExitCode::SUCCESS).map_err(failed),
        Command::CheckConfig { file } => Config::read(&file)
            .map_err(|error| failed(error.into()))
            .and_then(|_| print(&format!("{}: ok\n", file.display()))),
        Command::Doctor(arguments) => doctor(&arguments),
        Command::Docs(Docs::Metrics) => reference::markdown()
            .map_err(|_| ExitCode::FAILURE)
            .and_then(|page| print(&page)),
    };
    result.unwrap_or_else(|code| code)
}

fn doctor(arguments: &DoctorArguments) -> Result<ExitCode, ExitCode> {
    let config = run::read_config(arguments.config_file.as_deref()).map_err(|error| failed(error.into()))?;
    let diagnosis = Diagnosis::new(&config, arguments.btf.as_deref());
    let text = diagnosis.print(arguments.output).map_err(|_| ExitCode::FAILURE)?;
    print(&text)?;
    Ok(if diagnosis.is_fit() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}

/// Says on stderr what went wrong, whatever the level of the log.
fn failed(error: RunError) -> ExitCode {
    // Nobody is left to tell when stderr is closed; the exit code still says it.
    let _unread = writeln!(io::stderr(), "tcpvitals: {error}");
    error.exit_code()
}

/// Data goes to stdout. A reader that went away is no error.
fn print(text: &str) -> Result<ExitCode, ExitCode> {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(_) => Err(ExitCode::FAILURE),
    }
}

/// Diagnostics go to stderr, in colour only on a terminal and without `NO_COLOR`.
fn start_log(log: &Log) {
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(log.level);
    match log.format {
        LogFormat::Text => {
            let colour =
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            builder.with_ansi(colour).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
