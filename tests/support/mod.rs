//! The test language: a scripted backend, a real cluster, the proxy under test, a client, a reader of metrics.
//! Included by each test binary with `#[path]`; everything started here ends when its value is dropped.
#![expect(
    dead_code,
    unreachable_pub,
    reason = "each test binary includes the language and uses its own part of it"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

pub mod backend;
pub mod client;
pub mod cluster;
pub mod fake;
pub mod metrics;
pub mod proxy;
pub mod seed;

use std::time::{Duration, Instant};

/// How long a condition may take on a busy two-core machine before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks every 10 ms until `holds`; panics with `what` after [`PATIENCE`].
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
