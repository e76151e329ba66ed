//! An address to serve on, as a flag has it.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
};

/// Where to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// This port of every address: `:10717`
    Every(u16),
    /// `127.0.0.1:10717`, `[::1]:10717`
    Address(SocketAddr),
    /// Every address of a name: `localhost:10717`
    Name(String, u16),
    /// A unix socket: `unix:///run/tcpvitals/http.sock`
    Socket(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.len() > 1 && path.starts_with('/') && !path.ends_with('/') {
                return Ok(Self::Socket(PathBuf::from(path)));
            }
            return Err(
                "a unix socket has a path from the root; write for example unix:///run/tcpvitals/http.sock".to_owned(),
            );
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("this is a port without an address; did you mean :{text}?"));
        }
        let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) else {
            let host = if text.is_empty() { "127.0.0.1" } else { text };
            return Err(format!("the port is missing; write for example {host}:10717"));
        };
        if host.contains("//") {
            return Err("this is a URL; write the address alone, for example localhost:10717".to_owned());
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err("an IPv6 address stands in brackets; write for example [::1]:10717".to_owned());
        }
        let port = super::values::port_or_any(port)?;
        if host.is_empty() {
            return Ok(Self::Every(port));
        }
        if let Ok(address) = format!("{host}:{port}").parse() {
            return Ok(Self::Address(address));
        }
        // An address with a zone is resolved as a name is.
        let zoned = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let zoned = zoned.filter(|host| host.contains('%'));
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = host.bytes().all(is_of_name) && host.bytes().any(|byte| byte.is_ascii_alphabetic());
        match zoned.or_else(|| is_name.then_some(host)) {
            Some(name) => Ok(Self::Name(name.to_owned(), port)),
            None => Err(format!(
                "{host:?} is no address and no name of a host; write for example 127.0.0.1:{port}, [::1]:{port}, localhost:{port} or \
                 :{port}"
            )),
        }
    }
}

impl Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(port) => write!(formatter, ":{port}"),
            Self::Address(address) => address.fmt(formatter),
            Self::Name(name, port) if name.contains(':') => write!(formatter, "[{name}]:{port}"),
            Self::Name(name, port) => write!(formatter, "{name}:{port}"),
            Self::Socket(path) => write!(formatter, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_told_back_as_it_was_written() {
        for text in [
            ":0",
            ":10717",
            "127.0.0.1:1",
            "[::1]:65535",
            "localhost:80",
            "a-b.example.:80",
            "[fe80::1%eth0]:80",
            "unix:///run/a b.sock",
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        let socket = Ok(ListenAddress::Socket("/a".into()));
        assert_eq!(("unix:/a".parse(), "unix:///a".parse()), (socket.clone(), socket));
    }

    #[test]
    fn what_is_wrong_says_what_to_write() {
        for (text, expected) in [
            ("24101", "this is a port without an address; did you mean :24101?"),
            ("localhost", "the port is missing; write for example localhost:10717"),
            ("[::1]", "the port is missing; write for example [::1]:10717"),
            ("", "the port is missing; write for example 127.0.0.1:10717"),
            (
                "::1:80",
                "an IPv6 address stands in brackets; write for example [::1]:10717",
            ),
            (":65536", "a port is a number from 1 to 65535"),
            (":-1", "a port is a number from 1 to 65535"),
            ("localhost:http", "a port is a number from 1 to 65535"),
            ("localhost:", "a port is a number from 1 to 65535"),
            (
                "http://localhost:1",
                "this is a URL; write the address alone, for example localhost:10717",
            ),
            (
                "10.0.0.256:1",
                "\"10.0.0.256\" is no address and no name of a host; write for example 127.0.0.1:1, [::1]:1, localhost:1 or :1",
            ),
            (
                "unix:run",
                "a unix socket has a path from the root; write for example unix:///run/tcpvitals/http.sock",
            ),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap_err(), expected, "{text}");
        }
    }
}
