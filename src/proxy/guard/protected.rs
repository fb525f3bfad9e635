//! Headers that only a trusted party may set, and limits on those a client may.
//!
//! `X-Understudy-*` speaks between us and our nodes and operators; `Client-Cert*` and, from a peer that is no
//! trusted proxy, everything about where the request comes from would let a client claim to be somebody else.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::Rejection;
use super::name::{Kind, Kinds};
use super::survey::{FORWARDED, Survey};
use crate::config::proxy::ConsistencyMode;

const CONSISTENCY: HeaderName = HeaderName::from_static("x-understudy-consistency");
const INDEX: HeaderName = HeaderName::from_static("x-vault-index");

/// An index is some 100 bytes; the client's is decoded and compared, so it has to be small.
const MAX_INDEX_BYTES: usize = 512;

/// Never believed from a client, whoever it is.
const ALWAYS: Kinds = Kinds::of(&[Kind::ClientCert, Kind::Understudy, Kind::Consistency]);
const UNTRUSTED: Kinds = Kinds::of(&[
    Kind::ClientCert,
    Kind::Understudy,
    Kind::Consistency,
    Kind::XForwardedFor,
    Kind::OtherForwarded,
]);

/// The answer is the consistency the client asks for, when it may.
///
/// # Errors
/// 400 for an unknown consistency word or an index of more than 512 bytes.
pub fn strip(
    headers: &mut HeaderMap,
    survey: &Survey,
    trusted: bool,
    override_allowed: bool,
) -> Result<Option<ConsistencyMode>, Rejection> {
    check_index(headers, survey)?;
    let consistency = if override_allowed { wanted_consistency(headers, survey)? } else { None };
    if survey.has_any(ALWAYS) || (!trusted && survey.has_any(FORWARDED)) {
        remove_kinds(headers, if trusted { ALWAYS } else { UNTRUSTED });
    }
    if survey.repeats(Kind::Cookie) {
        join_cookies(headers);
    }
    Ok(consistency)
}

/// Remove every header of these kinds. Two passes, so only for heads that have one.
pub(super) fn remove_kinds(headers: &mut HeaderMap, kinds: Kinds) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| kinds.has(Kind::of(name.as_str()))).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn check_index(headers: &HeaderMap, survey: &Survey) -> Result<(), Rejection> {
    if !survey.has(Kind::Index) {
        return Ok(());
    }
    match headers.get(INDEX) {
        Some(value) if value.len() > MAX_INDEX_BYTES => {
            Err(Rejection::bad("X-Vault-Index is longer than 512 bytes"))
        }
        Some(_) | None => Ok(()),
    }
}

fn wanted_consistency(headers: &HeaderMap, survey: &Survey) -> Result<Option<ConsistencyMode>, Rejection> {
    if !survey.has(Kind::Consistency) {
        return Ok(None);
    }
    if survey.repeats(Kind::Consistency) {
        return Err(Rejection::bad("more than one X-Understudy-Consistency header"));
    }
    match headers.get(CONSISTENCY).map_or(&b""[..], HeaderValue::as_bytes) {
        b"eventual" => Ok(Some(ConsistencyMode::Eventual)),
        b"session" => Ok(Some(ConsistencyMode::Session)),
        b"global" => Ok(Some(ConsistencyMode::Global)),
        b"strong" => Ok(Some(ConsistencyMode::Strong)),
        _ => Err(Rejection::bad("X-Understudy-Consistency must be eventual, session, global or strong")),
    }
}

/// HTTP/2 clients may split the cookie; HTTP/1.1 wants one line again (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(mut joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        joined.set_sensitive(true);
        headers.insert(header::COOKIE, joined);
    }
}
