//! What reaches the backend of a request that is served: our headers added, connection headers gone, one framing.

use super::backend::{Backend, OK, Then};
use super::client::exchange;
use super::proxy::Proxy;

fn value<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}

#[test]
fn hop_by_hop_and_spoofed_headers_end_at_the_proxy() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let answer = exchange(
        &proxy.socket,
        b"GET /v1/secret/a HTTP/1.1\r\nHost: vault.example\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\
          Keep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Authorization: Basic eA==\r\nProxy: http://evil\r\n\
          X-Understudy-Node: n1\r\nClient-Cert: :AA==:\r\nX-Vault-Token: t\r\n\
          X-Vault-Inconsistent: await-state\r\nX-Vault-Inconsistent: forward-active-node\r\nX-Request-Id: abc\r\n\r\n",
    );
    assert_eq!(answer.statuses(), [200], "{}", answer.text());
    let [head] = &backend.seen()[..] else { panic!("not one request: {:?}", backend.seen()) };
    assert!(head.starts_with("GET /v1/secret/a HTTP/1.1\r\n"), "{head}");
    for gone in
        ["x-hop", "keep-alive", "te", "proxy-authorization", "proxy", "x-understudy-node", "client-cert"]
    {
        assert!(value(head, gone).is_empty(), "{gone} in {head}");
    }
    assert_eq!(value(head, "x-vault-token"), ["t"]);
    assert_eq!(value(head, "x-request-id"), ["abc"]);
    assert_eq!(value(head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(value(head, "host").len(), 1);
}

#[test]
fn bodies_are_framed_again_and_expectations_answered_here() {
    let backend = Backend::start(|exchange| {
        let body = String::from_utf8(exchange.read_body()).unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        exchange.send(answer.as_bytes())
    });
    let proxy = Proxy::before(&backend);
    let chunked = b"POST /v1/secret/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;ext=\"x\"\r\nabc\r\n2\r\nde\r\n0\r\nX-Vault-Token: trailer\r\n\r\n";
    let answer = exchange(&proxy.socket, chunked).text();
    assert!(answer.ends_with("\r\n\r\nabcde"), "{answer}");
    assert!(!backend.seen()[0].to_lowercase().contains("x-vault-token"));

    let mut client = proxy.client();
    client.send(b"PUT /v1/secret/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert!(client.until(b"\r\n\r\n").starts_with("HTTP/1.1 100 "));
    client.send(b"xyz");
    assert!(client.answer().ends_with("xyz"));
    assert!(!backend.seen()[1].to_lowercase().contains("expect:"));
}

#[test]
fn a_read_loses_a_body_of_unknown_length_and_keeps_a_counted_one() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let chunked =
        b"GET /v1/secret/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(exchange(&proxy.socket, chunked).statuses(), [200]);
    let counted = b"GET /v1/secret/b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(exchange(&proxy.socket, counted).statuses(), [200]);
    let seen = backend.seen();
    assert!(value(&seen[0], "transfer-encoding").is_empty() && value(&seen[0], "content-length").is_empty());
    assert_eq!(value(&seen[1], "content-length"), ["3"]);
}

#[test]
fn upgrades_pass_only_where_configured_and_tunnel_after_the_101() {
    let backend = Backend::start(|exchange| {
        if exchange.header("upgrade").is_none() {
            return exchange.send(OK);
        }
        exchange.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello ",
        );
        exchange.send(b"from the tunnel");
        Then::Close
    });
    let proxy = Proxy::before(&backend);
    let ask = |path: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        let mut client = proxy.client();
        client.send(request.as_bytes());
        client.rest().text()
    };
    let tunnelled = ask("/v1/sys/events/subscribe/kv");
    assert!(tunnelled.starts_with("HTTP/1.1 101 "), "{tunnelled}");
    assert!(tunnelled.ends_with("hello from the tunnel"), "{tunnelled}");
    let ordinary = ask("/v1/secret/a");
    assert!(ordinary.starts_with("HTTP/1.1 200 "), "{ordinary}");
}

#[test]
fn answers_are_clean_and_leak_no_address() {
    let backend = Backend::start(|exchange| {
        exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Internal\r\nX-Internal: 10.9.8.7\r\n\
              Keep-Alive: timeout=5\r\nTrailer: x\r\nProxy-Authenticate: Basic\r\nServer: bao\r\nX-Vault-Index: i\r\n\r\n{}",
        )
    });
    let proxy = Proxy::before(&backend);
    let answer = proxy.get("/v1/secret/a");
    for gone in ["X-Internal", "10.9.8.7", "Keep-Alive", "Trailer", "Proxy-Authenticate"] {
        assert!(!answer.to_lowercase().contains(&gone.to_lowercase()), "{gone} in {answer}");
    }
    assert!(
        answer.to_lowercase().contains("server: bao") && answer.to_lowercase().contains("x-vault-index: i")
    );
}
