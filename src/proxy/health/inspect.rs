//! `check --probe`: looks at one server step by step and says what it found, for people. It stops at the first step
//! that makes the next ones pointless. Nothing here is used for routing.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::proxy::{Cluster, Server};

use super::answer::{Capability, NodeFacts};
use super::{CheckResult, ProbeConnection, ProbeError, ProbeReport, UpstreamIdentity};
use crate::proxy::cluster::state::role_word;
use crate::proxy::snapshot::{Dialect, Role};

/// What was found at one server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerReport {
    pub server: String,
    pub steps: Vec<Step>,
    /// For comparing the servers with each other.
    pub cluster_id: Option<String>,
    pub role: Option<&'static str>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// `resolve`, `connect`, `tls`, `health`, `leader`, `capability`, `index` or `node_id`.
    pub name: &'static str,
    pub level: Level,
    pub message: String,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// Works, but something is lost by it; the message says what to do.
    Note,
    Warning,
    Error,
}

/// Probes one server. Bounded by the connect and health timeouts of the configuration.
pub async fn inspect(
    server: &Server,
    cluster: &Cluster,
    identity: Option<&UpstreamIdentity>,
) -> ServerReport {
    let mut report =
        ServerReport { server: server.name.clone(), steps: Vec::new(), cluster_id: None, role: None };
    if !resolve(server, cluster.connections.connect_timeout, &mut report).await {
        return report;
    }
    let timeout = cluster.health_check.timeout;
    let mut connection =
        ProbeConnection::new(&server.address, identity, cluster.connections.connect_timeout, timeout);
    if let Some(facts) = health(&mut connection, cluster, server, &mut report).await {
        report.cluster_id = facts.cluster_id.as_deref().map(str::to_owned);
        report.role = Some(role_word(facts.role));
        if matches!(facts.role, Role::Active | Role::Standby | Role::PerfStandby) {
            capability(&mut connection, facts.role, &mut report).await;
        }
    }
    report
}

async fn resolve(server: &Server, timeout: Duration, report: &mut ServerReport) -> bool {
    let address = &server.address;
    let lookup = tokio::net::lookup_host((address.host.as_str(), address.port));
    match tokio::time::timeout(timeout, lookup).await {
        Ok(Ok(found)) => {
            let addresses: Vec<String> = found.map(|address| address.ip().to_string()).collect();
            report.say("resolve", Level::Ok, format!("{} is {}", address.host, addresses.join(", ")));
            true
        }
        Ok(Err(error)) => {
            report.say("resolve", Level::Error, format!("`{}` does not resolve: {error}", address.host));
            false
        }
        Err(_) => {
            report.say("resolve", Level::Error, format!("`{}`: no answer from the resolver", address.host));
            false
        }
    }
}

async fn health(
    connection: &mut ProbeConnection,
    cluster: &Cluster,
    server: &Server,
    report: &mut ServerReport,
) -> Option<NodeFacts> {
    let started = Instant::now();
    let (health, _) = match super::ask_health(connection, &cluster.health_check.path).await {
        Ok(answer) => answer,
        Err(error) => {
            report.fail(&error);
            return None;
        }
    };
    report.say("connect", Level::Ok, "connected".to_owned());
    if server.address.tls {
        report.say("tls", Level::Ok, "the certificate is good for this name".to_owned());
    }
    let leader = super::ask_leader(connection).await;
    let facts = NodeFacts::new(&health, leader.as_ref().ok().map(|(leader, _)| leader));
    let version = facts.version.as_deref().unwrap_or("of unknown version").to_owned();
    let message =
        format!("{} {version}, {:.1} ms", role_word(facts.role), started.elapsed().as_secs_f64() * 1e3);
    report.say("health", health_level(facts.role), message);
    match leader {
        Ok(_) => report.leader(&facts),
        Err(error) => {
            report.say("leader", Level::Warning, format!("sys/leader: {error}; lag cannot be seen"))
        }
    }
    Some(facts)
}

fn health_level(role: Role) -> Level {
    match role {
        Role::Active | Role::Standby | Role::PerfStandby => Level::Ok,
        Role::DrSecondary | Role::Unhealthy | Role::Removed => Level::Warning,
        Role::Sealed | Role::Uninitialized | Role::Foreign | Role::Unreachable | Role::Unknown => {
            Level::Error
        }
    }
}

async fn capability(connection: &mut ProbeConnection, role: Role, report: &mut ServerReport) {
    let mut probe = empty_report();
    match super::ask_capability(connection, &mut probe).await {
        Err(error) => {
            report.say("capability", Level::Warning, format!("the capability probe failed: {error}"))
        }
        Ok(verdict) => {
            report.capability(verdict, role);
            report.index(probe.dialect, role, verdict);
            report.node_id(&probe);
        }
    }
}

fn empty_report() -> ProbeReport {
    let now = Instant::now();
    ProbeReport {
        began: now,
        ended: now,
        result: CheckResult::Ok,
        facts: None,
        capability: None,
        dialect: None,
        node_id: None,
        hostname: None,
        reconnected: false,
        live_before: 0,
    }
}

// === impl ServerReport ===

impl ServerReport {
    /// The worst step.
    #[must_use]
    pub fn worst(&self) -> Level {
        let rank = |level: &Level| *level as u8;
        self.steps.iter().map(|step| step.level).max_by_key(rank).unwrap_or(Level::Ok)
    }

    fn say(&mut self, name: &'static str, level: Level, message: String) {
        self.steps.push(Step { name, level, message });
    }

    fn fail(&mut self, error: &ProbeError) {
        let step = match super::check_result(error) {
            CheckResult::Tls => "tls",
            CheckResult::Connect | CheckResult::Timeout => "connect",
            CheckResult::BadStatus | CheckResult::Parse | CheckResult::Ok => "health",
        };
        self.say(step, Level::Error, error.to_string());
    }

    fn leader(&mut self, facts: &NodeFacts) {
        let Some(leader) = &facts.leader else { return };
        if !leader.ha_enabled {
            self.say(
                "leader",
                Level::Note,
                "no high availability: this server is always the active one".to_owned(),
            );
        } else if leader.leader_address.is_empty() && !leader.is_self {
            self.say("leader", Level::Warning, "it knows no leader now".to_owned());
        } else {
            let index = leader.applied.map_or_else(String::new, |index| format!(", applied index {index}"));
            self.say("leader", Level::Ok, format!("leader is {}{index}", leader.leader_address));
        }
    }

    fn capability(&mut self, verdict: Capability, role: Role) {
        let (level, message) = match (verdict, role) {
            (_, Role::Active) => return,
            (Capability::Yes, _) => (Level::Ok, "answers reads itself: reads will be served there"),
            (Capability::No, _) => (
                Level::Note,
                "forwards everything: it gets no reads (standby reads are off, or not in this product)",
            ),
            (Capability::Unknown, _) => {
                (Level::Warning, "a quota stopped the capability probe; exempt the proxy")
            }
        };
        self.say("capability", level, message.to_owned());
    }

    fn index(&mut self, dialect: Option<Dialect>, role: Role, verdict: Capability) {
        if verdict != Capability::Yes && role != Role::Active {
            return;
        }
        let (level, message) = match dialect {
            Some(Dialect::OpenBao) => (Level::Ok, "sends an index header (OpenBao's form)"),
            Some(Dialect::Vault) => (Level::Ok, "sends an index header (Vault's form)"),
            Some(Dialect::None) | None => (
                Level::Note,
                "sends no index header on reads: consistency is kept by time and polled indexes, and costs more reads at the active",
            ),
        };
        self.say("index", level, message.to_owned());
    }

    fn node_id(&mut self, probe: &ProbeReport) {
        let (level, message) = if probe.node_id.is_some() || probe.hostname.is_some() {
            (Level::Ok, "answers name the node that did the work")
        } else {
            (
                Level::Note,
                "answers do not name the node: set enable_response_header_raft_node_id = true to let the proxy see wrong predictions",
            )
        };
        self.say("node_id", level, message.to_owned());
    }
}
