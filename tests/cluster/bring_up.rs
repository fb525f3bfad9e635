//! The cluster itself: it starts, survives accidents, and a second start finds its data.

use http::Method;
use serde_json::json;
use understudy::cli::openbao::{Cluster, ClusterSpec, binary};

use crate::support::cluster::RealCluster;

#[tokio::test]
async fn a_cluster_starts_breaks_and_heals() {
    let mut cluster = RealCluster::start(3).await;
    let first = cluster.wait_for_active().await.unwrap();
    cluster.step_down().await.unwrap();
    let second = loop {
        let now = cluster.wait_for_active().await.unwrap();
        if now != first {
            break now;
        }
    };
    cluster.kill(second).await.unwrap();
    let third = cluster.wait_for_active().await.unwrap();
    assert_ne!(third, second);
    cluster.restart(second).await.unwrap();
    cluster.wait_until_whole().await.unwrap();
    let standby = (0..3).find(|at| *at != third).unwrap();
    cluster.pause(standby).unwrap();
    assert_eq!(cluster.active().await, Some(third));
    cluster.resume(standby).unwrap();
    cluster.wait_until_whole().await.unwrap();
}

#[tokio::test]
async fn a_second_start_finds_its_data() {
    let scratch = tempfile::tempdir().unwrap();
    let binary = binary::find_or_install(&mut |line| eprintln!("{line}")).await.unwrap();
    let spec =
        ClusterSpec { binary, data: scratch.path().join("data"), nodes: Some(1), ..ClusterSpec::default() };
    let mut cluster = Cluster::start(spec.clone()).await.unwrap();
    let policy = json!({"policy": "path \"secret/*\" { capabilities = [\"read\"] }"});
    cluster.ask(0, Method::PUT, "/v1/sys/policies/acl/kept", Some(&policy)).await.unwrap();
    let token = cluster.root_token().to_owned();
    cluster.stop().await.unwrap();
    let again = Cluster::start(spec).await.unwrap();
    assert_eq!(again.root_token(), token);
    let answer = again.ask(0, Method::GET, "/v1/sys/policies/acl/kept", None).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn an_error_names_the_node_and_shows_its_log() {
    let scratch = tempfile::tempdir().unwrap();
    let binary = binary::find_or_install(&mut |line| eprintln!("{line}")).await.unwrap();
    let broken = json!({"storage": {"papyrus": {}}});
    let spec = ClusterSpec {
        binary,
        data: scratch.path().join("data"),
        nodes: Some(1),
        extra: vec![broken.as_object().unwrap().clone()],
        ..ClusterSpec::default()
    };
    let text = Cluster::start(spec).await.unwrap_err().to_string();
    assert!(text.starts_with("node n1: the server ended"), "{text}");
    assert!(text.contains("n1/log") && text.contains("papyrus"), "{text}");
}
