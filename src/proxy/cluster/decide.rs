//! Who is active and who may serve reads: one pure function over what is believed of each server.
//! It changes nothing and remembers nothing; what must be remembered comes in as [`Memory`] and goes out in [`Decision`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::proxy::{Failover, MaxLag, ProxyConfig, StandbyReads};
use crate::proxy::endpoint::{Endpoint, is_serving};
use crate::proxy::health::answer::{Capability, LeaderFacts};
use crate::proxy::snapshot::{AdminState, Role, ServerId};

use super::history::History;

/// What earlier decisions left behind.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The cluster this proxy serves, once known.
    pub cluster_id: Option<Arc<str>>,
    /// When an active node was last visible.
    pub leader_seen: Option<Instant>,
}

/// The picture a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    pub endpoints: &'a [Endpoint],
    pub history: &'a History,
    pub memory: &'a Memory,
    pub config: &'a ProxyConfig,
    pub now: Instant,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub active: Option<ServerId>,
    /// Several servers claim to be active and nothing tells who is right.
    pub disputed: bool,
    pub cluster: Identity,
    /// In the order of the endpoints.
    pub verdicts: Vec<Verdict>,
}

/// Which cluster this is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    pub id: Option<Arc<str>>,
    /// A majority of the servers now belongs to another cluster than before: every floor is void.
    pub replaced: bool,
}

/// One server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub role: Role,
    pub usable: bool,
    pub reads: bool,
    pub reason: &'static str,
    pub lag: Lag,
    /// Passed the freshness gate in full view of the active just now.
    pub gate_passed: bool,
}

/// How far a standby was behind when it last answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// `None`: the server or the active tells no index.
    pub entries: Option<u64>,
    pub time: Duration,
}

/// Decides everything. O(servers²) at worst, for some tens of servers.
#[must_use]
pub fn decide(picture: &Picture<'_>) -> Decision {
    let cluster = identity(picture.endpoints, picture.memory.cluster_id.as_ref());
    let roles: Vec<Role> =
        picture.endpoints.iter().map(|endpoint| role_in(endpoint, cluster.id.as_ref())).collect();
    let claimants: Vec<usize> = (0..roles.len())
        .filter(|&at| roles[at] == Role::Active && picture.endpoints[at].admin != AdminState::Maint)
        .collect();
    let chosen = leader(picture.endpoints, &roles, &claimants);
    let verdicts = (0..roles.len()).map(|at| verdict(picture, at, roles[at], chosen)).collect();
    Decision {
        active: chosen.map(server_id),
        disputed: chosen.is_none() && !claimants.is_empty(),
        cluster,
        verdicts,
    }
}

/// The cluster's id. Before one is believed: the id of a majority, or, when every server has been asked, the most
/// frequent one (the first configured server's on a tie). Afterwards only a majority of another id replaces it.
#[must_use]
pub fn identity(endpoints: &[Endpoint], believed: Option<&Arc<str>>) -> Identity {
    let votes = votes(endpoints);
    let majority = votes.iter().find(|(_, count)| count * 2 > endpoints.len()).map(|(id, _)| *id);
    match (believed, majority) {
        (Some(old), Some(new)) if old != new => Identity { id: Some(Arc::clone(new)), replaced: true },
        (Some(old), _) => Identity { id: Some(Arc::clone(old)), replaced: false },
        (None, Some(new)) => Identity { id: Some(Arc::clone(new)), replaced: false },
        (None, None) if endpoints.iter().all(|endpoint| endpoint.asked) => {
            // `max_by_key` keeps the last of equals: reversed, that is the first configured.
            let most = votes.iter().rev().max_by_key(|(_, count)| *count);
            Identity { id: most.map(|(id, _)| Arc::clone(id)), replaced: false }
        }
        (None, None) => Identity::default(),
    }
}

fn votes(endpoints: &[Endpoint]) -> Vec<(&Arc<str>, usize)> {
    let mut votes: Vec<(&Arc<str>, usize)> = Vec::new();
    let answering = endpoints.iter().filter(|endpoint| is_serving(endpoint.role));
    for id in answering.filter_map(Endpoint::cluster_id) {
        match votes.iter_mut().find(|(known, _)| *known == id) {
            Some((_, count)) => *count += 1,
            None => votes.push((id, 1)),
        }
    }
    votes
}

/// The server's role seen from this cluster. While the cluster is not known nobody is trusted.
fn role_in(endpoint: &Endpoint, cluster: Option<&Arc<str>>) -> Role {
    if !is_serving(endpoint.role) {
        return endpoint.role;
    }
    match (cluster, endpoint.cluster_id()) {
        (Some(ours), Some(theirs)) if ours == theirs => endpoint.role,
        (Some(_), Some(_)) => Role::Foreign,
        (None, Some(_)) => Role::Unknown,
        // A server that names no cluster although it serves: only a product without cluster ids does that.
        (_, None) => endpoint.role,
    }
}

/// One of the claimants: the only one that still answers, the one the others name, the newest, the furthest.
fn leader(endpoints: &[Endpoint], roles: &[Role], claimants: &[usize]) -> Option<usize> {
    let answering: Vec<usize> = claimants.iter().copied().filter(|&at| endpoints[at].failures == 0).collect();
    let candidates = if answering.is_empty() { claimants } else { &answering };
    match candidates {
        [] => None,
        [only] => Some(*only),
        several => named_by_others(endpoints, roles, several)
            .or_else(|| single_best(several, |at| endpoints[at].leader().and_then(|l| l.active_time)))
            .or_else(|| single_best(several, |at| endpoints[at].leader().and_then(|l| l.committed))),
    }
}

fn named_by_others(endpoints: &[Endpoint], roles: &[Role], claimants: &[usize]) -> Option<usize> {
    let voices: Vec<&LeaderFacts> = (0..endpoints.len())
        .filter(|&at| matches!(roles[at], Role::Standby | Role::PerfStandby) && endpoints[at].failures == 0)
        .filter_map(|at| endpoints[at].leader())
        .collect();
    let names = |at: usize| voices.iter().filter(|voice| names_leader(voice, &endpoints[at])).count();
    single_best(claimants, |at| Some(names(at)).filter(|count| *count > 0))
}

/// The one claimant with the highest value; `None` when nobody has one or several share it.
fn single_best<T: Ord>(claimants: &[usize], value: impl Fn(usize) -> Option<T>) -> Option<usize> {
    let best = claimants.iter().filter_map(|&at| value(at)).max()?;
    let mut holders = claimants.iter().copied().filter(|&at| value(at).as_ref() == Some(&best));
    let first = holders.next();
    if holders.next().is_some() { None } else { first }
}

/// Does this node's "leader" mean that server? The configured address decides first; behind NAT or with one shared
/// `api_addr` the server's own words about itself do.
#[must_use]
pub fn names_leader(voice: &LeaderFacts, leader: &Endpoint) -> bool {
    if !voice.leader_address.is_empty() && leader_url(leader) == *voice.leader_address {
        return true;
    }
    let Some(own) = leader.leader().filter(|own| own.is_self) else { return false };
    let same = |a: &str, b: &str| !a.is_empty() && a == b;
    if !voice.leader_cluster_address.is_empty() && !own.leader_cluster_address.is_empty() {
        return same(&voice.leader_cluster_address, &own.leader_cluster_address);
    }
    same(&voice.leader_address, &own.leader_address)
}

fn leader_url(endpoint: &Endpoint) -> String {
    let address = &endpoint.address;
    let scheme = if address.tls { "https" } else { "http" };
    let host = address.host.to_ascii_lowercase();
    if host.contains(':') {
        format!("{scheme}://[{host}]:{}", address.port)
    } else {
        format!("{scheme}://{host}:{}", address.port)
    }
}

fn verdict(picture: &Picture<'_>, at: usize, role: Role, chosen: Option<usize>) -> Verdict {
    let endpoint = &picture.endpoints[at];
    let usable = is_serving(role) && endpoint.admin == AdminState::Ready;
    let lag = chosen.map_or_else(Lag::default, |_| picture.history.lag(endpoint));
    let gate = gate(picture, endpoint, chosen, lag);
    let (reads, reason) = match refusal(picture, endpoint, role) {
        Some(reason) => (false, reason),
        None if chosen == Some(at) => (true, "active"),
        None if role == Role::Active => (false, "disputed_leader"),
        None => standby_reads(picture, endpoint, role, gate),
    };
    Verdict { role, usable, reads, reason, lag, gate_passed: is_serving(role) && gate == Ok("ok") }
}

/// Reasons that hold whatever the rest of the cluster looks like.
fn refusal(picture: &Picture<'_>, endpoint: &Endpoint, role: Role) -> Option<&'static str> {
    match (endpoint.admin, role) {
        (AdminState::Drain, _) => Some("drained"),
        (AdminState::Maint, _) => Some("maintenance"),
        (AdminState::Ready, Role::Active) => None,
        (AdminState::Ready, Role::Standby | Role::PerfStandby) => {
            let out = endpoint.outlier.ejected_until().is_some_and(|until| picture.now < until);
            out.then_some("ejected")
        }
        (AdminState::Ready, Role::DrSecondary) => Some("dr_secondary"),
        (AdminState::Ready, Role::Sealed) => Some("sealed"),
        (AdminState::Ready, Role::Uninitialized) => Some("uninitialized"),
        (AdminState::Ready, Role::Unhealthy) => Some("lost_active"),
        (AdminState::Ready, Role::Removed) => Some("removed"),
        (AdminState::Ready, Role::Foreign) => Some("other_cluster"),
        (AdminState::Ready, Role::Unreachable) => Some("unreachable"),
        (AdminState::Ready, Role::Unknown) => Some("unknown"),
    }
}

/// Does it answer reads itself (product and configuration), and is it fresh (gate)?
fn standby_reads(
    picture: &Picture<'_>,
    endpoint: &Endpoint,
    role: Role,
    gate: Result<&'static str, &'static str>,
) -> (bool, &'static str) {
    let able = match (picture.config.routing.standby_reads, role, endpoint.capability) {
        (StandbyReads::Never, _, _) => Err("switched_off"),
        (StandbyReads::Always, _, _) | (StandbyReads::Auto, Role::PerfStandby, _) => Ok(()),
        (StandbyReads::Auto, _, Capability::Yes) => Ok(()),
        (StandbyReads::Auto, _, Capability::No) => Err("no_standby_reads"),
        (StandbyReads::Auto, _, Capability::Unknown) => Err("capability_unknown"),
    };
    match able.and(gate) {
        Ok(reason) => (true, reason),
        Err(reason) => (false, reason),
    }
}

/// The freshness gate (vault-semantics §9 step 4): an active is visible, this server names it, and it is not far behind.
fn gate(
    picture: &Picture<'_>,
    endpoint: &Endpoint,
    chosen: Option<usize>,
    lag: Lag,
) -> Result<&'static str, &'static str> {
    let Some(active) = chosen else { return without_leader(picture, endpoint) };
    if is_old(picture, endpoint) {
        return Err("leader_answer_old");
    }
    if let Some(voice) = endpoint.leader()
        && !names_leader(voice, &picture.endpoints[active])
    {
        return Err("names_other_leader");
    }
    if is_lagging(lag, picture.config.routing.max_lag) { Err("lagging") } else { Ok("ok") }
}

/// What it says about leader and index counts for `max_lag.time`, and for three probes where those are rarer.
fn is_old(picture: &Picture<'_>, endpoint: &Endpoint) -> bool {
    let check = &picture.config.cluster.health_check;
    let allowed = picture.config.routing.max_lag.time.max(check.interval * 3 + check.timeout * 2);
    let old = |at: Instant| picture.now.saturating_duration_since(at) > allowed;
    check.leader_probe && endpoint.gate.answered_at.is_none_or(old)
}

fn is_lagging(lag: Lag, max: MaxLag) -> bool {
    lag.entries.is_some_and(|entries| entries > max.entries || (entries > 0 && lag.time > max.time))
}

fn without_leader(picture: &Picture<'_>, endpoint: &Endpoint) -> Result<&'static str, &'static str> {
    let Failover { read_without_leader, read_without_leader_for, .. } = &picture.config.cluster.failover;
    let recent = picture
        .memory
        .leader_seen
        .is_some_and(|seen| picture.now.duration_since(seen) <= *read_without_leader_for);
    if *read_without_leader && endpoint.gate.passed && recent {
        Ok("no_leader_grace")
    } else {
        Err("no_leader")
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a configuration has at most some hundred servers")]
pub(super) fn server_id(at: usize) -> ServerId {
    ServerId(at as u16)
}
