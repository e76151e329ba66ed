//! Starting the exporter: with what configuration, by whom, and where.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::diagnostics::Diagnostics;
use super::{Exporter, binary, config_file, free_address};
use crate::machine::seccomp;
use crate::net::namespace::Namespace;

/// How to start the exporter.
#[derive(Debug)]
pub struct Launch<'net> {
    config: String,
    binary: Option<PathBuf>,
    wrapper: Vec<String>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    namespace: Option<&'net Namespace>,
    on_every_address: bool,
    config_at: Option<PathBuf>,
    is_demonstration: bool,
    is_confined: bool,
}

impl<'net> Launch<'net> {
    /// With this configuration, as root, in the namespace of the test itself.
    pub fn new(config: impl Into<String>) -> Self {
        Self {
            config: config.into(),
            binary: None,
            wrapper: Vec::new(),
            arguments: Vec::new(),
            variables: Vec::new(),
            namespace: None,
            on_every_address: false,
            config_at: None,
            is_demonstration: false,
            is_confined: false,
        }
    }

    /// `tcpvitals demo` in place of `serve`, with the configuration of the recording.
    pub fn demonstration() -> Self {
        Self {
            is_demonstration: true,
            ..Self::new("")
        }
    }

    /// Another binary than [`binary`].
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = Some(path.to_owned());
        self
    }

    /// Started by a command that ends in becoming the exporter, such as setpriv(1).
    pub fn wrapped_in(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// With more arguments after those of the harness.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// With these variables in its environment.
    pub fn variables(mut self, variables: &[(&str, &str)]) -> Self {
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        self.variables = variables.iter().map(own).collect();
        self
    }

    /// In another network namespace.
    pub fn inside(mut self, namespace: &'net Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Reachable on every address of the host, not only on that of [`Exporter::address`].
    pub fn on_every_address(mut self) -> Self {
        self.on_every_address = true;
        self
    }

    /// With a configuration that lies elsewhere, and is not the one that [`Exporter::configure`] changes.
    pub fn config_at(mut self, path: &Path) -> Self {
        self.config_at = Some(path.to_owned());
        self
    }

    /// Under the seccomp profile that is shipped; a call outside of it kills the exporter.
    pub fn confined(mut self) -> Self {
        self.is_confined = true;
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Result<Exporter<'net>> {
        let mut exporter = self.spawn()?;
        exporter.wait_until_ready()?;
        Ok(exporter)
    }

    /// Starts it and waits until it says that it serves: its pages may not be for everybody.
    pub fn start_guarded(self) -> Result<Exporter<'net>> {
        let mut exporter = self.spawn()?;
        exporter.wait_until_serving()?;
        Ok(exporter)
    }

    /// Starts it and waits for nothing.
    pub fn spawn(self) -> Result<Exporter<'net>> {
        let address = free_address()?;
        let config = config_file(&self.config)?;
        let binary = self.binary.map_or_else(binary, Ok)?;
        let mut command = match self.wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        if self.is_demonstration {
            command.arg("demo");
        } else {
            command
                .args(["serve", "--config.file"])
                .arg(self.config_at.as_deref().unwrap_or(config.path()));
        }
        let listen = match self.on_every_address {
            true => format!(":{}", address.port()),
            false => address.to_string(),
        };
        command
            .arg(format!("--web.listen-address={listen}"))
            .args(self.arguments)
            .envs(self.variables);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if self.is_confined {
            seccomp::confine(&mut command)?;
        }
        let mut spawn = || command.spawn().with_context(|| format!("start {command:?}"));
        // A child begins in the namespace of the thread that starts it.
        let mut child = match self.namespace {
            Some(namespace) => namespace.run(spawn)?,
            None => spawn()?,
        };
        let diagnostics = Diagnostics::follow(child.stderr.take().context("a child without standard error")?);
        Ok(Exporter {
            child,
            address,
            namespace: self.namespace,
            diagnostics,
            config,
        })
    }
}
