//! The proxy's table and the node's declarations are held together: what the node declares a write is never sent to a
//! standby, what it declares a read may be, and what concerns one node stays with the node that is asked.

use std::sync::Arc;

use serde_json::json;

use super::{ROOT, ask};
use crate::api::classify::{Needs, Shape, classify};
use crate::api::mount::MountType;
use crate::api::operation::Operation as Asked;
use crate::core::router::Mounted;
use crate::logical::{Effect, Endpoint, Operation};
use crate::node::own::Own;
use crate::node::{Node, Settings};
use crate::telemetry::{self, Format, Output};
use crate::{auth, engine};

/// Reads that the table sends to the active node all the same, which costs a hop and loses nothing: (path with `*`, why).
const READS_AT_THE_ACTIVE: &[(&str, &str)] = &[
    ("sys/decode-token", "the end of a ceremony whose other steps are the active node's"),
    ("sys/internal/specs/openapi", "asked by POST; clients ask by GET, which goes to any node"),
    ("sys/rekey/*backup", "a ceremony's words are classified together"),
    ("sys/rotate/*backup", "a ceremony's words are classified together"),
];

/// A node with every kind of mount at its customary place.
async fn node() -> Arc<Node> {
    // With everything that may be switched on.
    let (_, log) = telemetry::build(tracing::Level::INFO, Format::Text, &Output::Stderr).unwrap();
    let own =
        Own { log: Some(log), raw_storage_endpoint: true, introspection_endpoint: true, ..Own::default() };
    let node = super::node(Settings { own, ..Settings::default() }).await;
    for kind in engine::kinds() {
        let (status, body) =
            ask(&node, ROOT, Asked::Write, &format!("sys/mounts/{kind}"), json!({"type": kind})).await;
        assert_eq!(status, 204, "{kind}: {body}");
    }
    let versioned = json!({"type": "kv", "options": {"version": "2"}});
    assert_eq!(ask(&node, ROOT, Asked::Write, "sys/mounts/secret", versioned).await.0, 204);
    for kind in auth::KINDS {
        let (status, body) =
            ask(&node, ROOT, Asked::Write, &format!("sys/auth/{kind}"), json!({"type": kind})).await;
        assert_eq!(status, 204, "{kind}: {body}");
    }
    node
}

/// A path the endpoint serves, and no earlier one of its backend.
fn sample(mounted: &Mounted, at: usize, endpoint: &Endpoint) -> Option<String> {
    let source = endpoint.pattern.source();
    let source = source.strip_suffix("/?").unwrap_or(source);
    let fill = |segment: &str, rest: &str| match segment.strip_prefix('{') {
        Some(capture) if capture.ends_with(":rest}") => rest.to_owned(),
        Some(_) => "x1".to_owned(),
        None => segment.to_owned(),
    };
    let path =
        |rest: &str| source.split('/').map(|segment| fill(segment, rest)).collect::<Vec<_>>().join("/");
    let served = |path: &String| mounted.backend.find(path).is_some_and(|(found, _)| found == at);
    ["x1", "x1/y1"].into_iter().map(path).find(served)
}

fn asked(operation: Operation) -> Asked {
    match operation {
        Operation::Create | Operation::Update => Asked::Write,
        Operation::Patch => Asked::Patch,
        Operation::Read => Asked::Read,
        Operation::List => Asked::List,
        Operation::Scan => Asked::Scan,
        Operation::Delete => Asked::Delete,
        Operation::Help => Asked::Help,
    }
}

/// Why the table and the declaration do not go together.
fn disagreement(effect: Effect, needs: Needs, is_excused: bool) -> Option<&'static str> {
    match (effect, needs) {
        (Effect::Write, Needs::Active) => None,
        (Effect::Write, Needs::ThisNode | Needs::Cluster) => Some("a write of the cluster kept at one node"),
        (Effect::Write, Needs::Standby | Needs::AnyNode) => Some("a write sent to a standby"),
        (Effect::Read, Needs::Standby | Needs::AnyNode | Needs::Cluster) => None,
        (Effect::Read, Needs::Active) => (!is_excused).then_some("a read sent to the active node"),
        (Effect::Read, Needs::ThisNode) => Some("a read of the cluster kept at one node"),
        (Effect::Mixed, Needs::Standby | Needs::Active) => None,
        (Effect::Mixed, _) => {
            Some("what may write is neither tried at a standby nor sent to the active node")
        }
        (Effect::Local, Needs::ThisNode | Needs::Cluster) => None,
        (Effect::Local, _) => Some("one node's own matter sent to another"),
    }
}

#[tokio::test]
async fn the_proxys_table_and_the_nodes_declarations_agree() {
    let node = node().await;
    let router = node.core.mounts.router();
    let (mut findings, mut checked) = (Vec::new(), 0);
    for mounted in router.mounts() {
        let version = mounted.info.options.get("version").map(String::as_str);
        let kind = MountType::from_api(&mounted.info.kind, version);
        for (at, endpoint) in mounted.backend.endpoints().iter().enumerate() {
            let Some(path) = sample(mounted, at, endpoint) else {
                findings.push(format!("{}{}: no path found", mounted.info.path, endpoint.pattern.source()));
                continue;
            };
            let path = format!("{}{path}", mounted.info.path);
            for (operation, effect, _) in &endpoint.methods {
                let known = Shape {
                    mount_type: Some(kind),
                    mount_len: mounted.info.path.len(),
                    ..Shape::plain(asked(*operation), &path)
                };
                for (words, shape) in [("known", known), ("guessed", Shape::plain(asked(*operation), &path))]
                {
                    let verdict = classify(&shape);
                    let is_excused = words == "guessed" || excused(&path);
                    checked += 1;
                    if let Some(why) = disagreement(*effect, verdict.needs, is_excused) {
                        findings.push(format!(
                            "{operation:?} {path} ({words}): {effect:?}, {:?}: {why}",
                            verdict.needs
                        ));
                    }
                }
            }
        }
    }
    findings.sort();
    assert!(findings.is_empty(), "{} of {checked}:\n{}", findings.len(), findings.join("\n"));
    assert!(checked > 500, "only {checked} operations were looked at");
}

fn excused(path: &str) -> bool {
    READS_AT_THE_ACTIVE.iter().any(|(pattern, _)| match pattern.split_once('*') {
        Some((head, tail)) => path.starts_with(head) && path.ends_with(tail),
        None => path == *pattern,
    })
}
