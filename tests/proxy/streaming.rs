//! A raft snapshot passes in flat memory, both ways, without a body limit or a request timeout in its way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::support::backend::Body;
use crate::support::fake::FakeCluster;
use crate::support::proxy::Proxy;

const CHUNK: usize = 64 * 1024;
const TOTAL: u64 = 512 * 1024 * 1024;
/// Buffers of a handful of connections, allocator slack; nowhere near a body.
const GROWTH: u64 = 48 * 1024 * 1024;
const SNAPSHOT: &str = "/v1/sys/storage/raft/snapshot";

fn long_body() -> Body {
    let chunk = Bytes::from(vec![0x5a; CHUNK]);
    let frames = (0..TOTAL / CHUNK as u64).map(move |_| Ok::<_, io::Error>(Frame::data(chunk.clone())));
    StreamBody::new(stream::iter(frames)).boxed()
}

/// Reads a body to its end, looking at the proxy's memory every 16 MiB; returns its length and the highest mark.
async fn drink(mut body: impl hyper::body::Body<Data = Bytes> + Unpin, proxy: Option<&Proxy>) -> (u64, u64) {
    let (mut length, mut highest) = (0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        let before = length;
        length += frame.data_ref().map_or(0, |data| data.len() as u64);
        if before >> 24 != length >> 24 {
            highest = proxy.map_or(0, Proxy::resident_bytes).max(highest);
        }
    }
    (length, highest)
}

async fn send(proxy: &Proxy, method: Method, body: Body) -> Response<hyper::body::Incoming> {
    let stream = TcpStream::connect(proxy.api).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request =
        Request::builder().method(method).uri(SNAPSHOT).header("host", "x").header("x-vault-token", "t");
    sender.send_request(request.body(body).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_large_upload_passes_in_flat_memory() {
    let received = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&received);
    let cluster = FakeCluster::start(move |here, request| {
        let count = Arc::clone(&count);
        async move {
            count.store(drink(request.into_body(), None).await.0, Ordering::SeqCst);
            here.ok()
        }
    })
    .await;
    let proxy = cluster.proxy().start().await;
    let before = proxy.resident_bytes();
    let sending = send(&proxy, Method::POST, long_body());
    tokio::pin!(sending);
    let mut highest = before;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
    let answer = loop {
        tokio::select! {
            answer = &mut sending => break answer,
            _ = look.tick() => highest = highest.max(proxy.resident_bytes()),
        }
    };
    assert_eq!(answer.status(), 200);
    assert_eq!(received.load(Ordering::SeqCst), TOTAL);
    println!(
        "upload of {} MiB: {} KiB grown from {} KiB",
        TOTAL >> 20,
        (highest - before) >> 10,
        before >> 10
    );
    assert!(highest - before < GROWTH, "{before} → {highest}");
    assert_eq!(cluster.counts(SNAPSHOT), [1, 0, 0], "a snapshot is the active node's business");
}

#[tokio::test]
async fn a_large_download_passes_in_flat_memory() {
    let cluster = FakeCluster::start(|here, _| async move { here.ok_by(here.at, long_body()) }).await;
    let proxy = cluster.proxy().start().await;
    let before = proxy.resident_bytes();
    let answer = send(&proxy, Method::GET, crate::support::backend::full("")).await;
    assert_eq!(answer.status(), 200);
    let (length, highest) = drink(answer.into_body(), Some(&proxy)).await;
    assert_eq!(length, TOTAL);
    println!("download of {} MiB: {} KiB grown", TOTAL >> 20, highest.saturating_sub(before) >> 10);
    assert!(highest.saturating_sub(before) < GROWTH, "{before} → {highest}");
}

#[tokio::test]
async fn a_slow_reader_holds_the_sender_back() {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let cluster = FakeCluster::start(move |here, _| {
        let count = Arc::clone(&count);
        async move {
            let chunk = Bytes::from(vec![0x5a; CHUNK]);
            let frames = (0..TOTAL / CHUNK as u64).map(move |_| {
                count.fetch_add(CHUNK as u64, Ordering::SeqCst);
                Ok::<_, io::Error>(Frame::data(chunk.clone()))
            });
            here.ok_by(here.at, StreamBody::new(stream::iter(frames)).boxed())
        }
    })
    .await;
    let proxy = cluster.proxy().start().await;
    // Headers are taken, the body is left lying: only sockets and bounded buffers may fill.
    let answer = send(&proxy, Method::GET, crate::support::backend::full("")).await;
    let mut last = u64::MAX;
    crate::support::until("the sender is held back", async || {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let now = sent.load(Ordering::SeqCst);
        std::mem::replace(&mut last, now) == now
    })
    .await;
    let held = sent.load(Ordering::SeqCst);
    println!("held back after {} KiB", held >> 10);
    assert!(held < TOTAL / 8, "{held} bytes were taken for a reader that takes none");
    drop(answer);
}

#[tokio::test]
async fn a_server_that_stops_in_the_middle_of_an_answer_is_given_up() {
    let cluster = FakeCluster::start(|here, _| async move {
        let first = stream::iter([Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"{\"data\":")))]);
        here.ok_by(here.at, StreamBody::new(futures_util::StreamExt::chain(first, stream::pending())).boxed())
    })
    .await;
    let proxy = cluster.proxy().section("timeouts: {request: 1s}").start().await;
    let mut client = crate::support::client::Client::with_token(proxy.api, "t");
    let asked = tokio::time::timeout(std::time::Duration::from_secs(10), client.get("/v1/secret/x"));
    assert!(asked.await.expect("nothing hangs").is_err(), "half an answer is no answer");
}

#[tokio::test]
async fn a_body_that_drips_gets_no_longer_than_a_request() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let cluster = FakeCluster::start(|here, _| async move { here.ok() }).await;
    let proxy = cluster.proxy().section("timeouts: {request: 1s}").start().await;
    let mut stream = TcpStream::connect(proxy.api).await.unwrap();
    let head = "PUT /v1/secret/x HTTP/1.1\r\nhost: x\r\nx-vault-token: t\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let mut drip = tokio::time::interval(std::time::Duration::from_millis(100));
    let begin = std::time::Instant::now();
    loop {
        assert!(begin.elapsed() < crate::support::PATIENCE, "it drips on");
        tokio::select! {
            read = stream.read_exact(&mut answer) => {
                read.unwrap();
                break;
            }
            _ = drip.tick() => stream.write_all(b"x").await.unwrap(),
        }
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(cluster.counts("/v1/secret"), [0, 0, 0]);
}
