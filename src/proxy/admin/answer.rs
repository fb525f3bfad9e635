//! The shapes of answers. Every error is JSON with one sentence: `{"error": "..."}`.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;

pub(super) type Answer = Response<BoxBody<Bytes, hyper::Error>>;

pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

pub(super) fn bytes(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            bytes(status, JSON, body)
        }
        Err(error) => {
            error_json(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot encode the answer: {error}"))
        }
    }
}

pub(super) fn ok(value: &impl Serialize) -> Answer {
    json(StatusCode::OK, value)
}

pub(super) fn error_json(status: StatusCode, sentence: &str) -> Answer {
    json(status, &serde_json::json!({ "error": sentence }))
}

pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = error_json(StatusCode::METHOD_NOT_ALLOWED, &format!("this endpoint takes {allowed}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

pub(super) fn unauthorized(sentence: &str) -> Answer {
    let mut answer = error_json(StatusCode::UNAUTHORIZED, sentence);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}
