//! The engine over a real store: its laws, and keys that come from a real OpenBao.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::backend::Transit;
use crate::barrier::{Barrier, Keyring, Mode, Transaction};
use crate::logical::{
    Backend, Body, Call, Client, Fault, LeaseCall, MountInfo, Operation, Request, Response,
};
use crate::storage::inmem;

const STORE: &str = "logical/m/";

/// Keys, ciphertexts and signatures of OpenBao 2.7.2, made for this test.
const RECORDED: &str = include_str!("openbao.json");

/// A mount of its own.
struct Mount {
    barrier: Barrier,
    transit: Transit,
    info: MountInfo,
    now: OffsetDateTime,
}

/// An answer's data, or the error's text.
type Told = Result<Value, String>;

// === impl Mount ===

impl Mount {
    fn new() -> Self {
        let barrier = Barrier::new(inmem::open());
        barrier.open(Keyring::new([(1, &[7; 32])]));
        let now = time::macros::datetime!(2026-01-02 3:04:05 UTC);
        Self { barrier, transit: Transit::new(), info: MountInfo::default(), now }
    }

    fn ask_in(
        &self,
        tx: &mut Transaction,
        operation: Operation,
        path: &str,
        data: &Value,
    ) -> Result<Response, Fault> {
        let request = Request {
            id: "".into(),
            operation,
            path: path.to_owned(),
            data: Arc::new(data.as_object().cloned().unwrap_or_default()),
            body: bytes::Bytes::new(),
            upload: None,
            caller: None,
            shows_token: false,
            client: Client::default(),
            wrap_ttl: None,
            headers: Vec::new(),
        };
        let (endpoint, captures) = self.transit.find(path).ok_or(Fault::UnsupportedPath)?;
        let mut call =
            Call { request: &request, store: tx.view(STORE), now: self.now, mount: &self.info, captures };
        self.transit.handle(endpoint, &mut call)
    }

    /// In a transaction of its own, which is committed when it went well.
    async fn ask(&self, operation: Operation, path: &str, data: Value) -> Told {
        let mut tx = self.barrier.begin(Mode::ReadWrite).unwrap();
        let response = self.ask_in(&mut tx, operation, path, &data).map_err(|fault| fault.to_string())?;
        self.barrier.commit(tx).await.unwrap();
        Ok(data_of(response))
    }

    async fn post(&self, path: &str, data: Value) -> Told {
        self.ask(Operation::Update, path, data).await
    }

    async fn text(&self, path: &str, data: Value, field: &str) -> String {
        self.post(path, data).await.unwrap()[field].as_str().unwrap().to_owned()
    }

    /// Without a store that may be written, as on a standby.
    fn read(&self, operation: Operation, path: &str, data: Value) -> Result<Response, Fault> {
        self.ask_in(&mut self.barrier.begin(Mode::ReadOnly).unwrap(), operation, path, &data)
    }

    async fn tick(&self) {
        let mut tx = self.barrier.begin(Mode::ReadWrite).unwrap();
        let internal = Map::new();
        let store = tx.view(STORE);
        self.transit
            .tick(&mut LeaseCall { store, now: self.now, mount: &self.info, internal: &internal })
            .unwrap();
        self.barrier.commit(tx).await.unwrap();
    }
}

fn data_of(response: Response) -> Value {
    match response.body {
        Body::Map(map) => Value::Object(map),
        Body::None | Body::Encoded(_) | Body::Raw(_) | Body::Stream(_) => Value::Null,
    }
}

fn recorded() -> Map<String, Value> {
    serde_json::from_str(RECORDED).unwrap()
}

#[tokio::test]
async fn keys_of_a_real_server_work_after_they_are_restored() {
    let mount = Mount::new();
    for (name, key) in recorded() {
        mount.post(&format!("restore/{name}"), json!({ "backup": key["backup"] })).await.unwrap();
        for sample in members(&key, "encrypt") {
            let told = mount.post(&format!("decrypt/{name}"), sample.clone()).await;
            assert_eq!(told.unwrap()["plaintext"], "aGVsbG8=", "{name}");
        }
        for (field, what) in [("sign", "signature"), ("hmac", "hmac")] {
            for sample in members(&key, field) {
                verified(&mount, &name, sample, what).await;
            }
        }
    }
}

/// The scheme of convergent nonces is public: the same key gives the very ciphertext the server gave.
#[tokio::test]
async fn convergent_ciphertexts_are_the_real_servers() {
    let mount = Mount::new();
    for (name, key) in recorded().iter().filter(|(name, _)| name.starts_with("convergent")) {
        mount.post(&format!("restore/{name}"), json!({ "backup": key["backup"] })).await.unwrap();
        let sample = &key["encrypt"][0];
        let asked = json!({"plaintext": "aGVsbG8=", "context": sample["context"]});
        assert_eq!(
            mount.post(&format!("encrypt/{name}"), asked).await.unwrap()["ciphertext"],
            sample["ciphertext"]
        );
    }
}

fn members<'v>(key: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    key[field].as_array().into_iter().flatten()
}

/// It is good for its input, and for no other.
async fn verified(mount: &Mount, name: &str, sample: &Value, what: &str) {
    for (input, valid) in [("aGVsbG8=", true), ("b3RoZXI=", false)] {
        let mut data = sample.clone();
        data["input"] = input.into();
        let told = mount.post(&format!("verify/{name}"), data).await;
        assert_eq!(told, Ok(json!({ "valid": valid })), "{name} {what} {sample}");
    }
}

#[tokio::test]
async fn what_is_exported_is_what_a_real_server_exports() {
    let mount = Mount::new();
    for (name, key) in recorded() {
        mount.post(&format!("restore/{name}"), json!({ "backup": key["backup"] })).await.unwrap();
        for (part, keys) in key["exports"].as_object().unwrap() {
            let told = mount.ask(Operation::Read, &format!("export/{part}/{name}"), json!({})).await.unwrap();
            assert_eq!(&told["keys"], keys, "{part} of {name}");
        }
    }
}

/// The settings, times and every key survive the way through our own store and back into the server's form.
#[tokio::test]
async fn a_backup_is_what_a_real_server_gives() {
    let mount = Mount::new();
    let decoded = |backup: &Value| -> Value {
        let text = super::encoding::decode(backup.as_str().unwrap()).unwrap();
        // Numbers longer than 64 bits are compared as they are written.
        let quoted = regex::Regex::new(r"([:\[,])(-?\d{17,})").unwrap();
        serde_json::from_str(&quoted.replace_all(std::str::from_utf8(&text).unwrap(), "$1\"$2\"")).unwrap()
    };
    for (name, key) in recorded() {
        mount.post(&format!("restore/{name}"), json!({ "backup": key["backup"] })).await.unwrap();
        let told = mount.ask(Operation::Read, &format!("backup/{name}"), json!({})).await.unwrap();
        let (mut ours, mut theirs) = (decoded(&told["backup"]), decoded(&key["backup"]));
        for policy in [&mut ours["policy"], &mut theirs["policy"]] {
            for changing in ["backup_info", "restore_info"] {
                policy[changing] = Value::Null;
            }
        }
        forget(&mut theirs, "external_key_ref");
        assert_eq!(ours, theirs, "{name}");
    }
}

/// A field of a release later than the form this one writes.
fn forget(value: &mut Value, field: &str) {
    match value {
        Value::Object(map) => {
            map.remove(field);
            map.values_mut().for_each(|value| forget(value, field));
        }
        Value::Array(members) => members.iter_mut().for_each(|value| forget(value, field)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn every_version_decrypts_until_the_minimum_forbids_it() {
    let mount = Mount::new();
    mount.post("keys/k", json!({})).await.unwrap();
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(mount.text("encrypt/k", json!({"plaintext": "aGVsbG8="}), "ciphertext").await);
        mount.post("keys/k/rotate", json!({})).await.unwrap();
    }
    let decrypt = async |at: usize| mount.post("decrypt/k", json!({"ciphertext": made[at]})).await;
    for at in 0..made.len() {
        assert_eq!(decrypt(at).await.unwrap()["plaintext"], "aGVsbG8=");
    }
    mount
        .post("keys/k/config", json!({"min_decryption_version": 3, "min_encryption_version": 4}))
        .await
        .unwrap();
    assert_eq!(decrypt(1).await, Err(super::key::TOO_OLD.to_owned()));
    assert!(decrypt(2).await.is_ok());
    mount.post("keys/k/trim", json!({"min_available_version": 2})).await.unwrap();
    let lowered = mount.post("keys/k/config", json!({"min_decryption_version": 1})).await;
    assert!(lowered.is_err(), "what is trimmed is gone");
    mount.post("keys/k/config", json!({"min_decryption_version": 2})).await.unwrap();
    assert!(decrypt(1).await.is_ok(), "what is only hidden comes back");
}

#[tokio::test]
async fn a_standby_encrypts_but_leaves_new_keys_to_the_active() {
    let mount = Mount::new();
    mount.post("keys/k", json!({})).await.unwrap();
    let plaintext = || json!({"plaintext": "aGVsbG8="});
    assert!(mount.read(Operation::Update, "encrypt/k", plaintext()).is_ok());
    for (operation, path) in [(Operation::Create, "encrypt/new"), (Operation::Read, "wrapping_key")] {
        let refused = mount.read(operation, path, plaintext());
        assert!(matches!(refused, Err(Fault::NeedsActive)), "{path}");
    }
    let unknown = mount.read(Operation::Update, "encrypt/new", plaintext());
    assert_eq!(unknown.unwrap_err().to_string(), "encryption key not found");
}

/// The key in memory follows the snapshot, not the clock: an older transaction still sees the older key.
#[tokio::test]
async fn a_key_in_memory_is_the_one_of_the_snapshot() {
    let mount = Mount::new();
    mount.post("keys/k", json!({})).await.unwrap();
    let version = |tx: &mut Transaction| {
        let told = mount.ask_in(tx, Operation::Update, "encrypt/k", &json!({"plaintext": ""})).unwrap();
        data_of(told)["key_version"].clone()
    };
    let mut before = mount.barrier.begin(Mode::ReadOnly).unwrap();
    assert_eq!(version(&mut before), 1);
    mount.post("keys/k/rotate", json!({})).await.unwrap();
    let mut after = mount.barrier.begin(Mode::ReadOnly).unwrap();
    assert_eq!(
        (version(&mut after), version(&mut before), version(&mut after)),
        (2.into(), 1.into(), 2.into())
    );
}

#[tokio::test]
async fn a_rotation_that_lost_a_race_is_run_again() {
    let mount = Mount::new();
    mount.post("keys/k", json!({})).await.unwrap();
    let mut slow = mount.barrier.begin(Mode::ReadWrite).unwrap();
    mount.ask_in(&mut slow, Operation::Update, "keys/k/rotate", &json!({})).unwrap();
    mount.post("keys/k/rotate", json!({})).await.unwrap();
    assert!(mount.barrier.commit(slow).await.is_err(), "it was made of a key in memory, and still conflicts");
}

#[tokio::test]
async fn keys_rotate_when_they_are_due() {
    let mut mount = Mount::new();
    mount.post("keys/often", json!({"auto_rotate_period": "1h"})).await.unwrap();
    mount.post("keys/never", json!({})).await.unwrap();
    mount.post("keys/stopped", json!({"auto_rotate_period": "1h"})).await.unwrap();
    mount.post("keys/stopped/config", json!({"auto_rotate_period": 0})).await.unwrap();
    for (hours, latest) in [(0, [1, 1, 1]), (1, [2, 1, 1]), (0, [2, 1, 1]), (5, [3, 1, 1])] {
        mount.now += time::Duration::hours(hours);
        mount.tick().await;
        for (name, latest) in ["often", "never", "stopped"].iter().zip(latest) {
            let told = mount.ask(Operation::Read, &format!("keys/{name}"), json!({})).await.unwrap();
            assert_eq!(told["latest_version"], latest, "{name} after {hours} h");
        }
    }
}

#[tokio::test]
async fn what_is_wrapped_for_import_is_imported() {
    use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
    use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
    let mount = Mount::new();
    let told = mount.ask(Operation::Read, "wrapping_key", json!({})).await.unwrap();
    let again = mount.ask(Operation::Read, "wrapping_key", json!({})).await.unwrap();
    assert_eq!(told, again);
    let (_, spki) = super::encoding::pem_blocks(told["public_key"].as_str().unwrap()).remove(0);
    let wrapping = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&spki).unwrap()).unwrap();
    let wrap = |key: &[u8]| {
        let ephemeral = [9_u8; 32];
        let mut outer = vec![0; wrapping.ciphertext_size()];
        wrapping.encrypt(&OAEP_SHA256_MGF1SHA256, &ephemeral, &mut outer, None).unwrap();
        let mut inner = vec![0; key.len() + 16];
        let inner = AesKek::new(&AES_256, &ephemeral).unwrap().wrap_with_padding(key, &mut inner).unwrap();
        super::encoding::encode(&[outer.as_slice(), inner].concat())
    };
    let keys = recorded();
    let exported = |name: &str, part: &str| keys[name]["exports"][part]["1"].as_str().unwrap().to_owned();
    let aes = super::encoding::decode(&exported("aes256-gcm96", "encryption-key")).unwrap();
    mount.post("keys/aes/import", json!({"ciphertext": wrap(&aes)})).await.unwrap();
    let sample = &keys["aes256-gcm96"]["encrypt"][0];
    assert_eq!(mount.post("decrypt/aes", sample.clone()).await.unwrap()["plaintext"], "aGVsbG8=");
    assert!(mount.post("keys/aes/rotate", json!({})).await.is_err(), "rotation was not allowed");
    for name in ["rsa-2048", "ecdsa-p384", "ed25519"] {
        let backup = super::backup::read(keys[name]["backup"].as_str().unwrap()).unwrap().1;
        let private = backup.versions[&1].private.clone().unwrap();
        let document = if name == "ed25519" {
            let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&private.expose()[..32]);
            pair.unwrap().to_pkcs8v1().unwrap().as_ref().to_vec()
        } else {
            private.expose().to_vec()
        };
        let import = json!({"ciphertext": wrap(&document), "type": name, "allow_rotation": true});
        mount.post(&format!("keys/{name}/import"), import).await.unwrap();
        verified(&mount, name, &keys[name]["sign"][0], "signature").await;
        assert!(mount.post(&format!("keys/{name}/rotate"), json!({})).await.is_ok());
    }
    let public = json!({"public_key": exported("ecdsa-p256", "public-key"), "type": "ecdsa-p256"});
    mount.post("keys/half/import", public).await.unwrap();
    verified(&mount, "half", &keys["ecdsa-p256"]["sign"][0], "signature").await;
    let refused = mount.post("sign/half", json!({"input": ""})).await;
    assert_eq!(refused.unwrap_err(), "requested version for signing does not contain a private part");
    let wrong = json!({"ciphertext": wrap(&aes), "type": "aes128-gcm96"});
    let refused = mount.post("keys/wrong/import", wrong).await.unwrap_err();
    assert_eq!(refused, "error importing key: invalid key size 32 bytes for key type aes128-gcm96");
}

#[test]
fn nothing_secret_is_printed() {
    let (_, record) = super::backup::read(recorded()["rsa-2048"]["backup"].as_str().unwrap()).unwrap();
    let printed = format!("{record:?} {:?}", super::key::Key::new(record.clone()));
    assert!(
        printed.contains("private: Some([redacted])") && printed.contains("mac: [redacted]"),
        "{printed}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_encrypted_is_decrypted(
        plaintext: Vec<u8>, context in proptest::collection::vec(any::<u8>(), 1..20), associated: Vec<u8>, kind in 0_usize..4,
    ) {
        let kind = ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"][kind];
        let encode = |bytes: &[u8]| super::encoding::encode(bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mount = Mount::new();
            for (name, settings) in [
                ("plain", json!({"type": kind})),
                ("derived", json!({"type": kind, "derived": true})),
                ("convergent", json!({"type": kind, "derived": true, "convergent_encryption": true})),
            ] {
                mount.post(&format!("keys/{name}"), settings).await.unwrap();
                let with = |field: &str, text: &str| {
                    let mut data = json!({"associated_data": encode(&associated), "context": encode(&context)});
                    data[field] = text.into();
                    data
                };
                let encrypt = format!("encrypt/{name}");
                let once = mount.text(&encrypt, with("plaintext", &encode(&plaintext)), "ciphertext").await;
                let twice = mount.text(&encrypt, with("plaintext", &encode(&plaintext)), "ciphertext").await;
                assert_eq!(once == twice, name == "convergent");
                mount.post(&format!("keys/{name}/rotate"), json!({})).await.unwrap();
                for ciphertext in [once, twice] {
                    let told = mount.post(&format!("decrypt/{name}"), with("ciphertext", &ciphertext)).await.unwrap();
                    assert_eq!(told["plaintext"], encode(&plaintext));
                }
            }
        });
    }
}

#[tokio::test]
async fn signatures_of_every_kind_verify() {
    let mount = Arc::new(Mount::new());
    for kind in ["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"] {
        mount.post(&format!("keys/{kind}"), json!({"type": kind})).await.unwrap();
        for hash in ["sha1", "sha2-224", "sha2-256", "sha2-512", "sha3-224", "sha3-256"] {
            for manner in [
                json!({}),
                json!({"marshaling_algorithm": "jws"}),
                json!({"signature_algorithm": "pkcs1v15"}),
                json!({"salt_length": "hash"}),
                json!({"salt_length": "7"}),
            ] {
                let mut data = manner.clone();
                data["hash_algorithm"] = hash.into();
                let mut asked = data.clone();
                asked["input"] = "aGVsbG8=".into();
                let told = mount.post(&format!("sign/{kind}"), asked).await;
                if kind == "rsa-2048" && !["sha2-256", "sha2-512"].contains(&hash) {
                    assert!(told.unwrap_err().starts_with("unsupported hash algorithm for RSA keys"));
                    continue;
                }
                data["signature"] = told.unwrap()["signature"].clone();
                verified(&mount, kind, &data, "signature").await;
                data["salt_length"] = "auto".into();
                verified(&mount, kind, &data, "signature").await;
            }
        }
    }
}
