//! The one place that picks a status: (operation, outcome) → status and body.
//!
//! ```text
//!   Ok with data      200 envelope          Ok without, a write      204
//!   Ok without, read  404 {"errors":[]}     Err                      by its kind, {"errors":[text]}
//! ```

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::json;

use crate::logical::{Body, Fault, Operation, Response, Stream, envelope};
use crate::storage::CommitIndex;

/// What goes back over HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Bytes,
    /// What a client that has seen this answer has seen of the store; `None` for answers that read nothing of it.
    pub index: Option<CommitIndex>,
    /// Instead of `body`: bytes that come while the answer is written.
    pub stream: Option<Stream>,
    /// Beside those every answer has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The media type of almost everything.
pub const JSON: &str = "application/json";

// === impl Answered ===

impl Answered {
    #[must_use]
    pub fn new(status: u16, body: Bytes) -> Self {
        Self { status, content_type: JSON, body, index: None, stream: None, headers: Vec::new() }
    }

    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let mut text = body.to_string();
        text.push('\n');
        Self::new(status, Bytes::from(text))
    }

    /// `{"errors":[…]}`; no text gives an empty list.
    #[must_use]
    pub fn errors(status: u16, text: &str) -> Self {
        let errors: &[&str] = if text.is_empty() { &[] } else { &[text] };
        Self::json(status, &json!({ "errors": errors }))
    }

    #[must_use]
    pub fn at(mut self, index: CommitIndex) -> Self {
        self.index = Some(index);
        self
    }
}

impl std::fmt::Debug for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answered({}, {} bytes)", self.status, self.body.len())
    }
}

/// The answer to `operation`.
#[must_use]
pub fn of(operation: Operation, request_id: &str, outcome: &Result<Response, Fault>) -> Answered {
    match outcome {
        Ok(response) => success(operation, request_id, response),
        Err(fault) => failure(request_id, fault),
    }
}

fn success(operation: Operation, request_id: &str, response: &Response) -> Answered {
    if let Body::Raw(raw) = &response.body {
        return Answered {
            status: raw.status,
            content_type: raw.content_type,
            body: raw.body.clone(),
            index: None,
            stream: None,
            headers: Vec::new(),
        };
    }
    if let Body::Stream(streamed) = &response.body {
        let (content_type, stream) = (streamed.content_type, Some(streamed.stream.clone()));
        return Answered { content_type, stream, ..Answered::new(200, Bytes::new()) };
    }
    let says_nothing = matches!(response.body, Body::None)
        && response.granted.is_none()
        && response.wrapped.is_none()
        && response.lease_id.is_empty();
    let reads = matches!(operation, Operation::Read | Operation::List | Operation::Scan);
    match (says_nothing, reads, response.warnings.is_empty()) {
        (true, true, true) => Answered::errors(response.status.unwrap_or(404), ""),
        (true, true, false) => enveloped(response.status.unwrap_or(404), request_id, response),
        (true, false, true) if response.status.is_none() => Answered::new(204, Bytes::new()),
        _ => enveloped(response.status.unwrap_or(200), request_id, response),
    }
}

fn enveloped(status: u16, request_id: &str, response: &Response) -> Answered {
    match envelope::write(request_id, response) {
        // Not copied, and wiped when it has been sent.
        Ok(bytes) => Answered::new(status, Bytes::from_owner(bytes)),
        Err(_) => Answered::errors(500, "the answer could not be encoded"),
    }
}

fn failure(request_id: &str, fault: &Fault) -> Answered {
    match fault {
        Fault::NeedsActive => Answered::errors(503, "node is not active"),
        Fault::Invalid(text) | Fault::WrongCredentials(text) => Answered::errors(400, text),
        Fault::InvalidWith { text, data } => Answered::json(400, &json!({ "errors": [text], "data": data })),
        Fault::Denied => Answered::errors(403, &one_error("permission denied")),
        Fault::NotFound(text) => Answered::errors(404, text),
        Fault::NotFoundWith(response) => enveloped(404, request_id, response),
        Fault::UnsupportedPath => Answered::errors(404, &one_error("unsupported path")),
        Fault::UnsupportedOperation => Answered::errors(405, &one_error("unsupported operation")),
        Fault::Conflict(text) => Answered::errors(409, text),
        Fault::TooMany(text) => Answered::errors(429, text),
        Fault::Status { status, text } => Answered::errors(*status, text),
        Fault::Internal(text) => Answered::errors(500, &one_error(text)),
    }
}

/// The server's list form of a single error.
fn one_error(text: &str) -> String {
    format!("1 error occurred:\n\t* {text}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_follow_operation_and_outcome() {
        let data = || Ok(Response::json(json!({"a": 1})));
        let warned = || Ok(Response::empty().with_warning("w"));
        let cases: Vec<(Operation, Result<Response, Fault>, u16, bool)> = vec![
            (Operation::Read, data(), 200, true),
            (Operation::Read, Ok(Response::empty()), 404, true),
            (Operation::List, Ok(Response::empty()), 404, true),
            (Operation::Read, warned(), 404, true),
            (Operation::Update, Ok(Response::empty()), 204, false),
            (Operation::Update, warned(), 200, true),
            (Operation::Delete, Ok(Response::empty()), 204, false),
            (Operation::Read, Err(Fault::Denied), 403, true),
            (Operation::Read, Err(Fault::UnsupportedPath), 404, true),
            (Operation::Delete, Err(Fault::UnsupportedOperation), 405, true),
            (Operation::Update, Err(Fault::invalid("no")), 400, true),
            (Operation::Update, Err(Fault::NeedsActive), 503, true),
        ];
        for (operation, outcome, status, has_body) in cases {
            let answered = of(operation, "id", &outcome);
            assert_eq!(
                (answered.status, !answered.body.is_empty()),
                (status, has_body),
                "{operation:?} {outcome:?}"
            );
        }
        let missing = of(Operation::Read, "id", &Err(Fault::missing()));
        assert_eq!(missing.body, Bytes::from_static(b"{\"errors\":[]}\n"));
    }
}
