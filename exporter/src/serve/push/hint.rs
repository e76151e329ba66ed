//! The likely mistake behind a failed request: another protocol at the port, with or without TLS.
//! It must never change what becomes of a request. From the words of an error or an answer; to the log.

use tcpvitals_config::Protocol;

const NOT_TLS: &str = "the port may speak no TLS; write http://, or the port that does";
const HTTP_OR_TLS: &str =
    "the port may speak no gRPC without TLS: for HTTP (4318) write protocol: http/protobuf, for TLS https://";
const GRPC_OR_TLS: &str =
    "the port may speak no HTTP/1.1 without TLS: for gRPC (4317) write protocol: grpc, for TLS https://";
const TLS: &str = "the port wants TLS; write https://";
const HTTP: &str = "the receiver speaks HTTP, but no gRPC there; write protocol: http/protobuf and its port (4318)";
const PROXY: &str = "the proxy that HTTPS_PROXY or ALL_PROXY names opens no tunnel; name the receiver in NO_PROXY, or let the proxy allow its port";
const PATH: &str = "check the path of the endpoint; without one it is /v1/metrics";

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken {
    pub(super) protocol: Protocol,
    pub(super) is_encrypted: bool,
}

impl Spoken {
    /// Of a connection on which no answer was understood, by the words of its error.
    pub(super) fn of_error(self, error: &str) -> Option<&'static str> {
        let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
        if says(&["tunnel error"]) {
            return Some(PROXY);
        }
        match (self.is_encrypted, self.protocol) {
            (true, _) => says(&["InvalidContentType", "tls handshake eof"]).then_some(NOT_TLS),
            // A server of HTTP/1.1 answers the preface of HTTP/2 with an error and closes.
            (false, Protocol::Grpc) => {
                let closed = says(&["SendRequest"]) && says(&["broken pipe", "connection reset", "Connection reset"]);
                (closed || says(&["http2 error", "h2 protocol error", "frame"])).then_some(HTTP_OR_TLS)
            }
            (false, Protocol::HttpProtobuf) => {
                says(&["invalid HTTP", "connection closed before message completed"]).then_some(GRPC_OR_TLS)
            }
        }
    }

    /// Of a status over gRPC that the receiver or tonic made.
    pub(super) fn of_status(self, message: &str) -> Option<&'static str> {
        if message.contains("grpc-status header missing") || message.contains("invalid compression flag") {
            Some(HTTP)
        } else {
            self.of_error(message)
        }
    }

    /// Of an answer over HTTP that is no success.
    pub(super) fn of_answer(self, status: u16, body: &[u8]) -> Option<&'static str> {
        let said = String::from_utf8_lossy(body);
        let wants_tls = [
            "HTTP request to an HTTPS server",
            "plain HTTP request was sent to HTTPS port",
        ];
        if !self.is_encrypted && wants_tls.iter().any(|words| said.contains(words)) {
            Some(TLS)
        } else {
            (matches!(status, 404 | 405) || said.contains("unsupported path")).then_some(PATH)
        }
    }
}
