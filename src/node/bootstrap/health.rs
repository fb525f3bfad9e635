//! `sys/health`: the state of one node as JSON, and as a status code that the caller may choose.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::api::health::{Condition, HealthBody, UnderstudyHealth};
use crate::api::version::VERSION;
use crate::core::answer::Answered;
use crate::node::Node;
use crate::node::http::query_pairs;

/// Codes by condition, and what counts as active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Codes {
    active: u16,
    standby: u16,
    performance_standby: u16,
    dr_secondary: u16,
    unhealthy: u16,
    sealed: u16,
    uninitialized: u16,
    removed: u16,
    standby_ok: bool,
    performance_standby_ok: bool,
}

/// A parameter that is no number or boolean.
#[derive(Debug, PartialEq, Eq)]
struct BadParameter;

pub(super) fn answer(node: &Node, query: &str, now: OffsetDateTime) -> Answered {
    let Ok(codes) = Codes::read(query) else { return Answered::errors(400, "") };
    let Ok(body) = body(node, now) else { return Answered::errors(500, "") };
    let code = codes.of(body.condition());
    let Ok(json) = serde_json::to_value(&body) else { return Answered::errors(500, "") };
    if code == 204 { Answered::new(204, bytes::Bytes::new()) } else { Answered::json(code, &json) }
}

fn body(node: &Node, now: OffsetDateTime) -> Result<HealthBody, crate::storage::StorageError> {
    let initialized = node.seal.is_initialized()?;
    let sealed = !initialized || node.core.barrier.is_sealed();
    let cluster = node.cluster.info().filter(|_| !sealed);
    let index = node.core.barrier.storage().snapshot().index();
    let replication = if sealed { "unknown" } else { "disabled" };
    Ok(HealthBody {
        initialized,
        sealed,
        standby: sealed,
        performance_standby: Some(false),
        replication_performance_mode: replication.to_owned(),
        replication_dr_mode: replication.to_owned(),
        server_time_utc: now.unix_timestamp(),
        version: VERSION.to_owned(),
        enterprise: None,
        cluster_name: cluster.as_ref().map(|cluster| cluster.name.clone()),
        cluster_id: cluster.as_ref().map(|cluster| cluster.id.clone()),
        last_wal: None,
        echo_duration_ms: None,
        clock_skew_ms: None,
        replication_primary_canary_age_ms: None,
        removed_from_cluster: None,
        ha_connection_healthy: None,
        last_request_forwarding_heartbeat_ms: None,
        understudy: Some(UnderstudyHealth {
            node_id: node.id().to_owned(),
            applied_index: index,
            committed_index: index,
            reads: !sealed,
            lease_remaining_ms: 0,
        }),
    })
}

// === impl Codes ===

impl Codes {
    /// Every parameter is checked, whatever the state; the first of several counts; unknown ones do not.
    fn read(query: &str) -> Result<Self, BadParameter> {
        let mut given: HashMap<String, String> = HashMap::new();
        for (name, value) in query_pairs(query) {
            given.entry(name).or_insert(value);
        }
        let code = |name: &str, default| given.get(name).map_or(Ok(default), |text| code(text));
        let flag = |name: &str| given.get(name).map_or(Ok(false), |text| flag(text));
        Ok(Self {
            active: code("activecode", 200)?,
            standby: code("standbycode", 429)?,
            performance_standby: code("performancestandbycode", 473)?,
            dr_secondary: code("drsecondarycode", 472)?,
            unhealthy: code("haunhealthycode", 474)?,
            sealed: code("sealedcode", 503)?,
            uninitialized: code("uninitcode", 501)?,
            removed: code("removedcode", 530)?,
            standby_ok: flag("standbyok")?,
            performance_standby_ok: flag("perfstandbyok")?,
        })
    }

    fn of(&self, condition: Condition) -> u16 {
        match condition {
            Condition::Uninitialized => self.uninitialized,
            Condition::Removed => self.removed,
            Condition::Sealed => self.sealed,
            Condition::Unhealthy => self.unhealthy,
            Condition::DrSecondary => self.dr_secondary,
            Condition::PerfStandby if self.performance_standby_ok => self.active,
            Condition::PerfStandby => self.performance_standby,
            Condition::Standby if self.standby_ok => self.active,
            Condition::Standby => self.standby,
            Condition::Active => self.active,
        }
    }
}

/// A status code of HTTP. What no answer can carry (the real server breaks the connection over it) is brought into range.
fn code(text: &str) -> Result<u16, BadParameter> {
    let number: i64 = text.parse().map_err(|_| BadParameter)?;
    // 1xx is not an answer, only the promise of one.
    Ok(u16::try_from(number.clamp(200, 599)).unwrap_or(599))
}

/// Go's booleans; without a value it is false.
fn flag(text: &str) -> Result<bool, BadParameter> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(BadParameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_condition_that_applies_has_its_code() {
        for (query, condition, code) in [
            ("", Condition::Uninitialized, 501),
            ("", Condition::Sealed, 503),
            ("", Condition::Removed, 530),
            ("", Condition::Unhealthy, 474),
            ("", Condition::DrSecondary, 472),
            ("", Condition::PerfStandby, 473),
            ("", Condition::Standby, 429),
            ("", Condition::Active, 200),
            ("standbyok=true", Condition::Standby, 200),
            ("standbyok=true&activecode=204", Condition::Standby, 204),
            ("standbyok=true", Condition::PerfStandby, 473),
            ("perfstandbyok=1", Condition::PerfStandby, 200),
            ("perfstandbyok=1", Condition::Standby, 429),
            ("standbyok", Condition::Standby, 429),
            ("standbyok=&perfstandbyok=", Condition::PerfStandby, 473),
            ("standbyok=true&perfstandbyok=true", Condition::Unhealthy, 474),
            ("activecode=201&activecode=202", Condition::Active, 201),
            ("sealedcode=299&unknown=x", Condition::Sealed, 299),
            ("activecode=0", Condition::Active, 200),
            ("activecode=9999", Condition::Active, 599),
        ] {
            assert_eq!(Codes::read(query).unwrap().of(condition), code, "{query} {condition:?}");
        }
    }

    #[test]
    fn every_parameter_is_checked_whatever_the_state() {
        for name in [
            "activecode",
            "standbycode",
            "performancestandbycode",
            "drsecondarycode",
            "haunhealthycode",
            "sealedcode",
            "uninitcode",
            "removedcode",
        ] {
            for value in ["x", "", "1.5"] {
                assert_eq!(Codes::read(&format!("{name}={value}")), Err(BadParameter), "{name}={value}");
            }
        }
        assert_eq!(Codes::read("standbyok=maybe"), Err(BadParameter));
        assert_eq!(Codes::read("perfstandbyok=maybe"), Err(BadParameter));
    }
}
