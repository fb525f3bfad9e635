//! Backends that answer nonsense: the client gets one well-formed answer or a cut connection, in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::backend::{Backend, OK, Then};
use super::client::exchange;
use super::proxy::{Proxy, get};

/// The two seconds of the proxy under test, with slack for a busy machine.
const REQUEST_LIMIT: Duration = Duration::from_secs(6);

fn answering(bytes: impl Into<Vec<u8>>, then: Then) -> Backend {
    let bytes = bytes.into();
    Backend::start(move |exchange| {
        exchange.read_body();
        match exchange.send(&bytes) {
            Then::Keep => then,
            Then::Close => Then::Close,
        }
    })
}

fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{}}")
}

/// After the bad answer a good one must come through: nothing of the bad one is left anywhere.
fn status_of(answer: &str) -> Option<u16> {
    answer.get(9..12)?.parse().ok()
}

#[test]
fn garbage_is_a_502() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(300));
    let huge = format!("HTTP/1.1 200 OK\r\nA: {}\r\nContent-Length: 0\r\n\r\n", "b".repeat(200_000));
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(1_000_000));
    let table: [(&str, &[u8]); 13] = [
        ("noise", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 what\r\n\r\n"),
        ("text", b"hello\r\n\r\n"),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("a status of letters", b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
        ("a status out of range", b"HTTP/1.1 99 x\r\nContent-Length: 0\r\n\r\n"),
        ("a header without colon", b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n"),
        ("a NUL in a header", b"HTTP/1.1 200 OK\r\na: b\0c\r\nContent-Length: 0\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        ("a length that is none", b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}"),
        ("an unknown coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}"),
        ("300 headers", many.as_bytes()),
        ("a huge header", huge.as_bytes()),
        ("a head that never ends", endless.as_bytes()),
    ];
    for (name, bytes) in table {
        let backend = answering(bytes, Then::Close);
        let proxy = Proxy::before(&backend);
        for request in [get("/v1/secret/a"), post("/v1/secret/a")] {
            let answer = exchange(&proxy.socket, request.as_bytes());
            assert_eq!(answer.statuses(), [502], "{name}: {}", answer.text());
            assert!(answer.text().contains(r#"{"errors":[""#), "{name}: {}", answer.text());
        }
    }
}

#[test]
fn nothing_at_all_is_a_502_and_a_write_is_in_doubt() {
    let backend = answering(b"", Then::Close);
    let proxy = Proxy::before(&backend);
    let read = exchange(&proxy.socket, get("/v1/secret/a").as_bytes());
    assert_eq!(read.statuses(), [502], "{}", read.text());
    let write = exchange(&proxy.socket, post("/v1/secret/a").as_bytes());
    assert_eq!(write.statuses(), [502], "{}", write.text());
    assert!(write.text().to_lowercase().contains("x-understudy-outcome: unknown"), "{}", write.text());
    assert_eq!(proxy.metric("understudy_proxy_in_doubt_writes_total", &[]), 1.0);
    let writes = backend.seen().iter().filter(|head| head.starts_with("POST")).count();
    assert_eq!(writes, 1, "a write in doubt was sent again");
}

#[test]
fn silence_is_a_504_in_time() {
    let backend = Backend::start(|exchange| exchange.wait_for_the_proxy());
    let proxy = Proxy::before(&backend);
    for request in [get("/v1/secret/a"), post("/v1/secret/a")] {
        let started = Instant::now();
        let answer = exchange(&proxy.socket, request.as_bytes());
        assert_eq!(answer.statuses(), [504], "{}", answer.text());
        assert!(started.elapsed() < REQUEST_LIMIT, "{:?}", started.elapsed());
    }
}

#[test]
fn half_a_body_cuts_the_client_too() {
    let table: [(&str, &[u8]); 3] = [
        ("counted", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        ("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        ("inside a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"),
    ];
    for (name, bytes) in table {
        let backend = answering(bytes, Then::Close);
        let proxy = Proxy::before(&backend);
        let mut client = proxy.client();
        client.send(get("/v1/secret/a").as_bytes());
        let answer = client.rest();
        let text = answer.text();
        let complete =
            text.contains("\r\n0\r\n\r\n") || text.to_lowercase().contains("content-length: 4\r\n");
        assert!(!complete, "{name}: half an answer looks whole: {text}");
        assert!(answer.took < REQUEST_LIMIT, "{name}: {:?}", answer.took);
    }
}

#[test]
fn an_answer_until_close_is_whole() {
    let backend = answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", Then::Close);
    let proxy = Proxy::before(&backend);
    let answer = proxy.get("/v1/secret/a");
    assert_eq!(status_of(&answer), Some(200), "{answer}");
    assert!(answer.contains("until the end"), "{answer}");
}

#[test]
fn bytes_after_an_answer_belong_to_nobody() {
    let connections = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&connections);
    let backend = Backend::start(move |exchange| {
        if asked.fetch_add(1, SeqCst) == 0 {
            return exchange.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned",
            );
        }
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
    });
    let proxy = Proxy::before(&backend);
    assert!(proxy.get("/v1/secret/a").ends_with("{}"));
    for _ in 0..3 {
        let answer = proxy.get("/v1/secret/a");
        assert!(answer.ends_with("second"), "{answer}");
    }
    assert_eq!(backend.seen().len(), 4);
}

#[test]
fn interim_answers_are_skipped() {
    let backend = answering(
        [&b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"[..], OK].concat(),
        Then::Keep,
    );
    let proxy = Proxy::before(&backend);
    for _ in 0..3 {
        let answer = proxy.get("/v1/secret/a");
        assert_eq!(status_of(&answer), Some(200), "{answer}");
        assert!(answer.ends_with("{}"), "{answer}");
    }
    let endless = answering(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000), Then::Close);
    let proxy = Proxy::before(&endless);
    assert_eq!(status_of(&proxy.get("/v1/secret/a")), Some(502));
}

#[test]
fn an_unasked_switch_of_protocols_is_a_502() {
    let backend = answering(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw",
        Then::Keep,
    );
    let proxy = Proxy::before(&backend);
    let answer = proxy.get("/v1/secret/a");
    assert_eq!(status_of(&answer), Some(502), "{answer}");
}

#[test]
fn no_body_where_none_may_be() {
    let backend = answering(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Then::Keep);
    let proxy = Proxy::before(&backend);
    for _ in 0..2 {
        let answer = proxy.get("/v1/secret/a");
        assert_eq!(status_of(&answer), Some(204), "{answer}");
    }
    let head = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Then::Keep);
    let proxy = Proxy::before(&head);
    for _ in 0..2 {
        let answer = exchange(&proxy.socket, b"HEAD /v1/secret/a HTTP/1.1\r\nHost: a\r\n\r\n").text();
        assert_eq!(status_of(&answer), Some(200), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let backend = Backend::start(|exchange| {
        exchange.send(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
        Then::Close
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.send(b"POST /v1/secret/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    client.send(&[b'x'; 100]);
    let answer = client.rest();
    assert_eq!(answer.statuses(), [413], "{}", answer.text());
}

#[test]
fn a_refused_connection_is_a_502_or_503_and_the_proxy_lives_on() {
    let backend = Backend::start(|_| Then::Close);
    let proxy = Proxy::before(&backend);
    for _ in 0..50 {
        let answer = proxy.get("/v1/secret/a");
        assert!(matches!(status_of(&answer), Some(502 | 503)), "{answer}");
    }
}
