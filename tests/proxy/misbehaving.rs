//! Backends that lie, stall or break off: the right status, nothing hangs, and no write is done twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::backend::RawBackend;
use crate::support::client::Client;
use crate::support::proxy::ProxySpec;

const HEALTH: &str = r#"{"initialized":true,"sealed":false,"standby":false,"version":"2.7.2","cluster_name":"raw","cluster_id":"5eed0000-0000-4000-8000-000000000002"}"#;

/// One active node that answers probes properly and everything else with `bytes`, then closes; counts the latter.
async fn breaks_off_with(bytes: &'static [u8]) -> (RawBackend, Arc<AtomicUsize>) {
    answers(bytes, true).await
}

/// The same, and closes or goes on.
async fn answers(bytes: &'static [u8], closes: bool) -> (RawBackend, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let backend =
        RawBackend::start(move |stream| converse(stream, (bytes, closes), Arc::clone(&count))).await;
    (backend, asked)
}

async fn converse(
    mut stream: TcpStream,
    (bytes, closes): (&'static [u8], bool),
    asked: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let own = stream.local_addr()?;
    let mut head = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..read]);
        let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&head[..end]).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default();
        let body = match path.split('?').next().unwrap_or_default() {
            "/v1/sys/health" => HEALTH.to_owned(),
            "/v1/sys/leader" => json!({
                "ha_enabled": true, "is_self": true, "active_time": "2026-11-22T19:08:05.5Z",
                "leader_address": format!("http://{own}"), "leader_cluster_address": "",
                "raft_committed_index": 7, "raft_applied_index": 7,
            })
            .to_string(),
            "/v1/sys/internal/ui/mounts" => "{}".to_owned(),
            _ => {
                asked.fetch_add(1, Ordering::SeqCst);
                stream.write_all(bytes).await?;
                if closes {
                    return stream.shutdown().await;
                }
                head.clear();
                continue;
            }
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        head.clear();
    }
}

/// What a client gets for a write, within ten seconds.
async fn write_through(bytes: &'static [u8]) -> (Result<(u16, Option<String>), String>, usize) {
    let (backend, asked) = breaks_off_with(bytes).await;
    let spec = ProxySpec { servers: vec![("n1".to_owned(), backend.address)], ..ProxySpec::default() };
    let proxy = spec.start().await;
    let mut client = Client::with_token(proxy.api, "t");
    let sent = client.send(Method::PUT, "/v1/secret/x", "{}".into());
    let answer = tokio::time::timeout(Duration::from_secs(10), sent).await.expect("nothing hangs");
    let outcome = |a: &crate::support::client::Answer| {
        a.headers.get("x-understudy-outcome").map(|value| value.to_str().unwrap().to_owned())
    };
    let answer = answer.map(|a| (a.status.as_u16(), outcome(&a))).map_err(|e| e.to_string());
    (answer, asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_write_is_sent_once_whatever_comes_back() {
    let unknown = Some("unknown".to_owned());
    let cases: [(&str, &'static [u8]); 6] = [
        ("nothing", b""),
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le"),
        ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ("an intermediary's 504", b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n"),
        ("a bad chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\nzz\r\n"),
    ];
    for (what, bytes) in cases {
        let (answer, asked) = write_through(bytes).await;
        let status = if what.ends_with("504") { 504 } else { 502 };
        assert_eq!(answer, Ok((status, unknown.clone())), "{what}");
        assert_eq!(asked, 1, "{what}: in doubt, so never again");
    }
}

#[tokio::test]
async fn half_a_body_is_not_passed_off_as_a_whole_one() {
    let (answer, asked) = write_through(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":").await;
    // Either the break reaches the client, or it was seen before anything was passed on.
    assert!(answer.is_err() || answer == Ok((502, Some("unknown".to_owned()))), "{answer:?}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys_answer() {
    let two =
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen";
    let (backend, asked) = answers(two, false).await;
    let spec = ProxySpec { servers: vec![("n1".to_owned(), backend.address)], ..ProxySpec::default() };
    let proxy =
        spec.section("runtime: {workers: 1, log: {level: info, format: text, output: stderr}}").start().await;
    for (number, method) in [Method::GET, Method::PUT, Method::HEAD, Method::GET].into_iter().enumerate() {
        let mut client = Client::with_token(proxy.api, "t");
        let answer = client.send(method.clone(), "/v1/secret/x", "".into()).await.unwrap();
        assert_eq!(answer.body, if method == Method::HEAD { "" } else { "{}" }, "{number}: {method}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}
