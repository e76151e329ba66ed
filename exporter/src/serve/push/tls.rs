//! TLS to a receiver: whom the settings trust, and our own certificate if it asks for one.
//! It must never send what is for TLS without it. Reads the files that the settings name; to the clients.

use crate::client::tls::{certificates, read, trusting, unusable};
use rustls::{
    ClientConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use tcpvitals_config::{ConfigError, OtlpSettings};

/// What a client needs to know for its connections; without TLS, nothing is read.
pub(super) fn config(settings: &OtlpSettings) -> Result<ClientConfig, ConfigError> {
    let is_encrypted = settings.target.is_encrypted();
    let builder = trusting(is_encrypted, "otlp.tls.ca_file", settings.tls.ca_file.as_deref())?;
    match settings.tls.client.as_ref().filter(|_| is_encrypted) {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates("otlp.tls.cert_file", certificate)?;
            let private = read("otlp.tls.key_file", key, "a private key")?;
            let private = PrivateKeyDer::from_pem_slice(&private)
                .map_err(|error| unusable("otlp.tls.key_file", key, &error, "a private key"))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| mismatched(&error))
        }
    }
}

fn mismatched(error: &rustls::Error) -> ConfigError {
    let what = format!("{error}; check that cert_file and key_file belong together");
    ConfigError::of_setting("otlp.tls", what)
}
