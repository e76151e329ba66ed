//! The address of a receiver, and what of it depends on the protocol: the path.
//! It must never accept a password: those belong in headers, which are not shown.
//! From the file or a variable; to the settings.

use crate::kinds::sets::Protocol;
use http::Uri;
use std::fmt::{self, Display};

/// The path of metrics by the OTLP specification.
const METRICS: &str = "v1/metrics";

/// A URL with a scheme that is known and a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(Uri);

/// Where requests go: the whole URL over HTTP; scheme and host over gRPC, whose path is the service's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Uri);

impl Target {
    pub const fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it is reached by TLS.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl Display for Target {
    /// Without the query, which may hold a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let host = self.0.authority().map_or("", |authority| authority.as_str());
        write!(formatter, "{scheme}://{host}{}", self.0.path())
    }
}

impl Endpoint {
    /// The URL that `text` is, or what is wrong with it; the protocol is for the example.
    pub(super) fn parse(text: &str, protocol: Protocol) -> Result<Self, String> {
        let example = match protocol {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        };
        let uri: Uri = text
            .parse()
            .map_err(|error| format!("this is no URL ({error}); write for example {example}"))?;
        let authority = uri.authority().map(|authority| authority.as_str());
        match (uri.scheme_str(), authority) {
            (_, Some(authority)) if authority.contains('@') => {
                Err("the URL holds a user or password; send them in headers".to_owned())
            }
            // Else the number would be left out in silence.
            (_, Some(authority)) if has_wrong_port(&uri, authority) => {
                Err(format!("{authority:?} has no port from 1 to 65535 behind its colon"))
            }
            (Some("http" | "https"), Some(_)) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(Self(uri)),
            _ => {
                // The query may hold a secret.
                let text = text.split('?').next().unwrap_or_default();
                Err(format!(
                    "{text:?} does not begin with http:// or https:// and a host; write for example {example}"
                ))
            }
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// The target of an endpoint for metrics: a path is used as it is, without one HTTP gets the specification's.
    pub(super) fn target(&self, protocol: Protocol) -> Result<Target, String> {
        match (protocol, self.path()) {
            (_, "") if protocol == Protocol::HttpProtobuf && self.0.query().is_none() => Ok(self.with_path(METRICS)),
            (Protocol::HttpProtobuf, _) | (Protocol::Grpc, "") => Ok(Target(self.0.clone())),
            (Protocol::Grpc, path) => Err(format!(
                "gRPC has no path, but the URL has {path:?}; remove it, or write protocol: http/protobuf"
            )),
        }
    }

    /// The target of an endpoint for all signals: the path of metrics comes after its own.
    pub(super) fn target_below(&self, protocol: Protocol) -> Result<Target, String> {
        match (protocol, self.path().trim_end_matches('/')) {
            (Protocol::HttpProtobuf, "") => Ok(self.with_path(METRICS)),
            (Protocol::HttpProtobuf, base) => {
                Ok(self.with_path(&format!("{}/{METRICS}", base.trim_start_matches('/'))))
            }
            (Protocol::Grpc, _) => self.target(protocol),
        }
    }

    /// The path; "" for none.
    fn path(&self) -> &str {
        match self.0.path() {
            "/" => "",
            path => path,
        }
    }

    fn with_path(&self, path: &str) -> Target {
        let mut parts = self.0.clone().into_parts();
        let query = self.0.query().map(|query| format!("?{query}")).unwrap_or_default();
        // Made of paths that were parsed before, so it is one.
        parts.path_and_query = format!("/{path}{query}").parse().ok();
        Target(Uri::from_parts(parts).unwrap_or_else(|_impossible| self.0.clone()))
    }
}

/// Whether what follows the host is no port.
fn has_wrong_port(uri: &Uri, authority: &str) -> bool {
    let host = uri.host().unwrap_or_default();
    authority != host && uri.port_u16().is_none_or(|port| port == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str, protocol: Protocol) -> Result<String, String> {
        Ok(Endpoint::parse(text, protocol)?.target(protocol)?.uri().to_string())
    }

    fn below(text: &str) -> String {
        let endpoint = Endpoint::parse(text, Protocol::HttpProtobuf).unwrap();
        endpoint.target_below(Protocol::HttpProtobuf).unwrap().uri().to_string()
    }

    #[test]
    fn a_path_is_used_as_it_is_and_none_means_the_specifications() {
        let http = |text| target(text, Protocol::HttpProtobuf).unwrap();
        assert_eq!(http("http://localhost:4318"), "http://localhost:4318/v1/metrics");
        assert_eq!(http("http://localhost:4318/"), "http://localhost:4318/v1/metrics");
        assert_eq!(
            http("https://localhost/otlp/v1/metrics"),
            "https://localhost/otlp/v1/metrics"
        );
        assert_eq!(http("http://[::1]:1/x?tenant=1"), "http://[::1]:1/x?tenant=1");
    }

    #[test]
    fn the_path_of_metrics_follows_that_of_an_endpoint_for_all_signals() {
        assert_eq!(below("http://localhost:4318"), "http://localhost:4318/v1/metrics");
        assert_eq!(below("http://localhost/"), "http://localhost/v1/metrics");
        assert_eq!(below("http://localhost/otlp"), "http://localhost/otlp/v1/metrics");
        assert_eq!(
            below("http://localhost/otlp/?k=v"),
            "http://localhost/otlp/v1/metrics?k=v"
        );
    }

    #[test]
    fn grpc_has_no_path() {
        assert_eq!(
            target("https://localhost:4317", Protocol::Grpc).unwrap(),
            "https://localhost:4317/"
        );
        let refused = target("http://localhost:4317/v1/metrics", Protocol::Grpc).unwrap_err();
        assert!(
            refused.contains("\"/v1/metrics\"") && refused.contains("http/protobuf"),
            "{refused}"
        );
    }

    #[test]
    fn what_cannot_be_reached_is_no_endpoint() {
        assert_eq!(
            target("http://[::1]:65535", Protocol::Grpc).unwrap(),
            "http://[::1]:65535/"
        );
        for text in [
            "",
            "a",
            "a:4317",
            "//a",
            "ftp://localhost",
            "http://",
            "http://:1",
            "http://localhost b",
            "/v1/metrics",
        ] {
            assert!(
                Endpoint::parse(text, Protocol::Grpc)
                    .unwrap_err()
                    .contains("http://localhost:4317"),
                "{text}"
            );
        }
        for port in ["0", "65536", "99999", ""] {
            let refused = Endpoint::parse(&format!("http://localhost:{port}/x"), Protocol::Grpc).unwrap_err();
            assert!(refused.contains("from 1 to 65535"), "{refused}");
        }
        let secret = Endpoint::parse(&format!("http://{}@localhost", "me:geheim"), Protocol::Grpc).unwrap_err();
        assert!(secret.contains("headers") && !secret.contains("geheim"), "{secret}");
        let secret = Endpoint::parse("ftp://localhost/x?key=geheim", Protocol::Grpc).unwrap_err();
        assert!(secret.contains("localhost/x") && !secret.contains("geheim"), "{secret}");
    }

    #[test]
    fn the_log_does_not_show_the_query() {
        let target = Endpoint::parse("http://localhost/x?key=geheim", Protocol::Grpc)
            .unwrap()
            .target(Protocol::HttpProtobuf);
        assert_eq!(target.unwrap().to_string(), "http://localhost/x");
    }
}
