//! The table itself: vault-semantics §4, a line per row and method.
//!
//! `METHOD path [mount type] = needs class traits`; `needs` is the sheet's column "proxy" (S standby, A active, N this node,
//! C answered for the cluster, Y any node), `class` r/w/l/u, and the traits that hold:
//! i idempotent, m changes mounts, t mints a token, f first touch, s streaming, l learnable.

use super::*;

fn check(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (request, want) = line.split_once(" = ").unwrap_or_else(|| panic!("no verdict: {line}"));
        let words: Vec<&str> = request.split_whitespace().collect();
        let (path, query) =
            words[1].split_once('?').map_or((words[1], None), |(path, query)| (path, Some(query)));
        let method = http::Method::from_bytes(words[0].as_bytes()).unwrap();
        let operation = super::super::operation::of(&method, query).unwrap();
        let mount_type = words.get(2).map(|name| MountType::from_api(name.trim_matches(['[', ']']), None));
        let shape = Shape { mount_type, ..Shape::plain(operation, path) };
        assert_eq!(
            written(&classify(&shape)),
            want.split_whitespace().collect::<Vec<_>>().join(" "),
            "{request}"
        );
    }
}

fn written(verdict: &Classified) -> String {
    let needs = match verdict.needs {
        Needs::AnyNode => 'Y',
        Needs::Standby => 'S',
        Needs::Active => 'A',
        Needs::ThisNode => 'N',
        Needs::Cluster => 'C',
    };
    let class = verdict.class.as_str().chars().next().unwrap();
    let traits = verdict.traits;
    let letters: String = [
        (traits.idempotent, 'i'),
        (traits.changes_mounts, 'm'),
        (traits.mints_token, 't'),
        (traits.first_touch, 'f'),
        (traits.streaming, 's'),
        (traits.learnable, 'l'),
    ]
    .iter()
    .filter_map(|&(set, letter)| set.then_some(letter))
    .collect();
    format!("{needs} {class} {letters}").trim_end().to_owned()
}

#[test]
fn section_2_status_and_cluster() {
    check(
        "
        GET  sys/health = C l i
        HEAD sys/health = C l i
        POST sys/health = Y r i
        GET  ns1/sys/health = Y r i
        GET  sys/leader = C l i
        GET  sys/seal-status = C l i
        GET  sys/init = Y r i
        PUT  sys/init = N l
        PUT  sys/unseal = N l
        PUT  sys/seal = N l
        PUT  sys/step-down = A w
        GET  sys/ha-status = A r i
        GET  sys/key-status = S r i
        GET  sys/host-info = N l
        GET  sys/in-flight-req = N l
        GET  sys/config/state/sanitized = N l
        GET  sys/metrics = N l
        GET  sys/monitor = N l s
        GET  sys/pprof/profile = N l s
        GET  sys/loggers = N l
        POST sys/loggers = N l
        DELETE sys/loggers/core = N l
        GET  sys/storage/raft/configuration = A r i
        POST sys/storage/raft/join = N l
        PUT  sys/storage/raft/bootstrap/challenge = A w
        PUT  sys/storage/raft/bootstrap/answer = A w
        POST sys/storage/raft/remove-peer = A w
        POST sys/storage/raft/promote = A w
        POST sys/storage/raft/demote = A w
        GET  sys/storage/raft/autopilot/state = A r i
        GET  sys/storage/raft/autopilot/configuration = A r i
        POST sys/storage/raft/autopilot/configuration = A w
        GET  sys/storage/raft/snapshot = A r is
        POST sys/storage/raft/snapshot = A w s
        POST sys/storage/raft/snapshot-force = A w s
    ",
    );
}

#[test]
fn section_4_1_core_token_wrapping() {
    check(
        "
        GET  auth/token/lookup-self = S r i
        POST auth/token/lookup = S r
        POST auth/token/lookup-self = S r
        POST auth/token/lookup-accessor = S r
        GET  auth/token/lookup/s.abc = S r i
        POST auth/token/create = A w t
        POST auth/token/create-orphan = A w t
        POST auth/token/create/ci = A w t
        POST auth/token/renew = A w
        POST auth/token/renew-self = A w
        POST auth/token/renew-accessor = A w
        POST auth/token/revoke = A w
        POST auth/token/revoke-self = A w
        POST auth/token/revoke-accessor = A w
        POST auth/token/revoke-orphan = A w
        POST auth/token/tidy = A w
        GET  auth/token/roles/ci = S r i
        LIST auth/token/roles = S r i
        POST auth/token/roles/ci = A w
        DELETE auth/token/roles/ci = A w
        LIST auth/token/accessors = S r i
        POST auth/userpass/login/bob = A w t
        POST auth/approle/login = A w t
        POST auth/corp/login/bob = A w t
        POST auth/team/ldap/login/bob = A w t
        PUT  auth/kubernetes/login = A w t
        GET  auth/kerberos/login = A w t
        POST sys/mfa/validate = A w t
        GET  cubbyhole/x = S r i
        LIST cubbyhole/ = S r i
        PUT  cubbyhole/x = A w
        DELETE cubbyhole/x = A w
        GET  cubbyhole/response = A w
        POST sys/wrapping/wrap = A w t
        POST sys/wrapping/lookup = S r
        GET  sys/wrapping/lookup = S r i
        POST sys/wrapping/unwrap = A w t
        POST sys/wrapping/rewrap = A w t
        POST sys/capabilities = S r
        POST sys/capabilities-self = S r
        POST sys/capabilities-accessor = S r
        PUT  sys/leases/lookup = S r
        LIST sys/leases/lookup/database/creds = S r i
        PUT  sys/leases/renew = A w
        PUT  sys/leases/revoke = A w
        PUT  sys/leases/revoke/database/creds/x/1 = A w
        PUT  sys/leases/revoke-force/x = A w
        PUT  sys/leases/revoke-prefix/x = A w
        POST sys/leases/tidy = A w
        PUT  sys/renew/x = A w
        PUT  sys/revoke-prefix/x = A w
        POST sys/tools/hash/sha2-256 = S r
        POST sys/tools/random/32 = S r
        POST sys/audit-hash/file = S r
        POST sys/control-group/authorize = A w
    ",
    );
}

#[test]
fn section_4_2_sys_administration() {
    check(
        "
        GET  sys/mounts = S r i
        GET  sys/mounts/secret/tune = S r i
        POST sys/mounts/secret = A w m
        POST sys/mounts/secret/tune = A w m
        DELETE sys/mounts/secret = A w m
        GET  sys/auth = S r i
        POST sys/auth/userpass = A w m
        DELETE sys/auth/userpass = A w m
        POST sys/remount = A w m
        GET  sys/remount/status/1 = S r i
        GET  sys/policy = S r i
        PUT  sys/policy/x = A w m
        LIST sys/policies/acl = S r i
        GET  sys/policies/acl/x = S r i
        PUT  sys/policies/acl/x = A w m
        PATCH sys/policies/acl/x = A w m
        DELETE sys/policies/acl/x = A w m
        GET  sys/policies/password/x/generate = S r i
        LIST sys/namespaces = S r i
        POST sys/namespaces/ns1 = A w m
        DELETE sys/namespaces/ns1 = A w m
        PUT  sys/namespaces/ns1/seal = A w m
        PUT  sys/namespaces/ns1/unseal = A w m
        GET  sys/namespaces/ns1/seal-status = A r i
        GET  sys/audit = S r i
        PUT  sys/audit/file = A w
        GET  sys/quotas/config = S r i
        LIST sys/quotas/rate-limit = S r i
        POST sys/quotas/rate-limit/x = A w
        GET  sys/config/cors = S r i
        POST sys/config/cors = A w
        POST sys/config/reload/license = N l
        GET  sys/rotate/config = S r i
        POST sys/rotate/config = A w
        POST sys/rotate = A w
        PUT  sys/rotate/root/init = A w
        GET  sys/rotate/root/init = A r i
        GET  sys/plugins/catalog/secret = S r i
        PUT  sys/plugins/catalog/secret/x = A w
        PUT  sys/plugins/reload/backend = N l
        POST sys/plugins/reload/secret/x = N l
        GET  sys/locked-users = A r i
        POST sys/locked-users/a/unlock/b = A w
        LIST sys/version-history = S r i
        GET  sys/internal/ui/mounts = S r i
        GET  sys/internal/ui/namespaces = S r i
        GET  sys/internal/specs/openapi = Y r i
        GET  sys/internal/counters/activity = S r i
        POST sys/internal/counters/config = A w
        GET  sys/generate-root/attempt = A r i
        PUT  sys/generate-root/attempt = A w
        PUT  sys/generate-root/update = A w
        DELETE sys/generate-root/attempt = A w
        PUT  sys/generate-root-token/attempt = A w
        GET  sys/rekey/init = A r i
        PUT  sys/rekey/init = A w
        GET  sys/rekey-recovery-key/init = A r i
        GET  sys/raw/core/mounts = S r i
        LIST sys/raw/ = S r i
        PUT  sys/raw/x = A w
        DELETE sys/raw/x = A w
        GET  sys/events/subscribe/kv* = A r s
        GET  sys/mounts?help=1 = A r i
        HELP sys/mounts = A r i
        OPTIONS sys/mounts = Y r i
        TRACE sys/mounts = A u
        GET  sys/something-new = S r il
        POST sys/something-new = A w
        GET  sys/mounts?list=true = S r i
    ",
    );
}

#[test]
fn section_4_3_key_value() {
    check(
        "
        GET  team/x [kv-v1] = S r i
        LIST team/x [kv-v1] = S r i
        SCAN team/x [kv-v1] = S r i
        POST team/x [kv-v1] = A w
        PUT  team/x [kv-v1] = A w
        DELETE team/x [kv-v1] = A w
        GET  team/creds/x [kv-v1] = S r i
        GET  team/data/x?version=2 [kv-v2] = S r i
        HEAD team/data/x [kv-v2] = S r i
        GET  team/metadata/x [kv-v2] = S r i
        LIST team/metadata/x [kv-v2] = S r i
        SCAN team/metadata/x [kv-v2] = S r i
        GET  team/subkeys/x [kv-v2] = S r i
        GET  team/detailed-metadata/x [kv-v2] = S r i
        GET  team/config [kv-v2] = S r i
        POST team/data/x [kv-v2] = A w
        PUT  team/data/x [kv-v2] = A w
        PATCH team/data/x [kv-v2] = A w
        DELETE team/data/x [kv-v2] = A w
        POST team/delete/x [kv-v2] = A w
        POST team/undelete/x [kv-v2] = A w
        PUT  team/destroy/x [kv-v2] = A w
        DELETE team/metadata/x [kv-v2] = A w
        POST team/metadata/x [kv-v2] = A w
        PATCH team/metadata/x [kv-v2] = A w
        POST team/config [kv-v2] = A w
        GET  secret/data/x = S r il
        DELETE secret/data/x = A w
        GET  secret/creds/x = S r il
        POST secret/data/sys/capabilities = A w
    ",
    );
}

#[test]
fn section_4_3_transit() {
    check(
        "
        POST t/encrypt/k [transit] = S r f
        POST t/decrypt/k [transit] = S r
        POST t/rewrap/k [transit] = S r
        POST t/datakey/plaintext/k [transit] = S r
        POST t/sign/k [transit] = S r
        POST t/sign/k/sha2-256 [transit] = S r
        POST t/verify/k [transit] = S r
        POST t/hmac/k [transit] = S r
        POST t/hash [transit] = S r
        POST t/random/32 [transit] = S r
        GET  t/keys/k [transit] = S r i
        LIST t/keys [transit] = S r i
        GET  t/export/encryption-key/k [transit] = S r i
        GET  t/cache-config [transit] = S r i
        POST t/cache-config [transit] = A w
        POST t/keys/k [transit] = A w
        DELETE t/keys/k [transit] = A w
        POST t/keys/k/rotate [transit] = A w
        POST t/keys/k/import [transit] = A w
        POST t/keys/k/trim [transit] = A w
        POST t/keys/k/config [transit] = A w
        POST t/restore/k [transit] = A w
        GET  t/backup/k [transit] = A w
        GET  t/wrapping_key [transit] = S r if
        POST transit/encrypt/k = S r fl
        POST transit/keys/k = A w
        DELETE transit/encrypt/k = A w
    ",
    );
}

#[test]
fn section_4_3_pki() {
    check(
        "
        GET  p/ca [pki] = S r i
        GET  p/ca/pem [pki] = S r i
        GET  p/ca_chain [pki] = S r i
        GET  p/crl [pki] = S r i
        GET  p/crl/pem [pki] = S r i
        GET  p/cert/aa-bb [pki] = S r i
        LIST p/certs [pki] = S r i
        GET  p/issuer/x [pki] = S r i
        LIST p/issuers [pki] = S r i
        GET  p/roles/x [pki] = S r i
        GET  p/config/urls [pki] = S r i
        GET  p/ocsp/MEI= [pki] = S r i
        POST p/ocsp [pki] = S r
        POST p/issue/x [pki] = A w
        POST p/sign/x [pki] = A w
        POST p/sign-verbatim/x [pki] = A w
        POST p/issuer/i/issue/x [pki] = A w
        POST p/revoke [pki] = A w
        POST p/revoke-with-key [pki] = A w
        POST p/root/generate/internal [pki] = A w
        DELETE p/root [pki] = A w
        POST p/intermediate/set-signed [pki] = A w
        POST p/config/urls [pki] = A w
        POST p/tidy [pki] = A w
        GET  p/crl/rotate [pki] = A w
        GET  p/crl/rotate-delta [pki] = A w
        GET  p/tidy-status [pki] = A r i
        GET  p/acme/directory [pki] = A w
        HEAD p/acme/new-nonce [pki] = A w
        POST p/acme/new-account [pki] = A w
        GET  p/roles/x/acme/new-nonce [pki] = A w
        GET  pki/crl/rotate = A w
        GET  pki/cert/ca = S r il
        GET  corp-pki/crl/rotate = A w
        POST corp-pki/issue/x = A w
    ",
    );
}

#[test]
fn section_4_3_dynamic_credentials() {
    check(
        "
        GET  d/creds/x [database] = A w
        GET  d/static-creds/x [database] = S r i
        GET  d/roles/x [database] = S r i
        LIST d/roles [database] = S r i
        GET  d/config/x [database] = S r i
        POST d/config/x [database] = A w
        POST d/rotate-root/x [database] = A w
        POST d/rotate-role/x [database] = A w
        POST d/creds/x [kubernetes] = A w
        GET  d/creds/x [ldap] = A w
        GET  d/static-cred/x [ldap] = S r i
        GET  d/library/x/status [ldap] = S r i
        POST d/library/x/check-out [ldap] = A w
        GET  d/creds/x [rabbitmq] = A w
        GET  d/creds/x [aws] = A w
        GET  d/sts/x [aws] = A w
        GET  d/token/x [gcp] = A w
        GET  d/key/x [gcp] = A w
        GET  d/roleset/x/token [gcp] = A w
        GET  d/static-account/x/key [gcp] = A w
        GET  d/roleset/x [gcp] = S r i
        GET  d/rotate-root [ad] = A w
        GET  database/creds/x = A w
        GET  database/static-creds/x = S r il
        GET  aws/sts/x = A w
        GET  team-db/creds/x = A w
        GET  team/db/creds/x = A w
        GET  team/creds = S r il
        LIST team-db/creds = S r il
        GET  team/data/creds/x = S r il
    ",
    );
}

#[test]
fn section_4_3_ssh_and_totp() {
    check(
        "
        POST s/sign/x [ssh] = S r
        POST s/issue/x [ssh] = S r
        POST s/creds/x [ssh] = A w
        POST s/verify [ssh] = A w
        POST s/lookup [ssh] = S r
        GET  s/public_key [ssh] = S r i
        GET  s/roles/x [ssh] = S r i
        POST s/roles/x [ssh] = A w
        GET  o/code/x [totp] = S r i
        POST o/code/x [totp] = A w
        POST o/keys/x [totp] = A w
        DELETE o/keys/x [totp] = A w
        GET  o/keys/x [totp] = S r i
        POST totp/code/x = A w
    ",
    );
}

#[test]
fn section_4_3_identity_and_auth_methods() {
    check(
        "
        GET  identity/entity/id/x = S r i
        LIST identity/entity/name = S r i
        POST identity/lookup/entity = S r
        POST identity/lookup/group = S r
        POST identity/entity = A w
        POST identity/entity/merge = A w
        POST identity/group = A w
        DELETE identity/entity/id/x = A w
        DELETE identity/group/id/x = A w
        GET  identity/oidc/.well-known/keys = S r i
        GET  identity/oidc/.well-known/openid-configuration = S r i
        GET  identity/oidc/token/x = S r i
        POST identity/oidc/introspect = S r
        POST identity/oidc/key/x/rotate = A w
        GET  identity/oidc/provider/p/authorize = A w
        POST identity/oidc/provider/p/authorize = A w
        POST identity/oidc/provider/p/token = A w
        GET  identity/oidc/provider/p/userinfo = S r i
        POST identity/oidc/provider/p/userinfo = S r
        GET  identity/oidc/provider/p/.well-known/keys = S r i
        PUT  auth/oidc/oidc/auth_url = A r t
        GET  auth/oidc/oidc/callback = A w t
        POST auth/oidc/oidc/callback = A w t
        POST auth/oidc/oidc/poll = A r t
        POST auth/corp/oidc/auth_url = A w t
        GET  auth/approle/role/ci = S r i
        LIST auth/approle/role = S r i
        GET  auth/approle/role/ci/role-id = S r i
        LIST auth/approle/role/ci/secret-id = S r i
        POST auth/approle/role/ci/secret-id/lookup = S r
        POST auth/approle/role/ci/secret-id-accessor/lookup = S r
        POST auth/approle/role/ci/secret-id = A w
        POST auth/approle/role/ci/secret-id/destroy = A w
        POST auth/approle/role/ci = A w
        POST auth/approle/role/lookup = A w
        DELETE auth/approle/role/ci = A w
        POST auth/approle/tidy/secret-id = A w
        GET  auth/userpass/users/login = S r i
        POST auth/userpass/users/bob = A w
        DELETE auth/userpass/users/bob = A w
        GET  auth/okta/verify/123 = A r i
        GET  auth/corp/config = S r il
        POST auth/corp/config = A w
    ",
    );
}

#[test]
fn namespaces_in_the_path_are_seen_through() {
    check(
        "
        GET  ns1/sys/mounts = S r i
        POST ns1/sys/mounts/x = A w m
        POST ns1/auth/token/lookup-self = S r
        POST ns1/ns2/auth/userpass/login/bob = A w t
        POST ns1/identity/lookup/entity = S r
        PUT  ns1/cubbyhole/x = A w
        POST ns1/sys/capabilities-self = S r
        GET  payments/sys/ledger = A u
        POST payments/sys/ledger = A w
        GET  payments/x = S r il
        POST payments/x = A w
        DELETE payments/x = A w
        PATCH payments/x = A w
    ",
    );
}

#[test]
fn headers_move_a_request_to_the_active_node() {
    let plain = Shape::plain(Operation::Read, "secret/data/x");
    let table = [
        (Shape { wraps: true, ..plain }, "A w t"),
        (Shape { forward_active: true, ..plain }, "A r i"),
        (Shape { mfa: true, ..plain }, "A r"),
        (Shape { inline_auth: true, ..plain }, "S r il"),
        (Shape { wraps: true, path: "auth/token/lookup-self", ..plain }, "A w t"),
        (Shape { wraps: true, path: "sys/wrapping/lookup", ..plain }, "A w t"),
        (Shape { wraps: true, path: "sys/health", ..plain }, "C l i"),
        (Shape { forward_active: true, path: "sys/metrics", ..plain }, "N l"),
        (Shape { mfa: true, path: "auth/ldap/login/bob", operation: Operation::Write, ..plain }, "A w t"),
    ];
    for (shape, want) in table {
        let verdict = classify(&shape);
        assert_eq!(written(&verdict), want, "{shape:?}");
        assert_eq!(verdict.source == Source::Header, verdict.needs == Needs::Active, "{shape:?}");
    }
}

#[test]
fn a_known_mount_wins_over_its_name() {
    let shape = |path, kind, mount_len| Shape {
        mount_type: Some(kind),
        mount_len,
        ..Shape::plain(Operation::Read, path)
    };
    let table = [
        (shape("database/creds/x", MountType::Kv2, 9), "S r i"),
        (shape("secret/creds/x", MountType::Dynamic, 7), "A w"),
        (shape("team/db/creds/x", MountType::Dynamic, 8), "A w"),
        (shape("team/sys/ledger", MountType::Kv1, 5), "S r i"),
        (shape("ns1/sys/mounts", MountType::System, 8), "S r i"),
        (shape("sys/health", MountType::System, 4), "C l i"),
        (shape("ns1/sys/health", MountType::System, 8), "Y r i"),
        (shape("auth/deep/ldap/login", MountType::Auth, 15), "A w t"),
        (shape("auth/deep/ldap/users/login", MountType::Auth, 15), "S r i"),
        (shape("odd/creds/x", MountType::Other, 4), "A w"),
        (shape("odd/x", MountType::Other, 4), "S r il"),
    ];
    for (shape, want) in table {
        assert_eq!(written(&classify(&shape)), want, "{shape:?}");
    }
}

#[test]
fn outside_the_api_only_files_of_the_ui_are_known() {
    let table = [
        (Operation::Read, "/ui/index.html", "Y r i"),
        (Operation::Read, "/", "Y r i"),
        (Operation::Read, "/.well-known/acme-challenge/x", "A r i"),
        (Operation::Read, "/uix", "A u"),
        (Operation::Write, "/ui", "A w"),
        (Operation::Read, "/v2/x", "A u"),
    ];
    for (operation, path, want) in table {
        assert_eq!(written(&outside_api(operation, path)), want, "{path}");
    }
    assert_eq!(written(&unclean()), "A u");
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn any_mount() -> impl Strategy<Value = Option<MountType>> {
        use MountType as M;
        let kinds = [
            M::Kv1,
            M::Kv2,
            M::Cubbyhole,
            M::Identity,
            M::System,
            M::Transit,
            M::Pki,
            M::Ssh,
            M::Totp,
            M::Dynamic,
            M::Token,
            M::Approle,
            M::Oidc,
            M::Auth,
            M::Other,
        ];
        proptest::option::of(proptest::sample::select(kinds.to_vec()))
    }

    fn any_path() -> impl Strategy<Value = String> {
        let word = "sys|auth|identity|cubbyhole|token|lookup|lookup-self|login|capabilities|wrapping|tools|hash|ocsp|encrypt|sign|leases|oidc|introspect|role|secret-id|transit|pki|data|creds|x|é|";
        proptest::collection::vec(word, 0..7).prop_map(|segments| segments.join("/"))
    }

    proptest! {
        #[test]
        fn a_delete_or_patch_never_reads(path in any_path(), mount_type in any_mount(), mount_len in 0_usize..40, delete: bool) {
            let operation = if delete { Operation::Delete } else { Operation::Patch };
            let verdict = classify(&Shape { mount_type, mount_len, ..Shape::plain(operation, &path) });
            let refused_alike = verdict.needs == Needs::AnyNode && verdict.reason.starts_with("refused");
            prop_assert!(matches!(verdict.needs, Needs::Active | Needs::ThisNode) || refused_alike, "{:?}", verdict);
            prop_assert!(!verdict.traits.idempotent || refused_alike);
        }

        #[test]
        fn only_standby_verdicts_are_guesses(path in any_path(), mount_type in any_mount(), write: bool) {
            let operation = if write { Operation::Write } else { Operation::Read };
            let verdict = classify(&Shape { mount_type, ..Shape::plain(operation, &path) });
            prop_assert!(!verdict.traits.learnable || verdict.needs == Needs::Standby);
            prop_assert!(verdict.class != Class::Write || verdict.needs == Needs::Active);
        }
    }
}
