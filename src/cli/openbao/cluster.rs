//! All nodes together: started, initialised, joined, unsealed, waited for; and broken on purpose by tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::OpenBaoError;
use super::call::{Answer, CallError, call};
use super::node::Node;
use super::plan::{Keys, Plan};
use super::watchdog::Watchdog;

/// How long any single step of a start may take on a busy two-core machine.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// A node answers for its health in a millisecond; a paused one never does.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);
/// Pause between two looks at something that is still becoming true.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct ClusterSpec {
    /// The server program (see [`super::binary::find_or_install`]).
    pub binary: PathBuf,
    /// Keys, configurations, logs and raft data; made if missing, reused if a cluster lies there.
    pub data: PathBuf,
    /// `None`: as many as lie in `data`, three in a new one.
    pub nodes: Option<usize>,
    /// `data` is scratch: it is removed when this process ends, however it ends.
    pub throw_away: bool,
    /// Further top-level settings of node n1, n2, …; missing ones get none.
    pub extra: Vec<Map<String, Value>>,
}

/// A running cluster. Dropping it kills the nodes; [`Cluster::stop`] lets them finish.
pub struct Cluster {
    nodes: Vec<Node>,
    keys: Keys,
    binary: PathBuf,
    data: PathBuf,
    throw_away: bool,
    // After `nodes`: they are killed before it is told that all is over.
    watchdog: Watchdog,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("nodes", &self.nodes)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts every node and returns when one is active, all are raft voters and all answer reads.
    ///
    /// # Errors
    /// What could not be read, written, started or reached, with the node and its log.
    pub async fn start(spec: ClusterSpec) -> Result<Self, OpenBaoError> {
        let mut plan = Plan::open(&spec.data, spec.nodes)?;
        let helper = |source| OpenBaoError::Spawn { program: "sh (the watchdog)".to_owned(), source };
        let mut watchdog = Watchdog::start().map_err(helper)?;
        if spec.throw_away {
            watchdog.remove_afterwards(&spec.data).map_err(helper)?;
        }
        let mut nodes = Vec::with_capacity(plan.nodes.len());
        for (at, place) in plan.nodes.iter().enumerate() {
            let extra = spec.extra.get(at).cloned().unwrap_or_default();
            let mut node = Node::prepare(&spec.data, place.clone(), &extra)?;
            node.spawn(&spec.binary)?;
            watch(&mut watchdog, &node)?;
            nodes.push(node);
        }
        let keys = initialise(&mut nodes, &mut plan, &spec.data).await?;
        let (binary, data, throw_away) = (spec.binary, spec.data, spec.throw_away);
        let mut cluster = Self { nodes, keys, binary, data, throw_away, watchdog };
        cluster.join_and_unseal().await?;
        cluster.wait_until_whole().await?;
        Ok(cluster)
    }

    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.keys.root_token
    }

    #[must_use]
    pub fn unseal_keys(&self) -> &[Zeroizing<String>] {
        &self.keys.unseal_keys
    }

    /// Asks node `at` with the root token.
    ///
    /// # Errors
    /// No answer.
    pub async fn ask(
        &self,
        at: usize,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, CallError> {
        call(self.nodes[at].api(), method, path, Some(self.root_token()), body).await
    }

    /// The node that says it is the active one.
    pub async fn active(&self) -> Option<usize> {
        for (at, node) in self.nodes.iter().enumerate() {
            if node.pid().is_some() && role_of(node).await == Role::Active {
                return Some(at);
            }
        }
        None
    }

    /// Waits for an active node.
    ///
    /// # Errors
    /// None within a minute, or a node that ended by itself.
    pub async fn wait_for_active(&mut self) -> Result<usize, OpenBaoError> {
        let deadline = Instant::now() + STEP_LIMIT;
        loop {
            if let Some(at) = self.active().await {
                return Ok(at);
            }
            pause(&mut self.nodes, 0, deadline, "no node became active in a minute").await?;
        }
    }

    /// Waits until every running node is unsealed, a voter, and answers reads.
    ///
    /// # Errors
    /// Not within a minute, or a node that ended by itself.
    pub async fn wait_until_whole(&mut self) -> Result<(), OpenBaoError> {
        let deadline = Instant::now() + STEP_LIMIT;
        let active = self.wait_for_active().await?;
        while !self.all_vote(active).await {
            pause(&mut self.nodes, active, deadline, "not every node became a raft voter in a minute")
                .await?;
        }
        for at in 0..self.nodes.len() {
            while self.nodes[at].pid().is_some() && !serves_reads(&self.nodes[at]).await {
                pause(&mut self.nodes, at, deadline, "it did not answer a read in a minute").await?;
            }
        }
        Ok(())
    }

    async fn all_vote(&self, active: usize) -> bool {
        let answer = self.ask(active, Method::GET, "/v1/sys/storage/raft/configuration", None).await;
        let Ok(answer) = answer else { return false };
        let json = answer.json();
        let servers = json["data"]["config"]["servers"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        servers.iter().filter(|server| server["voter"] == true).count() == self.nodes.len()
    }

    async fn join_and_unseal(&mut self) -> Result<(), OpenBaoError> {
        self.unseal(0).await?;
        for at in 1..self.nodes.len() {
            let status = reached(&mut self.nodes, at).await?;
            if status["initialized"] != true {
                let active = self.wait_for_active().await?;
                self.promote_soon(active).await?;
                self.join(at, active).await?;
            }
            self.unseal(at).await?;
        }
        Ok(())
    }

    /// A joined node is promoted to voter once it was healthy this long; the default is ten seconds.
    async fn promote_soon(&self, active: usize) -> Result<(), OpenBaoError> {
        let settings = json!({"server_stabilization_time": "500ms"});
        let path = "/v1/sys/storage/raft/autopilot/configuration";
        let answer = self.ask(active, Method::POST, path, Some(&settings)).await;
        self.expect(active, "autopilot refused its settings", answer).map(drop)
    }

    /// By request rather than by `retry_join`, which tries every two seconds only.
    async fn join(&self, at: usize, active: usize) -> Result<(), OpenBaoError> {
        let leader = json!({"leader_api_addr": format!("http://{}", self.nodes[active].api())});
        let answer = self.ask(at, Method::PUT, "/v1/sys/storage/raft/join", Some(&leader)).await;
        self.expect(at, "it could not join the cluster", answer).map(drop)
    }

    /// Each key goes in once: a node that has just joined takes it, stays sealed until the leader has answered, and
    /// chokes on a second one in between.
    async fn unseal(&mut self, at: usize) -> Result<(), OpenBaoError> {
        let deadline = Instant::now() + STEP_LIMIT;
        if reached(&mut self.nodes, at).await?["sealed"] == false {
            return Ok(());
        }
        for key in &self.keys.unseal_keys {
            let body = json!({"key": key.as_str()});
            let answer = self.ask(at, Method::PUT, "/v1/sys/unseal", Some(&body)).await;
            self.expect(at, "it refused its unseal key", answer)?;
        }
        while reached(&mut self.nodes, at).await?["sealed"] != false {
            pause(&mut self.nodes, at, deadline, "it stayed sealed for a minute").await?;
        }
        Ok(())
    }

    fn expect(
        &self,
        at: usize,
        what: &str,
        answer: Result<Answer, CallError>,
    ) -> Result<Answer, OpenBaoError> {
        let answer = answer.map_err(|error| self.nodes[at].trouble(&format!("{what}: {error}")))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let errors = answer.json()["errors"].to_string();
        Err(self.nodes[at].trouble(&format!("{what}: {} {errors}", answer.status)))
    }

    /// Ends every node, the active one last so that no leadership moves on the way.
    ///
    /// # Errors
    /// A process that could not be signalled or waited for.
    pub async fn stop(&mut self) -> Result<(), OpenBaoError> {
        let active = self.active().await;
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|at| Some(*at) == active);
        for at in order {
            let ended = self.nodes[at].stop().await;
            self.forget(at, ended)?;
        }
        if self.throw_away {
            let gone = std::fs::remove_dir_all(&self.data);
            gone.map_err(|source| OpenBaoError::File {
                what: "cannot remove",
                path: self.data.clone(),
                source,
            })?;
        }
        Ok(())
    }

    fn forget(&mut self, at: usize, ended: std::io::Result<Option<u32>>) -> Result<(), OpenBaoError> {
        let pid = ended.map_err(|error| self.nodes[at].trouble(&format!("cannot stop it: {error}")))?;
        let told = pid.map_or(Ok(()), |pid| self.watchdog.forget(pid));
        told.map_err(|source| OpenBaoError::Spawn { program: "sh (the watchdog)".to_owned(), source })
    }
}

/// Accidents, for tests.
impl Cluster {
    /// `kill -9`.
    ///
    /// # Errors
    /// The process could not be killed.
    pub async fn kill(&mut self, at: usize) -> Result<(), OpenBaoError> {
        let ended = self.nodes[at].kill().await;
        self.forget(at, ended)
    }

    /// Starts a node again that was killed or stopped, and unseals it; it may not serve yet.
    ///
    /// # Errors
    /// It did not start or stayed sealed.
    pub async fn restart(&mut self, at: usize) -> Result<(), OpenBaoError> {
        self.nodes[at].spawn(&self.binary)?;
        watch(&mut self.watchdog, &self.nodes[at])?;
        self.unseal(at).await
    }

    /// SIGSTOP: connections stay open, nothing is answered.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub fn pause(&self, at: usize) -> Result<(), OpenBaoError> {
        self.send(at, Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub fn resume(&self, at: usize) -> Result<(), OpenBaoError> {
        self.send(at, Signal::CONT)
    }

    fn send(&self, at: usize, signal: Signal) -> Result<(), OpenBaoError> {
        let sent = self.nodes[at].signal(signal);
        sent.map_err(|error| self.nodes[at].trouble(&format!("cannot signal it: {error}")))
    }

    /// A planned leadership change; returns as soon as the active node has agreed.
    ///
    /// # Errors
    /// There is no active node or it refused.
    pub async fn step_down(&mut self) -> Result<(), OpenBaoError> {
        let active = self.wait_for_active().await?;
        let answer = self.ask(active, Method::PUT, "/v1/sys/step-down", None).await;
        self.expect(active, "it would not step down", answer).map(drop)
    }
}

fn watch(watchdog: &mut Watchdog, node: &Node) -> Result<(), OpenBaoError> {
    let told = node.pid().map_or(Ok(()), |pid| watchdog.watch(pid));
    told.map_err(|source| OpenBaoError::Spawn { program: "sh (the watchdog)".to_owned(), source })
}

/// The keys: kept ones, or those of a first initialisation, which are on disk before anything is done with them.
async fn initialise(nodes: &mut [Node], plan: &mut Plan, data: &Path) -> Result<Keys, OpenBaoError> {
    let status = reached(nodes, 0).await?;
    if let Some(keys) = &plan.keys {
        return Ok(keys.clone());
    }
    if status["initialized"] == true {
        return Err(nodes[0]
            .trouble("it is initialised, but its keys were never written down: use another directory"));
    }
    let asked = json!({"secret_shares": 1, "secret_threshold": 1});
    let answer = call(nodes[0].api(), Method::PUT, "/v1/sys/init", None, Some(&asked)).await;
    let json = answer.map_err(|error| nodes[0].trouble(&error.to_string()))?.json();
    let keys = read_keys(&json).ok_or_else(|| nodes[0].trouble("it could not be initialised"))?;
    plan.keys = Some(keys.clone());
    plan.save(data)?;
    Ok(keys)
}

fn read_keys(json: &Value) -> Option<Keys> {
    let root_token = json["root_token"].as_str()?.to_owned().into();
    let texts = json["keys_base64"].as_array()?.iter().filter_map(Value::as_str);
    Some(Keys { root_token, unseal_keys: texts.map(|key| key.to_owned().into()).collect() })
}

/// The node's seal status once it answers at all.
async fn reached(nodes: &mut [Node], at: usize) -> Result<Value, OpenBaoError> {
    let deadline = Instant::now() + STEP_LIMIT;
    loop {
        let answer = call(nodes[at].api(), Method::GET, "/v1/sys/seal-status", None, None).await;
        match answer.map(|a| (a.status, a.json())) {
            Ok((StatusCode::OK, status)) => return Ok(status),
            Ok(_) | Err(_) => pause(nodes, at, deadline, "it did not answer in a minute").await?,
        }
    }
}

/// Waits a moment before the next look; an error about node `at` when the deadline has passed, or about any that ended.
async fn pause(nodes: &mut [Node], at: usize, deadline: Instant, late: &str) -> Result<(), OpenBaoError> {
    for node in &mut *nodes {
        node.check_running()?;
    }
    if Instant::now() >= deadline {
        return Err(nodes[at].trouble(late));
    }
    tokio::time::sleep(LOOK_AGAIN).await;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Active,
    Other,
}

async fn role_of(node: &Node) -> Role {
    let health = call(node.api(), Method::GET, "/v1/sys/health", None, None);
    match tokio::time::timeout(HEALTH_LIMIT, health).await {
        Ok(Ok(answer)) if answer.status == StatusCode::OK => Role::Active,
        Ok(_) | Err(_) => Role::Other,
    }
}

/// It works a request that touches its storage; unsealed but joining nodes answer 503.
async fn serves_reads(node: &Node) -> bool {
    let answer = call(node.api(), Method::GET, "/v1/sys/internal/ui/mounts", None, None).await;
    answer.is_ok_and(|a| a.status == StatusCode::OK)
}
