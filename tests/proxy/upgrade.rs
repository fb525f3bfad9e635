//! `Upgrade` passes where the operator listed the path and nowhere else; bytes flow only after the 101.

use http::Response;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::backend::{Reply, full};
use crate::support::fake::FakeCluster;
use crate::support::proxy::Proxy;

/// A cluster whose nodes echo whatever comes after an upgrade.
async fn echoing() -> FakeCluster {
    FakeCluster::start(|here, mut request| async move {
        if !request.headers().contains_key("upgrade") {
            return here.ok();
        }
        let upgrading = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(upgraded) = upgrading.await else { return };
            let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
            // Either side may go first; the test looks at what came back.
            drop(tokio::io::copy(&mut from, &mut to).await);
        });
        switching()
    })
    .await
}

fn switching() -> Reply {
    Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .body(full(""))
        .unwrap()
}

async fn proxy(cluster: &FakeCluster) -> Proxy {
    cluster.proxy().listener("upgrades: [\"sys/events/subscribe/*\"]").start().await
}

/// Sends a head and reads the answer's.
async fn ask(proxy: &Proxy, path: &str, behind: &[u8]) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(proxy.api).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nX-Vault-Token: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(behind).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "closed after {answer:?}");
        answer.push(byte[0]);
    }
    (stream, String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn a_listed_path_becomes_a_tunnel_both_ways() {
    let cluster = echoing().await;
    let proxy = proxy(&cluster).await;
    let (mut stream, answer) = ask(&proxy, "/v1/sys/events/subscribe/kv", b"").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    for word in [&b"hello"[..], b"again"] {
        stream.write_all(word).await.unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, *word);
    }
    let seen = cluster.counts("/v1/sys/events");
    assert_eq!(seen.iter().sum::<usize>(), 1, "{seen:?}");
}

#[tokio::test]
async fn elsewhere_the_upgrade_is_dropped_and_the_request_answered() {
    let cluster = echoing().await;
    let proxy = proxy(&cluster).await;
    let (_stream, answer) = ask(&proxy, "/v1/kv/a", b"").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
