//! A token as it is stored. Its text is nowhere in here: the record's key is a keyed hash of it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::logical::Caller;

/// Uses left of a token whose last use was taken: it opens nothing any more and waits to be revoked.
pub const SPENT: i64 = -1;

/// What a token is kept as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A record in the store.
    #[default]
    Service,
    /// Nothing but its own sealed text.
    Batch,
}

/// See the module. Times of day in nanoseconds since 1970, lengths in seconds.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenEntry {
    /// Storage id: `h` and the salted HMAC-SHA256 of the text in hex. Empty for batch tokens.
    pub key: String,
    pub accessor: String,
    /// [`key`](Self::key) of the parent; empty for orphans.
    pub parent: String,
    pub policies: Vec<String>,
    pub entity_id: String,
    /// Where it was made: `auth/userpass/login/u`.
    pub path: String,
    pub display_name: String,
    pub metadata: BTreeMap<String, String>,
    pub kind: Kind,
    /// Uses left; 0: no limit; [`SPENT`].
    pub num_uses: i64,
    /// Seconds since 1970.
    pub creation_time: i64,
    pub issued_at: i64,
    /// As first granted.
    pub ttl_secs: u64,
    /// `None`: never (root tokens).
    pub expires_at: Option<i64>,
    pub last_renewal: Option<i64>,
    /// As last granted by renewing a token of the token store; 0: never renewed.
    pub renewed_ttl_secs: u64,
    pub period_secs: u64,
    pub explicit_max_ttl_secs: u64,
    /// The login's own bounds, for renewals.
    pub login_ttl_secs: u64,
    pub login_max_ttl_secs: u64,
    pub bound_cidrs: Vec<IpNet>,
    /// Where the cubbyhole is: random and secret.
    pub cubbyhole: String,
    pub role: String,
    pub orphan: bool,
    pub renewable: bool,
    pub no_identity_policies: bool,
    /// What the auth method keeps for renewals.
    pub internal: Map<String, Value>,
    #[serde(skip)]
    pub shown: Shown,
}

/// What backends see of the token, made once: a cached entry serves many requests.
#[derive(Debug, Default)]
pub struct Shown(OnceLock<Arc<Caller>>);

// === impl Shown ===

/// A changed copy shows something else.
impl Clone for Shown {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Derived from the rest.
impl PartialEq for Shown {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

// === impl TokenEntry ===

/// `path` of root tokens that no request made.
pub(super) const ROOT_PATH: &str = "auth/token/root";

/// Nanoseconds since 1970.
#[must_use]
pub fn nanos(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

/// `secs` after `now`, in nanoseconds since 1970; the end of time when that is beyond it (the year 2262).
#[must_use]
pub fn nanos_after(now: OffsetDateTime, secs: u64) -> i64 {
    let span = i64::try_from(secs).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    nanos(now).saturating_add(span)
}

/// RFC 3339 with nanoseconds, as the API shows times.
#[must_use]
pub fn wire_time(nanos: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
        .ok()
        .and_then(|moment| moment.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}

impl TokenEntry {
    /// The token as backends see it, without its text.
    #[must_use]
    pub fn caller(&self) -> Arc<Caller> {
        Arc::clone(self.shown.0.get_or_init(|| {
            Arc::new(Caller {
                token_text: None,
                accessor: self.accessor.clone(),
                display_name: self.display_name.clone(),
                policies: self.policies.clone(),
                entity_id: self.entity_id.clone(),
                cubbyhole: self.cubbyhole.clone(),
                token_key: self.key.clone(),
                is_root: self.is_root(),
                is_batch: self.is_batch(),
                no_identity_policies: self.no_identity_policies,
            })
        }))
    }

    #[must_use]
    pub fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    /// Whether it was made by no request but with the store or by its shares: it has no lease to show.
    #[must_use]
    pub fn is_first_root(&self) -> bool {
        self.path == ROOT_PATH
    }

    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.kind == Kind::Batch
    }

    /// Whether it still opens anything at `now`.
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.num_uses != SPENT && self.expires_at.is_none_or(|end| end > nanos(now))
    }

    /// Whole seconds left; 0 for tokens that never expire.
    #[must_use]
    pub fn ttl_left(&self, now: OffsetDateTime) -> u64 {
        self.expires_at
            .map_or(0, |end| u64::try_from(end.saturating_sub(nanos(now))).unwrap_or(0) / 1_000_000_000)
    }

    /// Whether a client at `address` may use it. A unix socket has no address and passes only unbound tokens.
    #[must_use]
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        self.bound_cidrs.is_empty()
            || address.is_some_and(|address| self.bound_cidrs.iter().any(|net| net.contains(&address)))
    }

    /// Who asks, as clients are counted: the entity, else a hash of the policies.
    #[must_use]
    pub fn client_id(&self) -> String {
        if !self.entity_id.is_empty() {
            return self.entity_id.clone();
        }
        let mut policies: Vec<&str> = self.policies.iter().map(String::as_str).collect();
        policies.sort_unstable();
        let text = format!("{}\0root", policies.join("\x7f"));
        STANDARD.encode(digest(&SHA256, text.as_bytes()))
    }

    /// As the API names the kind.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Service => "service",
            Kind::Batch => "batch",
        }
    }
}

/// The accessor names the token to operators; everything else stays out.
impl fmt::Debug for TokenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenEntry({} {})", self.type_name(), self.accessor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_without_an_entity_are_told_by_their_policies() {
        let entry = |policies: &[&str], entity: &str| TokenEntry {
            policies: policies.iter().map(|one| (*one).to_owned()).collect(),
            entity_id: entity.to_owned(),
            ..TokenEntry::default()
        };
        // As the real server writes it for the root policy.
        assert_eq!(entry(&["root"], "").client_id(), "0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=");
        assert_eq!(entry(&["b", "a"], "").client_id(), entry(&["a", "b"], "").client_id());
        assert_eq!(entry(&["root"], "e").client_id(), "e");
    }
}
