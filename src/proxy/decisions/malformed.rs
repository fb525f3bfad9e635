//! What could not be understood, from clients and from servers: the tool for "it says 400, why?".
//!
//! Heads are kept with every value blanked that could be a secret; see [`blank`].

use std::collections::VecDeque;

use http::request;
use parking_lot::Mutex;
use serde::Serialize;

/// Entries kept a side.
const KEPT: usize = 32;
/// Bytes kept of a head.
const HEAD_BYTES: usize = 2048;

/// Where the malformed bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSide {
    Client,
    Server,
}

/// The two rings. Any thread may write; entries are rare, so a short lock is fine.
#[derive(Debug, Default)]
pub struct Malformed {
    requests: Mutex<VecDeque<MalformedEntry>>,
    answers: Mutex<VecDeque<MalformedEntry>>,
}

/// One malformed head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MalformedEntry {
    pub time_unix_ms: u64,
    /// The listener or server, by its configured name.
    pub place: String,
    pub reason: String,
    /// Hex of the blanked head, at most 2 KiB of it.
    pub head_hex: String,
    /// Bytes there were.
    pub head_bytes: usize,
}

impl Malformed {
    /// Keeps one, in the place of the oldest. `reason` must not quote the input.
    pub fn record(&self, side: BadSide, place: &str, reason: &str, head: &[u8], time_unix_ms: u64) {
        let entry = MalformedEntry {
            time_unix_ms,
            place: place.to_owned(),
            reason: reason.to_owned(),
            head_hex: hex::encode(blank(head.get(..HEAD_BYTES).unwrap_or(head))),
            head_bytes: head.len(),
        };
        let mut ring = self.ring(side).lock();
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(entry);
    }

    /// Keeps a request that was parsed and then refused; its head is written out again, names in lower case.
    pub fn record_request(&self, listener: &str, reason: &str, head: &request::Parts, time_unix_ms: u64) {
        self.record(BadSide::Client, listener, reason, &written_out(head), time_unix_ms);
    }

    /// The entries of a side, newest first.
    #[must_use]
    pub fn last(&self, side: BadSide) -> Vec<MalformedEntry> {
        self.ring(side).lock().iter().rev().cloned().collect()
    }

    fn ring(&self, side: BadSide) -> &Mutex<VecDeque<MalformedEntry>> {
        match side {
            BadSide::Client => &self.requests,
            BadSide::Server => &self.answers,
        }
    }
}

/// As much of the head as is kept, and a little more, so that the entry says it was longer.
fn written_out(head: &request::Parts) -> Vec<u8> {
    let mut out = format!("{} {} {:?}\r\n", head.method, head.uri, head.version).into_bytes();
    for (name, value) in &head.headers {
        if out.len() > HEAD_BYTES {
            break;
        }
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out
}

/// Headers about framing and routing, whose values show what was wrong and hold no secret. All others are blanked:
/// a list of what is secret would always be one name short.
const SHOWN: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "date",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The head with secrets overwritten by `x`, every byte count and every delimiter kept.
///
/// Shown: the method, the version or status, header names, the values of [`SHOWN`] headers as far as they look like
/// what they should be, spaces, colons, slashes, and any byte that is not a printable character, because those are what
/// make a head malformed. Blanked: path segments after `/v1/`, query, all other values, and anything after the
/// head's end.
fn blank(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len());
    let mut ended = false;
    for (number, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match number {
            _ if ended => hide(&mut out, line),
            0 => first_line(&mut out, line),
            _ => header_line(&mut out, line),
        }
        ended |= matches!(line, b"\n" | b"\r\n");
    }
    out
}

/// `GET /v1/xxxxxx/xxxx?xxx HTTP/1.1` or `HTTP/1.1 200 OK`.
fn first_line(out: &mut Vec<u8>, line: &[u8]) {
    for word in line.split_inclusive(|byte| *byte == b' ') {
        match word.first() {
            Some(b'/') => target(out, word),
            _ if is_method_or_version(word.trim_ascii_end()) => out.extend_from_slice(word),
            _ => hide(out, word),
        }
    }
}

/// Also a status code and a reason like `OK`. Short, without small letters: no token looks like that.
fn is_method_or_version(word: &[u8]) -> bool {
    let version = word.len() <= 10 && word.starts_with(b"HTTP/");
    let code = word.len() == 3 && word.iter().all(u8::is_ascii_digit);
    version || code || (word.len() <= 8 && word.iter().all(u8::is_ascii_uppercase))
}

fn target(out: &mut Vec<u8>, word: &[u8]) {
    for (number, segment) in word.split_inclusive(|byte| *byte == b'/').enumerate() {
        // "/" "v1/" and nothing else: who knows what stands where the mount should.
        if number < 2 && matches!(segment, b"/" | b"v1/") {
            out.extend_from_slice(segment)
        } else {
            hide(out, segment)
        }
    }
}

fn header_line(out: &mut Vec<u8>, line: &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return hide(out, line) };
    let (name, value) = line.split_at(colon);
    let token = !name.is_empty() && name.len() <= 64 && name.iter().all(|byte| is_name_byte(*byte));
    if !token {
        return hide(out, line);
    }
    out.extend_from_slice(name);
    let shown = SHOWN.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if shown && value.len() <= 64 { out.extend_from_slice(value) } else { hide(out, value) }
}

/// No digits: a token put in a name's place would otherwise look like one.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_')
}

fn hide(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().map(|byte| if keeps(*byte) { *byte } else { b'x' }));
}

/// Delimiters and control bytes.
fn keeps(byte: u8) -> bool {
    matches!(byte, b' ' | b':' | b'/' | b'?' | b'%' | b',' | b';' | b'=') || byte < 0x20 || byte == 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blanked(head: &str) -> String {
        String::from_utf8(blank(head.as_bytes())).unwrap()
    }

    #[test]
    fn structure_stays_and_secrets_go() {
        let cases = [
            (
                "GET /v1/secret/data/pay?token=s.abc HTTP/1.1\r\nX-Vault-Token: s.abc\r\nContent-Length: +1\r\n\r\nbody",
                "GET /v1/xxxxxx/xxxx/xxx?xxxxx=xxxxx HTTP/1.1\r\nX-Vault-Token: xxxxx\r\nContent-Length: +1\r\n\r\nxxxx",
            ),
            ("HTTP/1.1 200 OK\r\nbad header s.abc\r\n", "HTTP/1.1 200 OK\r\nxxx xxxxxx xxxxx\r\n"),
            ("s.abcdefghijklmn / HTTP/1.1\r\n", "xxxxxxxxxxxxxxxx / HTTP/1.1\r\n"),
            ("GET /\r\nCookie : s.abc\r\n", "GET /\r\nxxxxxx : xxxxx\r\n"),
        ];
        for (head, expected) in cases {
            assert_eq!(blanked(head).replace("\\r", "\r"), expected, "{head:?}");
        }
    }

    #[test]
    fn a_parsed_request_is_kept_as_a_head() {
        let request = http::Request::get("/v1/secret/data/pay?x=1").header("X-Vault-Token", "s.canary");
        let (parts, ()) = request.header("TE", "odd").body(()).unwrap().into_parts();
        let malformed = Malformed::default();
        malformed.record_request("main", "odd TE", &parts, 1);
        let head = hex::decode(&malformed.last(BadSide::Client)[0].head_hex).unwrap();
        let expected = "GET /v1/xxxxxx/xxxx/xxx?xxx HTTP/1.1\r\nx-vault-token: xxxxxxxx\r\nte: odd\r\n";
        assert_eq!(String::from_utf8(head).unwrap().replace("x=x", "xxx"), expected);
    }

    #[test]
    fn rings_are_bounded_and_newest_first() {
        let malformed = Malformed::default();
        for time in 0..100 {
            malformed.record(BadSide::Client, "main", "two lengths", &[b'a'; 10_000], time);
        }
        let kept = malformed.last(BadSide::Client);
        assert_eq!((kept.len(), kept[0].time_unix_ms), (KEPT, 99));
        assert_eq!((kept[0].head_hex.len(), kept[0].head_bytes), (2 * HEAD_BYTES, 10_000));
        assert_eq!(malformed.last(BadSide::Server), []);
    }

    proptest! {
        #[test]
        fn a_canary_never_gets_through(before in any::<Vec<u8>>(), after in any::<Vec<u8>>()) {
            const CANARY: &[u8] = b"hvs.CAESIJcanary0123456789";
            let head = [before.as_slice(), CANARY, after.as_slice()].concat();
            let blanked = blank(&head);
            prop_assert_eq!(blanked.len(), head.len());
            // A header may be *named* by the input; a token holds a dot, which no header name shown here does.
            prop_assert!(!blanked.windows(CANARY.len()).any(|window| window == CANARY));
        }
    }
}
