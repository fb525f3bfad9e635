//! An engine the table does not know, whose GETs write: found out within `min_samples` mistakes, and forgiven again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::Client;
use crate::support::fake::FakeCluster;
use crate::support::until;

const MIN_SAMPLES: usize = 5;

/// Reads that standbys were asked, in all.
fn on_standbys(cluster: &FakeCluster) -> usize {
    cluster.counts("/v1/odd/").iter().skip(1).sum()
}

#[tokio::test]
async fn a_writing_get_is_learned_within_min_samples_and_unlearned_again() {
    let writes = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&writes);
    let cluster = FakeCluster::start(move |here, _| {
        let writes = now.load(Ordering::SeqCst);
        async move { if writes && !here.is_active() { here.forwarded() } else { here.ok() } }
    })
    .await;
    let learn = format!("routing: {{learn: {{min_samples: {MIN_SAMPLES}, explore: 5%, half_life: 1s}}}}");
    let proxy = cluster.proxy().section(&learn).start().await;
    let mut client = Client::with_token(proxy.api, "t");

    // Evidence reaches the owner a moment after the answer: the bound is on mistakes seen one at a time.
    for number in 0..400 {
        assert_eq!(client.get(&format!("/v1/odd/mint/{number}")).await.unwrap().status, 200);
        if number < MIN_SAMPLES * 4 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let mistakes = on_standbys(&cluster);
    // 5 % of 400 are explored on purpose; twice that is far outside chance.
    assert!((MIN_SAMPLES..=MIN_SAMPLES + 40).contains(&mistakes), "{mistakes} mistakes");
    assert!(proxy.metrics().await.sum("prediction_total", &[("outcome", "forwarded")]) >= MIN_SAMPLES as f64);

    writes.store(false, Ordering::SeqCst);
    until("standbys read it again", async || {
        let before = on_standbys(&cluster);
        for number in 0..20 {
            assert_eq!(client.get(&format!("/v1/odd/mint/{number}")).await.unwrap().status, 200);
        }
        on_standbys(&cluster) - before > 10
    })
    .await;
}
