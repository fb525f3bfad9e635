//! The cluster owner in front of a real cluster: roles, eligibility and the index chase as they really happen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use understudy::api::mount::MountType;
use understudy::clock::Clock;
use understudy::config::proxy::ProxyConfig;
use understudy::proxy::cluster::{ClusterHandle, spawn};
use understudy::proxy::metrics::Metrics;
use understudy::proxy::observation::Observation;
use understudy::proxy::snapshot::{Dialect, Role, Snapshot};

use crate::support::cluster::RealCluster;

/// The owner in front of these servers, with quick probes.
fn watch(cluster: &RealCluster, extra: &str) -> (ClusterHandle, Metrics) {
    let servers: Vec<_> = cluster.nodes().iter().map(|node| format!("\"http://{}\"", node.api())).collect();
    let text = format!(
        "version: 1\nlisteners: [{{bind: \"127.0.0.1:1\"}}]\ncluster:\n  servers: [{}]\n  health_check: {{interval: 200ms, \
         fast_interval: 50ms, timeout: 500ms}}\n{extra}",
        servers.join(", ")
    );
    let loaded = understudy::config::load::parse(&text, "test.yaml");
    let config: ProxyConfig = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.findings));
    let metrics = Metrics::default();
    let handle =
        spawn(Arc::new(config), Clock::starting_at(Instant::now()), metrics.cluster()).expect("no TLS here");
    (handle, metrics)
}

/// Waits for a published snapshot that fits; says how long it took.
async fn until(handle: &ClusterHandle, what: &str, fits: impl Fn(&Snapshot) -> bool) -> Duration {
    let begin = Instant::now();
    let mut changed = handle.changed.clone();
    let wait = async {
        while !fits(&handle.snapshot.load()) {
            changed.changed().await.expect("the owner lives");
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), wait).await.is_err() {
        panic!("never: {what}; {:#?}", handle.status().await);
    }
    println!("{what}: {:?}", begin.elapsed());
    begin.elapsed()
}

fn whole(snapshot: &Snapshot) -> bool {
    snapshot.active.is_some() && snapshot.servers.iter().all(|server| server.reads)
}

fn readers(snapshot: &Snapshot) -> usize {
    snapshot.servers.iter().filter(|server| server.reads && Some(server.id) != snapshot.active).count()
}

#[tokio::test]
async fn roles_follow_a_real_cluster() {
    let mut cluster = RealCluster::start(3).await;
    let (handle, _metrics) = watch(&cluster, "");
    let took = until(&handle, "three read servers, one active", whole).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let snapshot = handle.snapshot.load_full();
    let first = snapshot.active.unwrap().index();
    assert_eq!(Some(first), cluster.active().await);
    for server in &snapshot.servers {
        assert_eq!(server.dialect, Dialect::OpenBao, "{server:?}");
        assert!(server.live.applied_index() > 0);
        let expected = if server.id.index() == first { Role::Active } else { Role::Standby };
        assert_eq!(server.role, expected);
    }
    assert!(snapshot.cluster_id.is_some() && snapshot.cluster_name.is_some());

    cluster.step_down().await.unwrap();
    until(&handle, "another active after step-down", |snapshot| {
        snapshot.active.is_some_and(|id| id.index() != first)
    })
    .await;
    until(&handle, "whole again", whole).await;

    let second = handle.snapshot.load().active.unwrap();
    cluster.kill(second.index()).await.unwrap();
    handle.observe.try_send(Observation::LeaderWanted).unwrap();
    until(&handle, "the dead active is not active", |snapshot| snapshot.active != Some(second)).await;
    until(&handle, "a new active", |snapshot| snapshot.active.is_some_and(|id| id != second)).await;
    until(&handle, "its one standby reads", |snapshot| readers(snapshot) == 1).await;
    cluster.restart(second.index()).await.unwrap();
    until(&handle, "whole after the restart", whole).await;

    let third = handle.snapshot.load().active.unwrap();
    let standby = (0..3).find(|at| *at != third.index()).unwrap();
    cluster.pause(standby).unwrap();
    until(&handle, "a stopped standby loses its reads", |snapshot| !snapshot.servers[standby].reads).await;
    assert_eq!(handle.snapshot.load().active, Some(third));
    cluster.resume(standby).unwrap();
    until(&handle, "and gets them back", whole).await;
}

#[tokio::test]
async fn mounts_are_read_with_a_token() {
    let cluster = RealCluster::start(3).await;
    let scratch = tempfile::tempdir().unwrap();
    let token_file = scratch.path().join("token");
    std::fs::write(&token_file, format!("{}\n", cluster.root_token())).unwrap();
    let mount = json!({"type": "kv", "options": {"version": "2"}});
    cluster.ask(0, Method::POST, "/v1/sys/mounts/team", Some(&mount)).await.unwrap();
    let extra = format!(
        "routing:\n  mount_discovery: {{token_file: {}, interval: 2s, types: {{\"own/\": database}}}}\n",
        token_file.display()
    );
    let (handle, _metrics) = watch(&cluster, &extra);
    let own = |snapshot: &Snapshot| snapshot.mounts.lookup("", "own/creds/x").map(|found| found.1);
    assert_eq!(own(&handle.snapshot.load()), Some(MountType::Dynamic), "known before anything is asked");
    until(&handle, "the mount list", |snapshot| {
        snapshot.mounts.lookup("", "team/data/x").map(|found| found.1) == Some(MountType::Kv2)
    })
    .await;
    assert_eq!(own(&handle.snapshot.load()), Some(MountType::Dynamic));
}

/// vault-semantics §0 fact 7: a standby without quorum goes on answering reads as if nothing had happened.
#[tokio::test]
async fn a_standby_cut_off_from_quorum_gets_no_reads_after_the_gate() {
    let mut cluster = RealCluster::start(3).await;
    let (handle, _metrics) =
        watch(&cluster, "  failover: {read_without_leader: true, read_without_leader_for: 2s}\n");
    until(&handle, "whole", whole).await;
    let active = handle.snapshot.load().active.unwrap().index();
    let other = (0..3).find(|at| *at != active).unwrap();
    let left = (0..3).find(|at| *at != active && *at != other).unwrap();
    cluster.kill(active).await.unwrap();
    cluster.kill(other).await.unwrap();
    until(&handle, "grace begins", |snapshot| snapshot.servers[left].reads_reason == "no_leader_grace").await;
    let grace = until(&handle, "grace is over", |snapshot| !snapshot.servers[left].reads).await;
    assert!(grace < Duration::from_secs(4), "{grace:?}");
    assert_eq!(handle.snapshot.load().servers[left].reads_reason, "no_leader");
    // It still answers and still names the dead leader: only the gate stands between it and clients.
    assert_eq!(handle.snapshot.load().servers[left].role, Role::Standby);
}

#[tokio::test]
async fn a_wanted_index_is_chased_and_its_time_measured() {
    let cluster = RealCluster::start(3).await;
    let (handle, _metrics) = watch(&cluster, "");
    until(&handle, "whole", whole).await;
    let active = handle.snapshot.load().active.unwrap();
    let mut times = Vec::new();
    for round in 0..12 {
        let policy = json!({"policy": format!("path \"secret/{round}\" {{ capabilities = [\"read\"] }}")});
        cluster.ask(active.index(), Method::PUT, "/v1/sys/policies/acl/chased", Some(&policy)).await.unwrap();
        let leader = cluster.ask(active.index(), Method::GET, "/v1/sys/leader", None).await.unwrap().json();
        let index = leader["raft_committed_index"].as_u64().unwrap();
        handle.observe.try_send(Observation::IndexWanted { index }).unwrap();
        let begin = Instant::now();
        while !handle
            .snapshot
            .load()
            .servers
            .iter()
            .all(|s| s.id == active || s.live.applied_index() >= index)
        {
            assert!(begin.elapsed() < Duration::from_secs(5), "{:#?}", handle.status().await);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(begin.elapsed().as_millis());
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    println!("all standbys were seen to have it after {times:?} ms");
    until(&handle, "a measured time and a caught-up moment", |snapshot| {
        snapshot.servers.iter().all(|s| s.id == active || (s.catch_up_us > 0 && s.caught_up_to_ms > 0))
    })
    .await;
    for server in &handle.snapshot.load().servers {
        println!("{}: {} us, up to {} ms", server.name, server.catch_up_us, server.caught_up_to_ms);
    }
}
