//! `cardinality`: what each label and metric of a running exporter costs.

use crate::{
    cli::{Output, cardinality::CardinalityArguments},
    commands::remote::{Remote, RemoteError},
    serve::http::api::CARDINALITY,
};
use tcpvitals_metrics::rows::cardinality::Cardinality;

/// Asks a running exporter.
///
/// # Errors
/// [`RemoteError`] as a sentence with the address and the remedy.
pub fn ask(arguments: &CardinalityArguments) -> Result<String, RemoteError> {
    let remote = Remote::new(
        &arguments.from,
        arguments.login_file.as_deref(),
        arguments.ca_file.as_deref(),
    )?;
    let body = remote.get(CARDINALITY)?;
    match arguments.output {
        Output::Json => Ok(String::from_utf8_lossy(&body).into_owned()),
        Output::Text => {
            let cost: Cardinality = serde_json::from_slice(&body).map_err(|error| remote.unreadable(&error))?;
            Ok(cost.to_string())
        }
    }
}
