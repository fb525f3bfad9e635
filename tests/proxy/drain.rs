//! SIGTERM under load: whatever was sent is answered, then the process ends.

use std::time::Duration;

use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::fake::FakeCluster;
use crate::support::until;

/// What one client met until the proxy was gone.
#[derive(Debug, Default)]
struct Met {
    answered: usize,
    /// Sent, and never answered.
    dropped: Vec<String>,
}

/// Asks until the address refuses connections.
async fn ask_until_gone(mut client: Client) -> Met {
    let mut met = Met::default();
    loop {
        match client.get("/v1/secret/x").await {
            Ok(answer) if answer.status == 200 => met.answered += 1,
            Ok(answer) => met.dropped.push(answer.status.to_string()),
            Err(error) if is_refused(error.as_ref()) => return met,
            Err(error) => met.dropped.push(error.to_string()),
        }
        if met.dropped.len() > 10 {
            return met;
        }
    }
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn sigterm_drops_nothing() {
    let cluster = FakeCluster::start(|here, _| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        here.ok()
    })
    .await;
    let mut proxy = cluster.proxy().start().await;
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        clients.spawn(ask_until_gone(Client::with_token(proxy.api, "t")));
    }
    until("every client has been answered often", async || {
        cluster.counts("/v1/secret").iter().sum::<usize>() > 200
    })
    .await;
    assert_eq!(proxy.terminate().await, Some(0), "{}", proxy.log());
    for met in clients.join_all().await {
        assert!(met.dropped.is_empty() && met.answered > 0, "{met:?}\n{}", proxy.log());
    }
}

#[tokio::test]
async fn a_long_answer_is_finished_after_sigterm() {
    let cluster = FakeCluster::start(|here, _| async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        here.ok()
    })
    .await;
    let mut proxy = cluster.proxy().start().await;
    let mut client = Client::with_token(proxy.api, "t");
    let asked = tokio::spawn(async move { client.get("/v1/secret/x").await.unwrap().status });
    until("the request is under way", async || cluster.counts("/v1/secret").iter().sum::<usize>() == 1).await;
    proxy.signal(Signal::TERM);
    assert_eq!(asked.await.unwrap(), 200);
    assert_eq!(proxy.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_drain_by_the_admin_waits_for_the_slowest() {
    let cluster = FakeCluster::start(|here, _| async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        here.ok()
    })
    .await;
    let spec = cluster.proxy().section(
        "runtime: {workers: 2, shutdown_grace: 1s, log: {level: info, format: text, output: stderr}}",
    );
    let mut proxy = spec.start().await;
    let mut client = Client::with_token(proxy.api, "t");
    let asked = tokio::spawn(async move { client.get("/v1/secret/x").await.map(|answer| answer.status) });
    until("the request is under way", async || cluster.counts("/v1/secret").iter().sum::<usize>() == 1).await;
    proxy.ask_admin(http::Method::POST, "/-/drain").await;
    assert_eq!(asked.await.unwrap().unwrap(), 200, "an idle worker ended first: no reason to cut the others");
    assert_eq!(proxy.exit_code().await, Some(0));
    assert!(!proxy.log().contains("died"), "{}", proxy.log());
}
