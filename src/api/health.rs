//! `sys/health` and `sys/leader` bodies, decided by JSON fields and never by status code.
//!
//! The status code of a health answer is configurable per request and means different things per product
//! (429 is "standby" everywhere, but only OpenBao's reads); the JSON is not. This file reads one answer. What a role
//! change needs as confirmation, and whether a standby serves reads, is decided by the prober.

use serde::{Deserialize, Serialize};

/// Query for a health probe: every state answers 299, so an error status can only mean an error
/// (vault-semantics §1.1).
pub const HEALTH_PROBE_QUERY: &str = "standbycode=299&sealedcode=299&uninitcode=299&performancestandbycode=299\
     &drsecondarycode=299&haunhealthycode=299&removedcode=299";

/// The body of `GET sys/health` (vault-semantics §1.3). Unknown keys are ignored: every release adds some.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct HealthBody {
    pub initialized: bool,
    pub sealed: bool,
    /// True while sealed or uninitialised as well.
    pub standby: bool,
    /// Absent in OpenBao, always present in Vault and Understudy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance_standby: Option<bool>,
    /// `disabled`, `primary`, `secondary`, `bootstrapping`, `unknown`.
    #[serde(default)]
    pub replication_performance_mode: String,
    #[serde(default)]
    pub replication_dr_mode: String,
    /// Unix seconds.
    #[serde(default)]
    pub server_time_utc: i64,
    #[serde(default)]
    pub version: String,
    /// Vault only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enterprise: Option<bool>,
    /// Absent while sealed or uninitialised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Vault Enterprise, active node only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_wal: Option<u64>,
    /// Vault ≥ 1.17: the last round trip from standby to active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo_duration_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_primary_canary_age_ms: Option<i64>,
    /// Vault ≥ 1.19.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_from_cluster: Option<bool>,
    /// Vault ≥ 1.19; absent on the active node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha_connection_healthy: Option<bool>,
    /// Milliseconds since the last good echo. Vault ≥ 1.19.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request_forwarding_heartbeat_ms: Option<i64>,
    /// Our own nodes say more here; nobody else sends the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub understudy: Option<UnderstudyHealth>,
}

/// The additive key `understudy` in the health of our own nodes:
/// `{"node_id":"n2","applied_index":6116,"committed_index":6117,"reads":true,"lease_remaining_ms":1840}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct UnderstudyHealth {
    /// The name its answers carry in `X-Understudy-Node`.
    pub node_id: String,
    /// Highest log entry applied to the state reads are answered from.
    pub applied_index: u64,
    /// Highest log entry known to be agreed on.
    pub committed_index: u64,
    /// The node answers reads now: unsealed, caught up once, freshness lease held.
    pub reads: bool,
    /// Milliseconds until a standby that hears nothing from the active stops reading; 0 on the active node.
    #[serde(default)]
    pub lease_remaining_ms: u64,
}

/// Whose server this is, as far as its health tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Product {
    OpenBao,
    /// Community edition, or too old to say.
    Vault,
    VaultEnterprise,
    Understudy,
}

/// What one node says of itself. Listed in order of precedence: the first that applies (vault-semantics §1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    Uninitialized,
    /// Taken out of its raft cluster: never to be used again.
    Removed,
    Sealed,
    /// A standby that lost its active node.
    Unhealthy,
    DrSecondary,
    PerfStandby,
    Standby,
    Active,
}

impl HealthBody {
    /// Reads an answer's body.
    ///
    /// # Errors
    /// Anything that is no JSON object with at least `initialized`, `sealed` and `standby`.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    #[must_use]
    pub fn product(&self) -> Product {
        if self.understudy.is_some() {
            Product::Understudy
        } else if self.performance_standby.is_none() {
            Product::OpenBao
        } else if self.is_enterprise() {
            Product::VaultEnterprise
        } else {
            Product::Vault
        }
    }

    /// Before 1.18 only the version's suffix tells.
    fn is_enterprise(&self) -> bool {
        self.enterprise.unwrap_or_else(|| self.version.contains("+ent"))
    }

    #[must_use]
    pub fn condition(&self) -> Condition {
        if !self.initialized {
            Condition::Uninitialized
        } else if self.removed_from_cluster == Some(true) {
            Condition::Removed
        } else if self.sealed {
            Condition::Sealed
        } else if self.lost_active() {
            Condition::Unhealthy
        } else if self.replication_dr_mode == "secondary" {
            Condition::DrSecondary
        } else {
            self.place()
        }
    }

    /// A standby may say so outright. Our own nodes do; Vault since 1.19, but only once a heartbeat was recorded:
    /// a node that just started says `ha_connection_healthy: false` without one and answers 429, not 474.
    fn lost_active(&self) -> bool {
        let heartbeat_seen = self.last_request_forwarding_heartbeat_ms.unwrap_or(0) > 0;
        self.standby
            && self.ha_connection_healthy == Some(false)
            && (heartbeat_seen || self.understudy.is_some())
    }

    /// A performance standby says `standby: true` in current releases; early ones said false.
    fn place(&self) -> Condition {
        match (self.performance_standby, self.standby) {
            (Some(true), _) => Condition::PerfStandby,
            (_, true) => Condition::Standby,
            (_, false) => Condition::Active,
        }
    }
}

/// The body of `GET sys/leader` (vault-semantics §2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct LeaderBody {
    pub ha_enabled: bool,
    #[serde(default)]
    pub is_self: bool,
    /// RFC 3339, on the active node; the zero time of Go elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub active_time: String,
    /// The API address the leader advertises; empty while there is none.
    #[serde(default)]
    pub leader_address: String,
    #[serde(default)]
    pub leader_cluster_address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance_standby: Option<bool>,
    /// How far a performance standby has followed the active's write-ahead log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance_standby_last_remote_wal: Option<u64>,
    /// Vault Enterprise, active node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_wal: Option<u64>,
    /// Absent without raft storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raft_committed_index: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raft_applied_index: Option<u64>,
}

impl LeaderBody {
    /// Reads an answer's body.
    ///
    /// # Errors
    /// Anything that is no JSON object with at least `ha_enabled`.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The leader the node names; `None` while it names none.
    #[must_use]
    pub fn leader(&self) -> Option<&str> {
        (!self.leader_address.is_empty()).then_some(self.leader_address.as_str())
    }

    /// The number that is compared with an index header of the node's dialect: the raft applied index where
    /// there is one, else the write-ahead log position (Vault Enterprise without integrated storage).
    #[must_use]
    pub fn applied(&self) -> Option<u64> {
        self.raft_applied_index.or(self.wal())
    }

    /// Position in Vault's write-ahead log: of the active's own log, or what a performance standby has of it.
    #[must_use]
    pub fn wal(&self) -> Option<u64> {
        self.performance_standby_last_remote_wal.filter(|&wal| wal > 0).or(self.last_wal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAO: &str = r#""replication_performance_mode":"primary","replication_dr_mode":"disabled","server_time_utc":1795374528,"version":"2.7.2","cluster_name":"vault-cluster-0905d80f","cluster_id":"9dcf58f7""#;
    const CE: &str = r#""performance_standby":false,"replication_performance_mode":"disabled","replication_dr_mode":"disabled","version":"2.0.2","enterprise":false,"cluster_id":"a","echo_duration_ms":0,"clock_skew_ms":0,"replication_primary_canary_age_ms":0"#;

    fn read(start: &str, rest: &str) -> HealthBody {
        HealthBody::parse(format!("{{{start},{rest}}}").as_bytes()).unwrap()
    }

    #[test]
    fn the_fields_tell_the_condition() {
        use Condition as C;
        let table = [
            (r#""initialized":false,"sealed":true,"standby":true"#, BAO, C::Uninitialized),
            (r#""initialized":true,"sealed":true,"standby":true"#, BAO, C::Sealed),
            (r#""initialized":true,"sealed":false,"standby":true"#, BAO, C::Standby),
            (r#""initialized":true,"sealed":false,"standby":false"#, BAO, C::Active),
            (r#""initialized":true,"sealed":false,"standby":false"#, CE, C::Active),
            (r#""initialized":true,"sealed":false,"standby":true"#, CE, C::Standby),
            (
                r#""initialized":true,"sealed":true,"standby":true,"removed_from_cluster":true"#,
                CE,
                C::Removed,
            ),
            (
                r#""initialized":true,"sealed":false,"standby":true,"removed_from_cluster":false"#,
                CE,
                C::Standby,
            ),
            (
                r#""initialized":true,"sealed":false,"standby":true,"ha_connection_healthy":true"#,
                CE,
                C::Standby,
            ),
            (
                r#""initialized":true,"sealed":false,"standby":true,"ha_connection_healthy":false"#,
                CE,
                C::Standby,
            ),
            (
                r#""initialized":true,"sealed":false,"standby":true,"ha_connection_healthy":false,"last_request_forwarding_heartbeat_ms":9000"#,
                CE,
                C::Unhealthy,
            ),
        ];
        for (start, rest, want) in table {
            assert_eq!(read(start, rest).condition(), want, "{start}");
        }
    }

    #[test]
    fn vault_enterprise_has_two_more_conditions() {
        let perf = r#""initialized":true,"sealed":false,"standby":true,"performance_standby":true,"version":"1.19.0+ent""#;
        let dr = r#""initialized":true,"sealed":false,"standby":false,"performance_standby":false,"enterprise":true"#;
        let perf = read(perf, r#""replication_dr_mode":"disabled""#);
        let dr = read(dr, r#""replication_dr_mode":"secondary""#);
        assert_eq!((perf.condition(), perf.product()), (Condition::PerfStandby, Product::VaultEnterprise));
        assert_eq!((dr.condition(), dr.product()), (Condition::DrSecondary, Product::VaultEnterprise));
    }

    #[test]
    fn the_keys_tell_the_product() {
        let up = r#""initialized":true,"sealed":false,"standby":true"#;
        let ours = r#""performance_standby":true,"version":"0.1.0","understudy":{"node_id":"n2","applied_index":9,"committed_index":9,"reads":true,"new_key":1}"#;
        assert_eq!(read(up, BAO).product(), Product::OpenBao);
        assert_eq!(read(up, CE).product(), Product::Vault);
        assert_eq!(read(up, ours).product(), Product::Understudy);
        assert_eq!(read(up, ours).condition(), Condition::PerfStandby);
    }

    #[test]
    fn what_is_no_health_answer_is_refused() {
        for body in ["", "null", "[]", "{}", r#"{"errors":[]}"#, r#"{"initialized":true}"#, "<html>"] {
            assert!(HealthBody::parse(body.as_bytes()).is_err(), "{body}");
            assert!(LeaderBody::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_leader_answer_is_read_from_every_product() {
        let bao = r#"{"ha_enabled":true,"is_self":false,"leader_address":"http://127.0.0.1:8210","leader_cluster_address":"https://127.0.0.1:8211","raft_committed_index":2927,"raft_applied_index":2926}"#;
        let bao = LeaderBody::parse(bao.as_bytes()).unwrap();
        assert_eq!((bao.leader(), bao.applied()), (Some("http://127.0.0.1:8210"), Some(2926)));
        let vault = r#"{"ha_enabled":true,"is_self":false,"active_time":"0001-01-01T00:00:00Z","leader_address":"","performance_standby":true,"performance_standby_last_remote_wal":71}"#;
        let vault = LeaderBody::parse(vault.as_bytes()).unwrap();
        assert_eq!((vault.leader(), vault.wal()), (None, Some(71)));
        let single = LeaderBody::parse(br#"{"ha_enabled":false}"#).unwrap();
        assert_eq!((single.is_self, single.leader(), single.applied()), (false, None, None));
    }

    #[test]
    fn absent_keys_stay_absent_when_written() {
        let text = serde_json::to_string(&read(r#""initialized":true,"sealed":false,"standby":false"#, BAO))
            .unwrap();
        assert!(!text.contains("performance_standby") && !text.contains("understudy"), "{text}");
    }
}
