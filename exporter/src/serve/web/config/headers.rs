//! HTTP headers that an operator may add to every answer.
//! It must never let through a header that the exporter sets itself, nor a value that breaks a response.
//! From `http_server_config.headers`; to the guard.

use tcpvitals_config::file::{Problem, choose};

use super::raw::Pairs;

/// The headers that the exporter-toolkit knows, and the values that it allows; none are listed where any will do.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// Names as in [`ALLOWED`], with values that HTTP can carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(&'static str, String)>);

impl Headers {
    pub(super) fn parse(Pairs(pairs): Pairs) -> Result<Self, Problem> {
        let mut headers = Vec::new();
        for (name, value) in pairs {
            let key = format!("http_server_config.headers.{name}");
            let name = choose(
                &key,
                &name,
                "a header that can be set",
                &ALLOWED.map(|(name, _)| name),
                |name| name,
            )?;
            let value = value.reveal();
            // Blank means unset.
            if value.is_empty() {
                continue;
            }
            let values = ALLOWED
                .iter()
                .find(|(known, _)| *known == name)
                .map_or(&[][..], |(_, values)| values);
            if !values.is_empty() {
                choose(&key, value, "a value of this header", values, |value| value)?;
            }
            let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
            if !value.bytes().all(fits) {
                let what = "HTTP cannot carry this value; write printable ASCII characters on one line";
                return Err(Problem::new(key, what));
            }
            headers.push((name, value.to_owned()));
        }
        Ok(Self(headers))
    }
}
