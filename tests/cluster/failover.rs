//! Planned and unplanned changes of leadership under a mixed load of 200 requests a second.

use std::time::Duration;

use http::Method;

use crate::load::{Load, Outcome};
use crate::support::client::Client;
use crate::support::cluster::RealCluster;
use crate::support::proxy::{Proxy, ProxySpec};
use crate::support::until;

/// How long the load runs before and after the accident, so that both states are seen.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(5);

async fn stage() -> (RealCluster, Proxy, Load) {
    let cluster = RealCluster::start(3).await;
    let proxy = ProxySpec::before(&cluster).start().await;
    let load = Load::start(proxy.api, cluster.root_token()).await;
    tokio::time::sleep(BEFORE).await;
    (cluster, proxy, load)
}

/// Stops the load and holds it to the promise that covers every accident.
async fn judge(what: &str, load: Load, cluster: &mut RealCluster, proxy: &Proxy) -> Outcome {
    let outcome = load.stop().await;
    outcome.report(what);
    let failed: Vec<&String> = outcome.reads.failed.iter().chain(&outcome.writes.failed).take(5).collect();
    assert!(failed.is_empty(), "{failed:#?}\n{}", proxy.log());
    assert_eq!(outcome.reads.in_doubt, 0, "a read can be asked again");
    let lost = outcome.lost(cluster).await;
    assert!(lost.is_empty(), "{lost:#?}");
    outcome
}

#[tokio::test]
async fn a_step_down_fails_no_request() {
    let (mut cluster, proxy, load) = stage().await;
    let old = cluster.wait_for_active().await.unwrap();
    cluster.step_down().await.unwrap();
    until("another node leads", async || cluster.active().await.is_some_and(|now| now != old)).await;
    tokio::time::sleep(AFTER).await;
    judge("step-down", load, &mut cluster, &proxy).await;
}

#[tokio::test]
async fn a_killed_active_loses_no_acknowledged_write() {
    let (mut cluster, proxy, load) = stage().await;
    let old = cluster.wait_for_active().await.unwrap();
    cluster.kill(old).await.unwrap();
    until("another node leads", async || cluster.active().await.is_some_and(|now| now != old)).await;
    tokio::time::sleep(AFTER).await;
    judge("kill -9 of the active", load, &mut cluster, &proxy).await;
}

#[tokio::test]
async fn a_paused_standby_is_left_alone() {
    let (mut cluster, proxy, load) = stage().await;
    let active = cluster.wait_for_active().await.unwrap();
    let standby = (active + 1) % 3;
    cluster.pause(standby).unwrap();
    let name = cluster.nodes()[standby].id().to_owned();
    until("the paused node counts as down", async || {
        proxy.metrics().await.sum("server_up", &[("server", &name)]) == 0.0
    })
    .await;
    // From here on nobody may be sent there: every answer is quick.
    let mut client = Client::with_token(proxy.api, cluster.root_token());
    for _ in 0..100 {
        let asked = tokio::time::timeout(Duration::from_secs(2), client.get("/v1/load/shared/1"));
        assert!(asked.await.expect("an answer in 2 s").unwrap().status.is_success());
    }
    cluster.resume(standby).unwrap();
    until("the node is used again", async || {
        proxy.metrics().await.sum("server_up", &[("server", &name)]) == 1.0
    })
    .await;
    judge("SIGSTOP of a standby", load, &mut cluster, &proxy).await;
}

#[tokio::test]
async fn a_paused_active_is_replaced() {
    let (mut cluster, proxy, load) = stage().await;
    let old = cluster.wait_for_active().await.unwrap();
    cluster.pause(old).unwrap();
    // A write sent before the proxy has noticed is in doubt by right; from here on there is no doubt.
    until("the proxy follows the new leader", async || {
        let Some(now) = cluster.active().await.filter(|now| *now != old) else { return false };
        let name = cluster.nodes()[now].id();
        proxy.metrics().await.sum("server_role", &[("server", name), ("role", "active")]) == 1.0
    })
    .await;
    let mut client = Client::with_token(proxy.api, cluster.root_token());
    client.must(Method::PUT, "/v1/load/own/after", Some(&serde_json::json!({"n": 1}))).await;
    tokio::time::sleep(AFTER).await;
    cluster.resume(old).unwrap();
    cluster.wait_until_whole().await.unwrap();
    judge("SIGSTOP of the active", load, &mut cluster, &proxy).await;
}

#[tokio::test]
async fn a_standby_cut_off_from_quorum_gets_no_reads_after_the_gate() {
    let mut cluster = RealCluster::start(3).await;
    let spec =
        ProxySpec::before(&cluster).cluster("failover: {hold_writes: 1s, read_without_leader_for: 3s}");
    let proxy = spec.start().await;
    let mut client = Client::with_token(proxy.api, cluster.root_token());
    client.must(Method::POST, "/v1/sys/mounts/cut", Some(&serde_json::json!({"type": "kv"}))).await;
    client.must(Method::PUT, "/v1/cut/k", Some(&serde_json::json!({"n": 1}))).await;
    let active = cluster.wait_for_active().await.unwrap();
    let alone = (active + 1) % 3;
    let survivor = cluster.nodes()[alone].api();
    let mut direct = Client::with_token(survivor, cluster.root_token());
    until("the write has reached it", async || direct.get("/v1/cut/k").await.unwrap().status == 200).await;
    for at in (0..3).filter(|at| *at != alone) {
        cluster.kill(at).await.unwrap();
    }
    let served = direct.get("/v1/cut/k").await.unwrap().status;
    assert_eq!(served, 200, "the server itself would go on answering without bound");
    until("the proxy refuses the read", async || {
        Client::with_token(proxy.api, cluster.root_token()).get("/v1/cut/k").await.unwrap().status == 503
    })
    .await;
    for at in (0..3).filter(|at| *at != alone) {
        cluster.restart(at).await.unwrap();
    }
    until("reads are back", async || {
        Client::with_token(proxy.api, cluster.root_token()).get("/v1/cut/k").await.unwrap().status == 200
    })
    .await;
}

#[tokio::test]
async fn a_node_of_another_cluster_is_never_used() {
    let cluster = RealCluster::start(3).await;
    let other = RealCluster::start(1).await;
    let mut spec = ProxySpec::before(&cluster);
    spec.servers.push(("stranger".to_owned(), other.nodes()[0].api()));
    let proxy = spec.start().await;
    let mut client = Client::with_token(proxy.api, cluster.root_token());
    for _ in 0..300 {
        let answer = client.get("/v1/sys/mounts").await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.headers["x-understudy-served-by"] != "stranger");
    }
    let metrics = proxy.metrics().await;
    assert_eq!(metrics.sum("server_up", &[("server", "stranger")]), 0.0, "{}", metrics.show("server_up"));
    assert_eq!(metrics.sum("server_up", &[]), 3.0, "{}", metrics.show("server_up"));
}
