//! A leader that stepped down a moment ago, before this proxy knows: nothing runs twice, nothing runs on old data.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::request::Parts;
use http::{Method, Response};

use crate::support::backend::full;
use crate::support::client::Client;
use crate::support::fake::FakeCluster;
use crate::support::until;

fn words(parts: &Parts) -> Vec<&str> {
    let values = parts.headers.get_all("x-vault-inconsistent").iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

/// The last request n1 got below the path; the dialect is known after the first answers.
async fn last_at_leader(cluster: &FakeCluster, client: &mut Client, method: Method) -> Parts {
    until("the leader is told the floor", async || {
        client.must(method.clone(), "/v1/secret/a", None).await;
        let last = cluster.nodes[0].received("/v1/secret/a").pop();
        last.is_some_and(|parts| parts.headers.contains_key("x-vault-index"))
    })
    .await;
    cluster.nodes[0].received("/v1/secret/a").pop().unwrap()
}

#[tokio::test]
async fn the_leader_is_told_the_floor_in_case_it_is_none_any_more() {
    let cluster = FakeCluster::start(|here, _| async move { here.ok() }).await;
    let proxy = cluster.proxy().start().await;
    let mut client = Client::with_token(proxy.api, "t");
    let write = last_at_leader(&cluster, &mut client, Method::DELETE).await;
    assert_eq!(words(&write), ["forward-active-node"]);
    assert_eq!(write.headers["x-vault-no-request-forwarding"], "true");
    client.headers.push(("x-understudy-consistency", "strong".to_owned()));
    let read = last_at_leader(&cluster, &mut client, Method::GET).await;
    assert_eq!(words(&read), ["await-state", "forward-active-node"]);
    assert!(!read.headers.contains_key("x-vault-no-request-forwarding"));
}

#[tokio::test]
async fn a_write_met_by_a_former_leader_runs_once() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let cluster = FakeCluster::start(move |here, request| {
        let count = Arc::clone(&count);
        async move {
            let told = request.headers().contains_key("x-vault-no-request-forwarding");
            let there = request.uri().path().ends_with("/b");
            if there && (here.is_active() || !told) {
                count.fetch_add(1, Ordering::SeqCst);
            }
            if here.is_active() {
                return here.ok();
            }
            // Forwarded and run there, then the answer was lost on the way back: 307 all the same.
            let leader = format!("http://{}{}", here.leader_address(), request.uri());
            Response::builder().status(307).header("location", leader).body(full("")).unwrap()
        }
    })
    .await;
    let proxy = cluster.proxy().start().await;
    let mut client = Client::with_token(proxy.api, "t");
    last_at_leader(&cluster, &mut client, Method::PUT).await;
    cluster.world.active.store(1, Ordering::SeqCst);
    client.must(Method::PUT, "/v1/secret/b", None).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1, "asked: {:?}", cluster.counts("/v1/secret/b"));
}

#[tokio::test]
async fn a_standby_an_operator_sends_writes_to_may_forward_them() {
    let cluster = FakeCluster::start(|here, request| async move {
        assert!(!request.headers().contains_key("x-vault-no-request-forwarding"), "it could not forward");
        here.forwarded()
    })
    .await;
    let rule = "routing: {rules: [{name: far, match: {path: \"secret/**\"}, to: standby}]}";
    let proxy = cluster.proxy().section(rule).start().await;
    let mut client = Client::with_token(proxy.api, "t");
    for _ in 0..10 {
        client.must(Method::PUT, "/v1/secret/a", None).await;
    }
    assert_eq!(cluster.counts("/v1/secret")[0], 0);
}
