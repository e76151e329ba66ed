//! The arguments of `serve`.

use super::ListenAddress;
use clap::Args;
use std::path::PathBuf;

/// Of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArguments {
    /// Configuration file; without one the built-in configuration is used
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Address to serve on, once or more: `:PORT` for every address, HOST:PORT, or `unix:///PATH`
    ///
    /// A name stands for all its addresses at the start. A unix socket is for its owner and its group (mode 0660); who can open it
    /// counts as this host, like a loopback address.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":10717")]
    pub listen_address: Vec<ListenAddress>,
    /// Serve on the sockets that systemd passes, instead of addresses of its own (sd_listen_fds(3))
    #[arg(long = "web.systemd-socket", conflicts_with = "listen_address")]
    pub systemd_socket: bool,
    /// File that says who may ask, and how; without one everybody may, over plain HTTP
    ///
    /// It holds TLS, passwords and headers in the format of the Prometheus exporter-toolkit. It and the files that it names are
    /// read again when they change.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    pub telemetry_path: String,
    /// Re-read the configuration file when it changes, as SIGHUP does
    ///
    /// The web configuration, and every key and certificate that either of them names, are read again in any case.
    #[arg(long = "config.watch", requires = "config_file")]
    pub config_watch: bool,
    /// Let POST /-/reload re-read the configuration file, as SIGHUP does
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Let /api/v1/flows show the addresses of peers to everybody who may ask
    ///
    /// Without it only where the address is a loopback address, or passwords or certificates of clients are asked for.
    #[arg(long = "web.enable-flows")]
    pub enable_flows: bool,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

fn telemetry_path(text: &str) -> Result<String, String> {
    if text == "/" {
        return Err("the page is at /; choose another path, for example /metrics".to_owned());
    }
    let plain = text.starts_with('/')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"{}?#*".contains(&byte));
    if !plain {
        return Err("a path begins with / and has no spaces and none of {}?#*; write for example /metrics".to_owned());
    }
    let is_taken = ["/healthz", "/readyz", "/-/reload", "/docs"].contains(&text)
        || ["/api/", "/docs/"].iter().any(|beginning| text.starts_with(beginning));
    if is_taken {
        return Err("something else is at this path; choose another, for example /metrics".to_owned());
    }
    Ok(text.to_owned())
}
