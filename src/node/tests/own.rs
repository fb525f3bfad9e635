//! What a node tells about itself: its log while it is written, and the records inside its barrier.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ROOT, ask, incoming, node};
use crate::api::operation::Operation as Asked;
use crate::node::own::Own;
use crate::node::{Node, Settings};
use crate::telemetry::{self, Format, LogControl, Output, WATCHERS};
use time::OffsetDateTime;

async fn with(log: Option<LogControl>) -> Arc<Node> {
    let own = Own { log, raw_storage_endpoint: true, ..Own::default() };
    node(Settings { own, ..Settings::default() }).await
}

async fn asks(node: &Arc<Node>, operation: Asked, path: &str, data: Value) -> (u16, Value) {
    ask(node, ROOT, operation, path, data).await
}

#[tokio::test]
async fn the_log_is_watched_while_it_is_written() {
    let (subscriber, log) =
        telemetry::build(tracing::Level::WARN, Format::HclogText, &Output::File("/dev/null".into())).unwrap();
    let node = with(Some(log.clone())).await;
    let request = incoming(ROOT, Asked::Read, "sys/monitor", &json!({"log_level": "debug"}));
    let answered = node.core.handle(request, OffsetDateTime::UNIX_EPOCH).await;
    assert_eq!((answered.status, answered.content_type), (200, ""));
    let mut lines = answered.stream.unwrap().take().unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug!(target: "understudy::core::router", "below the log's level");
        tracing::trace!(target: "understudy::core::router", "below the watcher's");
    });
    let line = String::from_utf8(lines.recv().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(line.ends_with("[DEBUG] core.router: below the log's level\n"), "{line}");
    node.seal.seal().await;
    assert!(lines.recv().await.is_none(), "a sealed node is watched by nobody");
}

#[tokio::test]
async fn only_so_many_may_watch() {
    let (_kept, log) =
        telemetry::build(tracing::Level::WARN, Format::Text, &Output::File("/dev/null".into())).unwrap();
    let node = with(Some(log)).await;
    let mut held = Vec::new();
    for _ in 0..WATCHERS {
        let request = incoming(ROOT, Asked::Read, "sys/monitor", &json!({}));
        held.push(
            node.core.handle(request, OffsetDateTime::UNIX_EPOCH).await.stream.unwrap().take().unwrap(),
        );
    }
    assert_eq!(asks(&node, Asked::Read, "sys/monitor", json!({})).await.0, 429);
    held.clear();
    assert_eq!(asks(&node, Asked::Read, "sys/monitor", json!({})).await.0, 200);
    assert_eq!(asks(&node, Asked::Read, "sys/monitor", json!({"log_level": "loud"})).await.0, 400);
}

#[tokio::test]
async fn records_are_read_and_written_where_it_is_allowed() {
    let node = with(None).await;
    for (data, shown) in
        [(json!({"value": "hello"}), "hello"), (json!({"value": "aGVsbG8=", "encoding": "base64"}), "hello")]
    {
        assert_eq!(asks(&node, Asked::Write, "sys/raw/test/x", data).await.0, 204);
        let (_, body) = asks(&node, Asked::Read, "sys/raw/test/x", json!({})).await;
        assert_eq!(body["data"]["value"], shown);
    }
    let (_, body) = asks(&node, Asked::List, "sys/raw/", json!({})).await;
    assert!(body["data"]["keys"].as_array().unwrap().contains(&json!("test/")), "{body}");
    let (_, body) = asks(&node, Asked::Read, "sys/raw/core/mounts", json!({})).await;
    assert!(body["data"]["value"].as_str().unwrap().contains("cubbyhole/"));
    for operation in [Asked::Read, Asked::Write, Asked::Delete, Asked::List] {
        let (status, body) = asks(&node, operation, "sys/raw/core/keyring", json!({"value": "x"})).await;
        assert_eq!(status, 400, "{operation:?}: {body}");
    }
    assert_eq!(asks(&node, Asked::Delete, "sys/raw/test/x", json!({})).await.0, 204);
    assert_eq!(asks(&node, Asked::Read, "sys/raw/test/x", json!({})).await.0, 404);
}

#[tokio::test]
async fn raw_and_inspection_are_off_by_themselves() {
    let node = node(Settings::default()).await;
    for path in ["sys/raw/core/mounts", "sys/internal/inspect/router/root"] {
        assert_eq!(asks(&node, Asked::Read, path, json!({})).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn what_is_served_before_the_barrier_opens_is_described_too() {
    let node = node(Settings::default()).await;
    let (_, document) = asks(&node, Asked::Read, "sys/internal/specs/openapi", json!({})).await;
    for (path, verbs) in [
        ("/sys/health", &["get"][..]),
        ("/sys/init", &["get", "post"]),
        ("/sys/unseal", &["post"]),
        ("/sys/generate-root/attempt", &["get", "post", "delete"]),
        ("/sys/mounts", &["get"]),
    ] {
        let item = document["paths"][path].as_object().unwrap();
        assert!(verbs.iter().all(|verb| item.contains_key(*verb)), "{path}: {item:?}");
    }
    let (_, document) = ask(&node, "", Asked::Read, "sys/internal/specs/openapi", json!({})).await;
    assert_eq!(document["paths"], json!({}), "who shows no token is told nothing");
}
