//! Every operation of the wire table that the server offers by default, once through the proxy: no write reaches a
//! standby first, no pure read bothers the active node.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use crate::support::client::{Answer, Client};
use crate::support::cluster::RealCluster;
use crate::support::proxy::ProxySpec;
use crate::support::until;

/// Method, path, JSON body (empty: none), and `name=/json/pointer` to keep for `{name}` in later lines (empty: none).
/// A method may carry `+wrap` (wrap header) or `+patch` (merge-patch content type).
type Step = (&'static str, &'static str, &'static str, &'static str);

const WRITES: &[Step] = &[
    // mounts and system
    ("POST", "sys/mounts/k1", r#"{"type":"kv"}"#, ""),
    ("POST", "sys/mounts/k2", r#"{"type":"kv","options":{"version":"2"}}"#, ""),
    ("POST", "sys/mounts/tr", r#"{"type":"transit"}"#, ""),
    ("POST", "sys/mounts/pk", r#"{"type":"pki"}"#, ""),
    ("POST", "sys/mounts/sh", r#"{"type":"ssh"}"#, ""),
    ("POST", "sys/mounts/to", r#"{"type":"totp"}"#, ""),
    ("POST", "sys/mounts/gone", r#"{"type":"kv"}"#, ""),
    ("POST", "sys/auth/ar", r#"{"type":"approle"}"#, ""),
    ("POST", "sys/auth/up", r#"{"type":"userpass"}"#, ""),
    ("POST", "sys/mounts/k1/tune", r#"{"description":"x"}"#, ""),
    ("POST", "sys/auth/ar/tune", r#"{"description":"x"}"#, ""),
    ("PUT", "sys/policies/acl/p", r#"{"policy":"path \"k1/*\" { capabilities = [\"read\"] }"}"#, ""),
    ("PUT", "sys/policies/acl/q", r#"{"policy":"path \"k1/*\" { capabilities = [\"read\"] }"}"#, ""),
    ("DELETE", "sys/policies/acl/q", "", ""),
    ("POST", "sys/quotas/rate-limit/r", r#"{"rate":100000,"path":"gone"}"#, ""),
    ("DELETE", "sys/quotas/rate-limit/r", "", ""),
    ("PUT", "sys/config/cors", r#"{"allowed_origins":"*"}"#, ""),
    ("DELETE", "sys/config/cors", "", ""),
    ("POST", "sys/remount", r#"{"from":"gone","to":"moved"}"#, ""),
    ("DELETE", "sys/mounts/moved", "", ""),
    ("PUT", "sys/namespaces/ns", "", ""),
    ("DELETE", "sys/namespaces/ns", "", ""),
    ("POST", "sys/rotate/keyring", "", ""),
    ("POST", "sys/leases/tidy", "", ""),
    ("GET", "sys/ha-status", "", ""),
    ("GET", "sys/storage/raft/autopilot/state", "", ""),
    ("GET", "sys/storage/raft/autopilot/configuration", "", ""),
    ("POST", "sys/storage/raft/autopilot/configuration", r#"{"max_trailing_logs":1000}"#, ""),
    // key-value
    ("PUT", "k1/a", r#"{"v":"1"}"#, ""),
    ("PUT", "k1/b", r#"{"v":"1"}"#, ""),
    ("DELETE", "k1/b", "", ""),
    ("POST", "k2/config", r#"{"max_versions":9}"#, ""),
    ("POST", "k2/data/a", r#"{"data":{"v":"1"}}"#, ""),
    ("POST", "k2/data/a", r#"{"data":{"v":"2"},"options":{"cas":1}}"#, ""),
    ("PATCH+patch", "k2/data/a", r#"{"data":{"w":"3"}}"#, ""),
    ("POST", "k2/metadata/a", r#"{"custom_metadata":{"o":"p"}}"#, ""),
    ("PATCH+patch", "k2/metadata/a", r#"{"max_versions":8}"#, ""),
    ("DELETE", "k2/data/a", "", ""),
    ("POST", "k2/undelete/a", r#"{"versions":[3]}"#, ""),
    ("POST", "k2/delete/a", r#"{"versions":[1]}"#, ""),
    ("PUT", "k2/destroy/a", r#"{"versions":[1]}"#, ""),
    ("POST", "k2/data/b", r#"{"data":{"v":"1"}}"#, ""),
    ("DELETE", "k2/metadata/b", "", ""),
    ("PUT", "cubbyhole/c", r#"{"v":"1"}"#, ""),
    ("PUT", "cubbyhole/d", r#"{"v":"1"}"#, ""),
    ("DELETE", "cubbyhole/d", "", ""),
    // transit
    ("POST", "tr/keys/k", r#"{"exportable":true,"allow_plaintext_backup":true}"#, ""),
    ("POST", "tr/keys/k/rotate", "", ""),
    ("POST", "tr/keys/k/config", r#"{"deletion_allowed":true}"#, ""),
    ("GET", "tr/backup/k", "", ""),
    ("GET", "tr/wrapping_key", "", ""),
    ("POST", "tr/keys/z", "", ""),
    ("POST", "tr/keys/z/config", r#"{"deletion_allowed":true}"#, ""),
    ("DELETE", "tr/keys/z", "", ""),
    // pki
    ("POST", "pk/root/generate/internal", r#"{"common_name":"ca","ttl":"24h"}"#, ""),
    ("POST", "pk/config/urls", r#"{"issuing_certificates":"http://127.0.0.1/ca"}"#, ""),
    ("POST", "pk/config/crl", r#"{"expiry":"24h"}"#, ""),
    ("POST", "pk/roles/r", r#"{"allow_any_name":true,"no_store":false}"#, ""),
    ("POST", "pk/issue/r", r#"{"common_name":"a.example","ttl":"1h"}"#, "serial=/data/serial_number"),
    ("POST", "pk/revoke", r#"{"serial_number":"{serial}"}"#, ""),
    ("GET", "pk/crl/rotate", "", ""),
    ("POST", "pk/tidy", r#"{"tidy_cert_store":true}"#, ""),
    ("GET", "pk/tidy-status", "", ""),
    ("POST", "pk/intermediate/generate/internal", r#"{"common_name":"sub"}"#, ""),
    // ssh, totp
    ("POST", "sh/config/ca", r#"{"generate_signing_key":true}"#, ""),
    ("POST", "sh/roles/otp", r#"{"key_type":"otp","default_user":"u","cidr_list":"127.0.0.0/8"}"#, ""),
    ("POST", "sh/creds/otp", r#"{"ip":"127.0.0.1"}"#, "otp=/data/key"),
    ("POST", "sh/verify", r#"{"otp":"{otp}"}"#, ""),
    ("POST", "sh/creds/otp", r#"{"ip":"127.0.0.1"}"#, "lease=/lease_id"),
    ("POST", "sys/leases/revoke", r#"{"lease_id":"{lease}"}"#, ""),
    ("POST", "sys/leases/revoke-prefix/sh/creds", "", ""),
    ("POST", "to/keys/t", r#"{"generate":true,"issuer":"i","account_name":"a"}"#, ""),
    ("POST", "to/code/t", r#"{"code":"000000"}"#, ""),
    ("POST", "to/keys/u", r#"{"generate":true,"issuer":"i","account_name":"a"}"#, ""),
    ("DELETE", "to/keys/u", "", ""),
    // identity
    ("POST", "identity/entity", r#"{"name":"e"}"#, "entity=/data/id"),
    ("POST", "identity/entity/id/{entity}", r#"{"metadata":{"a":"b"}}"#, ""),
    ("POST", "identity/entity", r#"{"name":"f"}"#, "other=/data/id"),
    ("POST", "identity/group", r#"{"name":"g","member_entity_ids":["{entity}"]}"#, "group=/data/id"),
    ("POST", "identity/entity/merge", r#"{"from_entity_ids":["{other}"],"to_entity_id":"{entity}"}"#, ""),
    ("DELETE", "identity/group/id/{group}", "", ""),
    ("POST", "identity/oidc/key/ok", r#"{"allowed_client_ids":"*"}"#, ""),
    ("POST", "identity/oidc/role/or", r#"{"key":"ok"}"#, ""),
    ("POST", "identity/oidc/key/ok/rotate", "", ""),
    // logins and tokens
    ("POST", "auth/ar/role/r", r#"{"token_policies":"p"}"#, ""),
    ("GET", "auth/ar/role/r/role-id", "", "role=/data/role_id"),
    ("POST", "auth/ar/role/r/secret-id", "", "secret=/data/secret_id"),
    ("POST", "auth/ar/login", r#"{"role_id":"{role}","secret_id":"{secret}"}"#, ""),
    ("POST", "auth/ar/role/r/secret-id/destroy", r#"{"secret_id":"{secret}"}"#, ""),
    ("POST", "auth/ar/role/s", r#"{"token_policies":"p"}"#, ""),
    ("DELETE", "auth/ar/role/s", "", ""),
    ("POST", "auth/up/users/ann", r#"{"password":"word"}"#, ""),
    ("POST", "auth/up/login/ann", r#"{"password":"word"}"#, ""),
    ("POST", "auth/up/users/ann/password", r#"{"password":"other"}"#, ""),
    ("POST", "auth/up/users/bob", r#"{"password":"word"}"#, ""),
    ("DELETE", "auth/up/users/bob", "", ""),
    ("POST", "auth/token/create", r#"{"policies":["p"]}"#, "token=/auth/client_token"),
    ("POST", "auth/token/renew", r#"{"token":"{token}"}"#, ""),
    ("POST", "auth/token/revoke", r#"{"token":"{token}"}"#, ""),
    ("POST", "auth/token/create-orphan", r#"{"policies":["p"]}"#, "accessor=/auth/accessor"),
    ("POST", "auth/token/renew-accessor", r#"{"accessor":"{accessor}"}"#, ""),
    ("POST", "auth/token/revoke-accessor", r#"{"accessor":"{accessor}"}"#, ""),
    ("POST", "auth/token/roles/tr", r#"{"allowed_policies":"p"}"#, ""),
    ("POST", "auth/token/create/tr", r#"{"policies":["p"]}"#, ""),
    ("POST", "auth/token/roles/ts", r#"{"allowed_policies":"p"}"#, ""),
    ("DELETE", "auth/token/roles/ts", "", ""),
    ("POST", "auth/token/tidy", "", ""),
    // wrapping
    ("POST+wrap", "sys/wrapping/wrap", r#"{"a":"b"}"#, "wrapped=/wrap_info/token"),
    ("POST", "sys/wrapping/rewrap", r#"{"token":"{wrapped}"}"#, "again=/wrap_info/token"),
    ("POST", "sys/wrapping/unwrap", r#"{"token":"{again}"}"#, ""),
    ("GET+wrap", "k1/a", "", "wrapped=/wrap_info/token"),
    ("GET+wrap", "auth/token/lookup-self", "", ""),
    // the first one could make its key; from then on it is a read
    ("POST", "tr/encrypt/k", r#"{"plaintext":"aGVsbG8="}"#, ""),
    // kept for the lookups below
    ("POST+wrap", "sys/wrapping/wrap", r#"{"a":"b"}"#, "wrapped=/wrap_info/token"),
    ("POST", "auth/token/create", r#"{"policies":["p"]}"#, "token=/auth/client_token"),
    ("POST", "auth/token/create", r#"{"policies":["p"]}"#, "accessor=/auth/accessor"),
    ("POST", "auth/ar/role/r/secret-id", "", "secret=/data/secret_id"),
    ("POST", "pk/issue/r", r#"{"common_name":"b.example","ttl":"1h"}"#, "serial=/data/serial_number"),
    ("POST", "sh/creds/otp", r#"{"ip":"127.0.0.1"}"#, "lease=/lease_id"),
];

const READS: &[Step] = &[
    ("GET", "sys/mounts", "", ""),
    ("GET", "sys/mounts/k1/tune", "", ""),
    ("GET", "sys/auth", "", ""),
    ("GET", "sys/audit", "", ""),
    ("GET", "sys/policies/acl/p", "", ""),
    ("LIST", "sys/policies/acl", "", ""),
    ("GET", "sys/policy", "", ""),
    ("GET", "sys/config/cors", "", ""),
    ("GET", "sys/key-status", "", ""),
    ("GET", "sys/internal/ui/mounts", "", ""),
    ("GET", "sys/internal/ui/mounts/k1", "", ""),
    ("POST", "sys/capabilities-self", r#"{"paths":["k1/a"]}"#, ""),
    ("POST", "sys/capabilities", r#"{"token":"{token}","paths":["k1/a"]}"#, ""),
    ("POST", "sys/capabilities-accessor", r#"{"accessor":"{accessor}","paths":["k1/a"]}"#, ""),
    ("POST", "sys/tools/random/16", "{}", ""),
    ("POST", "sys/tools/hash/sha2-256", r#"{"input":"aGVsbG8="}"#, ""),
    ("POST", "sys/wrapping/lookup", r#"{"token":"{wrapped}"}"#, ""),
    ("PUT", "sys/leases/lookup", r#"{"lease_id":"{lease}"}"#, ""),
    ("LIST", "sys/leases/lookup/sh/creds/otp", "", ""),
    ("GET", "k1/a", "", ""),
    ("LIST", "k1", "", ""),
    ("GET", "k1/?list=true", "", ""),
    ("GET", "k2/config", "", ""),
    ("GET", "k2/data/a?version=3", "", ""),
    ("GET", "k2/metadata/a", "", ""),
    ("LIST", "k2/metadata", "", ""),
    ("GET", "k2/subkeys/a?version=3", "", ""),
    ("GET", "cubbyhole/c", "", ""),
    ("GET", "tr/keys/k", "", ""),
    ("LIST", "tr/keys", "", ""),
    ("POST", "tr/encrypt/k", r#"{"plaintext":"aGVsbG8="}"#, "ciphertext=/data/ciphertext"),
    ("POST", "tr/decrypt/k", r#"{"ciphertext":"{ciphertext}"}"#, ""),
    ("POST", "tr/rewrap/k", r#"{"ciphertext":"{ciphertext}"}"#, ""),
    ("POST", "tr/datakey/plaintext/k", "{}", ""),
    ("POST", "tr/hmac/k", r#"{"input":"aGVsbG8="}"#, ""),
    ("POST", "tr/hash", r#"{"input":"aGVsbG8="}"#, ""),
    ("POST", "tr/random/8", "{}", ""),
    ("GET", "tr/export/encryption-key/k", "", ""),
    ("GET", "pk/ca/pem", "", ""),
    ("GET", "pk/cert/{serial}", "", ""),
    ("LIST", "pk/certs", "", ""),
    ("LIST", "pk/issuers", "", ""),
    ("GET", "pk/roles/r", "", ""),
    ("LIST", "pk/roles", "", ""),
    ("GET", "pk/config/urls", "", ""),
    ("GET", "sh/public_key", "", ""),
    ("LIST", "sh/roles", "", ""),
    ("POST", "sh/lookup", r#"{"ip":"127.0.0.1"}"#, ""),
    ("GET", "to/code/t", "", ""),
    ("LIST", "to/keys", "", ""),
    ("GET", "identity/entity/id/{entity}", "", ""),
    ("LIST", "identity/entity/id", "", ""),
    ("POST", "identity/lookup/entity", r#"{"name":"e"}"#, ""),
    ("GET", "identity/oidc/.well-known/keys", "", ""),
    ("GET", "auth/ar/role/r", "", ""),
    ("LIST", "auth/ar/role", "", ""),
    ("POST", "auth/ar/role/r/secret-id/lookup", r#"{"secret_id":"{secret}"}"#, ""),
    ("GET", "auth/up/users/ann", "", ""),
    ("GET", "auth/token/lookup-self", "", ""),
    ("POST", "auth/token/lookup", r#"{"token":"{token}"}"#, ""),
    ("POST", "auth/token/lookup-accessor", r#"{"accessor":"{accessor}"}"#, ""),
    ("LIST", "auth/token/accessors", "", ""),
    ("GET", "auth/token/roles/tr", "", ""),
];

#[tokio::test]
async fn writes_never_reach_a_standby_first_and_reads_never_the_active() {
    let cluster = RealCluster::start(3).await;
    let types = "{k1/: kv, k2/: kv, tr/: transit, pk/: pki, sh/: ssh, to/: totp, auth/ar/: approle}";
    // The types an operator would let the proxy read with a token; here they are told.
    let spec =
        ProxySpec::before(&cluster).section(&format!("routing: {{mount_discovery: {{types: {types}}}}}"));
    let proxy = spec.start().await;
    let mut script = Script::new(Client::with_token(proxy.api, cluster.root_token()));
    script.run(WRITES).await;
    assert!(script.refused.is_empty(), "{:#?}", script.refused);
    let written = proxy.metrics().await;
    let forwarded = written.sum("prediction_total", &[("outcome", "forwarded")]);
    assert_eq!(forwarded, 0.0, "{}\n{:#?}", written.show("prediction_total"), script.on("standby"));
    assert_eq!(script.on("standby"), Vec::<String>::new(), "writes first sent to a standby");

    until("the changed mounts are the standbys' again", async || {
        let answer = Client::with_token(proxy.api, cluster.root_token()).get("/v1/tr/keys/k").await.unwrap();
        answer.headers.get("x-understudy-role").is_some_and(|role| role == "standby")
    })
    .await;
    let before = proxy.metrics().await;
    script.served.clear();
    script.run(READS).await;
    assert!(script.refused.is_empty(), "{:#?}", script.refused);
    let after = proxy.metrics().await;
    assert_eq!(script.on("active"), Vec::<String>::new(), "reads sent to the active node");
    let unneeded = after.since(&before, "prediction_total", &[("outcome", "unneeded_active")]);
    assert_eq!(unneeded, 0.0, "{}", after.show("prediction_total"));
    assert_eq!(
        after.sum("prediction_total", &[("outcome", "forwarded")]),
        0.0,
        "{}",
        after.show("prediction_total")
    );
    println!("{} writes and {} reads went where they belong", WRITES.len(), READS.len());
}

struct Script {
    client: Client,
    names: BTreeMap<String, String>,
    refused: Vec<String>,
    /// Role that answered, and the step.
    served: Vec<(String, String)>,
}

impl Script {
    fn new(client: Client) -> Self {
        Self { client, names: BTreeMap::new(), refused: Vec::new(), served: Vec::new() }
    }

    async fn run(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(step).await;
        }
    }

    async fn step(&mut self, (method, path, body, keep): &Step) {
        let (method, extra) = method.split_once('+').unwrap_or((method, ""));
        self.client.headers = match extra {
            "wrap" => vec![("x-vault-wrap-ttl", "60".to_owned())],
            "patch" => vec![("content-type", "application/merge-patch+json".to_owned())],
            _ => Vec::new(),
        };
        let (path, body) = (format!("/v1/{}", self.filled(path)), self.filled(body));
        let name = format!("{method} {path}");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = self.client.send(method, &path, body.into()).await.unwrap();
        if !answer.status.is_success() {
            self.refused.push(format!("{name}: {} {}", answer.status, answer.json()["errors"]));
            return;
        }
        if let Some((key, pointer)) = keep.split_once('=') {
            let value = answer.json().pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            self.names.insert(key.to_owned(), value.unwrap_or_else(|| panic!("{name}: no {pointer}")));
        }
        self.served.push((role(&answer), name));
    }

    fn filled(&self, text: &str) -> String {
        self.names
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn on(&self, role: &str) -> Vec<String> {
        self.served.iter().filter(|(by, _)| by == role).map(|(_, step)| step.clone()).collect()
    }
}

fn role(answer: &Answer) -> String {
    answer.headers.get("x-understudy-role").map_or("unknown", |role| role.to_str().unwrap()).to_owned()
}
