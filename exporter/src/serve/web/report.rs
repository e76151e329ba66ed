//! What was refused: counted each time, and in the log at most every ten minutes for each reason, with who it was.
//! It must never write what somebody sent: only the peer's address and words of our own.

use crate::{
    lifecycle::throttle::{FAULT, Throttle},
    serve::web::served::Served,
};
use std::{fmt::Display, sync::Arc, time::Instant};
use tcpvitals_metrics::snapshot::Refusal;

use crate::serve::web::transport::peer::Peer;

/// Counts and tells.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) served: Arc<Served>,
    told: Throttle,
}

impl Report {
    pub(crate) fn new(served: Arc<Served>) -> Self {
        Self {
            served,
            told: Throttle::new(FAULT),
        }
    }

    /// A connection or a request of `peer` was refused; `limit` is the bound or guard, as an operator knows it.
    pub(crate) fn refuse(&self, why: Refusal, peer: Peer, limit: impl Display) {
        self.served.refused(why);
        if let Some(times) = self.due(why.as_str()) {
            tracing::warn!(
                reason = why.as_str(),
                %peer,
                times,
                "the HTTP server refuses: {limit}"
            );
        }
    }

    /// How often something of a kind happened since the last line, this time included, if another line is due.
    pub(crate) fn due(&self, kind: &'static str) -> Option<u64> {
        self.due_at(kind, tokio::time::Instant::now().into_std())
    }

    fn due_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        self.told.log_at(kind, now).map(|silent| silent + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PAUSE: Duration = FAULT;

    #[test]
    fn a_reason_has_a_line_at_first_and_then_every_ten_minutes() {
        let report = Report::new(Arc::new(Served::new(16)));
        let start = tokio::time::Instant::now().into_std();
        let due = |why: Refusal, after| report.due_at(why.as_str(), start + after);
        assert_eq!(due(Refusal::Host, Duration::ZERO), Some(1));
        assert_eq!(due(Refusal::Host, Duration::from_secs(1)), None);
        assert_eq!(due(Refusal::Password, Duration::from_secs(1)), Some(1));
        assert_eq!(due(Refusal::Host, PAUSE), Some(2));
        assert_eq!(due(Refusal::Host, 2 * PAUSE - Duration::from_millis(1)), None);
    }
}
