//! HTTP/2 clients: who goes away, who stays silent, who is there when the proxy drains; and an upload whose server
//! takes its time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::fake::FakeCluster;
use crate::support::proxy::Proxy;
use crate::support::until;

/// A connection that pings all the time, also between requests.
async fn connect(proxy: &Proxy) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(proxy.api).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_millis(100))
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn get(sender: &mut SendRequest<Full<Bytes>>, path: &str) -> hyper::Result<StatusCode> {
    let uri = format!("http://proxy{path}");
    let request =
        Request::builder().uri(uri).header("x-vault-token", "t").body(Full::new(Bytes::new())).unwrap();
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    answer.into_body().collect().await?;
    Ok(status)
}

#[tokio::test]
async fn a_request_its_client_gave_up_is_counted_and_holds_nothing() {
    let cluster = FakeCluster::start(|here, request| async move {
        if request.uri().path().ends_with("/never") {
            std::future::pending::<()>().await;
        }
        here.ok()
    })
    .await;
    let mut proxy = cluster.proxy().listener("h2c: true").start().await;
    let mut sender = connect(&proxy).await;
    let given_up = tokio::time::timeout(Duration::from_millis(300), get(&mut sender, "/v1/secret/never"));
    assert!(given_up.await.is_err());
    until("it is counted", async || proxy.metrics().await.sum("requests_total", &[("code", "4xx")]) == 1.0)
        .await;
    assert_eq!(get(&mut sender, "/v1/secret/x").await.unwrap(), 200, "the connection lives on");
    let began = Instant::now();
    assert_eq!(proxy.terminate().await, Some(0), "{}", proxy.log());
    assert!(began.elapsed() < Duration::from_secs(5), "the drain waited for a request that is gone");
}

#[tokio::test]
async fn pings_between_requests_are_no_slow_head() {
    let cluster = FakeCluster::start(|here, _| async move { here.ok() }).await;
    let proxy =
        cluster.proxy().listener("h2c: true").listener("timeouts: {request_header: 500ms}").start().await;
    let mut sender = connect(&proxy).await;
    assert_eq!(get(&mut sender, "/v1/secret/x").await.unwrap(), 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(get(&mut sender, "/v1/secret/x").await.unwrap(), 200);
    let rejected = proxy.metrics().await.sum("downstream_rejected_total", &[]);
    assert_eq!(rejected, 0.0);
}

#[tokio::test]
async fn a_busy_connection_drains_without_losing_a_request() {
    let cluster = FakeCluster::start(|here, _| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        here.ok()
    })
    .await;
    let mut proxy = cluster.proxy().listener("h2c: true").start().await;
    let mut sender = connect(&proxy).await;
    let busy = tokio::spawn(async move {
        let mut answered = 0;
        while sender.ready().await.is_ok() {
            match get(&mut sender, "/v1/secret/x").await {
                Ok(status) => assert_eq!(status, 200),
                // Refused before it was sent: any client may send it again.
                Err(error) => {
                    assert!(error.is_canceled() || error.is_closed(), "after {answered}: {error:?}");
                    break;
                }
            }
            answered += 1;
        }
        answered
    });
    until("the client is busy", async || cluster.counts("/v1/secret").iter().sum::<usize>() > 20).await;
    let began = Instant::now();
    assert_eq!(proxy.terminate().await, Some(0), "{}", proxy.log());
    assert!(began.elapsed() < Duration::from_secs(5), "the drain ended with the grace period only");
    assert!(busy.await.unwrap() >= 20);
}

#[tokio::test]
async fn a_server_may_take_longer_over_an_upload_than_a_client_may_pause() {
    let cluster = FakeCluster::start(|here, request| async move {
        request.into_body().collect().await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        here.ok()
    })
    .await;
    let proxy = cluster.proxy().listener("timeouts: {request_body: 500ms}").start().await;
    let mut client = Client::with_token(proxy.api, "t");
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    let answer = client.send(Method::POST, "/v1/sys/storage/raft/snapshot", body).await.unwrap();
    assert_eq!(answer.status, 200);
}
