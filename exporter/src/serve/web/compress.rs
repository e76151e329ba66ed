//! gzip of whole answers, for clients that take it. Whole, so that no client keeps the state of a compression for as long as
//! it likes.

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use std::io::{self, Write as _};
use tokio::sync::Semaphore;

/// What is shorter is not worth it.
const LEAST: u64 = 1024;

/// One at a time: whoever asks for many takes one CPU at most.
static TURN: Semaphore = Semaphore::const_new(1);

/// Compresses an answer that is not compressed yet.
pub(crate) async fn compress(request: Request, next: Next) -> Response {
    let wanted = accepts_gzip(request.headers());
    let response = next.run(request).await;
    let long = response.body().size_hint().exact().is_some_and(|size| size >= LEAST);
    if !long || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let vary = parts.headers.entry(header::VARY);
    vary.or_insert(HeaderValue::from_name(header::ACCEPT_ENCODING));
    if !wanted {
        return Response::from_parts(parts, body);
    }
    let packed = match to_bytes(body, usize::MAX).await {
        Ok(bytes) => {
            let turn = TURN.acquire().await;
            let work = move || {
                // The turn lasts as long as the work, even where nobody waits for the answer any more.
                let _turn = turn;
                gzip(&bytes)
            };
            tokio::task::spawn_blocking(work).await
        }
        Err(error) => Ok(Err(io::Error::other(error))),
    };
    match packed {
        Ok(Ok(packed)) => {
            let headers = &mut parts.headers;
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(packed))
        }
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "the answer cannot be compressed");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// The bytes as gzip.
///
/// # Errors
/// None: memory takes everything.
pub(crate) fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    let mut packed = encoder.finish()?;
    packed.shrink_to_fit();
    Ok(packed.into())
}

/// Whether gzip is wanted (RFC 9110, 12.5.3): it is named, or all are, and at least as much as none at all.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    for coding in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
    {
        let mut parts = coding.split(';');
        let name = parts.next().unwrap_or("").trim().to_ascii_lowercase();
        let weight = |part: &str| {
            part.trim()
                .strip_prefix(['q', 'Q'])?
                .trim()
                .strip_prefix('=')?
                .trim()
                .parse()
                .ok()
        };
        let weight: f32 = parts.find_map(weight).unwrap_or(1.0);
        match name.as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "*" => any = Some(weight),
            "identity" => identity = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_want_it() {
        let accepts = |values: &[&'static str]| {
            let pairs = values
                .iter()
                .map(|value| (header::ACCEPT_ENCODING, HeaderValue::from_static(value)));
            accepts_gzip(&pairs.collect())
        };
        for wanted in [
            &["gzip"][..],
            &["GZIP;q=0.5"],
            &["br, gzip ; q = 0.1, *;q=0"],
            &["x-gzip"],
            &["*"],
            &["gzip;q=1, identity;q=0.5"],
            &["identity;q=0, *"],
        ] {
            assert!(accepts(wanted), "{wanted:?}");
        }
        for refused in [
            &[][..],
            &[""],
            &["br"],
            &["gzip;q=0"],
            &["gzip;q=0, *"],
            &["gzip;q=0.5, identity"],
            &["gzip;q=NaN"],
            &["gzipped"],
        ] {
            assert!(!accepts(refused), "{refused:?}");
        }
    }
}
