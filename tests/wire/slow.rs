//! Clients that stall: each wait has its own limit, ends in time, is counted, and costs nobody else anything.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use super::backend::{Backend, OK};
use super::client::{Client, exchange};
use super::proxy::{CLIENT_LIMIT, Proxy, get};

/// The sweeper looks a few times a second; the machine may be busy.
const SLACK: Duration = Duration::from_secs(4);

fn in_time(took: Duration, what: &str) {
    assert!(took < CLIENT_LIMIT + SLACK, "{what}: cut after {took:?}");
}

#[test]
fn a_head_that_never_ends_is_cut_and_counted() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for start in ["", "GET /v1/secret/a HT", "GET /v1/secret/a HTTP/1.1\r\nHost: a\r\nX-A: "] {
        let mut client = proxy.client();
        client.send(start.as_bytes());
        let received = client.rest();
        assert!(!received.statuses().contains(&200), "{start:?}");
        in_time(received.took, start);
    }
    assert_eq!(backend.seen(), Vec::<String>::new());
    proxy.wait_for("they are counted", |proxy| proxy.rejected("header_timeout") >= 2.0);
}

#[test]
fn a_byte_now_and_then_does_not_buy_time() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    let started = Instant::now();
    client.send(b"GET /v1/secret/a HTTP/1.1\r\nHost: a\r\n");
    while client.send(b"X-A: b\r\n") {
        in_time(started.elapsed(), "a drip-fed head");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_body_that_stops_is_cut() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for framing in ["Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"] {
        let mut client = proxy.client();
        client.send(format!("POST /v1/secret/a HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes());
        let received = client.rest();
        assert!(!received.statuses().contains(&200), "{framing:?}: {}", received.text());
        in_time(received.took, framing);
    }
    assert!(proxy.get("/v1/secret/a").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_body_that_ends_early_is_no_request() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for framing in ["Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"] {
        let request = format!("POST /v1/secret/a HTTP/1.1\r\nHost: a\r\n{framing}");
        let received = exchange(&proxy.socket, request.as_bytes());
        assert!(!received.statuses().contains(&200), "{framing:?}: {}", received.text());
    }
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.send(get("/v1/secret/a").as_bytes());
    assert!(client.answer().starts_with("HTTP/1.1 200"));
    let rest = client.rest();
    assert_eq!(rest.text(), "");
    in_time(rest.took, "idle");
}

#[test]
fn a_client_that_stops_reading_is_cut() {
    let megabytes = 64;
    let backend = Backend::start(move |exchange| {
        let length = megabytes * 1024 * 1024;
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        let chunk = vec![b'x'; 1024 * 1024];
        (0..megabytes).map(|_| exchange.send(&chunk)).last().unwrap()
    });
    let proxy = Proxy::before(&backend);
    let before = proxy.memory_kib();
    let mut client = proxy.client();
    client.send(get("/v1/secret/a").as_bytes());
    client.stream.read_exact(&mut [0; 1000]).unwrap();
    thread::sleep(CLIENT_LIMIT + SLACK);
    let grown = proxy.memory_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "an unread answer is held in memory: {grown} KiB more");
    let rest = client.rest();
    assert!(rest.bytes.len() < megabytes * 1024 * 1024, "it was not cut");
}

#[test]
fn hundreds_of_slow_clients_do_not_slow_the_others() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let slow: Vec<_> = (0..300)
        .map(|_| {
            let mut client = proxy.client();
            client.send(b"GET /v1/secret/a HTTP/1.1\r\nHost: ");
            client
        })
        .collect();
    let started = Instant::now();
    for _ in 0..20 {
        assert!(proxy.get("/v1/secret/a").starts_with("HTTP/1.1 200"));
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    for mut client in slow {
        in_time(client.rest().took, "a slow client");
    }
}

#[test]
fn a_client_that_half_closes_still_gets_its_answer() {
    let backend = Backend::start(|exchange| {
        exchange.read_body();
        thread::sleep(Duration::from_millis(300));
        exchange.send(OK)
    });
    let proxy = Proxy::before(&backend);
    let request = b"POST /v1/secret/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(exchange(&proxy.socket, request).statuses(), [200]);
}

#[test]
fn a_client_that_goes_away_has_broken_nothing() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for part in
        ["", "GET /v1/secret/a HT", "POST /v1/secret/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"]
    {
        proxy.client().send(part.as_bytes());
    }
    for part in [&b"PRI * HT"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04"] {
        Client::connect(&proxy.h2).send(part);
    }
    proxy.wait_for("all are gone", |proxy| {
        proxy.metric("understudy_proxy_downstream_connections", &["listener=\"api\""]) == 0.0
            && proxy.metric("understudy_proxy_downstream_connections", &["listener=\"h2\""]) == 0.0
    });
    assert_eq!(proxy.rejected("bad_request"), 0.0);
}
