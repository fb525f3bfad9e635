//! HTTP/2 clients that break the protocol or drown it: refused or cut, memory bounded, others served.

use std::time::{Duration, Instant};

use super::backend::Backend;
use super::client::PATIENCE;
use super::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, End, H2, HEADERS, PING, RST_STREAM, SETTINGS, block,
    frame, get, request,
};
use super::proxy::Proxy;

const WHOLE: u8 = END_HEADERS | END_STREAM;

/// After an attack: it answers others, and did not keep what it was sent.
fn unharmed(proxy: &Proxy, memory_before_kib: u64) {
    let started = Instant::now();
    let mut other = H2::connect(&proxy.h2);
    other.send(HEADERS, WHOLE, 1, &get("/v1/secret/other"));
    assert_eq!(other.end_of(1), End::Answered("200".into()));
    assert!(proxy.get("/v1/secret/other").starts_with("HTTP/1.1 200"));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let grown = proxy.memory_kib().saturating_sub(memory_before_kib);
    assert!(grown < 32 * 1024, "grew by {grown} KiB");
}

/// Send `bytes` again and again until the proxy gives the connection up or `times` are through.
fn flood(connection: &mut H2, bytes: &[u8], times: usize) -> bool {
    connection.patience(Duration::from_secs(3));
    (0..times).any(|_| !connection.client.send(bytes))
}

#[test]
fn many_streams_of_one_connection_are_answered() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let mut connection = H2::connect(&proxy.h2);
    for stream in [1, 3, 5, 7, 9] {
        connection.send(HEADERS, WHOLE, stream, &get(&format!("/v1/secret/{stream}")));
        assert_eq!(connection.end_of(stream), End::Answered("200".into()));
    }
    let post = [("content-length", "3")];
    let mut headers =
        request("/v1/secret/a").map(|(name, value)| (name, value.replace("GET", "POST"))).to_vec();
    headers.extend(post.map(|(name, value)| (name, value.to_owned())));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    connection.send(HEADERS, END_HEADERS, 11, &block(&headers));
    connection.send(DATA, END_STREAM, 11, b"abc");
    assert_eq!(connection.end_of(11), End::Answered("200".into()));
    assert_eq!(backend.seen().len(), 6);
}

#[test]
fn malformed_requests_never_reach_the_backend() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let good: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/v1/secret/a")];
    let with = |extra: &[(&'static str, &'static str)]| [&good[..], extra].concat();
    let table: Vec<Vec<(&str, &str)>> = vec![
        with(&[("x", "a\r\nX-Vault-Token: b")]),
        with(&[("x", "a\nb")]),
        with(&[("x", "a\0b")]),
        with(&[("X-Upper", "a")]),
        with(&[("a b", "c")]),
        with(&[("", "c")]),
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("keep-alive", "1")]),
        with(&[("te", "gzip")]),
        with(&[(":path", "/v1/secret/b")]),
        with(&[(":unknown", "x")]),
        with(&[("host", "b")]),
        with(&[("content-length", "5")]),
        with(&[("x_vault_token", "t")]),
        with(&[("x-vault-token", "a"), ("x-vault-token", "b")]),
        vec![("x", "y"), good[0], good[1], good[2], good[3]],
        vec![good[0], good[1], good[2]],
        vec![good[1], good[2], good[3]],
        vec![good[0], good[1], good[2], (":path", "")],
        vec![good[0], good[1], good[2], (":path", "v1/secret/a")],
        vec![good[0], good[1], good[2], (":path", "/v1/a HTTP/1.1\r\nX: y")],
        vec![good[0], good[1], (":authority", "a b"), good[3]],
        vec![good[0], good[1], (":authority", "u@a"), good[3]],
        vec![(":method", "G ET"), good[1], good[2], good[3]],
        vec![(":method", "CONNECT"), (":authority", "a:443")],
        vec![(":method", "CONNECT"), (":protocol", "websocket"), good[1], good[2], good[3]],
        vec![(":method", "TRACE"), good[1], good[2], good[3]],
    ];
    for headers in &table {
        let mut connection = H2::connect(&proxy.h2);
        connection.send(HEADERS, WHOLE, 1, &block(headers));
        let end = connection.end_of(1);
        let refused = match &end {
            End::Answered(status) => status.starts_with('4') || status == "501",
            End::Reset(_) | End::GoAway(_) | End::Closed => true,
        };
        assert!(refused, "{headers:?}: {end:?}");
        assert_eq!(backend.seen(), Vec::<String>::new(), "{headers:?}");
    }
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_is_no_request() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for body in [&b"ab"[..], b"abcd"] {
        let mut connection = H2::connect(&proxy.h2);
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/v1/secret/a"),
            ("content-length", "3"),
        ];
        connection.send(HEADERS, END_HEADERS, 1, &block(&headers));
        connection.send(DATA, END_STREAM, 1, body);
        let end = connection.end_of(1);
        assert_ne!(end, End::Answered("200".into()), "{body:?}");
    }
}

#[test]
fn rapid_reset_is_cut() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let before = proxy.memory_kib();
    let mut connection = H2::connect(&proxy.h2);
    connection.patience(Duration::from_secs(3));
    let request = get("/v1/secret/a");
    let mut cut = false;
    for stream in (1..60_000).step_by(2) {
        let attack =
            [frame(HEADERS, WHOLE, stream, &request), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())]
                .concat();
        if !connection.client.send(&attack) {
            cut = true;
            break;
        }
    }
    assert!(cut || matches!(connection.end_of(u32::MAX), End::GoAway(_) | End::Closed), "never cut");
    assert!(backend.seen().len() < 5_000, "{} reached the backend", backend.seen().len());
    proxy.wait_for("it is counted", |proxy| proxy.rejected("bad_request") >= 1.0);
    unharmed(&proxy, before);
}

#[test]
fn a_continuation_flood_is_cut() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let before = proxy.memory_kib();
    for piece in [block(&[("a", &"b".repeat(1000))]), Vec::new()] {
        let mut connection = H2::connect(&proxy.h2);
        connection.send(HEADERS, END_STREAM, 1, &get("/v1/secret/a"));
        let cut = flood(&mut connection, &frame(CONTINUATION, 0, 1, &piece), 100_000);
        assert!(cut || matches!(connection.end_of(1), End::GoAway(_) | End::Closed), "never cut");
    }
    assert_eq!(backend.seen(), Vec::<String>::new());
    proxy.wait_for("both are counted", |proxy| proxy.rejected("bad_request") >= 2.0);
    unharmed(&proxy, before);
}

#[test]
fn oversized_headers_are_refused() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let before = proxy.memory_kib();
    let mut connection = H2::connect(&proxy.h2);
    let mut headers = get("/v1/secret/a");
    for _ in 0..6 {
        headers.extend(block(&[("a", &"b".repeat(10_000))]));
    }
    let mut pieces = headers.chunks(16_000).enumerate().peekable();
    while let Some((at, piece)) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let (kind, flags) = if at == 0 { (HEADERS, END_STREAM | last) } else { (CONTINUATION, last) };
        connection.send(kind, flags, 1, piece);
    }
    let end = connection.end_of(1);
    assert!(
        end == End::Answered("431".into()) || matches!(end, End::Reset(_) | End::GoAway(_) | End::Closed),
        "{end:?}"
    );
    assert_eq!(backend.seen(), Vec::<String>::new());
    unharmed(&proxy, before);
}

#[test]
fn a_header_bomb_does_not_grow() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let before = proxy.memory_kib();
    let mut connection = H2::connect(&proxy.h2);
    // One 4,000-byte entry into the dynamic table (index 62), then 15,000 references to it: 60 MB decoded.
    let mut headers = get("/v1/secret/a");
    headers.push(0x40);
    headers.extend_from_slice(&block(&[("a", &"b".repeat(4_000))])[1..]);
    headers.extend(std::iter::repeat_n(0xbe, 10_000));
    connection.send(HEADERS, WHOLE, 1, &headers);
    let end = connection.end_of(1);
    assert_ne!(end, End::Answered("200".into()));
    assert_eq!(backend.seen(), Vec::<String>::new());
    unharmed(&proxy, before);
}

#[test]
fn floods_of_small_frames_are_survived() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let before = proxy.memory_kib();
    let floods = [
        frame(PING, 0, 0, b"12345678"),
        frame(SETTINGS, 0, 0, &[]),
        frame(SETTINGS, ACK, 0, &[]),
        frame(0xfa, 0, 0, b"unknown"),
    ];
    for bytes in floods {
        let mut connection = H2::connect(&proxy.h2);
        flood(&mut connection, &bytes.repeat(100), 500);
        unharmed(&proxy, before);
    }
}

#[test]
fn empty_data_frames_do_not_keep_a_request_alive_for_ever() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let before = proxy.memory_kib();
    let mut connection = H2::connect(&proxy.h2);
    let headers = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/v1/secret/a")];
    connection.send(HEADERS, END_HEADERS, 1, &block(&headers));
    let started = Instant::now();
    while connection.send(DATA, 0, 1, &[]) && started.elapsed() < PATIENCE {}
    assert!(started.elapsed() < PATIENCE, "never cut");
    unharmed(&proxy, before);
}

#[test]
fn more_streams_than_allowed_are_refused() {
    let backend = Backend::start(|exchange| exchange.wait_for_the_proxy());
    let proxy = Proxy::before(&backend);
    let mut connection = H2::connect(&proxy.h2);
    let request = get("/v1/secret/a");
    for stream in (1..1001).step_by(2) {
        connection.send(HEADERS, WHOLE, stream, &request);
    }
    let end = connection.end_of(999);
    assert!(matches!(end, End::Reset(_) | End::GoAway(_) | End::Closed), "{end:?}");
    assert!(backend.seen().len() <= 250, "{}", backend.seen().len());
}

#[test]
fn what_is_no_http2_on_an_http2_socket_is_cut() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"PRI * HT",
    ] {
        let answer = super::client::exchange(&proxy.h2, bytes);
        assert!(!answer.statuses().contains(&200), "{bytes:?}");
    }
    let mut silent = H2::connect(&proxy.h2);
    while silent.read().is_some() {}
}
