//! HTTP ↔ the core's types: one request's head and body in, one answer out. Decides nothing about secrets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderValue, Response, StatusCode, request};
use http_body_util::BodyExt;
use hyper::body::Incoming as HttpBody;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::body::AnswerBody;
use super::place::{self, Place};
use crate::api::header::{self, WrapTtl};
use crate::api::operation::{self, Operation};
use crate::core::answer::Answered;
use crate::core::incoming::{Incoming, Wrap};
use crate::duration;
use crate::entropy;
use crate::logical::Client;

/// Most query parameters that become data of a read.
const MAX_QUERY_PARAMETERS: usize = 1000;

/// What a parsed head leads to.
#[derive(Debug)]
pub enum Parsed {
    /// To be answered at once: it never reaches the core.
    Refused(Answered),
    /// Go's path cleaning: a redirect to the clean path on this very node.
    Redirect(String),
    /// Go's server refuses it before there is a handler: 400 with this text.
    Malformed(&'static str),
    Request(Box<Head>),
}

/// A request whose body has not been read.
#[derive(Debug)]
pub struct Head {
    pub incoming: Incoming,
    pub method: http::Method,
    pub query: Option<String>,
}

/// Reads the head.
#[must_use]
pub fn parse(mut parts: request::Parts, peer: Option<SocketAddr>) -> Parsed {
    let mut path = match place::of(&parts.uri) {
        Place::Api(path) => path,
        Place::Redirect(to) => return Parsed::Redirect(to),
        Place::Refused(answered) => return Parsed::Refused(answered),
        Place::Malformed(text) => return Parsed::Malformed(text),
    };
    let operation = match operation::of(&parts.method, parts.uri.query()) {
        Ok(Operation::Other) => return refused(405, ""),
        Ok(Operation::Options) => return refused(400, "cannot handle internal-only request operation"),
        Ok(operation) => operation,
        Err(_) => return refused(400, ""),
    };
    if !matches!(header::namespace(&parts.headers), "" | "root") {
        return refused(404, "namespace not found");
    }
    if let Err((status, text)) = check_patch(operation, &parts.headers) {
        return refused(status, &text);
    }
    let wrap = match wrap(&parts.headers) {
        Ok(wrap) => wrap,
        Err(text) => return refused(400, &text),
    };
    let reads = matches!(operation, Operation::Read | Operation::List | Operation::Scan | Operation::Delete);
    if matches!(operation, Operation::List | Operation::Scan) && !path.ends_with('/') {
        path.push('/'); // what is listed is a folder
    }
    let incoming = Incoming {
        id: request_id(),
        operation,
        path,
        data: Arc::new(if reads { query_data(parts.uri.query()) } else { Map::new() }),
        body: Bytes::new(),
        upload: None,
        token: token(&parts.headers),
        client: Client { address: peer.map(|peer| peer.ip()), port: peer.map_or(0, |peer| peer.port()) },
        wrap,
        headers: kept_headers(std::mem::take(&mut parts.headers)),
    };
    let query = parts.uri.query().map(str::to_owned);
    Parsed::Request(Box::new(Head { incoming, method: parts.method, query }))
}

/// A random UUID of our own generator: the crate's would ask the system for every request.
fn request_id() -> Arc<str> {
    let id = uuid::Builder::from_random_bytes(entropy::bytes()).into_uuid();
    Arc::from(&*id.as_hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
}

fn refused(status: u16, text: &str) -> Parsed {
    Parsed::Refused(Answered::errors(status, text))
}

/// A patch must say that it is a merge patch; the error is a status and a text.
fn check_patch(operation: Operation, headers: &HeaderMap) -> Result<(), (u16, String)> {
    const MERGE_PATCH: &str = "application/merge-patch+json";
    if operation != Operation::Patch {
        return Ok(());
    }
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    match media {
        "" => Err((400, "mime: no media type".to_owned())),
        media if media.eq_ignore_ascii_case(MERGE_PATCH) => Ok(()),
        media => Err((415, format!("PATCH requires Content-Type of {MERGE_PATCH}, provided {media}"))),
    }
}

fn wrap(headers: &HeaderMap) -> Result<Option<Wrap>, String> {
    if header::wrap_ttl(headers) != WrapTtl::NonZero {
        return Ok(None);
    }
    let text =
        headers.get(header::X_VAULT_WRAP_TTL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let jwt = headers.get(header::X_VAULT_WRAP_FORMAT).is_some_and(|format| format == "jwt");
    if text.starts_with('-') {
        return Err("error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative".to_owned());
    }
    let ttl = duration::parse(text)
        .map_err(|_| format!("error parsing X-Vault-Wrap-TTL header: time: invalid duration {text:?}"))?;
    Ok((!ttl.is_zero()).then_some(Wrap { ttl, jwt }))
}

fn token(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let token = header::session_token(headers)?;
    let text = std::str::from_utf8(token).ok()?.trim();
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

/// What backends may be tuned to see; the credential never is.
fn kept_headers(headers: HeaderMap) -> HeaderMap {
    let mut kept = headers;
    kept.remove(AUTHORIZATION);
    kept.remove(header::X_VAULT_TOKEN);
    kept
}

/// Query parameters as data: one value is text, several are a list.
fn query_data(query: Option<&str>) -> Map<String, Value> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in query_pairs(query.unwrap_or_default()) {
        values.entry(name).or_default().push(value);
    }
    for flag in ["list", "scan", "help"] {
        values.remove(flag);
    }
    let value = |mut texts: Vec<String>| match texts.len() {
        1 => texts.pop().map_or(Value::Null, Value::String),
        _ => Value::Array(texts.into_iter().map(Value::String).collect()),
    };
    values.into_iter().map(|(name, texts)| (name, value(texts))).collect()
}

/// Names and values of a query, unescaped, in order.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).take(MAX_QUERY_PARAMETERS).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescape(name), unescape(value))
    })
}

/// `application/x-www-form-urlencoded` text; what is not well escaped stays as it is.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let digits = [ahead.next(), ahead.next()].map(|digit| digit.and_then(hex_digit));
                if let [Some(high), Some(low)] = digits {
                    bytes.push(high << 4 | low);
                    rest = ahead;
                } else {
                    bytes.push(byte);
                }
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Reads a whole body.
///
/// # Errors
/// 413 over `limit` bytes; 400 when the client stopped.
pub async fn read_body(mut body: HttpBody, limit: usize) -> Result<Bytes, Answered> {
    use http_body::Body;
    let too_large = || Answered::errors(413, "http: request body too large");
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Answered::errors(400, "the request body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Err(too_large());
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The HTTP answer. `index` is the already encoded `X-Vault-Index`.
#[must_use]
pub fn respond(answered: Answered, index: Option<HeaderValue>) -> Response<AnswerBody> {
    let body = match answered.stream.and_then(|stream| stream.take()) {
        Some(chunks) => AnswerBody::Stream(chunks),
        None => AnswerBody::whole(answered.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.reserve(5);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !answered.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(answered.content_type));
    }
    headers
        .insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    headers.extend(answered.headers);
    if let Some(index) = index {
        headers.insert(header::X_VAULT_INDEX, index);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parsed {
        let mut builder = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        parse(builder.body(()).unwrap().into_parts().0, None)
    }

    #[test]
    fn refusals_have_the_servers_status_and_text() {
        for (method, uri, headers, status, text) in [
            ("FOO", "/v1/a", &[][..], 405, ""),
            ("OPTIONS", "/v1/a", &[], 400, "cannot handle internal-only request operation"),
            ("GET", "/v1/a?list=maybe", &[], 400, ""),
            ("GET", "/v1", &[], 404, ""),
            ("GET", "/v1/a", &[("x-vault-namespace", "zz")], 404, "namespace not found"),
            (
                "GET",
                "/v1/a",
                &[("x-vault-wrap-ttl", "abc")],
                400,
                "error parsing X-Vault-Wrap-TTL header: time: invalid duration \"abc\"",
            ),
            (
                "PATCH",
                "/v1/a",
                &[("content-type", "text/plain")],
                415,
                "PATCH requires Content-Type of application/merge-patch+json, provided text/plain",
            ),
            ("PATCH", "/v1/a", &[], 400, "mime: no media type"),
            ("PATCH", "/v1/a", &[("content-type", ";;;")], 400, "mime: no media type"),
        ] {
            let Parsed::Refused(answered) = parsed(method, uri, headers) else {
                panic!("{method} {uri} was taken")
            };
            assert_eq!(answered, Answered::errors(status, text), "{method} {uri}");
        }
    }

    #[test]
    fn reads_take_their_data_from_the_query() {
        let Parsed::Request(head) =
            parsed("GET", "/v1/a?version=2&x=a%20b&x=c+d&list=false", &[("x-vault-token", "t")])
        else {
            panic!("refused")
        };
        let expected = serde_json::json!({"version": "2", "x": ["a b", "c d"]});
        assert_eq!(Value::Object(Map::clone(&head.incoming.data)), expected);
        assert_eq!(head.incoming.token.unwrap().as_str(), "t");
        assert!(head.incoming.headers.is_empty(), "the token is not passed on");
    }
}
