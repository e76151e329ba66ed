//! `subnets`: networks by names, from the nodes of a cluster, for `subnets_files`.
//!
//! `networks` joins them, `zones` makes them of nodes; `follow` keeps a ConfigMap as they are. One process per cluster is enough.

mod follow;
mod networks;
mod zones;

use crate::{
    cli::SubnetsArguments,
    kubernetes::{self, Api, Fault, Nodes, config_map::ConfigMap, in_cluster::is_server},
    lifecycle::{
        exit::{Ends, Exit},
        signals::EndAtOnce,
        threads::{self, TooFew},
    },
};
use std::io;
use tcpvitals_config::{ConfigError, file::variable};
use zones::Zones;

pub use follow::follow;
pub use networks::TooMany;

/// Why it ends.
#[derive(Debug, thiserror::Error)]
pub enum SubnetsError {
    /// An argument or a variable is wrong.
    #[error(transparent)]
    Argument(#[from] ConfigError),
    /// The API server does not say what the nodes are.
    #[error("{}", .0.message)]
    Failed(Fault),
    /// The networks are too many.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The system gives no threads.
    #[error(transparent)]
    TooFew(#[from] TooFew),
    /// Signals cannot be handled.
    #[error("SIGTERM cannot be handled: {0}")]
    Signals(#[from] io::Error),
}

impl Ends for SubnetsError {
    fn exit(&self) -> Exit {
        match self {
            Self::Argument(_) => Exit::Usage,
            Self::Failed(_) | Self::TooMany(_) | Self::TooFew(_) | Self::Signals(_) => Exit::Failed,
        }
    }
}

/// Gives the networks as CSV; or keeps a ConfigMap for ever, until SIGTERM or SIGINT.
///
/// # Errors
/// [`SubnetsError`]
pub fn run(arguments: &SubnetsArguments) -> Result<String, SubnetsError> {
    let api = api(arguments)?;
    let nodes = Nodes::by(&arguments.label);
    let runtime = threads::runtime("tcpvitals-nodes", 0, 2)?;
    let Some(name) = &arguments.config_map else {
        return runtime.block_on(once(&api, nodes));
    };
    let namespace = arguments.namespace.as_deref().unwrap_or_default();
    let map = ConfigMap::new(namespace, name, &arguments.key)?;
    // Whoever is the first process of a container has no end by default.
    let _ends = EndAtOnce::new()?;
    runtime.block_on(follow(api, nodes, map))
}

/// The networks of the nodes by now.
///
/// # Errors
/// [`SubnetsError`]
pub async fn once(api: &Api, nodes: Nodes) -> Result<String, SubnetsError> {
    let label = nodes.label().to_owned();
    let nodes = kubernetes::list(api, nodes).await.map_err(SubnetsError::Failed)?;
    let mut zones = Zones::new(&label);
    zones.replace(nodes);
    let (networks, left_out) = zones.networks();
    left_out.log(&label);
    // Nobody but a ConfigMap has a limit.
    Ok(networks.within(usize::MAX)?.text)
}

fn api(arguments: &SubnetsArguments) -> Result<Api, ConfigError> {
    let (Some(server), Some(token), Some(authority)) =
        (&arguments.api_server, &arguments.token_file, &arguments.ca_file)
    else {
        return Api::in_cluster(variable);
    };
    if !is_server(server) {
        let what = format!("{server:?} is not https, a host and a port; for example https://localhost:6443");
        return Err(ConfigError::of_setting("--api-server", what));
    }
    let server = server.trim_end_matches('/').to_owned();
    Ok(Api::new(server, token.clone(), authority.clone()))
}
