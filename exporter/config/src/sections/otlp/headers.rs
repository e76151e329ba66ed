//! Headers that go with every request: they carry tenants and passwords.
//! It must never show a value, neither in an error nor in a log.
//! From the file or a variable; to the clients.

use crate::file::Problem;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers that the protocol sets itself.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
];

/// Names and values; the values are marked as secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// As the client wants them.
    pub const fn map(&self) -> &HeaderMap {
        &self.0
    }

    /// The headers of the file.
    pub(super) fn parse(list: &[(String, Option<String>)]) -> Result<Self, Problem> {
        let mut headers = Self::default();
        for (name, value) in list {
            let wrong = |what| Problem::new("otlp.headers", format!("the header {name:?} {what}"));
            let value = value
                .as_deref()
                .ok_or_else(|| wrong("has no value; write one, in quotes if it is the word null"))?;
            headers.add(name, value).map_err(wrong)?;
        }
        Ok(headers)
    }

    /// Adds one, or says what is wrong with it; the sentence goes on after the name.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let Ok(key) = HeaderName::try_from(name) else {
            return Err("has a name that HTTP does not allow; write letters, digits and hyphens");
        };
        if RESERVED.contains(&key.as_str()) || key.as_str().starts_with("grpc-") {
            return Err("is set by the protocol itself; remove it");
        }
        if key.as_str().ends_with("-bin") {
            return Err("has a name that gRPC keeps for binary values; choose another");
        }
        // gRPC takes no other characters.
        let printable = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let Some(mut secret) = HeaderValue::try_from(value).ok().filter(|_| printable) else {
            return Err("has a value with characters other than printable ASCII; encode it");
        };
        secret.set_sensitive(true);
        if self.0.insert(key, secret).is_some() {
            return Err("is given twice; keep one of the two");
        }
        Ok(())
    }
}
