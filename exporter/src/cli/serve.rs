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
    /// Address to serve on, may be given several times: `:PORT` for every address, HOST:PORT, or `unix:///PATH`
    ///
    /// A name stands for all its addresses at the start. A unix socket is for its owner and its group (mode 0660); a client that
    /// can open it counts as this host, as on a loopback address.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":10717")]
    pub listen_address: Vec<ListenAddress>,
    /// Serve on the sockets that systemd passes, instead of addresses of its own (sd_listen_fds(3))
    #[arg(long = "web.systemd-socket", conflicts_with = "listen_address")]
    pub systemd_socket: bool,
    /// File with TLS, passwords, headers and limits; without it everybody may read, over plain HTTP
    ///
    /// It has the format of the Prometheus exporter-toolkit. The exporter re-reads it, and the files that it names, when they change.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    pub telemetry_path: String,
    /// Reload the configuration when its file changes, as SIGHUP does
    ///
    /// The exporter always re-reads the web configuration, and each key and certificate that either file names.
    #[arg(long = "config.watch", requires = "config_file")]
    pub config_watch: bool,
    /// Allow POST /-/reload, which reloads the configuration as SIGHUP does
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Show /api/v1/flows, with addresses of peers, to everybody who reaches the port
    ///
    /// Without it flows are shown only on a loopback address, or to clients with a password or a certificate.
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
    if text.contains("/:") {
        return Err("a : may not come right after a /; write for example /metrics".to_owned());
    }
    let is_taken = ["/healthz", "/readyz", "/-/reload", "/docs"].contains(&text)
        || ["/api/", "/docs/"].iter().any(|beginning| text.starts_with(beginning));
    if is_taken {
        return Err("something else is at this path; choose another, for example /metrics".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::get};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_router_takes_every_path_that_is_not_refused(path in "/[ -~]{0,2}(/[:{*a]?[ -~]{0,3}){0,2}") {
            if let Ok(path) = telemetry_path(&path) {
                let _router: Router = Router::new().route(&path, get(|| async {}));
            }
        }
    }
}
