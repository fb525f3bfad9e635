//! A new configuration under load: a bad file is refused and said so, a good one is taken, no request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use rustix::process::Signal;

use crate::support::client::Client;
use crate::support::fake::FakeCluster;
use crate::support::until;

#[tokio::test]
async fn a_bad_file_is_refused_and_a_good_one_taken_under_load() {
    let cluster = FakeCluster::start(|here, _| async move { here.ok() }).await;
    let proxy = cluster.proxy().start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let (halt, count) = (Arc::clone(&stop), Arc::clone(&answered));
    let mut client = Client::with_token(proxy.api, "t");
    let load = tokio::spawn(async move {
        while !halt.load(Ordering::SeqCst) {
            let status = client.get("/v1/secret/x").await.unwrap().status;
            assert_eq!(status, 200);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let generation = proxy.metrics().await.sum("config_generation", &[]);

    std::fs::write(proxy.config_file(), "version: 1\nlisteners: nonsense\n").unwrap();
    let refused = proxy.ask_admin(Method::POST, "/-/reload").await;
    let said = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(
        refused.status.is_client_error() && said.contains("proxy.yaml:2:12"),
        "{} {said}",
        refused.status
    );
    let metrics = proxy.metrics().await;
    assert_eq!(metrics.sum("config_last_reload_success", &[]), 0.0);
    assert_eq!(metrics.sum("config_generation", &[]), generation, "the old one runs on");

    // A rule that can be seen from outside: this path is denied from now on.
    let denied = proxy.spec.clone().section(
        "routing: {rules: [{name: no-raw, match: {path: \"sys/raw/*\"}, action: deny, status: 403}]}",
    );
    proxy.rewrite(&denied);
    let taken = proxy.ask_admin(Method::POST, "/-/reload").await;
    assert!(taken.status.is_success(), "{} {:?}", taken.status, taken.body);
    let mut other = Client::with_token(proxy.api, "t");
    until("the new rule holds", async || other.get("/v1/sys/raw/x").await.unwrap().status == 403).await;

    let plain = proxy.spec.clone();
    proxy.rewrite(&plain);
    proxy.signal(Signal::HUP);
    until("SIGHUP took the rule away", async || other.get("/v1/sys/raw/x").await.unwrap().status == 200)
        .await;
    let metrics = proxy.metrics().await;
    assert_eq!(metrics.sum("config_last_reload_success", &[]), 1.0);
    assert!(metrics.sum("config_generation", &[]) > generation);

    let so_far = answered.load(Ordering::SeqCst);
    until("the load goes on", async || answered.load(Ordering::SeqCst) > so_far + 10).await;
    stop.store(true, Ordering::SeqCst);
    load.await.unwrap();
}
