//! The HTTP client of all that asks others: receivers of OTLP, another exporter, an API server.
//! It must never decide what an answer means. From whoever asks; to the network.

pub(crate) mod route;
pub mod tls;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{legacy, proxy::matcher::Intercept},
    rt::TokioExecutor,
};
use route::Route;
use rustls::ClientConfig;
use std::error::Error;
use tonic::codegen::Body;

/// What requests say of who asks.
pub(crate) const USER_AGENT: &str = concat!("tcpvitals/", env!("CARGO_PKG_VERSION"));

/// A client; it keeps its connections for the next request.
pub(crate) type Http<B> = legacy::Client<HttpsConnector<Route>, B>;

/// HTTP/2 without asking for gRPC, HTTP/1.1 else.
pub(crate) fn http<B>(is_http2: bool, tls: ClientConfig, proxy: Option<&Intercept>) -> Http<B>
where
    B: Body + Send,
    B::Data: Send,
{
    let tcp = Route::new(proxy);
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    if is_http2 {
        let connector = connector.enable_http2().wrap_connector(tcp);
        builder.http2_only(true).build(connector)
    } else {
        builder.build(connector.enable_http1().wrap_connector(tcp))
    }
}

/// What went wrong, down to the cause.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}

/// A text that is no page.
pub(crate) fn plain(body: &[u8]) -> Option<String> {
    let text = str::from_utf8(body).ok()?.trim();
    let is_plain = !text.is_empty() && !text.starts_with('<');
    is_plain.then(|| printable(text))
}

/// One line of at most so many characters, since it ends up in a log.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut line = String::new();
    for char in text.chars().take(LONGEST) {
        // Quotes do nothing to a line.
        if matches!(char, '"' | '\'') {
            line.push(char);
        } else {
            line.extend(char.escape_debug());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_down_to_its_cause() {
        let cause = std::io::Error::other("refused");
        let error = std::io::Error::other(cause);
        assert_eq!(chain(&error), "refused");
    }
}
