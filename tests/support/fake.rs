//! A scripted cluster that looks like OpenBao to a prober: health, leader, capability probe; and counts who was asked.
//! For what a real cluster cannot be made to do. Built from the facts measured on OpenBao 2.7.2.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;

use super::backend::{Backend, Body, Reply, full};
use super::proxy::ProxySpec;

pub const CLUSTER_ID: &str = "5eed0000-0000-4000-8000-000000000001";

/// What every node of the fake knows.
pub struct World {
    /// Which node is active.
    pub active: AtomicUsize,
    /// The raft index all nodes have applied.
    pub index: AtomicU64,
    addresses: Vec<String>,
}

/// One node's view while it answers.
pub struct Here {
    pub at: usize,
    pub world: Arc<World>,
}

impl Here {
    pub fn is_active(&self) -> bool {
        self.world.active.load(Ordering::SeqCst) == self.at
    }

    pub fn leader_address(&self) -> &str {
        &self.world.addresses[self.world.active.load(Ordering::SeqCst)]
    }

    /// A successful answer worked by node `by`, with its id and index as OpenBao sends them.
    pub fn ok_by(&self, by: usize, body: Body) -> Reply {
        let index =
            json!({"cluster": CLUSTER_ID, "value": self.world.index.load(Ordering::SeqCst).to_string()});
        Response::builder()
            .header("content-type", "application/json")
            .header("x-vault-raft-node-id", format!("n{}", by + 1))
            .header("x-vault-index", STANDARD.encode(index.to_string()))
            .body(body)
            .unwrap()
    }

    pub fn ok(&self) -> Reply {
        self.ok_by(self.at, full(r#"{"request_id":"","data":{"value":"x"}}"#))
    }

    /// As when a standby forwards: worked by the active node, relayed by this one.
    pub fn forwarded(&self) -> Reply {
        self.ok_by(self.world.active.load(Ordering::SeqCst), full(r#"{"data":{}}"#))
    }

    fn system(&self, path: &str) -> Option<Reply> {
        let active = self.world.active.load(Ordering::SeqCst);
        let index = self.world.index.load(Ordering::SeqCst);
        let body = match path {
            "/v1/sys/health" => json!({
                "initialized": true, "sealed": false, "standby": !self.is_active(), "version": "2.7.2",
                "replication_performance_mode": "primary", "replication_dr_mode": "disabled",
                "server_time_utc": 1_795_374_528, "cluster_name": "fake", "cluster_id": CLUSTER_ID,
            }),
            "/v1/sys/leader" => json!({
                "ha_enabled": true, "is_self": self.is_active(), "active_time": "2026-11-22T19:08:05.5Z",
                "leader_address": format!("http://{}", self.world.addresses[active]),
                "leader_cluster_address": "https://127.0.0.1:1",
                "raft_committed_index": index, "raft_applied_index": index,
            }),
            "/v1/sys/internal/ui/mounts" => json!({"data": {"auth": {}, "secret": {}}}),
            _ => return None,
        };
        let head = Response::builder().header("x-vault-raft-node-id", format!("n{}", self.at + 1));
        Some(head.header("content-type", "application/json").body(full(body.to_string())).unwrap())
    }
}

/// Three nodes, n1 active; `handle` answers everything that is not probing.
pub struct FakeCluster {
    pub nodes: Vec<Backend>,
    pub world: Arc<World>,
}

impl FakeCluster {
    pub async fn start<F>(handle: impl Fn(Here, Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let mut listeners = Vec::new();
        for _ in 0..3 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let addresses = listeners.iter().map(|l| l.local_addr().unwrap().to_string()).collect();
        let world = Arc::new(World { active: AtomicUsize::new(0), index: AtomicU64::new(100), addresses });
        let handle = Arc::new(handle);
        let node = |(at, listener)| {
            let (world, handle) = (Arc::clone(&world), Arc::clone(&handle));
            Backend::on(listener, move |request: Request<Incoming>| {
                let here = Here { at, world: Arc::clone(&world) };
                let handle = Arc::clone(&handle);
                async move {
                    match here.system(request.uri().path()) {
                        Some(reply) => reply,
                        None => handle(here, request).await,
                    }
                }
            })
        };
        let nodes = listeners.into_iter().enumerate().map(node).collect();
        Self { nodes, world }
    }

    pub fn proxy(&self) -> ProxySpec {
        let servers = self.nodes.iter().enumerate().map(|(at, node)| (format!("n{}", at + 1), node.address));
        ProxySpec { servers: servers.collect(), ..ProxySpec::default() }
    }

    /// Requests below `prefix` that reached each node.
    pub fn counts(&self, prefix: &str) -> Vec<usize> {
        self.nodes.iter().map(|node| node.received(prefix).len()).collect()
    }
}
