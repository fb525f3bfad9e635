//! One reading of every request: what `http_desync_guardian` calls severe is refused, what it calls compliant
//! passes, and nothing a client writes becomes a second request at the backend that it did not mean.

use http_desync_guardian::RequestSafetyTier;

use super::backend::Backend;
use super::client::exchange;
use super::corpus::{self, Case};
use super::proxy::Proxy;

const SMUGGLED: &[u8] = b"0\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// With an answer that says so: a connection that just ends looks like a network fault.
fn refused(status: Option<u16>) -> bool {
    status.is_some_and(|status| (400..500).contains(&status) || status == 501 || status == 505)
}

#[test]
fn everything_severe_is_refused() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let before = proxy.rejected("bad_request");
    let severe = cases(RequestSafetyTier::Severe);
    assert!(severe.len() > 40, "the corpus was not found");
    for case in &severe {
        let answer = exchange(&proxy.socket, &[&case.head[..], SMUGGLED].concat());
        assert!(refused(answer.last_status()), "{}: {}", case.name, answer.text());
        assert!(answer.statuses().len() <= 1, "{}: {}", case.name, answer.text());
    }
    assert_eq!(backend.seen(), Vec::<String>::new());
    proxy.wait_for("every refusal is counted", |proxy| {
        proxy.rejected("bad_request") - before >= severe.len() as f64 * 0.9
    });
}

#[test]
fn everything_compliant_passes() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let compliant: Vec<Case> =
        cases(RequestSafetyTier::Compliant).into_iter().filter(|case| !refused_on_purpose(case)).collect();
    assert!(compliant.len() > 15, "the corpus was not found");
    for case in &compliant {
        let answer = exchange(&proxy.socket, &[&case.head[..], &body_of(case)].concat());
        assert_eq!(answer.statuses(), [200], "{}: {}", case.name, answer.text());
        assert_eq!(backend.seen().len(), 1, "{}", case.name);
        backend.forget();
    }
}

#[test]
fn nothing_ambiguous_is_read_twice() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for case in cases(RequestSafetyTier::Ambiguous).iter().chain(&cases(RequestSafetyTier::Acceptable)) {
        let answer = exchange(&proxy.socket, &[&case.head[..], SMUGGLED].concat());
        let served = answer.statuses().iter().filter(|status| **status == 200).count();
        assert_eq!(backend.seen().len(), served, "{}: {}", case.name, answer.text());
        backend.forget();
    }
}

#[test]
fn smuggling_tables() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let framing: [&str; 21] = [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999",
        "Content-Length:",
        "Content-Length : 5",
        " Content-Length: 5",
        "Content-Length\t: 5",
        "Content_Length: 5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer_Encoding: chunked",
        "X: y\r\n : z",
        "X: a\x00b",
    ];
    for lines in framing {
        let request = format!("POST /v1/secret/a HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        let answer = exchange(&proxy.socket, &[request.as_bytes(), SMUGGLED].concat());
        assert!(refused(answer.statuses().first().copied()), "{lines:?}: {}", answer.text());
        assert!(!backend.seen().iter().any(|head| head.contains("smuggled")), "{lines:?}");
        backend.forget();
    }
}

/// hyper takes the chunked reading and closes: the rest of the bytes is nobody's request.
#[test]
fn both_framings_end_the_connection() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for lines in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"]
    {
        let request = format!("POST /v1/secret/a HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        let answer = exchange(&proxy.socket, &[request.as_bytes(), SMUGGLED].concat());
        assert_eq!(answer.statuses(), [200], "{lines:?}: {}", answer.text());
        assert!(!backend.seen().iter().any(|head| head.contains("smuggled")), "{lines:?}");
    }
}

#[test]
fn broken_chunks_never_end_a_body() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    for body in [
        "x\r\n",
        "-1\r\n",
        "5\r\nab",
        "3\r\nabcXX0\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "3\nabc\n0\n\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
    ] {
        let request =
            format!("POST /v1/secret/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let answer = exchange(&proxy.socket, request.as_bytes());
        assert!(!answer.statuses().contains(&200), "{body:?}: {}", answer.text());
    }
}

#[test]
fn methods_targets_and_limits() {
    let backend = Backend::plain();
    let proxy = Proxy::before(&backend);
    let many = "a: b\r\n".repeat(150);
    let long = format!("a: {}\r\n", "b".repeat(40_000));
    let table: [(&str, &str, u16); 10] = [
        ("CONNECT vault.example:443 HTTP/1.1", "Host: a\r\n", 501),
        ("TRACE /v1/a HTTP/1.1", "Host: a\r\n", 501),
        ("GET /v1/a HTTP/1.1", "", 400),
        ("GET /v1/a HTTP/1.1", "Host: a\r\nHost: b\r\n", 400),
        ("GET http://a/v1/a HTTP/1.1", "Host: b\r\n", 400),
        ("GET v1/a HTTP/1.1", "Host: a\r\n", 400),
        ("GET /v1/a HTTP/1.1", "Host: a\r\nConnection: X-Vault-Token\r\n", 400),
        ("GET /v1/a HTTP/1.1", "Host: a\r\nExpect: tea\r\n", 417),
        ("GET /v1/a HTTP/1.1", &format!("Host: a\r\n{many}"), 431),
        ("GET /v1/a HTTP/1.1", &format!("Host: a\r\n{long}"), 431),
    ];
    for (line, headers, status) in table {
        let answer = exchange(&proxy.socket, format!("{line}\r\n{headers}\r\n").as_bytes());
        assert_eq!(answer.statuses(), [status], "{line} {}", headers.get(..60).unwrap_or(headers));
    }
    assert_eq!(backend.seen(), Vec::<String>::new());
    proxy.wait_for("they are counted", |proxy| proxy.rejected("bad_request") >= 7.0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::start(|exchange| {
        let path = exchange.head.split(' ').nth(1).unwrap().to_owned();
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).as_bytes())
    });
    let proxy = Proxy::before(&backend);
    let requests: String = (0..5).map(|n| super::proxy::get(&format!("/v1/secret/{n}"))).collect();
    let text = exchange(&proxy.socket, requests.as_bytes()).text();
    let bodies: Vec<&str> = text.matches("/v1/secret/").collect();
    assert_eq!(bodies.len(), 5, "{text}");
    let order: Vec<usize> = (0..5).map(|n| text.find(&format!("/v1/secret/{n}")).unwrap()).collect();
    assert!(order.is_sorted(), "{text}");
}

fn cases(tier: RequestSafetyTier) -> Vec<Case> {
    corpus::all().into_iter().filter(|case| corpus::verdict(&case.head) == tier).collect()
}

/// RFC 9112 would allow them; no client of this API sends them, every framing has been read two ways before, and
/// the servers refuse control characters in paths as well.
fn refused_on_purpose(case: &Case) -> bool {
    let encodings: Vec<_> =
        case.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"transfer-encoding")).collect();
    let other_encoding = encodings.len() > 1
        || encodings.iter().any(|(_, value)| !value.trim_ascii().eq_ignore_ascii_case(b"chunked"));
    let method = ["CONNECT", "TRACE"].iter().any(|method| case.method == method.as_bytes());
    let control = case.target.windows(2).any(|pair| pair == b"%0" || pair == b"%1");
    other_encoding || method || control || !case.target.starts_with(b"/")
}

fn body_of(case: &Case) -> Vec<u8> {
    let length =
        case.header("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    match (length, case.header("transfer-encoding")) {
        (Some(length), _) => vec![b'x'; length],
        (None, Some(_)) => b"0\r\n\r\n".to_vec(),
        (None, None) => Vec::new(),
    }
}
