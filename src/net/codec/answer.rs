//! An answer's head: parsed, its body's framing decided, interim heads dropped.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

use smallvec::SmallVec;

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

/// Where a header line's name and value are in the head.
type Spans = SmallVec<[(Range<usize>, Range<usize>); 24]>;

/// Takes one answer head off the front of `buffer`; `None`: more bytes are needed. 1xx heads other than 101 are
/// skipped, as RFC 9110 §15.2 asks of a client. `room`: an empty map that the head's lines are put into.
///
/// # Errors
/// The bytes are not an answer this proxy believes.
pub fn take_head(
    buffer: &mut BytesMut,
    method: &Method,
    room: &mut HeaderMap,
) -> Result<Option<AnswerHead>, Garbage> {
    loop {
        let Some(head) = take_one_head(buffer, method, room)? else { return Ok(None) };
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
        match take_one_head(&mut rest, method, &mut HeaderMap::new())? {
            Some(head) if is_interim(head.status) => *buffer = rest,
            Some(_) | None => break,
        }
    }
    Ok(())
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn take_one_head(
    buffer: &mut BytesMut,
    method: &Method,
    room: &mut HeaderMap,
) -> Result<Option<AnswerHead>, Garbage> {
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
    let span = |part: &[u8]| {
        let start = part.as_ptr() as usize - base;
        start..start + part.len()
    };
    let mut notes = Notes::default();
    let mut spans = Spans::new();
    for header in answer.headers.iter() {
        if notes.take(header.name.as_bytes(), header.value)? == Line::PassedOn {
            spans.push((span(header.name.as_bytes()), span(header.value)));
        }
    }
    let bytes = buffer.split_to(length).freeze();
    let headers = collect_headers(&bytes, spans, std::mem::take(room))?;
    let framing = notes.framing(status, method, version)?;
    let keep_alive = framing != Framing::UntilClose && notes.keeps_alive(version);
    Ok(Some(AnswerHead { status, headers, framing, keep_alive }))
}

/// Header values stay slices of the head's one buffer.
fn collect_headers(head: &Bytes, spans: Spans, mut headers: HeaderMap) -> Result<HeaderMap, Garbage> {
    headers.reserve(spans.len());
    for (name, value) in spans {
        let (name, usual) = header_name(&head[name])?;
        let value = match usual {
            Some(usual) if usual.as_bytes() == &head[value.clone()] => usual.clone(),
            Some(_) | None => HeaderValue::from_maybe_shared(head.slice(value)).map_err(|_| Garbage::Head)?,
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// A line that most answers carry: the name as Go's and nginx's servers spell it, and the value where one is usual.
struct UsualLine {
    spelling: &'static [u8],
    name: HeaderName,
    value: Option<HeaderValue>,
}

const fn usual(spelling: &'static str, name: HeaderName) -> UsualLine {
    UsualLine { spelling: spelling.as_bytes(), name, value: None }
}

const fn usually(spelling: &'static str, name: HeaderName, value: &'static str) -> UsualLine {
    UsualLine { spelling: spelling.as_bytes(), name, value: Some(HeaderValue::from_static(value)) }
}

/// What is found here is neither parsed nor allocated. Another spelling or value costs time only.
static USUAL_LINES: [UsualLine; 11] = [
    usual("Date", header::DATE),
    usually("Content-Type", header::CONTENT_TYPE, "application/json"),
    usual("Content-Length", header::CONTENT_LENGTH),
    usually("Cache-Control", header::CACHE_CONTROL, "no-store"),
    usual("X-Vault-Index", HeaderName::from_static("x-vault-index")),
    usually(
        "Strict-Transport-Security",
        header::STRICT_TRANSPORT_SECURITY,
        "max-age=31536000; includeSubDomains",
    ),
    usual("X-Vault-Hostname", HeaderName::from_static("x-vault-hostname")),
    usual("X-Vault-Raft-Node-Id", HeaderName::from_static("x-vault-raft-node-id")),
    usual("Server", header::SERVER),
    usual("Vary", header::VARY),
    usually("Transfer-Encoding", header::TRANSFER_ENCODING, "chunked"),
];

fn header_name(bytes: &[u8]) -> Result<(HeaderName, Option<&'static HeaderValue>), Garbage> {
    match USUAL_LINES.iter().find(|line| line.spelling == bytes) {
        Some(line) => Ok((line.name.clone(), line.value.as_ref())),
        None => HeaderName::from_bytes(bytes).map(|name| (name, None)).map_err(|_| Garbage::Head),
    }
}

/// What the header lines say about the end of the body and of the connection, gathered while they are read.
#[derive(Debug, Default)]
struct Notes {
    length: Option<u64>,
    /// Lines of `Transfer-Encoding`.
    codings: usize,
    /// One of them says exactly `chunked`.
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

/// What becomes of a header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    PassedOn,
    /// [`Notes`] holds all it says.
    Noted,
}

// === impl Notes ===

impl Notes {
    /// Takes in one line; names are told apart by their lengths first.
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<Line, Garbage> {
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => return Ok(self.connection(value)),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.codings += 1;
                self.chunked |= value.eq_ignore_ascii_case(b"chunked");
            }
            _ => {}
        }
        Ok(Line::PassedOn)
    }

    /// A line that names a header or an upgrade is for whoever takes off what it names.
    fn connection(&mut self, value: &[u8]) -> Line {
        let mut only_options = true;
        for part in value.split(|byte| *byte == b',') {
            let part = part.trim_ascii();
            let close = part.eq_ignore_ascii_case(b"close");
            let keep_alive = part.eq_ignore_ascii_case(b"keep-alive");
            self.close |= close;
            self.keep_alive |= keep_alive;
            only_options &= close || keep_alive;
        }
        if only_options { Line::Noted } else { Line::PassedOn }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Garbage> {
        let text = std::str::from_utf8(value).map_err(|_| Garbage::Framing)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let length = text.parse().ok().filter(|_| digits).ok_or(Garbage::Framing)?;
        if self.length.is_some_and(|known| known != length) {
            return Err(Garbage::Framing);
        }
        self.length = Some(length);
        Ok(())
    }

    /// RFC 9112 §6.3, in its order. `Transfer-Encoding` with `Content-Length`, or anything but one `chunked`, is
    /// refused.
    fn framing(&self, status: StatusCode, method: &Method, version: Version) -> Result<Framing, Garbage> {
        let bodiless = *method == Method::HEAD
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        if self.codings > 0 {
            let only_chunked = self.codings == 1 && self.chunked;
            if !only_chunked || self.length.is_some() || version == Version::HTTP_10 {
                return Err(Garbage::Framing);
            }
            return Ok(if bodiless { Framing::None } else { Framing::Chunked });
        }
        Ok(match self.length {
            _ if bodiless => Framing::None,
            Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }

    fn keeps_alive(&self, version: Version) -> bool {
        match version {
            Version::HTTP_11 => !self.close,
            _ => self.keep_alive,
        }
    }
}
