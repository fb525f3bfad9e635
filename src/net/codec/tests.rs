//! Tables and laws of the codec.

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use super::*;
use proptest::prelude::*;

fn head(text: &str, method: &Method) -> Result<Option<AnswerHead>, Garbage> {
    take_head(&mut BytesMut::from(text), method, &mut HeaderMap::new())
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
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n", Ok(Framing::Length(5)), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n", Ok(Framing::Length(5)), true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", Err(Garbage::Framing), false),
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
    let found = take_head(&mut buffer, &Method::GET, &mut HeaderMap::new()).unwrap().unwrap();
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
    assert_eq!(head(&format!("HTTP/1.1 200 OK\r\n{many}\r\n"), &Method::GET).unwrap_err(), Garbage::TooLarge);
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
        drop(take_head(&mut buffer, &Method::GET, &mut HeaderMap::new()));
        let mut buffer = BytesMut::from(&bytes[..]);
        let mut decoder = BodyDecoder::new(Framing::Chunked);
        while let Ok(Piece::Data(_)) = decoder.take(&mut buffer) {}
    }
}
