//! The active prober: one task per server asks sys/health, sys/leader and now and then the capability probe, and
//! reports what was said. It believes nothing (`endpoint`) and decides nothing (`cluster`); when to ask again is
//! told to it by [`Orders`].

pub mod answer;
mod chase;
mod connection;
pub mod inspect;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{mpsc, watch};

use crate::api::health::{HEALTH_PROBE_QUERY, HealthBody, LeaderBody};
use crate::backoff::{Backoff, jittered};
use crate::config::proxy::HealthCheck;

use self::answer::{Capability, LeaderFacts, NodeFacts};
pub use self::chase::Wanted;
use self::chase::{Chase, Progress};
pub use self::connection::{ProbeAnswer, ProbeConnection, ProbeError, UpstreamIdentity};
use super::endpoint::is_serving;
pub use super::metrics::label::CheckResult;
use super::snapshot::{Dialect, Role, ServerId, ServerLive};

const LEADER_PATH: &str = "/v1/sys/leader";
/// Unauthenticated, processed as a logical request, and cheap (vault-semantics §9).
const CAPABILITY_PATH: &str = "/v1/sys/internal/ui/mounts";
const NO_FORWARDING: HeaderName = HeaderName::from_static("x-vault-no-request-forwarding");
/// So long after a role change a verdict other than "yes" is asked again with every probe: the node may be starting.
const SETTLING: Duration = Duration::from_secs(15);

/// How often to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    #[default]
    Steady,
    /// A change is being confirmed, or somebody waits for a leader.
    Fast,
    /// Not answering; the count of failures so far spaces the probes out up to `down_interval`.
    Down { failures: u32 },
}

/// What the owner wants of one prober.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orders {
    pub pace: Pace,
    /// Raised to have a probe at once.
    pub at_once: u64,
    /// An index somebody waits for.
    pub wanted: Option<Wanted>,
}

/// What one round of questions brought.
#[derive(Debug, Clone)]
pub struct ProbeReport {
    pub began: Instant,
    pub ended: Instant,
    pub result: CheckResult,
    /// `None`: no usable health answer.
    pub facts: Option<NodeFacts>,
    /// `None`: not asked this time.
    pub capability: Option<Capability>,
    pub dialect: Option<Dialect>,
    pub node_id: Option<Arc<str>>,
    pub hostname: Option<Arc<str>>,
    /// A connection that worked before had to be replaced.
    pub reconnected: bool,
    /// The server's known index before the first question was sent.
    pub live_before: u64,
}

/// What a prober tells the owner.
#[derive(Debug, Clone)]
pub enum ProbeEvent {
    Report(Box<ProbeReport>),
    /// A chased index became visible this long after it was first wanted.
    CaughtUp {
        took: Duration,
    },
}

/// One server's prober. It ends when the owner drops its end of a channel.
#[derive(Debug)]
pub struct Prober {
    pub server: ServerId,
    /// Which generation of probers this is: reports of an older one are ignored after a reload.
    pub generation: u64,
    pub settings: HealthCheck,
    pub connection: ProbeConnection,
    pub live: Arc<ServerLive>,
    pub orders: watch::Receiver<Orders>,
    pub events: mpsc::Sender<(u64, ServerId, ProbeEvent)>,
}

/// When the capability probe is due.
#[derive(Debug, Default)]
struct CapabilityClock {
    role: Option<Role>,
    role_since: Option<Instant>,
    asked_at: Option<Instant>,
    verdict: Capability,
}

impl Prober {
    /// Probes until the owner is gone.
    pub async fn run(mut self) {
        let mut capability = CapabilityClock::default();
        let mut chase = Chase::default();
        let mut at_once = self.orders.borrow_and_update().at_once;
        loop {
            let report = probe(&mut self.connection, &self.settings, &self.live, &mut capability).await;
            if self.tell(ProbeEvent::Report(Box::new(report))).await.is_err() {
                return;
            }
            if self.rest(&mut at_once, &mut chase).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the next probe is due, chasing wanted indexes meanwhile.
    async fn rest(&mut self, at_once: &mut u64, chase: &mut Chase) -> Result<(), OwnerGone> {
        let since = Instant::now();
        let roll = fastrand::f64();
        loop {
            let orders = *self.orders.borrow_and_update();
            if orders.at_once != *at_once {
                *at_once = orders.at_once;
                return Ok(());
            }
            let due = since + interval(orders.pace, &self.settings, roll);
            chase.want(orders.wanted, self.live.applied_index(), Instant::now());
            let wake = chase.next_poll(Instant::now()).map_or(due, |poll| poll.min(due));
            tokio::select! {
                changed = self.orders.changed() => changed.map_err(|_| OwnerGone)?,
                () = tokio::time::sleep_until(wake.into()) => {
                    if Instant::now() >= due {
                        return Ok(());
                    }
                    self.poll_index(chase).await?;
                }
            }
        }
    }

    /// One question of a chase. A failed one ends the chase: the next probe will tell what is wrong.
    async fn poll_index(&mut self, chase: &mut Chase) -> Result<(), OwnerGone> {
        match ask_leader(&mut self.connection).await {
            Ok((answer, _)) => {
                if let Some(applied) = LeaderFacts::new(&answer, None).applied {
                    self.live.raise_applied_index(applied);
                }
            }
            Err(_) => chase.give_up(),
        }
        match chase.polled(Instant::now(), self.live.applied_index()) {
            Progress::Reached { took } => self.tell(ProbeEvent::CaughtUp { took }).await,
            Progress::Waiting => Ok(()),
        }
    }

    async fn tell(&self, event: ProbeEvent) -> Result<(), OwnerGone> {
        self.events.send((self.generation, self.server, event)).await.map_err(|_| OwnerGone)
    }
}

/// Nobody listens any more: the prober has no reason to live.
#[derive(Debug)]
struct OwnerGone;

/// Time from the end of one probe to the next.
fn interval(pace: Pace, settings: &HealthCheck, roll: f64) -> Duration {
    let plain = match pace {
        Pace::Steady => settings.interval,
        Pace::Fast => settings.fast_interval,
        Pace::Down { failures } => Backoff { base: settings.interval, max: settings.down_interval }
            .ceiling(failures.saturating_sub(1)),
    };
    jittered(plain, settings.jitter, roll)
}

/// One round: health, leader, and the capability probe when it is due.
async fn probe(
    connection: &mut ProbeConnection,
    settings: &HealthCheck,
    live: &ServerLive,
    clock: &mut CapabilityClock,
) -> ProbeReport {
    let began = Instant::now();
    let live_before = live.applied_index();
    let opened = connection.opened();
    let mut report = ProbeReport {
        began,
        ended: began,
        result: CheckResult::Ok,
        facts: None,
        capability: None,
        dialect: None,
        node_id: None,
        hostname: None,
        reconnected: false,
        live_before,
    };
    if let Err(error) = fill(connection, settings, clock, &mut report).await {
        report.result = check_result(&error);
        report.facts = None;
    }
    report.reconnected = opened > 0 && connection.opened() > opened;
    report.ended = Instant::now();
    report
}

async fn fill(
    connection: &mut ProbeConnection,
    settings: &HealthCheck,
    clock: &mut CapabilityClock,
    report: &mut ProbeReport,
) -> Result<(), ProbeError> {
    let (health, headers) = ask_health(connection, &settings.path).await?;
    note_names(report, &headers);
    let leader = if settings.leader_probe && !health.sealed && health.initialized {
        report.began = Instant::now();
        leader_if_told(connection).await?
    } else {
        None
    };
    let facts = NodeFacts::new(&health, leader.as_ref());
    let now = Instant::now();
    if clock.due(facts.role, now, settings.capability_interval) {
        let verdict = ask_capability(connection, report).await?;
        clock.answered(verdict, now);
    }
    report.facts = Some(facts);
    Ok(())
}

/// `GET health` with every status parameter set to 299, so that each state comes with its JSON body.
async fn ask_health(
    connection: &mut ProbeConnection,
    path: &str,
) -> Result<(HealthBody, HeaderMap), ProbeError> {
    let answer = connection.get(&health_path(path), None).await?;
    match serde_json::from_slice(&answer.body) {
        Ok(health) => Ok((health, answer.headers)),
        Err(_) if answer.status >= 300 => Err(ProbeError::BadStatus(answer.status)),
        Err(error) => Err(ProbeError::Parse(error)),
    }
}

fn health_path(path: &str) -> String {
    let join = if path.contains('?') { '&' } else { '?' };
    format!("{path}{join}{HEALTH_PROBE_QUERY}")
}

async fn ask_leader(connection: &mut ProbeConnection) -> Result<(LeaderBody, HeaderMap), ProbeError> {
    let answer = connection.get(LEADER_PATH, None).await?;
    if answer.status != 200 {
        return Err(ProbeError::BadStatus(answer.status));
    }
    let leader = serde_json::from_slice(&answer.body).map_err(ProbeError::Parse)?;
    Ok((leader, answer.headers))
}

/// A status that is no answer (a quota's 429 above all: sys/leader is not exempt from those) leaves the last one in
/// force until it is too old; a connection that breaks or lies fails the whole probe.
async fn leader_if_told(connection: &mut ProbeConnection) -> Result<Option<LeaderBody>, ProbeError> {
    match ask_leader(connection).await {
        Ok((leader, _)) => Ok(Some(leader)),
        Err(ProbeError::BadStatus(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn ask_capability(
    connection: &mut ProbeConnection,
    report: &mut ProbeReport,
) -> Result<Capability, ProbeError> {
    let header = (NO_FORWARDING, HeaderValue::from_static("true"));
    let answer = connection.get(CAPABILITY_PATH, Some(header)).await?;
    let verdict = answer::capability(answer.status);
    report.capability = Some(verdict);
    report.dialect = answer.headers.get("x-vault-index").and_then(|index| answer::dialect(index.as_bytes()));
    note_names(report, &answer.headers);
    Ok(verdict)
}

fn note_names(report: &mut ProbeReport, headers: &HeaderMap) {
    let text = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty()).map(Arc::from)
    };
    report.node_id = report.node_id.take().or_else(|| text("x-vault-raft-node-id"));
    report.hostname = report.hostname.take().or_else(|| text("x-vault-hostname"));
}

fn check_result(error: &ProbeError) -> CheckResult {
    use crate::net::client::ConnectError;
    match error {
        ProbeError::Connect(ConnectError::Timeout) | ProbeError::Timeout => CheckResult::Timeout,
        ProbeError::Connect(ConnectError::Tls(_)) | ProbeError::Tls(_) => CheckResult::Tls,
        ProbeError::Connect(ConnectError::Resolve(_) | ConnectError::Tcp(_)) | ProbeError::Broken(_) => {
            CheckResult::Connect
        }
        ProbeError::BadStatus(_) => CheckResult::BadStatus,
        ProbeError::TooLong | ProbeError::Parse(_) => CheckResult::Parse,
    }
}

// === impl CapabilityClock ===

impl CapabilityClock {
    /// On a role change, every `every`, and with each probe while a node that just changed has not said yes.
    fn due(&mut self, role: Role, now: Instant, every: Duration) -> bool {
        if self.role != Some(role) {
            self.role = Some(role);
            self.role_since = Some(now);
            self.asked_at = None;
        }
        if !is_serving(role) {
            return false;
        }
        let settling = self.role_since.is_some_and(|since| now - since < SETTLING);
        let unsure = self.verdict != Capability::Yes;
        self.asked_at.is_none_or(|at| (settling && unsure) || now - at >= every)
    }

    fn answered(&mut self, verdict: Capability, now: Instant) {
        self.verdict = verdict;
        self.asked_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::endpoint::tests::settings;

    #[test]
    fn pace_table() {
        for (pace, expected) in [
            (Pace::Steady, 1_000),
            (Pace::Fast, 100),
            (Pace::Down { failures: 1 }, 1_000),
            (Pace::Down { failures: 2 }, 2_000),
            (Pace::Down { failures: 9 }, 5_000),
        ] {
            assert_eq!(interval(pace, &settings(), 0.5).as_millis(), expected, "{pace:?}");
        }
    }

    #[test]
    fn health_path_keeps_a_query() {
        assert!(health_path("/v1/sys/health").starts_with("/v1/sys/health?standbycode=299&"));
        assert!(health_path("/v1/sys/health?x=1").starts_with("/v1/sys/health?x=1&standbycode=299&"));
    }

    #[test]
    fn capability_clock() {
        let mut clock = CapabilityClock::default();
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let every = Duration::from_secs(10);
        assert!(clock.due(Role::Standby, at(0), every));
        clock.answered(Capability::No, at(0));
        assert!(clock.due(Role::Standby, at(1), every), "still starting perhaps");
        clock.answered(Capability::Yes, at(1));
        assert!(!clock.due(Role::Standby, at(2), every));
        assert!(clock.due(Role::Standby, at(11), every));
        clock.answered(Capability::No, at(20));
        assert!(!clock.due(Role::Standby, at(21), every), "settled: no more than every interval");
        assert!(clock.due(Role::Active, at(21), every), "role change");
        assert!(!clock.due(Role::Sealed, at(22), every));
    }
}
