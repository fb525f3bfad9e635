//! A request's head and chunks, as they are written.

use bytes::{BufMut, BytesMut};
use http::Method;
use http::header::HeaderMap;

use super::Framing;

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
