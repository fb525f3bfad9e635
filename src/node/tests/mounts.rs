//! What tuning a mount does beyond its own row: leases and logins follow it, and a move is remembered.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{ROOT, asked, incoming, node};
use crate::api::operation::Operation as Asked;
use crate::node::{Node, Settings};

async fn now(node: &Arc<Node>, operation: Asked, path: &str, data: Value) -> (u16, Value) {
    asked(node, incoming(ROOT, operation, path, &data), OffsetDateTime::now_utc()).await
}

async fn done(node: &Arc<Node>, path: &str, data: Value) {
    let (status, body) = now(node, Asked::Write, path, data).await;
    assert_eq!(status, 204, "{path}: {body}");
}

#[tokio::test]
async fn leases_of_kv_follow_the_tuned_mount() {
    let node = node(Settings::default()).await;
    done(&node, "sys/mounts/kv", json!({"type": "kv"})).await;
    done(&node, "kv/a", json!({"x": 1})).await;
    for (tuned, secs) in [("30m", 1800), ("", 1800), ("system", 2_764_800)] {
        done(&node, "sys/mounts/kv/tune", json!({"default_lease_ttl": tuned})).await;
        let (_, body) = now(&node, Asked::Read, "kv/a", json!({})).await;
        assert_eq!(body["lease_duration"], secs, "{tuned:?}");
    }
    done(&node, "sys/mounts/kv/tune", json!({"max_lease_ttl": "10m"})).await;
    let (_, body) = now(&node, Asked::Read, "kv/a", json!({})).await;
    assert_eq!(body["lease_duration"], 600, "the longest bounds the default");
}

#[tokio::test]
async fn logins_follow_the_tuned_method() {
    let node = node(Settings::default()).await;
    done(&node, "sys/auth/people", json!({"type": "userpass"})).await;
    done(&node, "auth/people/users/ann", json!({"password": "ann's"})).await;
    for (default, max, secs) in [("system", "system", 2_764_800), ("1h", "2h", 3600), ("system", "2h", 7200)]
    {
        done(&node, "sys/auth/people/tune", json!({"default_lease_ttl": default, "max_lease_ttl": max}))
            .await;
        let (status, body) =
            now(&node, Asked::Write, "auth/people/login/ann", json!({"password": "ann's"})).await;
        assert_eq!((status, &body["auth"]["lease_duration"]), (200, &json!(secs)), "{default} {max}: {body}");
    }
}

#[tokio::test]
async fn the_last_moves_are_remembered() {
    let node = node(Settings::default()).await;
    done(&node, "sys/mounts/m0", json!({"type": "kv"})).await;
    let mut ids = Vec::new();
    for at in 0..65 {
        let (from, to) = (format!("m{at}"), format!("m{}", at + 1));
        let (status, body) = now(&node, Asked::Write, "sys/remount", json!({"from": from, "to": to})).await;
        assert_eq!(status, 200, "{body}");
        ids.push(body["data"]["migration_id"].as_str().unwrap().to_owned());
    }
    let status = |id: String| {
        let node = Arc::clone(&node);
        async move { now(&node, Asked::Read, &format!("sys/remount/status/{id}"), json!({})).await }
    };
    assert_eq!(status(ids[0].clone()).await.0, 404, "sixty-four are remembered");
    let (found, body) = status(ids[1].clone()).await;
    let info = json!({"source_mount": "m1/", "status": "success", "target_mount": "m2/"});
    assert_eq!((found, &body["data"]["migration_info"]), (200, &info));
}
