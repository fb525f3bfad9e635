//! The development mode: its configuration, and what makes a fresh store usable at once.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::ServerError;
use super::dev_tls::DevTls;
use crate::api::operation::Operation;
use crate::cli::token_file;
use crate::core::incoming::Incoming;
use crate::logical::Client;
use crate::node::Node;

/// Where it listens unless it is told.
const ADDRESS: &str = "127.0.0.1:8200";
/// How its configuration is called in messages.
pub(super) const NAME: &str = "(development mode)";

/// The configuration of the mode; files that are named beside it add to it.
pub(super) fn configuration(address: Option<&str>, tls: Option<&DevTls>) -> String {
    let mut listener = json!({ "address": address.unwrap_or(ADDRESS), "tls_disable": tls.is_none() });
    if let (Some(tls), Some(listener)) = (tls, listener.as_object_mut()) {
        listener.insert("tls_cert_file".to_owned(), tls.certificate().display().to_string().into());
        listener.insert("tls_key_file".to_owned(), tls.key().display().to_string().into());
    }
    json!({
        "storage": { "inmem": {} },
        "telemetry": { "disable_hostname": true },
        "listener": { "tcp": listener },
    })
    .to_string()
}

/// Mounts the key-value engine, version 2, at `secret/`, as an operator would.
///
/// # Errors
/// The node does not take the mount.
pub(super) async fn mount_secret(node: &Node, root: &Zeroizing<String>) -> Result<(), ServerError> {
    let body =
        json!({ "type": "kv", "options": { "version": "2" }, "description": "key/value secret storage" });
    let data = body.as_object().cloned().unwrap_or_default();
    let incoming = Incoming {
        id: uuid::Uuid::new_v4().to_string().into(),
        operation: Operation::Write,
        path: "sys/mounts/secret".to_owned(),
        data: Arc::new(data),
        body: Bytes::from(body.to_string()),
        upload: None,
        token: Some(root.clone()),
        client: Client::default(),
        wrap: None,
        headers: HeaderMap::new(),
    };
    let answered = node.core.handle(incoming, OffsetDateTime::now_utc()).await;
    if answered.status == 204 { Ok(()) } else { Err(ServerError::Mount(answered.status)) }
}

/// Stores the root token for the client verbs; that it cannot is no reason not to serve.
pub(super) fn store_token(home: Option<PathBuf>, token: &str) {
    let Some(home) = home else { return };
    if let Err(why) = token_file::store(&token_file::path(&home), token) {
        tracing::warn!(%why, "the root token was not stored for the command line");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::model::{Bind, Storage};
    use crate::config::node::{Environment, parse};

    #[test]
    fn the_mode_has_a_configuration() {
        for (address, expected) in [(None, "127.0.0.1:8200"), (Some("[::1]:9"), "[::1]:9")] {
            let text = configuration(address, None);
            let config = parse(&[(NAME, &text)], &Environment::default()).config.unwrap();
            assert_eq!(config.storage, Storage::Inmem);
            assert_eq!(config.listeners[0].bind, Bind::Tcp(expected.parse().unwrap()));
        }
        let text = configuration(Some("\" tls_disable = false"), None);
        assert!(parse(&[(NAME, &text)], &Environment::default()).config.is_none());
    }
}
