//! Tests of a whole node, in one process and without a socket.

mod audit;
mod classify;
mod mounts;
mod own;
mod wrapping;

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Node, Settings};
use crate::api::operation::Operation as Asked;
use crate::core::incoming::Incoming;
use crate::logical::Client;
use crate::storage::inmem;

/// The root token of every node here.
const ROOT: &str = "s.canary-root";

/// An open node over nothing but memory.
async fn node(settings: Settings) -> Arc<Node> {
    let root_token = Some(Zeroizing::new(ROOT.to_owned()));
    let node = Node::build(inmem::open(), Settings { root_token, ..settings }).unwrap();
    node.initialize_and_open().await.unwrap();
    node
}

/// Asks it; an empty token is none.
async fn ask(node: &Arc<Node>, token: &str, operation: Asked, path: &str, data: Value) -> (u16, Value) {
    asked(node, incoming(token, operation, path, &data), OffsetDateTime::UNIX_EPOCH).await
}

fn incoming(token: &str, operation: Asked, path: &str, data: &Value) -> Incoming {
    Incoming {
        id: "id".into(),
        operation,
        path: path.to_owned(),
        data: Arc::new(data.as_object().unwrap().clone()),
        body: bytes::Bytes::new(),
        upload: None,
        token: (!token.is_empty()).then(|| Zeroizing::new(token.to_owned())),
        client: Client { address: Some([127, 0, 0, 1].into()), port: 1 },
        wrap: None,
        headers: http::HeaderMap::new(),
    }
}

/// At a moment. Leases end by the clock of the machine, so what is to outlive its request needs the machine's.
async fn asked(node: &Arc<Node>, incoming: Incoming, now: OffsetDateTime) -> (u16, Value) {
    let answered = node.core.handle(incoming, now).await;
    (answered.status, serde_json::from_slice(&answered.body).unwrap_or(Value::Null))
}
