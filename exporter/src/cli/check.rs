//! The arguments of `check-config`.

use clap::Args;
use std::{net::IpAddr, path::PathBuf};

/// Of `check-config`.
#[derive(Clone, Debug, Args)]
pub struct CheckArguments {
    /// The configuration file
    #[arg(required_unless_present_any = ["web", "lookup"])]
    pub file: Option<PathBuf>,
    /// The web configuration file; the certificates and keys that it names are checked too
    #[arg(long = "web.config.file", value_name = "FILE", id = "web")]
    pub web: Option<PathBuf>,
    /// Print the subnet of an address and the line that matches; repeatable. Without a file it uses the built-in configuration
    #[arg(long, value_name = "ADDRESS")]
    pub lookup: Vec<IpAddr>,
}
