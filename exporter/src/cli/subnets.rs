//! The arguments of `subnets`.

use clap::Args;
use std::path::PathBuf;

/// Of `subnets`.
#[derive(Clone, Debug, Args)]
pub struct SubnetsArguments {
    /// Ask the API server of Kubernetes for the nodes of the cluster; their zones or pools become subnets
    #[arg(long, required = true)]
    pub from_kubernetes: bool,
    /// Node label whose values become the names of the subnets: the label of zones, or one of node pools
    #[arg(long, value_name = "LABEL", default_value = "topology.kubernetes.io/zone")]
    pub label: String,
    /// Follow the nodes and update this ConfigMap, instead of printing once
    #[arg(long, value_name = "NAME", requires = "namespace")]
    pub config_map: Option<String>,
    /// Namespace of the ConfigMap
    #[arg(long, value_name = "NAME", requires = "config_map")]
    pub namespace: Option<String>,
    /// File in the ConfigMap
    #[arg(long, value_name = "FILE", default_value = "zones.csv", requires = "config_map")]
    pub key: String,
    /// URL of the API server, outside of a pod; needs the files of a token and of its authority
    #[arg(long, value_name = "URL", requires_all = ["token_file", "ca_file"])]
    pub api_server: Option<String>,
    /// File with the token for the API server
    #[arg(long, value_name = "FILE", requires = "api_server")]
    pub token_file: Option<PathBuf>,
    /// PEM file of the trusted certificates
    #[arg(long, value_name = "FILE", requires = "api_server")]
    pub ca_file: Option<PathBuf>,
}
