//! How a mount is shown: in lists, by itself, to those who may know little of it, and as it is tuned.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::object;
use crate::core::mount::{MountConfig, MountEntry, RUNNING_VERSION};
use crate::core::router::LeaseBounds;
use crate::system::lockout_config;

/// A row as lists show it.
pub(super) fn row(entry: &MountEntry) -> Value {
    let mut shown = json!({
        "accessor": entry.accessor,
        "config": shown_config(&entry.config),
        "description": entry.description,
        "external_entropy_access": entry.external_entropy_access,
        "local": entry.local,
        "options": shown_options(entry),
        "plugin_version": "",
        "running_plugin_version": RUNNING_VERSION,
        "running_sha256": "",
        "seal_wrap": entry.seal_wrap,
        "type": entry.kind,
        "uuid": entry.uuid,
    });
    if !entry.is_builtin()
        && let Some(map) = shown.as_object_mut()
    {
        map.insert("deprecation_status".to_owned(), json!("supported"));
    }
    shown
}

/// Builtin mounts have none at all, others an empty object.
fn shown_options(entry: &MountEntry) -> Value {
    if entry.is_builtin() && entry.options.is_empty() { Value::Null } else { json!(entry.options) }
}

/// What everybody may know of a mount listed as `unauth`.
pub(super) fn glimpse(entry: &MountEntry) -> Value {
    json!({ "description": entry.description, "options": shown_options(entry), "type": entry.kind })
}

fn shown_config(config: &MountConfig) -> Map<String, Value> {
    let mut map = object(json!({
        "default_lease_ttl": config.default_lease_ttl,
        "force_no_cache": config.force_no_cache,
        "max_lease_ttl": config.max_lease_ttl,
    }));
    add_optional(&mut map, config);
    if let Some(lockout) = config.user_lockout {
        map.insert("user_lockout_config".to_owned(), Value::Object(lockout_config::shown(lockout)));
    }
    map
}

/// The answer of `tune`: effective bounds, and what was set beside them.
pub(super) fn tuned(entry: &MountEntry, system: LeaseBounds) -> Map<String, Value> {
    let or = |own: u64, system: Duration| if own == 0 { system.as_secs() } else { own };
    let mut map = object(json!({
        "default_lease_ttl": or(entry.config.default_lease_ttl, system.default_ttl),
        "description": entry.description,
        "force_no_cache": entry.config.force_no_cache,
        "max_lease_ttl": or(entry.config.max_lease_ttl, system.max_ttl),
    }));
    if !entry.options.is_empty() {
        map.insert("options".to_owned(), json!(entry.options));
    }
    add_optional(&mut map, &entry.config);
    if let Some(lockout) = entry.config.user_lockout {
        map.extend(lockout_config::shown(lockout));
    }
    map
}

fn add_optional(map: &mut Map<String, Value>, config: &MountConfig) {
    for (name, text) in
        [("listing_visibility", &config.listing_visibility), ("token_type", &config.token_type)]
    {
        if !text.is_empty() {
            map.insert(name.to_owned(), json!(text));
        }
    }
    for (name, list) in [
        ("audit_non_hmac_request_keys", &config.audit_non_hmac_request_keys),
        ("audit_non_hmac_response_keys", &config.audit_non_hmac_response_keys),
        ("passthrough_request_headers", &config.passthrough_request_headers),
        ("allowed_response_headers", &config.allowed_response_headers),
    ] {
        if !list.is_empty() {
            map.insert(name.to_owned(), json!(list));
        }
    }
}
