//! A wrapping token and the answer behind it: looking costs nothing, opening happens once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{ROOT, asked, incoming, node};
use crate::api::operation::Operation as Asked;
use crate::core::incoming::{Incoming, Wrap};
use crate::node::{Node, Settings};

#[tokio::test]
async fn a_wrapping_token_looks_at_its_answer_without_losing_it() {
    let node = node(Settings::default()).await;
    let wrap = Some(Wrap { ttl: Duration::from_secs(60), jwt: false });
    let request = incoming(ROOT, Asked::Write, "sys/wrapping/wrap", &json!({"secret": "kept"}));
    let (status, body) = asked(&node, Incoming { wrap, ..request }, OffsetDateTime::now_utc()).await;
    assert_eq!(status, 200, "{body}");
    let token = body["wrap_info"]["token"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let (status, body) = now(&node, &token, Asked::Read, "sys/wrapping/lookup", json!({})).await;
        assert_eq!((status, &body["data"]["creation_ttl"]), (200, &json!(60)), "{body}");
    }
    let (status, body) = now(&node, &token, Asked::Write, "sys/wrapping/unwrap", json!({})).await;
    assert_eq!((status, &body["data"]["secret"]), (200, &json!("kept")), "{body}");
    for path in ["sys/wrapping/unwrap", "sys/wrapping/lookup"] {
        let (status, body) = now(&node, &token, Asked::Write, path, json!({"token": token})).await;
        assert_eq!(status, 400, "{path}: {body}");
    }
}

async fn now(node: &Arc<Node>, token: &str, operation: Asked, path: &str, data: Value) -> (u16, Value) {
    asked(node, incoming(token, operation, path, &data), OffsetDateTime::now_utc()).await
}
