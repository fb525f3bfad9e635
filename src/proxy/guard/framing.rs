//! How long the body is and whether it goes on: one reading of it, ours, is all that ever reaches a backend.
//!
//! hyper has already picked the length; here everything is refused that another reader could have picked
//! differently. Note what hyper 1.12 settles before us: with both `Transfer-Encoding` and `Content-Length` on
//! HTTP/1.1 it drops the latter and closes the connection after the answer; equal `Content-Length`s become one.

use http::header;
use http::{HeaderMap, Method, StatusCode, Version, request};

use super::Rejection;
use super::name::Kind;
use super::survey::Survey;

/// What to do with the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// Exactly so many bytes, said by `Content-Length`, which stays in the head.
    Length(u64),
    /// Unknown length: send it on chunked. Over HTTP/2 it may turn out to be empty.
    Streamed,
    /// Bytes that a read has no use for: not sent on. Drain them or close the connection.
    Discard,
}

/// Afterwards the head has neither `Transfer-Encoding` nor `Expect`.
///
/// # Errors
/// 400 for framing with two readings, 417 for an expectation other than `100-continue` (which hyper answers
/// when the body is first read).
pub fn check(parts: &mut request::Parts, survey: &Survey) -> Result<RequestBody, Rejection> {
    if survey.has(Kind::Expect) {
        check_expect(&parts.headers)?;
        parts.headers.remove(header::EXPECT);
    }
    let length = if survey.has(Kind::ContentLength) { Some(content_length(&parts.headers)?) } else { None };
    if survey.has(Kind::TransferEncoding) {
        check_transfer_encoding(parts, length)?;
        parts.headers.remove(header::TRANSFER_ENCODING);
        return Ok(unknown_length(&parts.method));
    }
    Ok(match length {
        Some(length) => RequestBody::Length(length),
        None if parts.version < Version::HTTP_2 => RequestBody::Empty,
        None => unknown_length(&parts.method),
    })
}

fn check_expect(headers: &HeaderMap) -> Result<(), Rejection> {
    match headers.get(header::EXPECT) {
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(()),
        Some(_) | None => {
            Err(Rejection::with_status(StatusCode::EXPECTATION_FAILED, "only Expect: 100-continue is known"))
        }
    }
}

/// Digits only: `+1`, `0x10`, `1, 1` and the empty value have been read differently before (CVE-2023-40225).
fn content_length(headers: &HeaderMap) -> Result<u64, Rejection> {
    let text = headers.get(header::CONTENT_LENGTH).map_or(&b""[..], |value| value.as_bytes());
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Rejection::bad("Content-Length is not a number of bytes"))
}

fn check_transfer_encoding(parts: &request::Parts, length: Option<u64>) -> Result<(), Rejection> {
    if length.is_some() {
        return Err(Rejection::bad("both Content-Length and Transfer-Encoding"));
    }
    if parts.version != Version::HTTP_11 {
        return Err(Rejection::bad("Transfer-Encoding exists in HTTP/1.1 only"));
    }
    match parts.headers.get(header::TRANSFER_ENCODING) {
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        Some(_) | None => Err(Rejection::bad("Transfer-Encoding must be exactly chunked")),
    }
}

/// A read with a body of unknown length is the classic carrier of a smuggled request; no client of this API
/// means it.
fn unknown_length(method: &Method) -> RequestBody {
    match method.as_str() {
        "GET" | "HEAD" | "LIST" | "SCAN" | "OPTIONS" | "HELP" => RequestBody::Discard,
        _ => RequestBody::Streamed,
    }
}

impl RequestBody {
    /// Nothing follows the head, for certain.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::Empty | Self::Length(0))
    }
}
