//! Path templates: the shape of a path without its secret segments.
//!
//! `GET /v1/database/creds/payments-ro` becomes `database/creds/:x`. Only words of the closed lists below are ever written
//! out; everything else (names of secrets, users, roles, accessors, tokens, mounts with names of their own) becomes
//! `:x`, and so does a listed word in a place where a name is expected. Runs of variable segments become one `:x`, so
//! that the number of templates is bounded as well as their length.

use super::classify::family::{Family, anchor, is_sys_word, split};
use super::mount::{self, MountType};
use super::operation::Operation;

/// Longest template written, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 128;
/// Segments looked at; what follows is `:x`.
const MAX_SEGMENTS: usize = 12;
const VARIABLE: &str = ":x";

/// Appends the template of a canonical path (without `/v1/`) to `out`: at most [`MAX_TEMPLATE_BYTES`].
/// Lists end in `/`.
pub fn render(path: &str, operation: Operation, out: &mut String) {
    let mut writer = Writer { start: out.len(), out, in_variable: false };
    let found = anchor(path);
    if found.namespaced {
        writer.variable();
    }
    match found.family {
        Family::Sys => writer.family("sys", found.rest, is_sys),
        Family::Auth => auth(&mut writer, found.rest),
        Family::Identity => writer.family("identity", found.rest, is_identity),
        Family::Cubbyhole => writer.family("cubbyhole", found.rest, |_| false),
        Family::Engine => engine(&mut writer, path),
        Family::Ambiguous => writer.variable(),
    }
    if matches!(operation, Operation::List | Operation::Scan) {
        writer.end_with_slash();
    }
}

fn auth(writer: &mut Writer<'_>, rest: &str) {
    let (name, after) = split(rest);
    writer.word("auth");
    if mount::guess_auth(name) == MountType::Other {
        writer.variable()
    } else {
        writer.word(name)
    }
    writer.words(after, is_auth);
}

/// A customary mount name is kept; behind another one the first word tells what the engine is asked.
fn engine(writer: &mut Writer<'_>, path: &str) {
    let (name, rest) = split(path);
    let kind = mount::guess(path).map(|(_, kind)| kind);
    if kind.is_some() {
        writer.word(name)
    } else {
        writer.variable()
    }
    let (word, after) = split(rest);
    if is_kv(word) {
        writer.word(word);
        writer.words(after, |_| false);
    } else if matches!(kind, Some(MountType::Kv1 | MountType::Kv2)) {
        writer.words(rest, |_| false);
    } else {
        writer.words(rest, is_engine);
    }
}

struct Writer<'o> {
    start: usize,
    out: &'o mut String,
    /// The last segment written is a variable one.
    in_variable: bool,
}

impl Writer<'_> {
    fn family(&mut self, word: &str, rest: &str, keep: fn(&str) -> bool) {
        self.word(word);
        self.words(rest, keep);
    }

    fn words(&mut self, rest: &str, keep: fn(&str) -> bool) {
        let mut name_expected = false;
        for (at, segment) in rest.split('/').filter(|segment| !segment.is_empty()).enumerate() {
            if at >= MAX_SEGMENTS || name_expected || !keep(segment) {
                self.variable();
                name_expected = false;
            } else {
                self.word(segment);
                name_expected = takes_name(segment);
            }
        }
    }

    fn word(&mut self, word: &str) {
        self.segment(word);
        self.in_variable = false;
    }

    fn variable(&mut self) {
        if !self.in_variable {
            self.segment(VARIABLE);
        }
        self.in_variable = true;
    }

    fn segment(&mut self, segment: &str) {
        let written = self.out.len() - self.start;
        // Room is kept for the slash of a list.
        if written + segment.len() + 2 > MAX_TEMPLATE_BYTES {
            return;
        }
        if written > 0 {
            self.out.push('/');
        }
        self.out.push_str(segment);
    }

    fn end_with_slash(&mut self) {
        self.out.push('/');
    }
}

/// Words that a name follows, whatever the name looks like.
fn takes_name(word: &str) -> bool {
    matches!(
        word,
        "acl"
            | "rgp"
            | "egp"
            | "password"
            | "user"
            | "users"
            | "group"
            | "groups"
            | "role"
            | "roles"
            | "login"
            | "name"
            | "id"
            | "key"
            | "mounts"
            | "policy"
            | "namespaces"
            | "raw"
            | "creds"
            | "static-creds"
            | "static-roles"
            | "keys"
            | "encrypt"
            | "decrypt"
            | "sign"
            | "issue"
            | "issuer"
            | "cert"
            | "code"
            | "sts"
            | "audit-hash"
            | "provider"
            | "client"
            | "scope"
            | "assignment"
            | "remount"
            | "rate-limit"
            | "lease-count"
            | "library"
    )
}

fn is_kv(word: &str) -> bool {
    matches!(word, "data" | "metadata" | "subkeys" | "detailed-metadata" | "delete" | "undelete" | "destroy")
}

fn is_sys(word: &str) -> bool {
    is_sys_word(word)
        || matches!(
            word,
            "accessor"
                | "acl"
                | "answer"
                | "attempt"
                | "auditing"
                | "authorize"
                | "autopilot"
                | "backend"
                | "backup"
                | "bootstrap"
                | "catalog"
                | "challenge"
                | "configuration"
                | "control"
                | "cors"
                | "counters"
                | "count"
                | "demote"
                | "egp"
                | "generate"
                | "group-policy-application"
                | "hash"
                | "headers"
                | "inspect"
                | "irrevocable"
                | "join"
                | "keyring"
                | "lease-count"
                | "lookup"
                | "openapi"
                | "password"
                | "performance"
                | "dr"
                | "pins"
                | "primary"
                | "promote"
                | "random"
                | "rate-limit"
                | "recovery"
                | "reload"
                | "remove-peer"
                | "request-headers"
                | "rewrap"
                | "rgp"
                | "root"
                | "router"
                | "runtimes"
                | "sanitized"
                | "secondary"
                | "snapshot"
                | "snapshot-force"
                | "snapshot-auto"
                | "specs"
                | "state"
                | "status"
                | "subscribe"
                | "tidy"
                | "tune"
                | "ui"
                | "unlock"
                | "unwrap"
                | "update"
                | "validate"
                | "verify"
                | "wrap"
                | "raft"
                | "recovery-key"
        )
}

fn is_auth(word: &str) -> bool {
    matches!(
        word,
        "accessors"
            | "auth_url"
            | "callback"
            | "certs"
            | "config"
            | "create"
            | "create-orphan"
            | "custom-secret-id"
            | "destroy"
            | "groups"
            | "group"
            | "login"
            | "lookup"
            | "lookup-accessor"
            | "lookup-self"
            | "map"
            | "oidc"
            | "password"
            | "policies"
            | "poll"
            | "renew"
            | "renew-accessor"
            | "renew-self"
            | "revoke"
            | "revoke-accessor"
            | "revoke-orphan"
            | "revoke-self"
            | "role"
            | "role-id"
            | "roles"
            | "secret-id"
            | "secret-id-accessor"
            | "tidy"
            | "user"
            | "users"
            | "verify"
    )
}

fn is_identity(word: &str) -> bool {
    matches!(
        word,
        ".well-known"
            | "alias"
            | "assignment"
            | "authorize"
            | "batch-delete"
            | "client"
            | "config"
            | "entity"
            | "entity-alias"
            | "group"
            | "group-alias"
            | "id"
            | "introspect"
            | "key"
            | "keys"
            | "login-enforcement"
            | "lookup"
            | "merge"
            | "method"
            | "mfa"
            | "name"
            | "oidc"
            | "openid-configuration"
            | "persona"
            | "provider"
            | "role"
            | "rotate"
            | "scope"
            | "token"
            | "totp"
            | "userinfo"
    )
}

fn is_engine(word: &str) -> bool {
    matches!(
        word,
        "acme"
            | "account"
            | "backup"
            | "byok-export"
            | "ca"
            | "ca_chain"
            | "cache-config"
            | "cert"
            | "certs"
            | "check-in"
            | "check-out"
            | "code"
            | "config"
            | "creds"
            | "crl"
            | "datakey"
            | "decrypt"
            | "delta"
            | "encrypt"
            | "export"
            | "generate"
            | "hash"
            | "hmac"
            | "import"
            | "intermediate"
            | "issue"
            | "issuer"
            | "issuers"
            | "key"
            | "keys"
            | "library"
            | "lookup"
            | "ocsp"
            | "pem"
            | "plaintext"
            | "public_key"
            | "random"
            | "reset"
            | "restore"
            | "revoke"
            | "rewrap"
            | "role"
            | "roles"
            | "root"
            | "rotate"
            | "rotate-delta"
            | "rotate-role"
            | "rotate-root"
            | "sign"
            | "sign-intermediate"
            | "sign-verbatim"
            | "static-creds"
            | "static-roles"
            | "status"
            | "sts"
            | "tidy"
            | "tidy-status"
            | "token"
            | "trim"
            | "urls"
            | "verify"
            | "wrapped"
            | "wrapping_key"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(path: &str) -> String {
        let mut out = String::new();
        render(path, Operation::Read, &mut out);
        out
    }

    #[test]
    fn names_are_hidden_and_words_are_kept() {
        let table = [
            ("sys/mounts", "sys/mounts"),
            ("sys/mounts/payments/tune", "sys/mounts/:x/tune"),
            ("sys/policies/acl/default", "sys/policies/acl/:x"),
            ("sys/policies/acl/mounts", "sys/policies/acl/:x"),
            ("sys/storage/raft/autopilot/state", "sys/storage/raft/autopilot/state"),
            ("sys/leases/lookup/database/creds/ro", "sys/leases/lookup/:x"),
            ("sys/internal/ui/mounts/secret", "sys/internal/ui/mounts/:x"),
            ("ns1/ns2/sys/mounts", ":x/sys/mounts"),
            ("auth/userpass/login/bob", "auth/userpass/login/:x"),
            ("auth/userpass/users/login", "auth/userpass/users/:x"),
            ("auth/corp-ldap/login/bob", "auth/:x/login/:x"),
            ("auth/approle/role/ci/secret-id/lookup", "auth/approle/role/:x/secret-id/lookup"),
            ("auth/token/lookup/hvs.CAESIJ", "auth/token/lookup/:x"),
            ("auth/token/lookup-self", "auth/token/lookup-self"),
            ("identity/entity/name/bob", "identity/entity/name/:x"),
            ("identity/oidc/provider/p/authorize", "identity/oidc/provider/:x/authorize"),
            ("cubbyhole/token", "cubbyhole/:x"),
            ("secret/data/payments/stripe/keys", "secret/data/:x"),
            ("secret/payments/creds/x", "secret/:x"),
            ("payments/data/a/b", ":x/data/:x"),
            ("payments/a/b", ":x"),
            ("database/creds/payments-ro", "database/creds/:x"),
            ("transit/encrypt/orders", "transit/encrypt/:x"),
            ("transit/keys/keys/rotate", "transit/keys/:x/rotate"),
            ("transit/datakey/plaintext/orders", "transit/datakey/plaintext/:x"),
            ("pki/crl/rotate", "pki/crl/rotate"),
            ("pki/issuer/default/pem", "pki/issuer/:x/pem"),
            ("hvs.CAESIJabcdef", ":x"),
            ("", ":x"),
        ];
        for (path, want) in table {
            assert_eq!(template(path), want, "{path}");
        }
    }

    #[test]
    fn a_list_ends_in_a_slash() {
        let mut out = "LIST ".to_owned();
        render("secret/metadata/a/", Operation::List, &mut out);
        assert_eq!(out, "LIST secret/metadata/:x/");
    }

    proptest! {
        #[test]
        fn nothing_but_listed_words_comes_out(path in "(sys/|auth/|identity/|ns/sys/|secret/|pki/|)([a-z]{1,9}/?){0,30}", marker in "[A-Z0-9]{4,40}", at in 0_usize..12) {
            // Upper case and digits stand in no list: a segment holding them must never appear.
            let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
            segments.insert(at.min(segments.len()), &marker);
            let out = template(&segments.join("/"));
            prop_assert!(out.len() <= MAX_TEMPLATE_BYTES);
            prop_assert!(!out.contains(&marker), "{}", out);
            prop_assert!(!out.contains(":x/:x"), "{}", out);
        }
    }
}
