//! Asks a running exporter over HTTP: for commands that say what it knows. It asks once and waits ten seconds at most.

use crate::{
    client::{self, tls},
    lifecycle::exit::{Ends, Exit},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use prost::bytes::Bytes;
use serde::Deserialize;
use std::{fmt::Display, path::Path, time::Duration};
use tcpvitals_config::{ConfigError, file::files};
use tokio::{runtime, time::timeout};

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const LARGEST: usize = 64 << 20;

/// An exporter that can be asked.
#[derive(Debug)]
pub struct Remote {
    from: String,
    login: Option<HeaderValue>,
    tls: rustls::ClientConfig,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An argument is wrong.
    #[error(transparent)]
    Argument(#[from] ConfigError),
    /// Nobody answers there, or not as an exporter does.
    #[error("{from}: {what}")]
    Failed {
        /// Where was asked.
        from: String,
        /// What happened, and the remedy.
        what: String,
    },
}

impl Ends for RemoteError {
    fn exit(&self) -> Exit {
        match self {
            Self::Argument(_) => Exit::Usage,
            Self::Failed { .. } => Exit::Failed,
        }
    }
}

impl Remote {
    /// Reads the files that are named. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RemoteError::Argument`]
    pub fn new(from: &str, login: Option<&Path>, ca: Option<&Path>) -> Result<Self, RemoteError> {
        let uri: Result<Uri, _> = from.parse();
        let is_url = uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        if !is_url {
            let what = format!("{from:?} is not the address of an exporter; write for example http://127.0.0.1:10717");
            return Err(ConfigError::of_setting("--from", what).into());
        }
        Ok(Self {
            from: from.trim_end_matches('/').to_owned(),
            login: login.map(read_login).transpose()?,
            tls: tls::trusting(from.starts_with("https"), "--ca-file", ca)?.with_no_client_auth(),
        })
    }

    /// What the exporter answers at a path.
    ///
    /// # Errors
    /// [`RemoteError::Failed`]
    pub fn get(&self, path: &str) -> Result<Bytes, RemoteError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| self.failed(&error))?;
        let answer = runtime.block_on(async { timeout(PATIENCE, self.ask(path)).await });
        // A look-up of a name that hangs is no reason to stay.
        runtime.shutdown_background();
        answer.unwrap_or_else(|_elapsed| {
            let what = format!("no answer within {} s; check the address", PATIENCE.as_secs());
            Err(self.failed(&what))
        })
    }

    /// The answer is none of an exporter of this version.
    pub fn unreadable(&self, error: &dyn Display) -> RemoteError {
        self.failed(&format!(
            "the answer cannot be read ({error}); is it a tcpvitals of this version?"
        ))
    }

    async fn ask(&self, path: &str) -> Result<Bytes, RemoteError> {
        let mut request = Request::get(format!("{}{path}", self.from));
        if let Some(login) = &self.login {
            request = request.header(header::AUTHORIZATION, login);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| self.failed(&error))?;
        let answer = client::http(false, self.tls.clone(), None).request(request).await;
        let answer = answer.map_err(|error| {
            let chain = client::chain(&error);
            let ask = if chain.contains("certificate") {
                "give the authority of its certificate by --ca-file"
            } else {
                "is an exporter running there?"
            };
            self.failed(&format!("{chain}; {ask}"))
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| self.failed(&error))?.to_bytes();
        match status {
            StatusCode::OK => Ok(body),
            other => Err(self.failed(&refusal(other, &body))),
        }
    }

    fn failed(&self, what: &dyn Display) -> RemoteError {
        RemoteError::Failed {
            from: self.from.clone(),
            what: what.to_string(),
        }
    }
}

/// What an answer that is none says.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    match status {
        StatusCode::UNAUTHORIZED => "it asks for a password; give --login-file".to_owned(),
        // The API says why; another server does not have the path.
        StatusCode::NOT_FOUND => serde_json::from_slice(body).map_or_else(
            |_other| "it has no such answer; is it a tcpvitals of this version?".to_owned(),
            |Refusal { error }| client::printable(&error),
        ),
        other => {
            let said = String::from_utf8_lossy(body);
            format!("it answers {other}: {}", client::printable(said.trim_end()))
        }
    }
}

/// What the API answers instead.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// A file with a user, a colon and a password becomes a header, whose value is never shown.
fn read_login(file: &Path) -> Result<HeaderValue, ConfigError> {
    const FLAG: &str = "--login-file";
    let shown = file.display();
    let bytes =
        files::read(file, files::PEM).map_err(|error| ConfigError::of_setting(FLAG, format!("{shown}: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    let login = text.trim_end_matches(['\r', '\n']);
    if !login.contains(':') || login.contains(char::is_control) {
        let what = format!("{shown}: it holds no login; write one line, user:password");
        return Err(ConfigError::of_setting(FLAG, what));
    }
    let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(login)));
    let mut value = value.map_err(|error| ConfigError::of_setting(FLAG, format!("{shown}: {error}")))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_says_of_an_answer_that_there_is_not_is_passed_on() {
        let said = |body: &str| refusal(StatusCode::NOT_FOUND, body.as_bytes());
        let off = r#"{"error":"nothing is judged here; set findings.enabled to true"}"#;
        assert_eq!(said(off), "nothing is judged here; set findings.enabled to true");
        for other in ["", "not found", "{}", "[1]"] {
            assert!(said(other).contains("of this version"), "{other}");
        }
        assert!(refusal(StatusCode::FORBIDDEN, b"closed\n").ends_with("403 Forbidden: closed"));
    }
}
