//! The seal of a whole node over its endpoints: what the recorded scenario does not reach.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method as Verb};
use serde_json::{Value, json};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::bootstrap::{self, Question, Unauthenticated};
use super::{Node, Settings};
use crate::api::operation::Operation as Asked;
use crate::barrier::SecretKey;
use crate::core::incoming::Incoming;
use crate::logical::Client;
use crate::seal::{Method, NamedKey, StaticKeys};
use crate::storage::inmem;

const ROOT: &str = "s.chosen-root";
const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
/// A listener that offers every ceremony.
const OPEN: Unauthenticated = Unauthenticated { rekey: true, generate_root: true, metrics: false };

fn node(seal: Method) -> Arc<Node> {
    let settings = Settings {
        seal: Arc::new(seal),
        root_token: Some(Zeroizing::new(ROOT.to_owned())),
        ..Settings::default()
    };
    Node::build(inmem::open(), settings).unwrap()
}

fn automatic() -> Arc<Node> {
    let current = NamedKey { id: "k".to_owned(), key: SecretKey::of(&[1; 32]).unwrap() };
    node(Method::Static(StaticKeys { current, previous: None }))
}

/// Without a token.
async fn open(node: &Arc<Node>, verb: Verb, path: &str, body: Value) -> (u16, Value) {
    open_at(OPEN, node, verb, path, body).await
}

/// Without a token, at a listener that offers these.
async fn open_at(
    offered: Unauthenticated,
    node: &Arc<Node>,
    verb: Verb,
    path: &str,
    body: Value,
) -> (u16, Value) {
    let request = http::Request::builder().method(verb).uri(format!("/v1/sys/{path}")).body(()).unwrap();
    let question = Question::of(&request.into_parts().0, OPEN).unwrap();
    let answered = bootstrap::answer(node, offered, &question, body.to_string().as_bytes(), NOW).await;
    (answered.status, serde_json::from_slice(&answered.body).unwrap_or(Value::Null))
}

/// With the root token; its `data` where there is some.
async fn ask(node: &Arc<Node>, operation: Asked, path: &str, body: Value) -> (u16, Value) {
    let incoming = Incoming {
        id: uuid::Uuid::new_v4().to_string().into(),
        operation,
        path: format!("sys/{path}"),
        data: Arc::new(body.as_object().unwrap().clone()),
        body: Bytes::from(body.to_string()),
        upload: None,
        token: Some(Zeroizing::new(ROOT.to_owned())),
        client: Client { address: Some([127, 0, 0, 1].into()), port: 1 },
        wrap: None,
        headers: HeaderMap::new(),
    };
    let answered = node.core.handle(incoming, NOW).await;
    let mut body: Value = serde_json::from_slice(&answered.body).unwrap_or(Value::Null);
    let data = body.get_mut("data").map(Value::take);
    (answered.status, data.unwrap_or(body))
}

fn errors(text: &str) -> Value {
    json!({ "errors": [text] })
}

/// Gives shares until the ceremony is over; its last answer.
async fn give(node: &Arc<Node>, path: &str, nonce: &Value, shares: &[Value]) -> Value {
    let mut last = Value::Null;
    for share in shares {
        let (status, body) = ask(node, Asked::Write, path, json!({ "key": share, "nonce": nonce })).await;
        assert_eq!(status, 200, "{body}");
        last = body;
    }
    last
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_node_is_made_opened_and_sealed() {
    let node = node(Method::Shamir);
    assert_eq!(open(&node, Verb::GET, "health", json!({})).await.0, 501);
    assert_eq!(ask(&node, Asked::Read, "mounts", json!({})).await, (503, errors("Vault is sealed")));
    let request = json!({ "secret_shares": 3, "secret_threshold": 2 });
    let (status, made) = open(&node, Verb::PUT, "init", request).await;
    assert_eq!((status, &made["root_token"]), (200, &json!(ROOT)));
    assert_eq!(open(&node, Verb::GET, "health", json!({})).await.0, 503);
    for share in &list(&made["keys_base64"])[1..] {
        assert_eq!(open(&node, Verb::POST, "unseal", json!({ "key": share })).await.0, 200);
    }
    let (status, health) = open(&node, Verb::GET, "health", json!({})).await;
    assert_eq!(
        (status, &health["sealed"], &health["understudy"]["reads"]),
        (200, &json!(false), &json!(true))
    );
    assert_eq!(ask(&node, Asked::Read, "mounts", json!({})).await.0, 200);
    assert_eq!(ask(&node, Asked::Write, "seal", json!({})).await.0, 204);
    assert_eq!(ask(&node, Asked::Read, "mounts", json!({})).await, (503, errors("Vault is sealed")));
    let (_, status) = open(&node, Verb::GET, "seal-status", json!({})).await;
    assert_eq!((&status["sealed"], &status["cluster_id"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn rotating_the_root_key_has_words_of_its_own() {
    let node = node(Method::Shamir);
    let made = node.initialize_and_open().await.unwrap();
    let old = json!(made.shares.unseal[0].hex().as_str());
    let say = async |operation, path: &str, body| ask(&node, operation, path, body).await;
    let (update, verify) = ("rotate/root/update", "rotate/root/verify");
    for (path, body, text) in [
        (update, json!({}), "missing required field 'key'"),
        (update, json!({ "key": old }), "missing required field 'nonce'"),
        (update, json!({ "key": "zz", "nonce": "x" }), "'key' must be a valid hex or base64 string"),
        (update, json!({ "key": old, "nonce": "x" }), "no rotation in progress"),
        (verify, json!({ "key": old, "nonce": "x" }), "no rotation in progress"),
        (
            "rotate/root/init",
            json!({ "secret_shares": 1, "secret_threshold": 2 }),
            "invalid rotate seal configuration: threshold cannot be larger than shares",
        ),
        ("rotate/recovery/init", json!({}), "recovery keys not supported"),
    ] {
        assert_eq!(say(Asked::Write, path, body).await, (400, errors(text)), "{path}");
    }
    assert_eq!(say(Asked::Read, verify, json!({})).await.1, errors("no rotation configuration found"));
    let request = json!({ "secret_shares": 2, "secret_threshold": 2, "require_verification": true });
    let (_, begun) = say(Asked::Write, "rotate/root/init", request.clone()).await;
    assert_eq!(
        say(Asked::Write, "rotate/root/init", request).await.1,
        errors("rotation already in progress")
    );
    let new = give(&node, update, &begun["nonce"], std::slice::from_ref(&old)).await;
    let nonce = &new["verification_nonce"];
    let over = format!(
        "rotation already finished; verification must be performed; nonce for the verification operation is {nonce}"
    );
    let again = json!({ "key": old, "nonce": begun["nonce"] });
    assert_eq!(say(Asked::Write, update, again).await, (400, errors(&over)));
    let done = give(&node, verify, nonce, &list(&new["keys"])).await;
    assert_eq!(done, json!({ "complete": true, "nonce": nonce }));
    let (_, status) = open(&node, Verb::GET, "seal-status", json!({})).await;
    assert_eq!((&status["n"], &status["t"]), (&json!(2), &json!(2)));
    assert_eq!(say(Asked::Write, "rotate/root", json!({})).await.0, 400, "shares hold it");
}

#[tokio::test]
async fn a_root_token_made_with_shares_works() {
    let node = node(Method::Shamir);
    let made = node.initialize_and_open().await.unwrap();
    let share = json!(made.shares.unseal[0].base64().as_str());
    let (_, begun) = ask(&node, Asked::Write, "generate-root-token/attempt", json!({})).await;
    let done = give(&node, "generate-root-token/update", &begun["nonce"], &[share]).await;
    assert_eq!(done["complete"], json!(true));
    let decode = json!({ "encoded_token": done["encoded_token"], "otp": begun["otp"] });
    let (_, decoded) = ask(&node, Asked::Write, "decode-token", decode).await;
    let token = Zeroizing::new(decoded["token"].as_str().unwrap().to_owned());
    let mut tx = node.core.barrier.begin(crate::barrier::Mode::ReadOnly).unwrap();
    assert!(node.core.tokens.lookup(&mut tx, &token, NOW).unwrap().unwrap().is_root());
}

#[tokio::test]
async fn a_node_with_a_static_key_gets_its_recovery_key_later() {
    let node = automatic();
    let (status, made) = open(&node, Verb::PUT, "init", json!({})).await;
    assert_eq!((status, &made["keys"], made.get("recovery_keys")), (200, &json!([]), None));
    assert_eq!(open(&node, Verb::GET, "health", json!({})).await.0, 200, "it has unsealed itself");
    let request = json!({ "secret_shares": 2, "secret_threshold": 2 });
    let (_, first) = ask(&node, Asked::Write, "rotate/recovery/init", request.clone()).await;
    assert_eq!((&first["complete"], list(&first["keys"]).len()), (&json!(true), 2));
    let (_, begun) = ask(&node, Asked::Write, "rotate/recovery/init", request).await;
    assert_eq!((&begun["started"], &begun["required"]), (&json!(true), &json!(2)));
    let second = give(&node, "rotate/recovery/update", &begun["nonce"], &list(&first["keys"])).await;
    assert_ne!(first["keys"], second["keys"]);
    assert_eq!(ask(&node, Asked::Write, "rotate/root", json!({})).await.0, 204);
    assert_eq!(ask(&node, Asked::Write, "seal", json!({})).await.0, 204);
    for share in list(&second["keys"]) {
        assert_eq!(open(&node, Verb::PUT, "unseal", json!({ "key": share })).await.0, 200);
    }
    assert_eq!(open(&node, Verb::GET, "health", json!({})).await.0, 200);
}

#[tokio::test]
async fn ceremonies_without_a_token_are_offered_only_when_they_were_asked_for() {
    let node = Node::build(inmem::open(), Settings::default()).unwrap();
    node.initialize_and_open().await.unwrap();
    for path in ["rekey/init", "rekey-recovery-key/init", "generate-root/attempt"] {
        let closed = Unauthenticated::default();
        let refused = open_at(closed, &node, Verb::GET, path, json!({})).await;
        assert_eq!(refused, (405, errors("unsupported operation")), "{path}");
    }
}
