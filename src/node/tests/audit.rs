//! The audit log of a whole node: what is written, and that nothing happens which is not.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{ROOT, ask};
use crate::api::operation::Operation as Asked;
use crate::core::audit::DeviceConfig;
use crate::node::{Node, Settings};
use crate::system::audit::AuditRules;

fn device(name: &str, file: &Path, more: &[(&str, &str)]) -> DeviceConfig {
    let file = ("file_path".to_owned(), file.display().to_string());
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    DeviceConfig {
        path: format!("{name}/"),
        kind: "file".to_owned(),
        options: [file].into_iter().chain(more).collect(),
        ..DeviceConfig::default()
    }
}

/// A device whose peer takes nothing would hold up every request of the thread if it were asked there.
#[tokio::test]
async fn a_slow_device_holds_up_its_own_request_alone() {
    let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = ("address".to_owned(), peer.local_addr().unwrap().to_string());
    let socket = DeviceConfig {
        path: "s/".to_owned(),
        kind: "socket".to_owned(),
        options: [address].into(),
        ..DeviceConfig::default()
    };
    let node = node(vec![socket]).await;
    let request = ask(&node, ROOT, Asked::Read, "sys/mounts", json!({}));
    tokio::pin!(request);
    let asked_first = tokio::select! {
        biased;
        _ = &mut request => true,
        () = std::future::ready(()) => false,
    };
    assert!(!asked_first, "the line was written on this thread");
    assert_eq!(request.await.0, 200);
}

async fn node(audit_devices: Vec<DeviceConfig>) -> Arc<Node> {
    let audit_rules = AuditRules { allow_creation: true, allow_prefix: false };
    super::node(Settings { audit_devices, audit_rules, ..Settings::default() }).await
}

/// Every line but the first, with which a new device is tried.
fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(lines.next().unwrap()["request"]["path"], "sys/audit/test");
    lines.collect()
}

#[tokio::test]
async fn a_request_and_its_answer_are_a_line_each() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.log");
    let node = node(vec![device("f", &file, &[])]).await;
    let userpass = json!({"type": "userpass"});
    assert_eq!(ask(&node, ROOT, Asked::Write, "sys/auth/up", userpass).await.0, 204);
    let user = json!({"password": "canary-password"});
    assert_eq!(ask(&node, ROOT, Asked::Write, "auth/up/users/bob", user.clone()).await.0, 204);
    assert_eq!(ask(&node, "", Asked::Write, "auth/up/login/bob", user).await.0, 200);
    assert_eq!(ask(&node, "", Asked::Read, "sys/mounts", json!({})).await.0, 403);
    assert_eq!(ask(&node, ROOT, Asked::Read, "nowhere", json!({})).await.0, 404);
    let lines = lines(&file);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(lines.len(), 10);
    for (number, pointer, shown) in [
        (0, "/type", json!("request")),
        (0, "/auth/policy_results/granting_policies/0/name", json!("root")),
        (0, "/request/client_id", json!("0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=")),
        (0, "/request/mount_point", json!("sys/")),
        (1, "/type", json!("response")),
        (2, "/request/operation", json!("create")),
        (4, "/auth/policy_results/allowed", json!(true)),
        (5, "/auth/display_name", json!("up-bob")),
        (5, "/response/auth/display_name", json!("up-bob")),
        (6, "/error", json!("permission denied")),
        (7, "/error", json!("1 error occurred:\n\t* permission denied\n\n")),
        (9, "/error", json!("1 error occurred:\n\t* unsupported path\n\n")),
    ] {
        assert_eq!(lines[number].pointer(pointer), Some(&shown), "{number} {pointer}");
    }
}

#[tokio::test]
async fn what_no_device_can_write_down_does_not_happen() {
    let node = node(Vec::new()).await;
    let full = json!({"type": "file", "options": {"file_path": "/dev/full", "skip_test": "true"}});
    // Its own answer is the first thing the new device should write.
    let refused = (500, json!({"errors": ["internal error"]}));
    assert_eq!(ask(&node, ROOT, Asked::Write, "sys/audit/full", full).await, refused);
    let userpass = json!({"type": "userpass"});
    assert_eq!(ask(&node, ROOT, Asked::Write, "sys/auth/up", userpass.clone()).await, refused);
    assert_eq!(ask(&node, "", Asked::Read, "sys/internal/ui/mounts", json!({})).await, refused);
    assert!(node.core.mounts.router().route("auth/up/x").is_none(), "nothing was committed");
    let gone = json!({"type": "file", "options": {"file_path": "discard"}});
    assert_eq!(ask(&node, ROOT, Asked::Write, "sys/audit/other", gone).await, refused);
}

#[tokio::test]
async fn one_device_that_writes_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.log");
    let full = device("full", Path::new("/dev/full"), &[("skip_test", "true")]);
    let node = node(vec![full, device("f", &file, &[])]).await;
    let (status, body) = ask(&node, ROOT, Asked::Read, "sys/audit", json!({})).await;
    assert_eq!((status, body["data"]["f/"]["type"].as_str()), (200, Some("file")));
    let managed = json!({"errors": ["cannot disable configuration-managed audit device"]});
    assert_eq!(ask(&node, ROOT, Asked::Delete, "sys/audit/full", json!({})).await, (400, managed));
    assert_eq!(lines(&file).len(), 4);
    let (_, body) = ask(&node, ROOT, Asked::Write, "sys/audit-hash/f", json!({"input": "x"})).await;
    let hash = body["data"]["hash"].as_str().unwrap();
    let logged = &lines(&file)[4];
    assert_eq!(logged["request"]["data"]["input"], hash, "the hash of the log and of the endpoint are one");
}
