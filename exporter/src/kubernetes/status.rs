//! How the watch is, in values: and when it fails, the likely mistake and its remedy.
//! It must never say more of an answer than a line. From `connection` and `watch`; to the log and whoever shows it.

use super::objects;
use crate::client::{plain, printable};
use std::{path::Path, time::Duration};

/// How the watch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It lists the pods; what is known is not all yet, or may be old.
    Syncing,
    /// It knows all pods and hears of changes.
    Watching {
        /// When that began, since 1970.
        since: Duration,
    },
    /// It may list the pods and not watch them: it lists them again and again, and tries to watch each time.
    Listing(Fault),
    /// It does not hear of changes, and tries again; what is known stays.
    Failed(Fault),
}

/// Why the watch fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which of the mistakes that there are.
    pub kind: Kind,
    /// One sentence with the remedy.
    pub message: String,
}

/// Kinds of faults: a server chooses its words, but not these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The token's file cannot be used.
    Token,
    /// The server is not whom the authority's certificates vouch for, or those cannot be used.
    Authority,
    /// The server does not accept the token (401).
    Unauthorized,
    /// The token's owner may not do what is asked (403).
    Forbidden,
    /// Nobody listens there.
    Refused,
    /// The server's name leads nowhere.
    Name,
    /// There is no answer, or it breaks off.
    Silence,
    /// The server has too much to do, or is about to start or to end (429, 5xx).
    Busy,
    /// The answer is none of an API server, or larger than can be.
    Answer,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Token,
        Self::Authority,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Refused,
        Self::Name,
        Self::Silence,
        Self::Busy,
        Self::Answer,
    ];

    /// What it is, for whoever may not see what the server says.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Token => "the token of the service account cannot be used",
            Self::Authority => "the certificates of the authority do not vouch for the API server",
            Self::Unauthorized => "the API server does not accept the token (401)",
            Self::Forbidden => "the service account may not list and watch pods (403)",
            Self::Refused => "nobody listens at the address of the API server",
            Self::Name => "the name of the API server leads nowhere",
            Self::Silence => "the API server does not answer",
            Self::Busy => "the API server has too much to do, or is about to start or to end (429, 5xx)",
            Self::Answer => "what answers is no API server",
        }
    }

    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Authority => "authority",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Refused => "refused",
            Self::Name => "name",
            Self::Silence => "silence",
            Self::Busy => "busy",
            Self::Answer => "answer",
        }
    }
}

/// What is asked for: the verbs of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    List,
    Watch,
    Patch,
    Create,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
            Self::Patch => "patch",
            Self::Create => "create",
        }
    }
}

/// A verb, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    verb: Verb,
    /// The resource's word in RBAC.
    plural: &'static str,
}

impl Question {
    pub(super) const fn new(verb: Verb, plural: &'static str) -> Self {
        Self { verb, plural }
    }

    /// The verbs that a rule needs so that all of its kind works.
    const fn verbs(self) -> &'static str {
        match self.verb {
            Verb::List | Verb::Watch => "list, watch",
            Verb::Patch | Verb::Create => "create, patch",
        }
    }
}

impl Fault {
    /// A fault in these words.
    pub(super) const fn new(kind: Kind, message: String) -> Self {
        Self { kind, message }
    }

    /// Of a request that had no answer, by the words of its error.
    pub(super) fn of_error(error: &str, server: &str, authority: &Path) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
        let error = printable(error);
        if says(&["invalid peer certificate"]) {
            let authority = authority.display();
            let remedy = if says(&["NotValidForName", "not valid for name"]) {
                "the server's certificate is for other names; let it hold this one"
            } else if says(&["Expired", "expired", "NotValidYet", "not valid yet"]) {
                "renew the server's certificate, or set the clock"
            } else {
                "it is of another authority; let the file hold that one's certificate"
            };
            return Self::new(
                Kind::Authority,
                format!("{authority} does not vouch for the API server at {server} ({error}); {remedy}"),
            );
        }
        let (kind, what, remedy) = if says(&["dns error", "failed to lookup address"]) {
            (
                Kind::Name,
                "the name of the API server leads nowhere",
                "check KUBERNETES_SERVICE_HOST, and the pod's dnsPolicy (ClusterFirstWithHostNet on the host's network)",
            )
        } else if says(&["Connection refused", "connection refused"]) {
            (
                Kind::Refused,
                "nobody listens at the API server's address",
                "wait until it runs, or check KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT",
            )
        } else if says(&["InvalidContentType", "corrupt message", "tls handshake eof"]) {
            (
                Kind::Answer,
                "the API server's port speaks no TLS",
                "check KUBERNETES_SERVICE_PORT",
            )
        } else if says(&["error reading a body"]) {
            (
                Kind::Silence,
                "the API server breaks off its answers",
                "it may be about to end, or something between cuts connections",
            )
        } else {
            (
                Kind::Silence,
                "the API server does not answer",
                "a NetworkPolicy may forbid the way to it, or it does not run",
            )
        };
        Self::new(kind, format!("{what}: {server} ({error}); {remedy}"))
    }

    /// Of an answer that is a refusal, over HTTP or as an event.
    pub(super) fn of_refusal(question: Question, code: u16, body: &[u8], server: &str) -> Self {
        let said = objects::status(body).map_or_else(|| plain(body), |status| Some(printable(&status.message)));
        Self::of(question, code, &said.unwrap_or_default(), server)
    }

    /// Of an event that ends a watch.
    pub(super) fn of_event(plural: &'static str, status: &objects::Status, server: &str) -> Self {
        Self::of(
            Question::new(Verb::Watch, plural),
            status.code,
            &printable(&status.message),
            server,
        )
    }

    fn of(question: Question, code: u16, said: &str, server: &str) -> Self {
        let Question { verb, plural } = question;
        let verb = verb.as_str();
        let said = if said.is_empty() {
            format!("status {code}")
        } else {
            format!("status {code}: {said}")
        };
        let forbidden = format!(
            "bind it to a role with the rule {{apiGroups: [\"\"], resources: [{plural}], verbs: [{}]}}",
            question.verbs()
        );
        let (kind, what, remedy) = match code {
            401 => (
                Kind::Unauthorized,
                format!("the API server does not accept the token ({said})"),
                "it has expired, or its service account is gone; see that the kubelet renews it, and restart the pod if it does not",
            ),
            403 => (
                Kind::Forbidden,
                format!("the service account may not {verb} {plural} ({said})"),
                forbidden.as_str(),
            ),
            300..=399 => (
                Kind::Answer,
                format!("{server} sends elsewhere ({said}), where the token must not go"),
                "let KUBERNETES_SERVICE_HOST name the API server itself",
            ),
            429 | 500..=599 => (
                Kind::Busy,
                format!("the API server cannot {verb} {plural} now ({said})"),
                "see its log if this lasts",
            ),
            _ => (
                Kind::Answer,
                format!("{server} does not {verb} {plural} ({said})"),
                "see that an API server of Kubernetes runs there",
            ),
        };
        Self::new(kind, format!("{what}; {remedy}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_likely_mistake_and_the_remedy() {
        let forbidden = br#"{"kind":"Status","message":"pods is forbidden: User \"system:serviceaccount:a:b\" cannot watch","code":403}"#;
        for (code, body, kind, words) in [
            (
                401,
                &b"{\"kind\":\"Status\",\"message\":\"Unauthorized\"}"[..],
                Kind::Unauthorized,
                "(status 401: Unauthorized); it has expired",
            ),
            (403, forbidden, Kind::Forbidden, "serviceaccount:a:b"),
            (403, forbidden, Kind::Forbidden, "may not watch pods"),
            (
                403,
                b"",
                Kind::Forbidden,
                "(status 403); bind it to a role with the rule {apiGroups: [\"\"], resources: [pods], verbs: [list, watch]}",
            ),
            (
                302,
                b"",
                Kind::Answer,
                "sends elsewhere (status 302), where the token must not go",
            ),
            (503, b"no endpoints", Kind::Busy, "(status 503: no endpoints)"),
            (429, b"", Kind::Busy, "cannot watch pods now"),
            (404, b"<html>", Kind::Answer, "(status 404); see that an API server"),
            (200, b"", Kind::Answer, "does not watch pods"),
        ] {
            let fault = Fault::of_refusal(Question::new(Verb::Watch, "pods"), code, body, "SERVER");
            assert_eq!(fault.kind, kind, "{fault:?}");
            assert!(fault.message.contains(words), "{fault:?}");
        }
    }

    #[test]
    fn a_rule_that_is_missing_is_named_by_what_was_asked() {
        let fault = Fault::of_refusal(Question::new(Verb::Create, "configmaps"), 403, b"", "SERVER");
        let rule = "{apiGroups: [\"\"], resources: [configmaps], verbs: [create, patch]}";
        assert!(fault.message.contains("may not create configmaps"), "{fault:?}");
        assert!(fault.message.contains(rule), "{fault:?}");
    }

    #[test]
    fn an_error_names_the_likely_mistake_and_the_remedy() {
        for (error, kind, words) in [
            (
                "client error (Connect): tcp connect error: Connection refused (os error 111)",
                Kind::Refused,
                "nobody listens",
            ),
            (
                "client error (Connect): dns error: failed to lookup address information",
                Kind::Name,
                "dnsPolicy",
            ),
            (
                "client error (Connect): invalid peer certificate: UnknownIssuer",
                Kind::Authority,
                "CA does not vouch for the API server at SERVER",
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                Kind::Authority,
                "another authority",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"a\"",
                Kind::Authority,
                "for other names",
            ),
            (
                "invalid peer certificate: certificate expired: 1",
                Kind::Authority,
                "renew the server's certificate",
            ),
            (
                "received corrupt message of type InvalidContentType",
                Kind::Answer,
                "speaks no TLS",
            ),
            (
                "tcp connect error: Network is unreachable",
                Kind::Silence,
                "NetworkPolicy",
            ),
            (
                "error reading a body from connection: connection reset",
                Kind::Silence,
                "breaks off its answers",
            ),
            ("", Kind::Silence, "does not answer"),
        ] {
            let fault = Fault::of_error(error, "SERVER", Path::new("CA"));
            assert_eq!(fault.kind, kind, "{fault:?}");
            assert!(fault.message.contains(words), "{fault:?}");
        }
    }

    #[test]
    fn a_server_fills_no_log() {
        let body = format!(
            "{{\"kind\":\"Status\",\"message\":\"{}\\n\\u001b\"}}",
            "x".repeat(100_000)
        );
        for fault in [
            Fault::of_refusal(Question::new(Verb::List, "pods"), 500, body.as_bytes(), "SERVER"),
            Fault::of_refusal(Question::new(Verb::List, "pods"), 500, &[b'x'; 100_000], "SERVER"),
            Fault::of_error(&"x\n".repeat(100_000), "SERVER", Path::new("CA")),
        ] {
            assert!(fault.message.len() < 1000 && !fault.message.contains(char::is_control));
        }
    }
}
