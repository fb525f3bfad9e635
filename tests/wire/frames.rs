//! HTTP/2 by hand: frames and headers as bytes, so that a client can break every rule.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use super::client::Client;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The first header of the answer's block: its status, when it is an indexed or literal one.
    Answered(String),
    Reset(u32),
    /// The whole connection was given up with this error code.
    GoAway(u32),
    Closed,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal without indexing, no Huffman: every name and value as it is (RFC 7541 §6.2.2).
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        text(&mut bytes, name);
        text(&mut bytes, value);
    }
    bytes
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    integer(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// With a prefix of seven bits (RFC 7541 §5.1).
fn integer(bytes: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return bytes.push(u8::try_from(value).unwrap());
    }
    bytes.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).unwrap());
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

pub(crate) fn request(path: &str) -> [(&'static str, String); 4] {
    let fixed = |text: &str| text.to_owned();
    [
        (":method", fixed("GET")),
        (":scheme", fixed("http")),
        (":authority", fixed("vault.example")),
        (":path", fixed(path)),
    ]
}

/// A GET of `path` as a block.
pub(crate) fn get(path: &str) -> Vec<u8> {
    let headers = request(path);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    block(&headers)
}

pub(crate) struct H2 {
    pub(crate) client: Client,
}

impl H2 {
    pub(crate) fn connect(socket: &Path) -> Self {
        let mut client = Client::connect(socket);
        client.send(PREFACE);
        client.send(&frame(SETTINGS, 0, 0, &[]));
        Self { client }
    }

    /// `false`: the proxy closed.
    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.client.send(&frame(kind, flags, stream, payload))
    }

    /// `None`: closed.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        if !self.fill(&mut head) {
            return None;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if !self.fill(&mut payload) {
            return None;
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Read until `stream` has ended one way or another.
    pub(crate) fn end_of(&mut self, stream: u32) -> End {
        while let Some(frame) = self.read() {
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => {
                    self.send(SETTINGS, ACK, 0, &[]);
                }
                HEADERS if frame.stream == stream => return End::Answered(status(&frame.payload)),
                RST_STREAM if frame.stream == stream => return End::Reset(code(&frame.payload, 0)),
                GOAWAY if code(&frame.payload, 4) != 0 => return End::GoAway(code(&frame.payload, 4)),
                _ => {}
            }
        }
        End::Closed
    }

    fn fill(&mut self, bytes: &mut [u8]) -> bool {
        match self.client.stream.read_exact(bytes) {
            Ok(()) => true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("HTTP/2 connection hangs")
            }
            Err(_) => false,
        }
    }

    pub(crate) fn patience(&self, patience: Duration) {
        self.client.stream.set_read_timeout(Some(patience)).unwrap();
        self.client.stream.set_write_timeout(Some(patience)).unwrap();
    }
}

fn code(payload: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(payload[at..at + 4].try_into().unwrap())
}

/// `:status` is the first header of an answer: indexed (RFC 7541 appendix A, 8 to 14) or a literal with that name,
/// whose value may be Huffman-coded digits.
fn status(block: &[u8]) -> String {
    const INDEXED: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];
    // Skip a table size update.
    let block = if block.first().is_some_and(|first| first & 0xe0 == 0x20) { &block[1..] } else { block };
    match block {
        [first, ..] if (0x88..=0x8e).contains(first) => INDEXED[usize::from(first - 0x88)].to_owned(),
        [_, length, value @ ..] if length & 0x80 == 0 => {
            String::from_utf8_lossy(&value[..usize::from(*length)]).into_owned()
        }
        [_, length, value @ ..] => huffman_digits(&value[..usize::from(length & 0x7f)]),
        _ => String::new(),
    }
}

/// Digits are five bits (0, 1, 2) or six (3 to 9, from 0x19) in RFC 7541 appendix B.
fn huffman_digits(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let mut text = String::new();
    let mut at = 0;
    while text.len() < 3 && at + 5 <= bits.len() {
        let five = bits[at..at + 5].iter().fold(0, |value, bit| value * 2 + bit);
        if five < 3 {
            text.push(char::from(b'0' + five));
            at += 5;
        } else {
            let six = bits[at..at + 6].iter().fold(0, |value, bit| value * 2 + bit);
            text.push(char::from(b'3' + (six - 0x19)));
            at += 6;
        }
    }
    text
}
