//! The web configuration: a file in the format of the Prometheus exporter-toolkit, and `WebConfig`, valid by construction.
//! It must never open a certificate or a key: it knows where they are, `tls` reads them.
//! Text comes from `web::current` (or a test); values go to the listener, the guard and the check of passwords.

mod headers;
mod rate_limit;
mod raw;
mod secret;
mod tls;
mod users;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path};

pub(crate) use headers::Headers;
pub(crate) use rate_limit::RateLimit;
pub(crate) use secret::Secret;
pub(crate) use tls::{ClientAuth, Pem, Tls};

use raw::{RawHttp, RawWeb};
use tcpvitals_config::file::{ConfigError, Problem, Quote, Source};

/// Everything that a web configuration file decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    pub(crate) tls: Option<Tls>,
    /// HTTP/2 beside HTTP/1.1, over TLS.
    pub(crate) http2: bool,
    /// Added to every answer.
    pub(crate) headers: Headers,
    /// Names with bcrypt hashes; empty where no password is asked for.
    pub(crate) users: BTreeMap<String, Secret>,
    pub(crate) rate_limit: Option<RateLimit>,
}

/// Plain HTTP for everybody, as without a file.
impl Default for WebConfig {
    fn default() -> Self {
        Self {
            tls: None,
            http2: true,
            headers: Headers::default(),
            users: BTreeMap::new(),
            rate_limit: None,
        }
    }
}

impl WebConfig {
    /// The configuration that `text` describes. `file` is named in errors, and relative paths begin at its folder.
    ///
    /// # Errors
    /// [`ConfigError`] as a sentence with place and remedy.
    pub fn from_yaml(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let name = file.display().to_string();
        let source = Source::new(text, &name);
        // Values may be secret, and so is the whole file where a key was named by mistake.
        let raw: RawWeb = source.parse(Quote::Nothing)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::parse(raw, folder).map_err(|problem| source.error(&problem))
    }

    fn parse(raw: RawWeb, folder: &Path) -> Result<Self, Problem> {
        let RawWeb {
            tls_server_config,
            http_server_config,
            basic_auth_users,
            rate_limit,
        } = raw;
        let RawHttp { http2, headers } = http_server_config.unwrap_or_default();
        Ok(Self {
            tls: Tls::parse(tls_server_config.unwrap_or_default(), folder)?,
            http2: http2.unwrap_or(true),
            headers: Headers::parse(headers.unwrap_or_default())?,
            users: users::parse(basic_auth_users.unwrap_or_default())?,
            rate_limit: RateLimit::parse(&rate_limit.unwrap_or_default())?,
        })
    }

    /// Whether only those get an answer who prove who they are: by a password, or by a certificate that is verified.
    pub fn has_auth(&self) -> bool {
        !self.users.is_empty() || self.verifies_clients()
    }

    /// Whether a certificate that a client shows is one that was verified.
    pub(crate) fn compares_clients(&self) -> bool {
        let verifies = |tls: &Tls| {
            matches!(
                tls.client_auth,
                ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify
            )
        };
        self.tls.as_ref().is_some_and(verifies)
    }

    fn verifies_clients(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| tls.client_auth == ClientAuth::RequireAndVerify)
    }

    /// The key that guards something in `before` and no longer does here. A file that is being written may lack its
    /// second half, and so must not open what was closed.
    pub(crate) fn gives_up(&self, before: &Self) -> Option<&'static str> {
        let sans = |config: &Self| config.tls.as_ref().is_some_and(|tls| tls.client_allowed_sans.is_some());
        [
            (before.tls.is_some() && self.tls.is_none(), "tls_server_config"),
            (
                before.verifies_clients() && !self.verifies_clients(),
                "tls_server_config.client_auth_type",
            ),
            (sans(before) && !sans(self), "tls_server_config.client_allowed_sans"),
            (!before.users.is_empty() && self.users.is_empty(), "basic_auth_users"),
        ]
        .into_iter()
        .find_map(|(given_up, key)| given_up.then_some(key))
    }
}
