//! Write, then read at once, in several sessions: nobody reads the past, no delete is lost; and most reads are the
//! standbys' work. The same script through HAProxy's round robin says how many answers that gets wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use understudy::cli::openbao::plan;

use crate::support::client::{Answer, Client};
use crate::support::cluster::RealCluster;
use crate::support::proxy::ProxySpec;
use crate::support::{seed, until};

/// Sessions that work side by side, each with a token and keys of its own.
const SESSIONS: usize = 8;
/// Further reads for each write with its read, of keys the session wrote before.
const FURTHER_READS: usize = 1;
/// Sessions that only read, anybody's keys: what makes a load read-heavy.
const READERS: usize = 8;
/// Pause between two reads of one reader.
const READ_PAUSE: Duration = Duration::from_millis(10);
const KEYS: u64 = 12;

/// What a reader saw that it should not have.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Wrong {
    stale: usize,
    /// A reader saw something older than it had seen before.
    backwards: usize,
    false_404: usize,
    undead: usize,
    /// Deleted, acknowledged, and still there on the active node when all was over.
    lost_deletes: usize,
    lost_writes: usize,
    errors: usize,
}

impl Wrong {
    fn add(&mut self, other: Self) {
        self.stale += other.stale;
        self.backwards += other.backwards;
        self.false_404 += other.false_404;
        self.undead += other.undead;
        self.lost_deletes += other.lost_deletes;
        self.lost_writes += other.lost_writes;
        self.errors += other.errors;
    }
}

#[tokio::test]
async fn nobody_reads_the_past_and_no_delete_is_lost() {
    let mut cluster = RealCluster::start(3).await;
    let proxy = ProxySpec::before(&cluster).start().await;
    mount(&cluster).await;
    let before = proxy.metrics().await;
    let wrong = play(&mut cluster, proxy.api, 5_000).await;
    let after = proxy.metrics().await;
    let reads = after.since(&before, "requests_total", &[("class", "read")]);
    let by_standbys = after.since(&before, "requests_total", &[("class", "read"), ("role", "standby")]);
    println!("understudy: 5000 write-read pairs, {wrong:?}; {by_standbys} of {reads} reads by standbys");
    assert_eq!(wrong, Wrong::default());
    assert!(by_standbys * 2.0 > reads, "{by_standbys} of {reads}\n{}", after.show("consistency_total"));
}

#[tokio::test]
async fn what_round_robin_gets_wrong() {
    let mut cluster = RealCluster::start(3).await;
    mount(&cluster).await;
    let Some((_haproxy, _scratch, address)) = haproxy(&cluster).await else {
        println!("no haproxy here: nothing to compare with");
        return;
    };
    let wrong = play(&mut cluster, address, 1_000).await;
    println!("haproxy round robin: 1000 write-read pairs, {wrong:?}");
}

async fn mount(cluster: &RealCluster) {
    for (path, version) in [("one", "1"), ("two", "2")] {
        let body = json!({"type": "kv", "options": {"version": version}});
        let path = format!("/v1/sys/mounts/{path}");
        let active = cluster.active().await.unwrap();
        assert!(cluster.ask(active, Method::POST, &path, Some(&body)).await.unwrap().status.is_success());
    }
    // A version-2 mount is upgraded before it answers; standbys learn of both a moment later.
    for at in 0..cluster.nodes().len() {
        until("the mounts answer on every node", async || {
            let config = cluster.ask(at, Method::GET, "/v1/two/config", None).await.unwrap();
            let key = cluster.ask(at, Method::GET, "/v1/one/none", None).await.unwrap();
            config.status == 200 && key.status == 404 && key.json()["errors"] == json!([])
        })
        .await;
    }
}

/// Runs all sessions and the final audit at the active node.
async fn play(cluster: &mut RealCluster, front: SocketAddr, pairs: usize) -> Wrong {
    let mut seeds = seed::seeded("sessions");
    let mut sessions = tokio::task::JoinSet::new();
    for number in 0..SESSIONS {
        let token = session_token(cluster).await;
        let session = Session::new(number, Client::with_token(front, &token), seeds.fork());
        sessions.spawn(session.run(pairs / SESSIONS));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..READERS {
        let token = session_token(cluster).await;
        readers.spawn(look_on(Client::with_token(front, &token), seeds.fork(), Arc::clone(&stop)));
    }
    let active = cluster.wait_for_active().await.unwrap();
    let mut auditor = Client::with_token(cluster.nodes()[active].api(), cluster.root_token());
    let mut wrong = Wrong::default();
    for mut session in sessions.join_all().await {
        session.audit(&mut auditor).await;
        wrong.add(session.wrong);
    }
    stop.store(true, Ordering::Relaxed);
    readers.join_all().await.into_iter().for_each(|seen| wrong.add(seen));
    wrong
}

/// Reads anybody's keys: which state it sees is open, but it must never see an older one later.
async fn look_on(mut client: Client, mut random: fastrand::Rng, stop: Arc<AtomicBool>) -> Wrong {
    let mut wrong = Wrong::default();
    // The oldest value each key may still show: values only rise, and a deleted one never comes back.
    let mut floor: BTreeMap<(usize, Kv, u64), u64> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let (session, kv, key) =
            (random.usize(..SESSIONS), random.choice([Kv::One, Kv::Two]).unwrap(), random.u64(..KEYS));
        let answer = client.get(&path(session, (kv, key))).await;
        let seen = answer.map_err(|e| e.to_string()).and_then(|answer| found(kv, &answer));
        let oldest = floor.entry((session, kv, key)).or_default();
        match seen {
            Ok(Some(value)) if value < *oldest => wrong.backwards += 1,
            Ok(Some(value)) => *oldest = value,
            Ok(None) if *oldest > 0 && oldest.is_multiple_of(2) => *oldest += 1,
            Ok(None) => {}
            Err(error) => {
                println!("reader: {error}");
                wrong.errors += 1;
            }
        }
        tokio::time::sleep(READ_PAUSE).await;
    }
    wrong
}

/// Known everywhere before it is used: this test is about secrets, not about new tokens.
async fn session_token(cluster: &RealCluster) -> String {
    let active = cluster.active().await.unwrap();
    let made = cluster
        .ask(active, Method::POST, "/v1/auth/token/create", Some(&json!({"policies": ["root"]})))
        .await;
    made.unwrap().json()["auth"]["client_token"].as_str().unwrap().to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kv {
    One,
    Two,
}

struct Session {
    number: usize,
    client: Client,
    random: fastrand::Rng,
    /// What each key must read as now; `None` is deleted.
    truth: BTreeMap<(Kv, u64), Option<u64>>,
    counter: u64,
    wrong: Wrong,
}

impl Session {
    fn new(number: usize, client: Client, random: fastrand::Rng) -> Self {
        Self { number, client, random, truth: BTreeMap::new(), counter: 0, wrong: Wrong::default() }
    }

    async fn run(mut self, pairs: usize) -> Self {
        for _ in 0..pairs {
            let key = (if self.random.bool() { Kv::One } else { Kv::Two }, self.random.u64(..KEYS));
            let exists = self.truth.get(&key).is_some_and(Option::is_some);
            if exists && self.random.u8(..3) == 0 {
                self.delete(key).await
            } else {
                self.write(key).await
            }
            self.read(key).await;
            for _ in 0..FURTHER_READS {
                let other = *self.random.choice(self.truth.keys()).unwrap();
                self.read(other).await;
            }
        }
        self
    }

    async fn write(&mut self, key: (Kv, u64)) {
        // Even values: a reader that has seen one deleted waits for more than the odd number above it.
        self.counter += 2;
        let value = self.counter;
        let body = match key.0 {
            Kv::One => json!({"n": value}),
            Kv::Two => json!({"data": {"n": value}}),
        };
        let answer = self.client.post(&path(self.number, key), &body).await;
        self.acknowledged(answer.map_err(|e| e.to_string()), key, Some(value));
    }

    async fn delete(&mut self, key: (Kv, u64)) {
        let answer = self.client.delete(&path(self.number, key)).await;
        self.acknowledged(answer.map_err(|e| e.to_string()), key, None);
    }

    fn acknowledged(&mut self, answer: Result<Answer, String>, key: (Kv, u64), value: Option<u64>) {
        match answer {
            Ok(answer) if answer.status.is_success() => {
                self.truth.insert(key, value);
            }
            other => {
                self.wrong.errors += 1;
                println!("write {key:?}: {other:?}");
                // Whether it happened is open: nothing is expected of this key any more.
                self.truth.remove(&key);
            }
        }
    }

    async fn read(&mut self, key: (Kv, u64)) {
        let Some(expected) = self.truth.get(&key).copied() else { return };
        let answer = self.client.get(&path(self.number, key)).await;
        let found = match answer.map_err(|e| e.to_string()).and_then(|answer| found(key.0, &answer)) {
            Ok(found) => found,
            Err(error) => {
                println!("read {key:?}: {error}");
                self.wrong.errors += 1;
                return;
            }
        };
        match (expected, found) {
            (Some(_), None) => self.wrong.false_404 += 1,
            (None, Some(_)) => self.wrong.undead += 1,
            (Some(expected), Some(found)) if found != expected => self.wrong.stale += 1,
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// What the cluster itself holds in the end.
    async fn audit(&mut self, at_active: &mut Client) {
        for (key, expected) in &self.truth {
            let answer = at_active.get(&path(self.number, *key)).await.unwrap();
            match (expected, found(key.0, &answer).unwrap()) {
                (None, Some(_)) => self.wrong.lost_deletes += 1,
                (Some(expected), found) if found != Some(*expected) => self.wrong.lost_writes += 1,
                (Some(_), _) | (None, None) => {}
            }
        }
    }
}

fn path(session: usize, (kv, key): (Kv, u64)) -> String {
    match kv {
        Kv::One => format!("/v1/one/s{session}/k{key}"),
        Kv::Two => format!("/v1/two/data/s{session}/k{key}"),
    }
}

fn found(kv: Kv, answer: &Answer) -> Result<Option<u64>, String> {
    let json = answer.json();
    let value: &Value = match kv {
        Kv::One => &json["data"]["n"],
        Kv::Two => &json["data"]["data"]["n"],
    };
    match answer.status.as_u16() {
        200 => value.as_u64().map(Some).ok_or_else(|| json.to_string()),
        404 => Ok(None),
        other => Err(format!("{other} {json}")),
    }
}

/// What people run today: a health check that accepts standbys, round robin over all nodes.
async fn haproxy(cluster: &RealCluster) -> Option<(Child, tempfile::TempDir, SocketAddr)> {
    let scratch = tempfile::tempdir().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], plan::free_ports(1).unwrap()[0]));
    let servers: String = cluster
        .nodes()
        .iter()
        .map(|node| format!("  server {} {} check inter 1s\n", node.id(), node.api()))
        .collect();
    let text = format!(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n\
         frontend f\n  bind {address}\n  default_backend b\n\
         backend b\n  balance roundrobin\n  option httpchk GET /v1/sys/health\n  http-check expect status 200,429\n{servers}"
    );
    let file = scratch.path().join("haproxy.cfg");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("haproxy");
    command
        .arg("-f")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let child = command.spawn().ok()?;
    until("haproxy answers", async || {
        let answer = Client::new(address).get("/v1/sys/seal-status").await;
        answer.is_ok_and(|answer| answer.status == 200)
    })
    .await;
    Some((child, scratch, address))
}
