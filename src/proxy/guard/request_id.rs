//! `X-Request-Id`: the client's when it is sane, else a new one, so that every request can be found again.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::name::Kind;
use super::survey::Survey;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Long enough for a UUID with a prefix or two; it is copied into log lines.
const MAX_BYTES: usize = 128;

/// Afterwards the head has exactly one, of 1..=128 visible ASCII characters.
pub fn apply(headers: &mut HeaderMap, survey: &Survey) {
    let keep = survey.has(Kind::RequestId)
        && !survey.repeats(Kind::RequestId)
        && headers.get(X_REQUEST_ID).is_some_and(|value| is_sane(value.as_bytes()));
    if !keep {
        headers.insert(X_REQUEST_ID, fresh());
    }
}

fn is_sane(value: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

const FRESH_BYTES: usize = 32;
/// So many new ids share one allocation.
const FRESH_AT_ONCE: usize = 64;

thread_local! {
    /// Room for the next ids of this worker.
    static ROOM: RefCell<BytesMut> = RefCell::default();
}

/// 128 random bits. Unique, not secret: it names a request and opens nothing.
fn fresh() -> HeaderValue {
    let mut text = [0; FRESH_BYTES];
    let bytes = fastrand::u128(..).to_be_bytes();
    hex::encode_to_slice(bytes, &mut text).expect("32 characters hold 16 bytes");
    HeaderValue::from_maybe_shared(shared(&text)).expect("hexadecimal digits are visible ASCII")
}

fn shared(text: &[u8; FRESH_BYTES]) -> Bytes {
    ROOM.with_borrow_mut(|room| {
        if room.capacity() < FRESH_BYTES {
            *room = BytesMut::with_capacity(FRESH_BYTES * FRESH_AT_ONCE);
        }
        room.extend_from_slice(text);
        room.split().freeze()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids() {
        assert!(is_sane(b"a"));
        assert!(is_sane(&[b'x'; 128]));
        for bad in [&b""[..], &[b'x'; 129], b"a b", b"a\tb", "é".as_bytes(), b"\x7f"] {
            assert!(!is_sane(bad), "{bad:?}");
        }
    }

    #[test]
    fn fresh_ids_are_sane_and_differ() {
        assert!(is_sane(fresh().as_bytes()));
        assert_ne!(fresh(), fresh());
    }
}
