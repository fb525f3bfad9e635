//! `cluster.health_check`, `cluster.outlier_detection` and `cluster.failover`.

use std::time::Duration;

use super::field::Field;
use super::proxy::{Failover, HealthCheck, OutlierDetection};
use super::raw::{RawFailover, RawHealthCheck, RawOutlierDetection};
use super::report::Report;
use super::unit::Time;

/// Path asked; the prober adds the parameters that make every state answer with a body.
const PATH: &str = "/v1/sys/health";
/// Time between two checks: a crashed leader is noticed within one lease of an election.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time while a change is being confirmed: two of them are not noticed by anyone.
const FAST_INTERVAL: Duration = Duration::from_millis(100);
/// Time while a node is down: it costs a connect time-out each.
const DOWN_INTERVAL: Duration = Duration::from_secs(5);
/// Part of the interval, so that many proxies do not ask at the same instant.
const JITTER: f64 = 0.1;
/// Time for one check: no longer than the interval.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Failed checks in a row: one may be a lost packet.
const UNHEALTHY_THRESHOLD: u32 = 2;
/// Good checks in a row: the answer says everything, and the freshness gate guards reads.
const HEALTHY_THRESHOLD: u32 = 1;
/// Whether a standby serves reads changes with a licence or an upgrade, not by the second.
const CAPABILITY_INTERVAL: Duration = Duration::from_secs(10);
/// Failures in a row (connect errors, resets, 502/503/504) before a standby is left out.
const CONSECUTIVE_FAILURES: u32 = 5;
/// First time out; a good probe ends it earlier.
const BASE_EJECTION: Duration = Duration::from_secs(10);
/// Part of the read-serving standbys: half must go on serving.
const MAX_EJECTION: f64 = 0.5;
/// Time. A raft election takes 1 to 3 s; after 5 s a client should hear that something is wrong.
const HOLD_WRITES: Duration = Duration::from_secs(5);
/// Time reads go on without a leader: an election and a retry of it, then the data may be too old.
const READ_WITHOUT_LEADER_FOR: Duration = Duration::from_secs(10);

/// Shortest interval: anything less is a load test.
const INTERVAL_LEAST: Duration = Duration::from_millis(10);

pub(crate) fn check(raw: RawHealthCheck, report: &Report) -> HealthCheck {
    let interval = |name: &str, field: Field<Time>, default: Duration| {
        report.no_shorter(&format!("cluster.health_check.{name}"), field.or(default), INTERVAL_LEAST)
    };
    let threshold = |name: &str, field: Field<u32>, default: u32| {
        report.within(&format!("cluster.health_check.{name}"), field.or(default), 1..=100)
    };
    let every = interval("interval", raw.interval, INTERVAL);
    HealthCheck {
        path: path(raw.path, "cluster.health_check.path", PATH, report),
        interval: every,
        fast_interval: interval("fast_interval", raw.fast_interval, FAST_INTERVAL.min(every)),
        down_interval: interval("down_interval", raw.down_interval, DOWN_INTERVAL),
        jitter: raw.jitter.or(JITTER),
        timeout: interval("timeout", raw.timeout, TIMEOUT),
        unhealthy_threshold: threshold("unhealthy_threshold", raw.unhealthy_threshold, UNHEALTHY_THRESHOLD),
        healthy_threshold: threshold("healthy_threshold", raw.healthy_threshold, HEALTHY_THRESHOLD),
        leader_probe: raw.leader_probe.or(true),
        capability_interval: interval("capability_interval", raw.capability_interval, CAPABILITY_INTERVAL),
    }
}

pub(crate) fn outlier_detection(raw: RawOutlierDetection, report: &Report) -> OutlierDetection {
    let base_ejection = raw.base_ejection.or(BASE_EJECTION);
    let at = "cluster.outlier_detection.base_ejection";
    OutlierDetection {
        consecutive_failures: raw.consecutive_failures.or(CONSECUTIVE_FAILURES),
        base_ejection: report.no_shorter(at, base_ejection, Duration::from_millis(100)),
        max_ejection: raw.max_ejection_percent.or(MAX_EJECTION),
    }
}

pub(crate) fn failover(raw: &RawFailover) -> Failover {
    Failover {
        hold_writes: raw.hold_writes.clone().or(HOLD_WRITES),
        read_without_leader: raw.read_without_leader.or(true),
        read_without_leader_for: raw.read_without_leader_for.clone().or(READ_WITHOUT_LEADER_FOR),
    }
}

/// A path of a URL: starts with `/`, no white space, query or fragment.
pub(crate) fn path(raw: Field<String>, at: &str, default: &str, report: &Report) -> String {
    let path = raw.or(default.to_owned());
    if !path.starts_with('/')
        || path.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'))
    {
        report.error_help(
            at,
            "bad-value",
            format!("`{path}` is not a path"),
            format!("write a path such as {default}"),
        );
    }
    path
}
