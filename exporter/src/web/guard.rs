//! What stands before every route: the rate limit, the password, and the headers that are added to all answers.
//! It must never let a request through to a route, not even to an unknown one, that may not pass.
//! Around the router of `http`; it asks for the web configuration of the moment at each request.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

use super::{
    Web,
    config::{Headers, RateLimit},
};

/// Lets a request through, or answers it.
pub(super) async fn guard(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let current = web.current();
    let mut response = if !current.bucket.as_ref().is_none_or(Bucket::take) {
        (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response()
    } else if current
        .login
        .admits(request.headers().get(header::AUTHORIZATION).cloned())
        .await
    {
        next.run(request).await
    } else {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic")];
        (StatusCode::UNAUTHORIZED, challenge, "Unauthorized\n").into_response()
    };
    add(response.headers_mut(), &current.headers);
    response
}

/// What an answer says for itself stands: a second policy would forbid the page its own style and script.
fn add(own: &mut HeaderMap, configured: &HeaderMap) {
    for (name, value) in configured {
        own.entry(name).or_insert_with(|| value.clone());
    }
}

/// The headers as HTTP has them. All of them fit: the configuration has seen to it.
pub(super) fn headers(headers: &Headers) -> HeaderMap {
    let pair = |(name, value): &(&'static str, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    headers.0.iter().filter_map(pair).collect()
}

/// A token bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: RateLimit,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    requests: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(limit: RateLimit) -> Self {
        let (requests, at) = (f64::from(limit.burst), Instant::now());
        let level = Mutex::new(Level { requests, at });
        Self { limit, level }
    }

    fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let RateLimit { interval, burst } = self.limit;
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(level.at);
        level.requests = (level.requests + gained(passed, interval)).min(f64::from(burst));
        level.at = level.at.max(now);
        let full = level.requests >= 1.0;
        if full {
            level.requests -= 1.0;
        }
        full
    }
}

fn gained(passed: Duration, interval: Duration) -> f64 {
    passed.as_secs_f64() / interval.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_through_its_burst_and_then_one_each_interval() {
        let interval = Duration::from_secs(10);
        let bucket = Bucket::new(RateLimit { interval, burst: 3 });
        let start = bucket.level.lock().unwrap().at;
        let takes = |at: Duration| (0..5).filter(|_| bucket.take_at(start + at)).count();
        assert_eq!(takes(Duration::ZERO), 3);
        assert_eq!(takes(interval - Duration::from_millis(1)), 0);
        assert_eq!(takes(2 * interval), 2);
        // It holds no more than the burst, and time does not run backwards.
        assert_eq!(takes(100 * interval), 3);
        assert_eq!(takes(interval), 0);
    }
}
