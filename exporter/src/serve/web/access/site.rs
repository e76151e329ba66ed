//! Pages in browsers: whether a request may come from a page of somebody else's, by its headers.
//! It must never take a page in a browser of this host for a user of this host. Pure: headers in, a decision out.

use axum::http::{HeaderMap, HeaderValue, Uri, Version, header, uri::Authority};
use std::net::IpAddr;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// HTTP/1.1 without a Host header, or any version with two, or with one that is none (RFC 9112, 3.2).
    Malformed,
    /// The name of another host: DNS may have been turned to this one.
    Foreign,
}

/// The host and port that a request is for; none where HTTP/1.0 does not say.
pub(crate) fn host(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>, Fault> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (host.is_none() && version == Version::HTTP_11) {
        return Err(Fault::Malformed);
    }
    let host = match host {
        Some(value) if value.is_empty() => None,
        Some(value) => Some(authority(value).ok_or(Fault::Malformed)?),
        None => None,
    };
    // An absolute URL wins over the header; in HTTP/2 they are the same or the request is malformed.
    match (uri.authority(), host) {
        (Some(named), Some(host)) if version >= Version::HTTP_2 && *named != host => Err(Fault::Malformed),
        (Some(named), _) if named.as_str().contains('@') => Err(Fault::Malformed),
        (Some(named), _) => Ok(Some(named.clone())),
        (None, host) => Ok(host),
    }
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    let text = value.to_str().ok()?;
    let authority: Authority = text.parse().ok()?;
    (!text.contains('@')).then_some(authority)
}

/// Whether a browser on this host reaches a loopback address by this: an address, or `localhost`. Any other name may be
/// somebody else's, and its page would then be of the same origin as ours.
pub(crate) fn require_local(host: Option<&Authority>) -> Result<(), Fault> {
    // Who names no host is no browser.
    let Some(host) = host else { return Ok(()) };
    let name = host.host();
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    let is_localhost = name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("localhost");
    if is_localhost || address.parse::<IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(Fault::Foreign)
    }
}

/// Whether a page of another origin asks, or one cannot tell. Programs that are no browsers send neither header.
pub(crate) fn is_cross_site(host: Option<&Authority>, headers: &HeaderMap) -> bool {
    let fetched = headers.get_all("sec-fetch-site").iter();
    let own = |value: &HeaderValue| value == "same-origin" || value == "none";
    let foreign_fetch = !fetched.into_iter().all(own);
    let foreign_origin = headers
        .get_all(header::ORIGIN)
        .iter()
        .any(|origin| !is_own(origin, host));
    foreign_fetch || foreign_origin
}

/// Whether an origin is the host that is asked.
fn is_own(origin: &HeaderValue, host: Option<&Authority>) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let origin = origin
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    match (origin, host) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn of(version: Version, uri: &str, hosts: &[&str]) -> Result<Option<String>, Fault> {
        let mut all = HeaderMap::new();
        let value = |host: &str| HeaderValue::from_str(host).unwrap();
        hosts.iter().for_each(|host| {
            all.append(header::HOST, value(host));
        });
        let uri = || uri.parse().unwrap();
        host(version, &uri(), &all).map(|host| host.map(|host| host.to_string()))
    }

    #[test]
    fn a_request_names_one_host() {
        let (old, new, two) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        let some = |host: &str| Ok(Some(host.to_owned()));
        for (version, uri, hosts, expected) in [
            (new, "/", &["a:1"][..], some("a:1")),
            (new, "/", &[], Err(Fault::Malformed)),
            (new, "/", &["a", "a"], Err(Fault::Malformed)),
            (new, "/", &["a", "b"], Err(Fault::Malformed)),
            (new, "/", &[""], Ok(None)),
            (new, "/", &["a b"], Err(Fault::Malformed)),
            (new, "/", &["a/b"], Err(Fault::Malformed)),
            (new, "/", &["localhost@evil"], Err(Fault::Malformed)),
            (new, "/", &["a, b"], Err(Fault::Malformed)),
            (new, "http://a/", &["b"], some("a")),
            (new, "http://a/", &[], Err(Fault::Malformed)),
            (old, "/", &[], Ok(None)),
            (old, "/", &["a", "b"], Err(Fault::Malformed)),
            (two, "https://a/", &[], some("a")),
            (two, "https://a/", &["a"], some("a")),
            (two, "https://a/", &["b"], Err(Fault::Malformed)),
            (two, "/", &["b"], some("b")),
        ] {
            assert_eq!(of(version, uri, hosts), expected, "{version:?} {uri} {hosts:?}");
        }
    }

    #[test]
    fn a_loopback_address_has_no_other_name_than_localhost() {
        let is_local = |host: &str| require_local(Some(&host.parse().unwrap())).is_ok();
        for local in [
            "localhost",
            "LOCALHOST:1",
            "localhost.",
            "127.0.0.1:10717",
            "[::1]:1",
            "[::1]",
            "192.0.2.1",
        ] {
            assert!(is_local(local), "{local}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "evil-localhost",
            "127.0.0.1.evil.example",
            "127.0.0.1.",
            "127.1",
            "localhost..",
        ] {
            assert!(!is_local(foreign), "{foreign}");
        }
        assert_eq!(require_local(None), Ok(()));
    }

    #[test]
    fn a_page_of_another_origin_is_told_apart() {
        let host: Authority = "localhost:1".parse().unwrap();
        let cross = |pairs: &[(&str, &str)]| is_cross_site(Some(&host), &headers(pairs));
        for own in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://localhost:1")],
            &[("origin", "https://LOCALHOST:1"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(!cross(own), "{own:?}");
        }
        for foreign in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "Same-Origin")],
            &[("sec-fetch-site", "")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "http://localhost:2")],
            &[("origin", "http://localhost")],
            &[("origin", "http://localhost:1.evil.example")],
            &[("origin", "file://localhost:1")],
            &[("origin", "localhost:1")],
            &[("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(cross(foreign), "{foreign:?}");
        }
        assert!(is_cross_site(None, &headers(&[("origin", "http://localhost:1")])));
    }
}
