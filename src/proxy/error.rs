//! Answers of the proxy's own: the only file that picks a status for a request no server answered.
//!
//! 503 says "it did not run, try again"; 502 and 504 with `X-Understudy-Outcome: unknown` say "it may have run"
//! (the official client repeats on every 5xx, so the difference is for whoever looks before repeating).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::api::header::X_UNDERSTUDY_OUTCOME;
use crate::net::body::AnswerBody;

/// Why the proxy itself answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{message}")]
    BadRequest { status: StatusCode, message: &'static str },
    #[error("denied by a routing rule of this proxy")]
    Denied { status: u16 },
    #[error("this address may not use this proxy")]
    AccessDenied,
    #[error("too many requests from this address")]
    RateLimited,
    #[error("the request body is larger than this proxy allows")]
    BodyTooLarge,
    #[error("the request body ended early")]
    BodyAborted,
    #[error("the request body took longer than the whole request may")]
    BodyTimeout,
    #[error("no active node is known; the request was not executed")]
    NoActive,
    #[error("too many requests wait for an active node; the request was not executed")]
    HoldFull,
    #[error("no server of the cluster can answer this now")]
    NoServer,
    #[error("the cluster's servers cannot be reached; the request was not executed")]
    NotSent,
    #[error("a node refused the request and it is too large to be sent again; it was not executed")]
    NotReplayable,
    #[error("no standby has reached the state this session needs")]
    Stale,
    #[error("the connection to the server broke; whether the request was executed is unknown")]
    InDoubt,
    #[error("the server did not answer in time; whether the request was executed is unknown")]
    InDoubtTimeout,
    #[error("the server's answer could not be understood")]
    BadAnswer,
    #[error("the connection to the server broke before it answered")]
    Lost,
    #[error("the server did not answer in time")]
    Timeout,
    #[error("this operation belongs to one node: use the admin address, /node/<name>/v1/...")]
    NodeLocal,
}

// === impl Refusal ===

impl Refusal {
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest { status, .. } => status,
            Self::Denied { status } => StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN),
            Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyAborted => StatusCode::BAD_REQUEST,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Stale => StatusCode::PRECONDITION_FAILED,
            Self::NoActive | Self::HoldFull | Self::NoServer | Self::NotSent | Self::NotReplayable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::InDoubt | Self::BadAnswer | Self::Lost => StatusCode::BAD_GATEWAY,
            Self::InDoubtTimeout | Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::NodeLocal => StatusCode::BAD_REQUEST,
        }
    }

    /// It may have been executed.
    #[must_use]
    pub fn is_in_doubt(self) -> bool {
        matches!(self, Self::InDoubt | Self::InDoubtTimeout)
    }

    /// The client's connection is not in step any more and must end.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        matches!(self, Self::BadRequest { .. } | Self::BodyTooLarge | Self::BodyAborted | Self::BodyTimeout)
    }

    fn retry_after(self) -> Option<HeaderValue> {
        matches!(
            self,
            Self::RateLimited
                | Self::NoActive
                | Self::HoldFull
                | Self::NoServer
                | Self::NotSent
                | Self::NotReplayable
                | Self::Stale
        )
        .then_some(HeaderValue::from_static("1"))
    }

    /// The whole answer, in Vault's error shape.
    #[must_use]
    pub fn answer(self) -> Response<AnswerBody> {
        let mut answer = json(self.status(), &serde_json::json!({ "errors": [self.to_string()] }));
        let headers = answer.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds);
        }
        if self.is_in_doubt() {
            mark_in_doubt(headers);
        }
        if self.ends_connection() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Marks an answer after which nobody can say whether the write happened.
pub fn mark_in_doubt(headers: &mut HeaderMap) {
    headers.insert(X_UNDERSTUDY_OUTCOME, HeaderValue::from_static("unknown"));
}

/// A JSON answer with the headers Vault's own answers carry.
#[must_use]
pub fn json(status: StatusCode, body: &serde_json::Value) -> Response<AnswerBody> {
    let mut text = body.to_string();
    text.push('\n');
    let mut answer = Response::new(AnswerBody::Full(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_doubt_says_unknown_and_only_what_did_not_run_says_retry() {
        let not_run = [Refusal::NoActive, Refusal::HoldFull, Refusal::NotSent, Refusal::NotReplayable];
        for refusal in not_run {
            let answer = refusal.answer();
            assert_eq!(answer.status(), 503, "{refusal:?}");
            assert!(answer.headers().contains_key(RETRY_AFTER), "{refusal:?}");
            assert!(!answer.headers().contains_key(X_UNDERSTUDY_OUTCOME), "{refusal:?}");
        }
        for (refusal, status) in [(Refusal::InDoubt, 502), (Refusal::InDoubtTimeout, 504)] {
            let answer = refusal.answer();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()[X_UNDERSTUDY_OUTCOME], "unknown");
            assert!(!answer.headers().contains_key(RETRY_AFTER));
        }
    }

    #[test]
    fn a_body_in_vaults_shape() {
        let AnswerBody::Full(body) = Refusal::Timeout.answer().into_body() else { panic!("full") };
        assert_eq!(&body[..], b"{\"errors\":[\"the server did not answer in time\"]}\n");
    }
}
