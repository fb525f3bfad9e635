//! Which family a path belongs to: `sys`, `auth`, `identity`, `cubbyhole` or a mounted engine.
//!
//! A namespace may stand in front (`ns1/sys/mounts` is `sys/mounts` of `ns1`), and nothing in the path says where it
//! ends. A later reserved word counts as the family only when what follows is a word that family has, and no word of
//! an engine came before; a reserved word that fits neither way is ambiguous.

use super::super::mount;

/// What the path is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Sys,
    Auth,
    Identity,
    Cubbyhole,
    Engine,
    /// A reserved word in a place that is neither clearly a namespace's nor clearly an engine's.
    Ambiguous,
}

/// Where the family begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor<'a> {
    pub(crate) family: Family,
    /// What follows the family's word and its slash; the whole path for an engine.
    pub(crate) rest: &'a str,
    /// Something stands in front of the family's word.
    pub(crate) namespaced: bool,
}

/// How deep a namespace in the path may be. Deeper ones belong in the header.
const MAX_NAMESPACE_DEPTH: usize = 8;

/// Finds the family of a canonical path (without `/v1/`).
pub(crate) fn anchor(path: &str) -> Anchor<'_> {
    let (first, rest) = split(path);
    if let Some(family) = reserved(first) {
        return Anchor { family, rest, namespaced: false };
    }
    if mount::guess(path).is_some() {
        return engine(path);
    }
    below_namespace(path, rest)
}

fn below_namespace<'a>(path: &'a str, mut rest: &'a str) -> Anchor<'a> {
    for _ in 0..MAX_NAMESPACE_DEPTH {
        let (segment, after) = split(rest);
        if segment.is_empty() || is_engine_word(segment) {
            return engine(path);
        }
        if let Some(family) = reserved(segment) {
            let family = if fits(family, after) { family } else { Family::Ambiguous };
            return Anchor { family, rest: after, namespaced: true };
        }
        rest = after;
    }
    engine(path)
}

fn engine(path: &str) -> Anchor<'_> {
    Anchor { family: Family::Engine, rest: path, namespaced: false }
}

/// First segment and what follows its slash.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

/// Words no mount and no namespace can be called.
fn reserved(segment: &str) -> Option<Family> {
    match segment {
        "sys" => Some(Family::Sys),
        "auth" => Some(Family::Auth),
        "identity" => Some(Family::Identity),
        "cubbyhole" => Some(Family::Cubbyhole),
        _ => None,
    }
}

fn fits(family: Family, rest: &str) -> bool {
    let (word, after) = split(rest);
    match family {
        Family::Sys => is_sys_word(word),
        Family::Auth => !word.is_empty() && !after.is_empty(),
        Family::Identity => is_identity_word(word),
        Family::Cubbyhole => true,
        Family::Engine | Family::Ambiguous => false,
    }
}

/// First words of engine paths: what stands before one is a mount, not a namespace alone.
pub(crate) fn is_engine_word(segment: &str) -> bool {
    matches!(
        segment,
        "data"
            | "metadata"
            | "subkeys"
            | "detailed-metadata"
            | "delete"
            | "undelete"
            | "destroy"
            | "creds"
            | "static-creds"
            | "static-roles"
            | "roles"
            | "role"
            | "issue"
            | "sign"
            | "sign-verbatim"
            | "issuer"
            | "issuers"
            | "cert"
            | "certs"
            | "keys"
            | "encrypt"
            | "decrypt"
            | "rewrap"
            | "datakey"
            | "verify"
            | "hmac"
            | "export"
            | "backup"
            | "code"
            | "config"
            | "library"
    )
}

fn is_identity_word(segment: &str) -> bool {
    matches!(
        segment,
        "entity" | "entity-alias" | "alias" | "persona" | "group" | "group-alias" | "lookup" | "oidc" | "mfa"
    )
}

/// The words that follow `sys/`.
pub(crate) fn is_sys_word(segment: &str) -> bool {
    matches!(
        segment,
        "activation-flags"
            | "audit"
            | "audit-hash"
            | "auth"
            | "capabilities"
            | "capabilities-accessor"
            | "capabilities-self"
            | "config"
            | "control-group"
            | "decode-token"
            | "events"
            | "experiments"
            | "generate-recovery-token"
            | "generate-root"
            | "generate-root-token"
            | "ha-status"
            | "health"
            | "host-info"
            | "in-flight-req"
            | "init"
            | "internal"
            | "key-status"
            | "leader"
            | "leases"
            | "license"
            | "locked-users"
            | "loggers"
            | "managed-keys"
            | "metrics"
            | "mfa"
            | "monitor"
            | "mounts"
            | "namespaces"
            | "plugins"
            | "policies"
            | "policy"
            | "pprof"
            | "quotas"
            | "raw"
            | "rekey"
            | "rekey-recovery-key"
            | "remount"
            | "renew"
            | "replication"
            | "revoke"
            | "revoke-force"
            | "revoke-prefix"
            | "rotate"
            | "seal"
            | "seal-backend-status"
            | "seal-status"
            | "step-down"
            | "storage"
            | "tools"
            | "unseal"
            | "version-history"
            | "well-known"
            | "wrapping"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_is_found_behind_a_namespace() {
        use Family::{Ambiguous, Auth, Cubbyhole, Engine, Identity, Sys};
        let table = [
            ("sys/mounts", Sys, "mounts"),
            ("sys", Sys, ""),
            ("sys/no-such-word", Sys, "no-such-word"),
            ("auth/token/lookup-self", Auth, "token/lookup-self"),
            ("identity/entity/id/x", Identity, "entity/id/x"),
            ("cubbyhole/x", Cubbyhole, "x"),
            ("ns1/sys/mounts", Sys, "mounts"),
            ("ns1/ns2/sys/policies/acl/x", Sys, "policies/acl/x"),
            ("ns1/auth/token/lookup-self", Auth, "token/lookup-self"),
            ("ns1/identity/lookup/entity", Identity, "lookup/entity"),
            ("ns1/cubbyhole/x", Cubbyhole, "x"),
            // The first reserved word counts: a namespace cannot be called `auth`.
            ("auth/sys/login", Auth, "sys/login"),
            ("sys/auth/token", Sys, "auth/token"),
            // Secrets may be called as they like.
            ("secret/data/sys/mounts", Engine, "secret/data/sys/mounts"),
            ("secret/sys/mounts", Engine, "secret/sys/mounts"),
            ("team/data/auth/token/x", Engine, "team/data/auth/token/x"),
            ("payments/x/y", Engine, "payments/x/y"),
            ("payments", Engine, "payments"),
            ("", Engine, ""),
            // Neither clearly the one nor the other.
            ("payments/sys/ledger", Ambiguous, "ledger"),
            ("payments/auth/x", Ambiguous, "x"),
            ("payments/identity", Ambiguous, ""),
        ];
        for (path, family, rest) in table {
            let found = anchor(path);
            assert_eq!((found.family, found.rest), (family, rest), "{path}");
        }
    }
}
