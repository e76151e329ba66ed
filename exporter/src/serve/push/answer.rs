//! What a receiver's answer means, and how long to wait before trying again: the rules of the OTLP specification.
//! It must never send or wait itself. From the clients; to the pusher.

use crate::client::{plain, printable};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause that a receiver may ask for, so that a mistake of its own does not silence us for ever.
const LONGEST_REQUEST: Duration = Duration::from_mins(10);

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The receiver has it, but for so many data points; it may have something to say.
    Taken {
        /// Data points that it does not have, and must not be sent again.
        rejected: u64,
        /// What it says, "" for nothing.
        message: String,
    },
    /// It may be sent again, after a time that the receiver asked for.
    TryAgain {
        after: Option<Duration>,
        /// Why it was not taken.
        why: String,
    },
    /// There is none. It may be sent again, over another connection.
    Silence { why: String },
    /// It must not be sent again as it is.
    Refused { why: String },
}

impl Answer {
    /// A good answer, over either protocol.
    pub fn taken(response: ExportMetricsServiceResponse) -> Self {
        let partial = response.partial_success.unwrap_or_default();
        Self::Taken {
            rejected: u64::try_from(partial.rejected_data_points).unwrap_or(0),
            message: printable(&partial.error_message),
        }
    }

    /// A good status over HTTP without the answer that belongs to it. Sent again, the data would count twice.
    fn unclear(status: u16) -> Self {
        Self::Taken {
            rejected: 0,
            message: format!(
                "HTTP status {status}, but the answer is not one of OTLP, or longer than 1 MiB: whether all data points \
                 were taken is unknown; compare otlp.endpoint with the address and path of the receiver"
            ),
        }
    }

    /// A bad answer over gRPC. `RESOURCE_EXHAUSTED` may pass only if the receiver says when.
    pub fn of_status(status: &Status) -> Self {
        let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let why = format!("{:?}: {}", status.code(), printable(status.message()));
        let again = match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => true,
            Code::ResourceExhausted => after.is_some(),
            Code::Ok
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Internal
            | Code::Unauthenticated => false,
        };
        if again {
            Self::TryAgain { after, why }
        } else {
            Self::Refused { why }
        }
    }

    /// With the likely mistake behind a bad answer, if one is known.
    pub fn with(mut self, hint: Option<&str>) -> Self {
        if let (Some(hint), Self::TryAgain { why, .. } | Self::Silence { why } | Self::Refused { why }) =
            (hint, &mut self)
        {
            *why = format!("{why}; {hint}");
        }
        self
    }

    /// An answer over HTTP; `None` is a body that could not be read to its end.
    pub fn of_http(status: u16, after: Option<Duration>, body: Option<&[u8]>) -> Self {
        if (200..300).contains(&status) {
            // Some receivers say nothing more, which decodes.
            let response = body.and_then(|body| ExportMetricsServiceResponse::decode(body).ok());
            return response.map_or_else(|| Self::unclear(status), Self::taken);
        }
        let body = body.unwrap_or_default();
        let said = pb::Status::decode(body)
            .map(|status| printable(&status.message))
            .ok()
            .filter(|said| !said.is_empty())
            .or_else(|| plain(body))
            .unwrap_or_default();
        let why = if said.is_empty() {
            format!("HTTP status {status}")
        } else {
            format!("HTTP status {status}: {said}")
        };
        match status {
            429 | 502 | 503 | 504 => Self::TryAgain { after, why },
            _ => Self::Refused { why },
        }
    }
}

/// How long to wait before attempt number `attempt` (from 1 on) is repeated; `random` lies between 0 and 1.
pub fn pause(asked: Option<Duration>, attempt: u32, random: f64) -> Duration {
    if let Some(asked) = asked {
        return asked.min(LONGEST_REQUEST);
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
    use tonic_types::ErrorDetails;

    fn again(answer: &Answer) -> Option<Option<Duration>> {
        match answer {
            Answer::TryAgain { after, .. } => Some(*after),
            Answer::Taken { .. } | Answer::Silence { .. } | Answer::Refused { .. } => None,
        }
    }

    #[test]
    fn codes_of_grpc_are_those_that_the_specification_lets_try_again() {
        let retryable: Vec<i32> = (1..=16)
            .filter(|code| again(&Answer::of_status(&Status::new(Code::from_i32(*code), ""))).is_some())
            .collect();
        let expected = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        assert_eq!(retryable, expected.map(|code| code as i32));
    }

    #[test]
    fn an_exhausted_receiver_is_asked_again_only_if_it_says_when() {
        let with = |code, seconds| {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
            again(&Answer::of_status(&Status::with_error_details(code, "", details)))
        };
        assert_eq!(with(Code::ResourceExhausted, 7), Some(Some(Duration::from_secs(7))));
        assert_eq!(with(Code::Unavailable, 3), Some(Some(Duration::from_secs(3))));
        assert_eq!(with(Code::InvalidArgument, 3), None);
        assert_eq!(again(&Answer::of_status(&Status::resource_exhausted("full"))), None);
    }

    #[test]
    fn statuses_of_http_are_those_that_the_specification_lets_try_again() {
        let retryable: Vec<u16> = (200..600)
            .filter(|status| again(&Answer::of_http(*status, None, Some(b""))).is_some())
            .collect();
        assert_eq!(retryable, [429, 502, 503, 504]);
        let after = Some(Duration::from_secs(120));
        assert_eq!(again(&Answer::of_http(503, after, Some(b""))), Some(after));
        for status in [301, 400, 401, 404, 413, 500] {
            assert!(matches!(
                Answer::of_http(status, after, Some(b"")),
                Answer::Refused { .. }
            ));
        }
    }

    #[test]
    fn what_a_receiver_says_is_kept_in_one_line() {
        let status = pb::Status {
            message: "no\nroom".to_owned(),
            ..pb::Status::default()
        };
        let answer = Answer::of_http(400, None, Some(&status.encode_to_vec()));
        let why = "HTTP status 400: no\\nroom".to_owned();
        assert_eq!(answer, Answer::Refused { why });
        for (body, said) in [("no\nroom\n", ": no\\nroom"), ("<html>no</html>", ""), ("", "")] {
            let why = format!("HTTP status 400{said}");
            assert_eq!(
                Answer::of_http(400, None, Some(body.as_bytes())),
                Answer::Refused { why }
            );
        }
        let partial = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let taken = |rejected, message: &str| Answer::Taken {
            rejected,
            message: message.to_owned(),
        };
        let body = partial.encode_to_vec();
        assert_eq!(Answer::of_http(200, None, Some(&body)), taken(3, "too old"));
        assert_eq!(Answer::of_http(204, None, Some(b"")), taken(0, ""));
        for not_otlp in [None, Some(&b"<html>"[..]), Some(b"{}"), Some(b"ok")] {
            assert_eq!(Answer::of_http(200, None, not_otlp), Answer::unclear(200));
        }
        let why = "HTTP status 500".to_owned();
        assert_eq!(Answer::of_http(500, None, None), Answer::Refused { why });
    }

    #[test]
    fn pauses_double_within_their_jitter_and_obey_the_receiver() {
        let milliseconds = |attempt, random| pause(None, attempt, random).as_millis();
        assert_eq!((milliseconds(1, 0.0), milliseconds(1, 1.0)), (250, 500));
        assert_eq!((milliseconds(4, 0.0), milliseconds(4, 1.0)), (2_000, 4_000));
        assert_eq!(milliseconds(u32::MAX, 1.0), 30_000);
        assert_eq!(pause(Some(Duration::from_secs(45)), 1, 0.5), Duration::from_secs(45));
        assert_eq!(pause(Some(Duration::MAX), 1, 0.5), LONGEST_REQUEST);
    }
}
