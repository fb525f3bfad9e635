//! A steady mixed load: reads of shared keys, writes of each worker's own key with rising values, so that in the end
//! it can be said of every acknowledged write whether it is still there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::{Answer, Client};
use crate::support::cluster::RealCluster;

/// Requests a second, all workers together.
const RATE: u32 = 200;
const WORKERS: u32 = 20;
/// One request in so many is a write.
const WRITE_EVERY: u64 = 4;
/// Longer than anything may be held.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);

/// What became of the requests of one kind.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub ok: usize,
    /// The server itself could not say: marked so by the proxy.
    pub in_doubt: usize,
    pub failed: Vec<String>,
    pub slowest: Duration,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.in_doubt += other.in_doubt;
        self.failed.extend(other.failed);
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// The whole run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub reads: Tally,
    pub writes: Tally,
    /// Last acknowledged and last tried value of each worker's key.
    own: Vec<(u64, u64)>,
}

impl Outcome {
    pub(crate) fn report(&self, what: &str) {
        let line = |t: &Tally| {
            format!(
                "{} ok, {} in doubt, {} failed, slowest {:?}",
                t.ok,
                t.in_doubt,
                t.failed.len(),
                t.slowest
            )
        };
        println!("{what}: reads {}; writes {}", line(&self.reads), line(&self.writes));
    }

    /// The writes that were acknowledged and are not there any more.
    pub(crate) async fn lost(&self, cluster: &mut RealCluster) -> Vec<String> {
        let active = cluster.wait_for_active().await.unwrap();
        let mut lost = Vec::new();
        for (worker, (acknowledged, tried)) in self.own.iter().enumerate() {
            let answer = cluster.ask(active, Method::GET, &own_key(worker), None).await.unwrap();
            let found = answer.json()["data"]["n"].as_u64().unwrap_or(0);
            if !(*acknowledged..=*tried).contains(&found) {
                lost.push(format!(
                    "worker {worker}: acknowledged {acknowledged}, tried {tried}, found {found}"
                ));
            }
        }
        lost
    }
}

/// Running until [`Load::stop`].
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    workers: JoinSet<Outcome>,
}

impl Load {
    /// Mounts its engine and writes the shared keys first.
    pub(crate) async fn start(front: SocketAddr, token: &str) -> Self {
        let mut client = Client::with_token(front, token);
        client.must(Method::POST, "/v1/sys/mounts/load", Some(&json!({"type": "kv"}))).await;
        for key in 0..10 {
            client.must(Method::POST, &format!("/v1/load/shared/{key}"), Some(&json!({"v": "x"}))).await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let client = Client::with_token(front, token);
            workers.spawn(work(worker as usize, client, Arc::clone(&stop)));
        }
        Self { stop, workers }
    }

    /// Lets every worker finish what it is at.
    pub(crate) async fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        let mut own = Vec::new();
        for mut one in self.workers.join_all().await {
            own.append(&mut one.own);
            all.reads.add(one.reads);
            all.writes.add(one.writes);
        }
        // join_all keeps no order: each brought its number along.
        own.sort_unstable();
        all.own = own.into_iter().map(|tagged| (tagged.0 & VALUE, tagged.1 & VALUE)).collect();
        all
    }
}

/// The worker's number above, the value below.
const SHIFT: u32 = 48;
const VALUE: u64 = (1 << SHIFT) - 1;

async fn work(worker: usize, mut client: Client, stop: Arc<AtomicBool>) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut acknowledged, mut tried) = (0, 0);
    // A late answer is not followed by a burst: the load is steady per worker.
    let mut pace = tokio::time::interval(Duration::from_secs(1) * WORKERS / RATE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in worker as u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        pace.tick().await;
        if turn % WRITE_EVERY == 0 {
            tried += 1;
            let body = json!({"n": tried}).to_string();
            if one(&mut client, &mut outcome.writes, Method::PUT, &own_key(worker), body).await {
                acknowledged = tried;
            }
        } else {
            let path = format!("/v1/load/shared/{}", turn % 10);
            one(&mut client, &mut outcome.reads, Method::GET, &path, String::new()).await;
        }
    }
    let tag = (worker as u64) << SHIFT;
    outcome.own = vec![(tag | acknowledged, tag | tried)];
    outcome
}

fn own_key(worker: usize) -> String {
    format!("/v1/load/own/{worker}")
}

/// One request, counted; true when it was acknowledged.
async fn one(client: &mut Client, tally: &mut Tally, method: Method, path: &str, body: String) -> bool {
    let begin = Instant::now();
    let asked = client.send(method.clone(), path, body.into());
    let answer = tokio::time::timeout(CLIENT_PATIENCE, asked).await;
    tally.slowest = tally.slowest.max(begin.elapsed());
    let said = match answer {
        Ok(Ok(answer)) if answer.status.is_success() => {
            tally.ok += 1;
            return true;
        }
        Ok(Ok(answer)) if is_in_doubt(&answer) => {
            tally.in_doubt += 1;
            return false;
        }
        Ok(Ok(answer)) => {
            format!("{} {:?} {}", answer.status, answer.headers, String::from_utf8_lossy(&answer.body))
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {CLIENT_PATIENCE:?}"),
    };
    tally.failed.push(format!("{method} {path} after {:?}: {said}", begin.elapsed()));
    false
}

fn is_in_doubt(answer: &Answer) -> bool {
    answer.headers.get("x-understudy-outcome").is_some_and(|value| value == "unknown")
}
