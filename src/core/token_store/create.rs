//! Making tokens: record, accessor, place in the tree and lease, in one transaction.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::entry::{Kind, ROOT_PATH, TokenEntry, nanos, nanos_after};
use super::ttl::{self, Asked, Bounds};
use super::{ACCESSORS, AccessorRecord, PARENTS, TokenStore};
use crate::barrier::Transaction;
use crate::core::expiration;
use crate::entropy;
use crate::logical::{Auth, Fault, Granted, MountInfo, TokenKind};

/// Characters of a token behind its `s.`, and of an accessor.
const LENGTH: usize = 24;

/// A token to be made; everything is decided already. Lengths in seconds.
#[derive(Clone, Default)]
pub struct TokenSpec {
    /// Its text, where the operator chooses it.
    pub text: Option<Zeroizing<String>>,
    pub kind: Kind,
    /// [`TokenEntry::key`] of the parent; `None`: an orphan.
    pub parent: Option<String>,
    pub policies: Vec<String>,
    /// Of the entity; shown, never stored.
    pub identity_policies: Vec<String>,
    pub entity_id: String,
    pub path: String,
    pub display_name: String,
    pub metadata: BTreeMap<String, String>,
    pub num_uses: u64,
    /// 0: never expires.
    pub ttl_secs: u64,
    pub period_secs: u64,
    pub explicit_max_ttl_secs: u64,
    pub login_ttl_secs: u64,
    pub login_max_ttl_secs: u64,
    pub bound_cidrs: Vec<IpNet>,
    pub role: String,
    pub renewable: bool,
    pub internal: Map<String, Value>,
}

/// A token that now exists, and what its maker should know.
#[derive(Debug, Clone, Default)]
pub struct Made {
    pub granted: Granted,
    pub warnings: Vec<String>,
    /// Storage id; empty for batch tokens.
    pub key: String,
    /// Where its cubbyhole is.
    pub cubbyhole: String,
}

impl Made {
    /// As its maker sees it whose entity has these policies.
    #[must_use]
    pub fn with_identity(mut self, mut policies: Vec<String>) -> Self {
        policies.sort_unstable();
        let all = &mut self.granted.policies;
        all.extend(policies.iter().cloned());
        all.sort_unstable();
        all.dedup();
        self.granted.identity_policies = policies;
        self
    }
}

impl TokenStore {
    /// Makes a token.
    ///
    /// # Errors
    /// The chosen text is taken; the store refuses.
    pub fn create(&self, tx: &mut Transaction, spec: TokenSpec, now: OffsetDateTime) -> Result<Made, Fault> {
        self.creates.time(|| self.make(tx, spec, now))
    }

    fn make(&self, tx: &mut Transaction, spec: TokenSpec, now: OffsetDateTime) -> Result<Made, Fault> {
        let (text, identity) = (spec.text.clone(), spec.identity_policies.clone());
        let mut entry = new_entry(spec, now);
        match entry.kind {
            Kind::Batch => {
                let text = self.secrets(tx)?.seal_batch(&entry)?;
                Ok(made(entry, text, identity))
            }
            Kind::Service => {
                let text = text.unwrap_or_else(|| Zeroizing::new(format!("s.{}", entropy::base62(LENGTH))));
                entry.key = self.secrets(tx)?.id(&text);
                entry.accessor = entropy::base62(LENGTH);
                entry.cubbyhole = Uuid::new_v4().to_string();
                if self.entry(tx, &entry.key)?.is_some() {
                    return Err(Fault::invalid("cannot create a token with a duplicate ID"));
                }
                self.store_new(tx, &entry)?;
                Ok(made(entry, text, identity))
            }
        }
    }

    fn store_new(&self, tx: &mut Transaction, entry: &TokenEntry) -> Result<(), Fault> {
        let id = self.secrets(tx)?.id(&entry.accessor);
        let record = AccessorRecord { accessor: entry.accessor.clone(), key: entry.key.clone() };
        tx.view(ACCESSORS).put_record(&id, &record)?;
        if !entry.parent.is_empty() {
            // Read, so that revoking the parent at the same time and this do not both succeed.
            if self.entry(tx, &entry.parent)?.is_none() {
                return Err(Fault::Denied);
            }
            tx.put(&child_key(&entry.parent, &entry.key), Zeroizing::new(Vec::new()))?;
        }
        expiration::register_token(tx, entry)?;
        Ok(self.save(tx, entry)?)
    }

    /// The token of a login: the mount's bounds and kind of token, the default policy, no parent.
    ///
    /// # Errors
    /// The method asks for a root token or gives addresses that are none; the store refuses.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a login is made of; a struct would only be taken apart again"
    )]
    pub fn finish_login(
        &self,
        tx: &mut Transaction,
        auth: &Auth,
        mount: &MountInfo,
        entity_id: &str,
        identity_policies: &[String],
        request_path: &str,
        now: OffsetDateTime,
    ) -> Result<Made, Fault> {
        let policies = sanitize_policies(&auth.policies, !auth.no_default_policy);
        if policies.iter().any(|policy| policy == "root") {
            return Err(Fault::invalid("auth methods cannot create root tokens"));
        }
        let kind = login_kind(&mount.token_type, auth.kind);
        let granted = ttl::calculate(
            Asked {
                ttl: auth.ttl_secs,
                period: auth.period_secs,
                max_ttl: auth.max_ttl_secs,
                explicit_max_ttl: auth.explicit_max_ttl_secs,
                ..Asked::default()
            },
            Bounds::of(mount),
        )
        .map_err(|_| Fault::Internal("max TTL must be greater than zero".to_owned()))?;
        let spec = TokenSpec {
            kind,
            policies,
            identity_policies: identity_policies.to_vec(),
            entity_id: entity_id.to_owned(),
            path: request_path.to_owned(),
            display_name: login_name(&mount.path, &auth.display_name),
            metadata: auth.metadata.clone(),
            num_uses: auth.num_uses,
            ttl_secs: granted.ttl,
            period_secs: auth.period_secs,
            explicit_max_ttl_secs: auth.explicit_max_ttl_secs,
            login_ttl_secs: auth.ttl_secs,
            login_max_ttl_secs: auth.max_ttl_secs,
            bound_cidrs: parse_cidrs(&auth.bound_cidrs)?,
            renewable: auth.renewable,
            internal: auth.internal.clone(),
            ..TokenSpec::default()
        };
        let mut made = self.create(tx, spec, now)?;
        made.warnings.splice(0..0, granted.warnings);
        Ok(made)
    }

    /// A root token that never expires; `text` where the operator chooses it (`-dev-root-token-id`).
    ///
    /// # Errors
    /// The text is taken; the store refuses.
    pub fn create_root(
        &self,
        tx: &mut Transaction,
        text: Option<Zeroizing<String>>,
        now: OffsetDateTime,
    ) -> Result<Made, Fault> {
        let spec = TokenSpec {
            display_name: if text.is_some() { "token" } else { "root" }.to_owned(),
            path: if text.is_some() { "auth/token/create" } else { ROOT_PATH }.to_owned(),
            text,
            policies: vec!["root".to_owned()],
            ..TokenSpec::default()
        };
        self.create(tx, spec, now)
    }
}

impl Bounds {
    #[must_use]
    pub fn of(mount: &MountInfo) -> Self {
        Self { default_secs: mount.default_ttl.as_secs(), max_secs: mount.max_ttl.as_secs() }
    }
}

pub(super) fn child_key(parent: &str, child: &str) -> String {
    format!("{PARENTS}{parent}/{child}")
}

fn new_entry(spec: TokenSpec, now: OffsetDateTime) -> TokenEntry {
    let is_batch = spec.kind == Kind::Batch;
    TokenEntry {
        orphan: spec.parent.is_none(),
        parent: spec.parent.unwrap_or_default(),
        policies: spec.policies,
        entity_id: spec.entity_id,
        path: spec.path,
        display_name: spec.display_name,
        metadata: spec.metadata,
        kind: spec.kind,
        num_uses: if is_batch { 0 } else { i64::try_from(spec.num_uses).unwrap_or(i64::MAX) },
        creation_time: now.unix_timestamp(),
        issued_at: nanos(now),
        ttl_secs: spec.ttl_secs,
        expires_at: (spec.ttl_secs > 0).then(|| nanos_after(now, spec.ttl_secs)),
        period_secs: spec.period_secs,
        explicit_max_ttl_secs: spec.explicit_max_ttl_secs,
        login_ttl_secs: spec.login_ttl_secs,
        login_max_ttl_secs: spec.login_max_ttl_secs,
        bound_cidrs: spec.bound_cidrs,
        role: spec.role,
        renewable: spec.renewable && spec.ttl_secs > 0 && !is_batch,
        internal: spec.internal,
        ..TokenEntry::default()
    }
}

fn made(entry: TokenEntry, text: Zeroizing<String>, identity: Vec<String>) -> Made {
    let granted = Granted { client_token: text, ..granted(&entry, entry.ttl_secs) };
    let made = Made { granted, warnings: Vec::new(), key: entry.key, cubbyhole: entry.cubbyhole };
    made.with_identity(identity)
}

/// The `auth` block of an existing token, without its text.
pub(super) fn granted(entry: &TokenEntry, lease_duration: u64) -> Granted {
    Granted {
        client_token: Zeroizing::default(),
        accessor: entry.accessor.clone(),
        display_name: entry.display_name.clone(),
        policies: entry.policies.clone(),
        token_policies: entry.policies.clone(),
        identity_policies: Vec::new(),
        metadata: (!entry.metadata.is_empty()).then(|| entry.metadata.clone()),
        lease_duration,
        renewable: entry.renewable,
        entity_id: entry.entity_id.clone(),
        entity_created: false,
        token_type: entry.type_name().to_owned(),
        orphan: entry.orphan,
        mfa_requirement: None,
        num_uses: u64::try_from(entry.num_uses).unwrap_or(0),
    }
}

/// Lower case, no blanks, no doubles, sorted; `root` swallows all others; `default` is added when wanted.
#[must_use]
pub fn sanitize_policies(policies: &[String], add_default: bool) -> Vec<String> {
    let mut clean: Vec<String> = policies
        .iter()
        .map(|policy| policy.trim().to_lowercase())
        .filter(|policy| !policy.is_empty())
        .collect();
    if clean.iter().any(|policy| policy == "root") {
        return vec!["root".to_owned()];
    }
    if add_default {
        clean.push("default".to_owned());
    }
    clean.sort_unstable();
    clean.dedup();
    clean
}

/// The mount decides; where it leaves a choice, the method does.
fn login_kind(mount: &str, asked: TokenKind) -> Kind {
    match (mount, asked) {
        ("batch", _) | ("default-batch", TokenKind::Default | TokenKind::DefaultBatch) => Kind::Batch,
        ("service", _) => Kind::Service,
        (_, TokenKind::Batch | TokenKind::DefaultBatch) => Kind::Batch,
        (_, TokenKind::Default | TokenKind::Service | TokenKind::DefaultService) => Kind::Service,
    }
}

/// `auth/userpass/` and `u` make `userpass-u`.
fn login_name(mount: &str, name: &str) -> String {
    let source = mount.strip_prefix("auth/").unwrap_or(mount).replace('/', "-");
    format!("{source}{name}").trim_end_matches('-').to_owned()
}

/// Networks, or single addresses.
///
/// # Errors
/// A text is neither.
pub fn parse_cidrs(texts: &[String]) -> Result<Vec<IpNet>, Fault> {
    let parse = |text: &String| {
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
            Fault::invalid(format!(
                "error parsing bound_cidrs: error parsing address \"{text}\": Unable to convert \"{text}\" to an IPv4 or \
                 IPv6 address, or a UNIX Socket"
            ))
        })
    };
    texts.iter().map(parse).collect()
}

impl std::fmt::Debug for TokenSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenSpec({:?} at {})", self.kind, self.path)
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn policies_are_cleaned() {
        for (given, add_default, clean) in [
            (&["b", "A ", "a"][..], true, &["a", "b", "default"][..]),
            (&["a"], false, &["a"]),
            (&["root", "x"], true, &["root"]),
            (&[""], false, &[]),
        ] {
            let given: Vec<String> = given.iter().map(|policy| (*policy).to_owned()).collect();
            assert_eq!(sanitize_policies(&given, add_default), clean, "{given:?}");
        }
    }

    #[test]
    fn the_mount_has_the_last_word_on_the_kind() {
        for (mount, asked, kind) in [
            ("default-service", TokenKind::Default, Kind::Service),
            ("", TokenKind::Batch, Kind::Batch),
            ("default-batch", TokenKind::Default, Kind::Batch),
            ("default-batch", TokenKind::Service, Kind::Service),
            ("batch", TokenKind::Service, Kind::Batch),
            ("service", TokenKind::Batch, Kind::Service),
        ] {
            assert_eq!(login_kind(mount, asked), kind, "{mount} {asked:?}");
        }
        assert_eq!(login_name("auth/userpass/", "u"), "userpass-u");
        assert_eq!(login_name("auth/approle/", ""), "approle");
    }
}
