//! Requests nobody should send: the right status, bounded memory, and everybody else is served meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::process::Place;
use crate::support::client::Client;

/// What a node may hold while all this goes on.
const MOST_RESIDENT: u64 = 400 * 1024 * 1024;

async fn node() -> (Place, crate::process::Running) {
    let mut place = Place::new("inmem");
    let running = place.start().await;
    let kv = json!({"type": "kv", "options": {"version": "1"}});
    place.root().must(Method::POST, "/v1/sys/mounts/kv", Some(&kv)).await;
    place.root().must(Method::POST, "/v1/kv/a", Some(&json!({"v": 1}))).await;
    (place, running)
}

/// Sends text as it is; the status of the answer, 0 when there was none.
fn raw(to: SocketAddr, text: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The server may answer and close before it has read all of it.
    drop(stream.write_all(text));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn get(path: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{more}\r\n").into_bytes()
}

#[tokio::test]
async fn bad_requests_get_their_status() {
    let (place, running) = node().await;
    let mut root = place.root();
    let bomb = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let wide =
        format!("{{{}}}", (0..200_000).map(|n| format!("\"k{n}\":\"v\"")).collect::<Vec<_>>().join(","));
    let value = |bytes: usize| json!({"v": "x".repeat(bytes)}).to_string();
    for (what, body, status) in [
        ("a nested bomb", bomb, StatusCode::BAD_REQUEST),
        ("very many strings", wide, StatusCode::BAD_REQUEST),
        ("no JSON", "{\"a\":".to_owned(), StatusCode::BAD_REQUEST),
        ("an array", "[1]".to_owned(), StatusCode::BAD_REQUEST),
        ("a value over 1 MiB", value(1024 * 1024), StatusCode::INTERNAL_SERVER_ERROR),
        ("33 MiB", value(33 * 1024 * 1024), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        // Refused before it was read, the answer may be lost with the connection.
        match root.send(Method::PUT, "/v1/kv/hostile", Bytes::from(body)).await {
            Ok(answer) => assert_eq!(answer.status, status, "{what}"),
            Err(error) => assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{what}: {error}"),
        }
    }
    let missing = root.get("/v1/kv/hostile").await.unwrap();
    assert_eq!(missing.status, StatusCode::NOT_FOUND, "nothing of all that was kept");
    for (what, text, status) in [
        ("a control character", get("/v1/kv/a%00", ""), 400),
        ("a relative path", get("/v1/kv/../sys/seal-status", ""), 307),
        ("an empty segment", get("/v1/kv//a", ""), 307),
        ("an escaped slash", get("/v1/kv%2fa", ""), 403),
        ("an unknown verb", b"FOO /v1/kv/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_vec(), 405),
        ("10,000 headers", get("/v1/kv/a", &"X-Many: 1\r\n".repeat(10_000)), 431),
        ("a header of 2 MiB", get("/v1/kv/a", &format!("X-Long: {}\r\n", "x".repeat(2 * 1024 * 1024))), 431),
        (
            "both framings",
            b"POST /v1/kv/a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}".to_vec(),
            400,
        ),
        ("no HTTP", b"\x16\x03\x01\x00\x05hello\r\n\r\n".to_vec(), 400),
    ] {
        let to = place.address;
        let got = tokio::task::spawn_blocking(move || raw(to, &text)).await.unwrap();
        assert_eq!(got, status, "{what}");
    }
    assert!(running.resident_bytes() < MOST_RESIDENT, "{} bytes resident", running.resident_bytes());
}

#[tokio::test]
async fn a_flood_of_bogus_tokens_leaves_others_served() {
    let (place, running) = node().await;
    let stop = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicU64::new(0));
    let flood: Vec<_> = (0..16)
        .map(|number| tokio::spawn(bogus(place.address, number, Arc::clone(&stop), Arc::clone(&refused))))
        .collect();
    let (begin, mut root) = (Instant::now(), place.root());
    let mut slowest = Duration::ZERO;
    while begin.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        root.must(Method::GET, "/v1/kv/a", None).await;
        slowest = slowest.max(asked.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    for one in flood {
        one.await.unwrap();
    }
    println!("{} bogus tokens refused, slowest good read {slowest:?}", refused.load(Ordering::Relaxed));
    assert!(refused.load(Ordering::Relaxed) > 1000);
    assert!(running.resident_bytes() < MOST_RESIDENT, "{} bytes resident", running.resident_bytes());
}

async fn bogus(to: SocketAddr, number: u32, stop: Arc<AtomicBool>, refused: Arc<AtomicU64>) {
    let mut client = Client::new(to);
    let mut turn = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        client.headers = vec![("x-vault-token", format!("s.bogus{number}x{turn}"))];
        let answer = client.get("/v1/kv/a").await.unwrap();
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Clients that open a request and never end it hold a connection each, and nobody up.
#[tokio::test]
async fn slow_clients_wait_alone() {
    let (place, running) = node().await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(place.address).unwrap();
        let text: &[u8] = match number % 2 {
            0 => b"GET /v1/kv/a HTTP/1.1\r\nHost: h\r\nX-Sl",
            _ => b"PUT /v1/kv/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{\"v\":",
        };
        stream.write_all(text).unwrap();
        slow.push(stream);
    }
    let mut root = place.root();
    for _ in 0..200 {
        root.must(Method::GET, "/v1/kv/a", None).await;
    }
    assert!(running.resident_bytes() < MOST_RESIDENT);
    // Vault's bound for a head is 10 s: the first of them is closed by then.
    let mut first = slow.swap_remove(0);
    first.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut rest = Vec::new();
    let end =
        tokio::task::spawn_blocking(move || first.read_to_end(&mut rest).map(|_| rest.len())).await.unwrap();
    assert!(end.is_ok_and(|bytes| bytes < 1000), "a head that never ends is cut");
    assert!(!place.log().contains("panicked"), "{}", place.log());
}
