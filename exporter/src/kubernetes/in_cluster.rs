//! Where the API server is, and as whom it is asked, for a process in a pod: what the kubelet gives every container.
//! It must never show the token. From variables, and the files of the service account, which are read anew whenever they are
//! needed; to `connection`.

use super::status::{Fault, Kind};
use crate::client::tls;
use http::HeaderValue;
use rustls::ClientConfig;
use std::{
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};
use tcpvitals_config::{ConfigError, file::files};

/// Whether this process has the token of a pod.
pub fn has_token() -> bool {
    Path::new(TOKEN).exists()
}

const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";
/// Where the token of a pod lies.
pub const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const AUTHORITY: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// Most bytes of a token.
const LONGEST_TOKEN: u64 = 64 << 10;

/// An API server, and as whom to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Scheme, host and port.
    server: String,
    token: PathBuf,
    authority: PathBuf,
    pace: Pace,
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the pause after the first failure to the longest.
    pub pauses: RangeInclusive<Duration>,
    /// Longest time for a page of a list, and for a watch to begin.
    pub answer: Duration,
    /// How long a watch is asked for, in whole seconds; each takes a time in between, so that nodes do not come together.
    pub watch: RangeInclusive<Duration>,
    /// How much later than the server this side ends a watch: then the connection must be dead.
    pub grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            pauses: seconds(1)..=seconds(60),
            answer: seconds(30),
            watch: seconds(300)..=seconds(600),
            grace: seconds(15),
        }
    }
}

impl Api {
    /// The API server of the cluster that this process runs in.
    ///
    /// # Errors
    /// [`ConfigError`] when a variable is not as a pod has it.
    pub fn in_cluster(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let required = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| {
                let what = "not set; Kubernetes is asked only in a pod, where the kubelet sets it";
                ConfigError::of_setting(name, what.to_owned())
            })
        };
        let (host, port) = (required(HOST)?, required(PORT)?);
        // An address of IPv6 has no brackets there.
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let server = format!("https://{host}:{port}");
        if !is_server(&server) {
            let what = format!("{host:?} and {PORT} {port:?} are no host and port");
            return Err(ConfigError::of_setting(HOST, what));
        }
        Ok(Self::new(server, TOKEN.into(), AUTHORITY.into()))
    }

    /// Another one, by `https` and its URL without a path, with the files of token and authority.
    pub fn new(server: String, token: PathBuf, authority: PathBuf) -> Self {
        Self {
            server,
            token,
            authority,
            pace: Pace::default(),
        }
    }

    /// The same at another pace.
    pub fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Its URL, without a path.
    pub fn server(&self) -> &str {
        &self.server
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(super) fn authority(&self) -> &Path {
        &self.authority
    }

    /// `Authorization`, by the token as it is now: the kubelet renews it within the hour.
    pub(crate) fn authorization(&self) -> Result<HeaderValue, Fault> {
        let path = self.token.display();
        let unusable = |what: &dyn Display| {
            Fault::new(
                Kind::Token,
                format!(
                    "the token cannot be used: {path}: {what}; let the pod have one of its service account \
                     (automountServiceAccountToken: true)"
                ),
            )
        };
        let bytes = files::read(&self.token, LONGEST_TOKEN).map_err(|error| unusable(&error))?;
        let token = str::from_utf8(bytes.trim_ascii()).map_err(|_error| unusable(&"it is no text"))?;
        if token.is_empty() {
            return Err(unusable(&"it is empty"));
        }
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_error| unusable(&"it is no token"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Whom to trust, by the authority's certificates as they are now.
    pub(super) fn tls(&self) -> Result<ClientConfig, Fault> {
        let builder = tls::trusting(true, "the authority of the API server", Some(&self.authority));
        let builder = builder.map_err(|error| Fault::new(Kind::Authority, error.to_string()))?;
        Ok(builder.with_no_client_auth())
    }
}

/// Whether a text is `https`, a host and a port, and nothing else.
pub(crate) fn is_server(url: &str) -> bool {
    url.starts_with("https://")
        && url.parse::<http::Uri>().is_ok_and(|uri| {
            let is_port = uri.port_u16().is_some_and(|port| port > 0);
            is_port && uri.path_and_query().is_none_or(|rest| rest.as_str() == "/") && !url.contains('@')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, fs};

    fn in_cluster(variables: &[(&str, &str)]) -> Result<Api, String> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Api::in_cluster(|name| variables.get(name).map(|value| (*value).to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pod_is_told_where_the_server_is() {
        for (host, port, server) in [
            ("203.0.113.1", "443", "https://{203.0.113.1}:443"),
            ("2001:db8::1", "6443", "https://{[2001:db8::1]}:6443"),
            ("kubernetes.default.svc", "443", "https://{kubernetes.default.svc}:443"),
        ] {
            let api = in_cluster(&[(HOST, host), (PORT, port)]).unwrap();
            assert_eq!(api.server(), server.replace(['{', '}'], ""));
        }
    }

    #[test]
    fn what_is_not_as_in_a_pod_is_refused_with_a_remedy() {
        let good = [(HOST, "203.0.113.1"), (PORT, "443")];
        for (name, value, complaint) in [
            (
                HOST,
                "",
                "KUBERNETES_SERVICE_HOST: not set; Kubernetes is asked only in a pod",
            ),
            (PORT, "", "KUBERNETES_SERVICE_PORT: not set"),
            (PORT, "x", "are no host and port"),
            (PORT, "0", "are no host and port"),
            (PORT, "443/x", "are no host and port"),
            (HOST, "a@b", "are no host and port"),
            (HOST, "a b", "are no host and port"),
        ] {
            let changed = good.map(|(own, before)| (own, if own == name { value } else { before }));
            let error = in_cluster(&changed).unwrap_err();
            assert!(error.contains(complaint), "{name} {value}: {error}");
        }
    }

    #[test]
    fn the_token_is_read_anew_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let api = Api::new(String::new(), token.clone(), folder.path().join("ca.crt"));
        let fault = |api: &Api| api.authorization().unwrap_err();
        assert_eq!(fault(&api).kind, Kind::Token);
        assert!(
            fault(&api).message.contains("automountServiceAccountToken"),
            "{:?}",
            fault(&api)
        );
        for (content, expected) in [("geheim\n", "Bearer geheim"), ("neu", "Bearer neu")] {
            fs::write(&token, content).unwrap();
            let value = api.authorization().unwrap();
            assert_eq!(value.to_str().unwrap(), expected);
            assert!(!format!("{value:?}{api:?}").contains(content.trim()));
        }
        for (content, complaint) in [
            (&b""[..], "it is empty"),
            (b" \n", "it is empty"),
            (b"geheim\nX-Other: 1", "it is no token"),
            (b"geheim\xff", "it is no text"),
            (&[b'x'; 70_000], "it is larger"),
        ] {
            fs::write(&token, content).unwrap();
            let message = fault(&api).message;
            assert!(message.contains(complaint) && !message.contains("geheim"), "{message}");
        }
    }

    #[test]
    fn an_authority_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca.crt");
        fs::write(&authority, "none").unwrap();
        let api = Api::new(String::new(), folder.path().join("token"), authority);
        let fault = api.tls().unwrap_err();
        assert_eq!(fault.kind, Kind::Authority);
        assert!(fault.message.contains("ca.crt: it holds none"), "{}", fault.message);
    }
}
