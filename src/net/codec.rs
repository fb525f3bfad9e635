//! HTTP/1.1 towards a server, as bytes: a request head out, an answer head and body in. No sockets here, so
//! every test is a function call. Who connects, waits and gives up is `upstream`.
//!
//! Parsing of heads is httparse's, the parser hyper itself uses; framing follows RFC 9112 §6. Anything odd in an
//! answer is [`Garbage`]: the connection is dropped and never used again.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

/// Longest answer head (proxies.md §6.1): more is an answer that is not believed.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most header lines in an answer.
pub const MAX_HEADERS: usize = 100;
/// Longest chunk-size line, extensions included.
const MAX_CHUNK_LINE: usize = 256;
/// Longest trailer section; trailers are read and dropped.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

/// How the body that follows a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

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

/// The server said something that is not an HTTP/1.1 answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Garbage {
    #[error("the answer's head is not HTTP/1.1")]
    Head,
    #[error("the answer's head is longer than 64 KiB or has more than 100 headers")]
    TooLarge,
    #[error("the answer's body length is contradictory")]
    Framing,
    #[error("the answer's chunked body is malformed")]
    Chunk,
}

/// What to send. Hop-by-hop and framing headers are already gone.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    pub method: &'a Method,
    pub path_and_query: &'a str,
    /// Value of the `Host` header.
    pub host: &'a [u8],
    pub headers: &'a HeaderMap,
    /// Written behind them.
    pub extra: &'a [ExtraLine<'a>],
}

/// A header line beside the map: lower-case name and value, both without CR or LF.
pub type ExtraLine<'a> = (&'a str, &'a [u8]);

/// Not the path, the headers or the body: they hold tokens.
impl std::fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Writes a request head. The caller has removed hop-by-hop and framing headers; this adds exactly one framing.
pub fn encode_request(out: &mut BytesMut, head: RequestHead<'_>, framing: Framing) {
    let RequestHead { method, path_and_query, host, headers, extra } = head;
    out.reserve(256 + headers.len() * 64);
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(path_and_query.as_bytes());
    out.put_slice(b" HTTP/1.1\r\nhost: ");
    out.put_slice(host);
    out.put_slice(b"\r\n");
    for (name, value) in headers {
        put_header(out, name.as_str().as_bytes(), value.as_bytes());
    }
    for (name, value) in extra {
        put_header(out, name.as_bytes(), value);
    }
    put_framing(out, method, framing);
    out.put_slice(b"\r\n");
}

fn put_header(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// RFC 9110 §8.6: a method that expects content says `content-length: 0` when it has none.
fn put_framing(out: &mut BytesMut, method: &Method, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            put_header(out, b"content-length", itoa::Buffer::new().format(length).as_bytes());
        }
        Framing::Chunked => put_header(out, b"transfer-encoding", b"chunked"),
        Framing::None | Framing::UntilClose => {
            if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
                put_header(out, b"content-length", b"0");
            }
        }
    }
}

/// One chunk of a request body.
pub fn encode_chunk(out: &mut BytesMut, data: &[u8]) {
    let mut size = [0_u8; 16];
    out.put_slice(hex_size(data.len(), &mut size));
    out.put_slice(b"\r\n");
    out.put_slice(data);
    out.put_slice(b"\r\n");
}

/// The end of a chunked request body.
pub fn encode_last_chunk(out: &mut BytesMut) {
    out.put_slice(b"0\r\n\r\n");
}

fn hex_size(mut value: usize, buffer: &mut [u8; 16]) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b"0123456789abcdef"[value & 15];
        value >>= 4;
        if value == 0 {
            return &buffer[at..];
        }
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

/// Takes an answer's body off a buffer, piece by piece.
#[derive(Debug)]
pub enum BodyDecoder {
    Done,
    Length { left: u64 },
    Chunked(Chunk),
    UntilClose,
}

/// Where in a chunked body the decoder stands.
#[derive(Debug)]
pub enum Chunk {
    Size,
    Data { left: u64 },
    DataEnd,
    Trailer { seen: usize },
}

/// What [`BodyDecoder::take`] found.
#[derive(PartialEq, Eq)]
pub enum Piece {
    Data(Bytes),
    NeedMore,
    End,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::NeedMore => f.write_str("NeedMore"),
            Self::End => f.write_str("End"),
        }
    }
}

// === impl BodyDecoder ===

impl BodyDecoder {
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Done,
            Framing::Length(left) => Self::Length { left },
            Framing::Chunked => Self::Chunked(Chunk::Size),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// The body ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// An end of stream is this body's proper end.
    #[must_use]
    pub fn ends_with_stream(&self) -> bool {
        matches!(self, Self::UntilClose | Self::Done)
    }

    /// Bytes still to come, when known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length { left } => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes the next piece of the body off the front of `buffer`.
    ///
    /// # Errors
    /// The chunked coding is malformed.
    pub fn take(&mut self, buffer: &mut BytesMut) -> Result<Piece, Garbage> {
        match self {
            Self::Done => Ok(Piece::End),
            Self::UntilClose if buffer.is_empty() => Ok(Piece::NeedMore),
            Self::UntilClose => Ok(Piece::Data(buffer.split().freeze())),
            Self::Length { left } => {
                let Some(data) = take_up_to(buffer, *left) else { return Ok(Piece::NeedMore) };
                *left -= data.len() as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Piece::Data(data))
            }
            Self::Chunked(_) => self.take_chunked(buffer),
        }
    }

    fn take_chunked(&mut self, buffer: &mut BytesMut) -> Result<Piece, Garbage> {
        loop {
            let Self::Chunked(chunk) = self else { return Ok(Piece::End) };
            let next = match chunk {
                Chunk::Size => match take_line(buffer, MAX_CHUNK_LINE)? {
                    None => return Ok(Piece::NeedMore),
                    Some(line) => match chunk_size(&line)? {
                        0 => Some(Chunk::Trailer { seen: 0 }),
                        left => Some(Chunk::Data { left }),
                    },
                },
                Chunk::Data { left } => {
                    let Some(data) = take_up_to(buffer, *left) else { return Ok(Piece::NeedMore) };
                    *left -= data.len() as u64;
                    if *left == 0 {
                        *chunk = Chunk::DataEnd;
                    }
                    return Ok(Piece::Data(data));
                }
                Chunk::DataEnd => match take_line(buffer, 0)? {
                    None => return Ok(Piece::NeedMore),
                    Some(_) => Some(Chunk::Size),
                },
                Chunk::Trailer { seen } => match take_line(buffer, MAX_TRAILER_BYTES)? {
                    None => return Ok(Piece::NeedMore),
                    Some(line) if line.is_empty() => None,
                    Some(line) => Some(Chunk::Trailer { seen: trailer_bytes(*seen, line.len())? }),
                },
            };
            *self = next.map_or(Self::Done, Self::Chunked);
        }
    }
}

fn trailer_bytes(seen: usize, more: usize) -> Result<usize, Garbage> {
    let total = seen + more + 2;
    if total > MAX_TRAILER_BYTES { Err(Garbage::Chunk) } else { Ok(total) }
}

fn take_up_to(buffer: &mut BytesMut, left: u64) -> Option<Bytes> {
    if buffer.is_empty() {
        return None;
    }
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    Some(buffer.split_to(length).freeze())
}

/// A line up to CRLF, without it. A bare LF is malformed; so is a line longer than `max`.
fn take_line(buffer: &mut BytesMut, max: usize) -> Result<Option<Bytes>, Garbage> {
    let Some(end) = buffer.iter().take(max + 2).position(|byte| *byte == b'\n') else {
        return if buffer.len() >= max + 2 { Err(Garbage::Chunk) } else { Ok(None) };
    };
    let line = buffer.split_to(end + 1).freeze();
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(Some(line.slice(..text.len()))),
        None => Err(Garbage::Chunk),
    }
}

/// RFC 9112 §7.1: hex digits, then optional extensions, which are dropped.
fn chunk_size(line: &[u8]) -> Result<u64, Garbage> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, rest) = line.split_at(digits);
    let extension = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    if size.is_empty() || size.len() > 15 || extension.is_some_and(|byte| *byte != b';') {
        return Err(Garbage::Chunk);
    }
    let text = std::str::from_utf8(size).map_err(|_| Garbage::Chunk)?;
    u64::from_str_radix(text, 16).map_err(|_| Garbage::Chunk)
}

/// Bytes left over after a complete answer: a connection that has some is never used again.
#[must_use]
pub fn has_leftover(buffer: &BytesMut) -> bool {
    buffer.has_remaining()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str, method: &Method) -> Result<Option<AnswerHead>, Garbage> {
        take_head(&mut BytesMut::from(text), method)
    }

    #[test]
    fn framing_table() {
        let cases = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Ok(Framing::Length(5)), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Ok(Framing::None), true),
            ("HTTP/1.1 204 No Content\r\n\r\n", Ok(Framing::None), true),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", Ok(Framing::None), true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Ok(Framing::Chunked), true),
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(Framing::UntilClose), false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n", Ok(Framing::Length(5)), false),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n",
                Ok(Framing::Length(5)),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
                Ok(Framing::Length(5)),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
                Err(Garbage::Framing),
                false,
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n", Err(Garbage::Framing), false),
            ("HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n", Err(Garbage::Framing), false),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
                Err(Garbage::Framing),
                false,
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", Err(Garbage::Framing), false),
            ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Err(Garbage::Framing), false),
            ("SSH-2.0-OpenSSH_9.2\r\n\r\n", Err(Garbage::Head), false),
        ];
        for (text, framing, keep_alive) in cases {
            match (head(text, &Method::GET), framing) {
                (Ok(Some(found)), Ok(framing)) => {
                    assert_eq!((found.framing, found.keep_alive), (framing, keep_alive), "{text}");
                }
                (Err(found), Err(garbage)) => assert_eq!(found, garbage, "{text}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_head_answer_has_no_body() {
        let found = head("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", &Method::HEAD).unwrap().unwrap();
        assert_eq!(found.framing, Framing::None);
    }

    #[test]
    fn interim_answers_are_skipped() {
        let mut buffer = BytesMut::from(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nrest",
        );
        let found = take_head(&mut buffer, &Method::GET).unwrap().unwrap();
        assert_eq!(found.status, StatusCode::NO_CONTENT);
        assert_eq!(&buffer[..], b"rest");
    }

    #[test]
    fn interim_answers_alone_are_no_answer_to_an_upload() {
        for (text, left) in [
            ("HTTP/1.1 102 Processing\r\n\r\n", ""),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too", "HTTP/1.1 413 Too"),
            ("HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n"),
            ("HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        ] {
            let mut buffer = BytesMut::from(text);
            skip_interim(&mut buffer, &Method::POST).unwrap();
            assert_eq!(&buffer[..], left.as_bytes(), "{text}");
        }
    }

    #[test]
    fn an_endless_head_is_refused() {
        let text = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(MAX_HEAD_BYTES));
        assert_eq!(head(&text, &Method::GET).unwrap_err(), Garbage::TooLarge);
        let many: String = (0..=MAX_HEADERS).map(|n| format!("h{n}: 1\r\n")).collect();
        assert_eq!(
            head(&format!("HTTP/1.1 200 OK\r\n{many}\r\n"), &Method::GET).unwrap_err(),
            Garbage::TooLarge
        );
    }

    #[test]
    fn a_request_head_is_written_once_and_framed_once() {
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        let mut out = BytesMut::new();
        let head = RequestHead {
            method: &Method::PUT,
            path_and_query: "/v1/a?b=c",
            host: b"n1:8200",
            headers: &headers,
            extra: &[("x-a", b"1"), ("x-a", b"2")],
        };
        encode_request(&mut out, head, Framing::Length(7));
        assert_eq!(
            &out[..],
            b"PUT /v1/a?b=c HTTP/1.1\r\nhost: n1:8200\r\nx-vault-request: true\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 7\r\n\r\n"
        );
    }

    fn decode_all(decoder: &mut BodyDecoder, text: &[u8], step: usize) -> Result<Vec<u8>, Garbage> {
        let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
        for part in text.chunks(step.max(1)) {
            buffer.extend_from_slice(part);
            while let Piece::Data(data) = decoder.take(&mut buffer)? {
                body.extend_from_slice(&data);
            }
        }
        Ok(body)
    }

    #[test]
    fn chunked_bodies() {
        let good: &[u8] = b"5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\ntrailer: x\r\n\r\n";
        for step in 1..good.len() {
            let mut decoder = BodyDecoder::new(Framing::Chunked);
            assert_eq!(decode_all(&mut decoder, good, step).unwrap(), b"hello!", "step {step}");
            assert!(decoder.is_done());
        }
        for bad in [
            &b"5\nhello\r\n"[..],
            b"x\r\n",
            b"\r\n",
            b"5\r\nhelloX\r\n",
            b"-1\r\n",
            b"1 x\r\n",
            b"ffffffffffffffff\r\n",
        ] {
            let mut decoder = BodyDecoder::new(Framing::Chunked);
            assert_eq!(decode_all(&mut decoder, bad, 100), Err(Garbage::Chunk), "{bad:?}");
        }
    }

    proptest! {
        /// What the encoder writes in any pieces, the decoder reads back in any pieces.
        #[test]
        fn chunked_round_trip(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..10), step in 1_usize..50) {
            let mut wire = BytesMut::new();
            for part in &parts {
                encode_chunk(&mut wire, part);
            }
            encode_last_chunk(&mut wire);
            let mut decoder = BodyDecoder::new(Framing::Chunked);
            prop_assert_eq!(decode_all(&mut decoder, &wire, step).unwrap(), parts.concat());
            prop_assert!(decoder.is_done());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            drop(take_head(&mut buffer, &Method::GET));
            let mut buffer = BytesMut::from(&bytes[..]);
            let mut decoder = BodyDecoder::new(Framing::Chunked);
            while let Ok(Piece::Data(_)) = decoder.take(&mut buffer) {}
        }
    }
}
