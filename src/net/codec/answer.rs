//! An answer's head: parsed, its body's framing decided, interim heads dropped.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use super::{Framing, Garbage};

/// Longest answer head (proxies.md §6.1): more is an answer that is not believed.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most header lines in an answer.
pub const MAX_HEADERS: usize = 100;

/// An answer's head.
pub struct AnswerHead {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub framing: Framing,
    /// The server leaves the connection open after this answer.
    pub keep_alive: bool,
}

impl std::fmt::Debug for AnswerHead {
    /// Not the header values: an answer's headers may carry secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut head = f.debug_struct("AnswerHead");
        head.field("status", &self.status).field("framing", &self.framing);
        head.field("keep_alive", &self.keep_alive).finish_non_exhaustive()
    }
}

/// Takes one answer head off the front of `buffer`; `None`: more bytes are needed. 1xx heads other than 101 are
/// skipped, as RFC 9110 §15.2 asks of a client.
///
/// # Errors
/// The bytes are not an answer this proxy believes.
pub fn take_head(buffer: &mut BytesMut, method: &Method) -> Result<Option<AnswerHead>, Garbage> {
    loop {
        let Some(head) = take_one_head(buffer, method)? else { return Ok(None) };
        if !is_interim(head.status) {
            return Ok(Some(head));
        }
    }
}

/// Drops whole 1xx heads (not 101) off the front: while a request body is still being sent, they are no answer.
///
/// # Errors
/// The bytes are not an answer this proxy believes.
pub fn skip_interim(buffer: &mut BytesMut, method: &Method) -> Result<(), Garbage> {
    while !buffer.is_empty() {
        let mut rest = buffer.clone();
        match take_one_head(&mut rest, method)? {
            Some(head) if is_interim(head.status) => *buffer = rest,
            Some(_) | None => break,
        }
    }
    Ok(())
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn take_one_head(buffer: &mut BytesMut, method: &Method) -> Result<Option<AnswerHead>, Garbage> {
    let mut slots = [const { std::mem::MaybeUninit::uninit() }; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, buffer, &mut slots);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if buffer.len() > MAX_HEAD_BYTES => return Err(Garbage::TooLarge),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Garbage::TooLarge),
        Err(_) => return Err(Garbage::Head),
    };
    if length > MAX_HEAD_BYTES {
        return Err(Garbage::TooLarge);
    }
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Garbage::Head)?;
    let version = if answer.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let base = buffer.as_ptr() as usize;
    let mut spans = [(0_u32, 0_u32, 0_u32, 0_u32); MAX_HEADERS];
    let count = answer.headers.len();
    for (span, header) in spans.iter_mut().zip(answer.headers.iter()) {
        let name = header.name.as_ptr() as usize - base;
        let value = header.value.as_ptr() as usize - base;
        *span = (name as u32, header.name.len() as u32, value as u32, header.value.len() as u32);
    }
    let bytes = buffer.split_to(length).freeze();
    let headers = collect_headers(&bytes, &spans[..count])?;
    let framing = answer_framing(&headers, status, method, version)?;
    let keep_alive = framing != Framing::UntilClose && keeps_alive(&headers, version);
    Ok(Some(AnswerHead { status, headers, framing, keep_alive }))
}

/// Header values stay slices of the head's one buffer.
fn collect_headers(head: &Bytes, spans: &[(u32, u32, u32, u32)]) -> Result<HeaderMap, Garbage> {
    let mut headers = HeaderMap::with_capacity(spans.len() + 4);
    for &(name, name_len, value, value_len) in spans {
        let name = HeaderName::from_bytes(&head[name as usize..(name + name_len) as usize])
            .map_err(|_| Garbage::Head)?;
        let value = head.slice(value as usize..(value + value_len) as usize);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Garbage::Head)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// RFC 9112 §6.3, in its order. `Transfer-Encoding` with `Content-Length`, or anything but one `chunked`, is refused.
fn answer_framing(
    headers: &HeaderMap,
    status: StatusCode,
    method: &Method,
    version: Version,
) -> Result<Framing, Garbage> {
    let bodiless = *method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    let length = content_length(headers)?;
    if let Some(coding) = headers.get(TRANSFER_ENCODING) {
        let only_chunked = headers.get_all(TRANSFER_ENCODING).iter().count() == 1
            && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !only_chunked || length.is_some() || version == Version::HTTP_10 {
            return Err(Garbage::Framing);
        }
        return Ok(if bodiless { Framing::None } else { Framing::Chunked });
    }
    Ok(match length {
        _ if bodiless => Framing::None,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    })
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Garbage> {
    let mut found = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let text = value.to_str().map_err(|_| Garbage::Framing)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let length = text.parse().ok().filter(|_| digits).ok_or(Garbage::Framing)?;
        if found.is_some_and(|known| known != length) {
            return Err(Garbage::Framing);
        }
        found = Some(length);
    }
    Ok(found)
}

fn keeps_alive(headers: &HeaderMap, version: Version) -> bool {
    let says = |token: &str| {
        headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    match version {
        Version::HTTP_11 => !says("close"),
        _ => says("keep-alive"),
    }
}
