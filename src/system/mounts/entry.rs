//! What a new row is made of, and the settings that mounting and tuning have in common.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::core::mount::{MountConfig, MountEntry, Table};
use crate::core::mounts::check_bounds;
use crate::core::router::LeaseBounds;
use crate::logical::Fault;
use crate::logical::field::Fields;

/// Kinds of which every node has one already.
const SINGLE: &[&str] = &["system", "identity", "cubbyhole", "token"];
const TOKEN_TYPES: &[&str] = &["default-service", "default-batch", "service", "batch"];

/// The row that `data` asks for at `path`.
///
/// # Errors
/// The kind is missing or not to be mounted, or a setting is none.
pub(super) fn new_entry(
    table: Table,
    path: &str,
    data: &Map<String, Value>,
    system: LeaseBounds,
) -> Result<MountEntry, Fault> {
    let fields = Fields::new(data);
    let (kind, mut options) = kind(&fields)?;
    options.extend(fields.pairs("options")?.unwrap_or_default());
    check_kind(table, &kind, &options)?;
    let mut entry = MountEntry::new(table, path, &kind);
    entry.description = fields.text("description")?.unwrap_or_default();
    entry.local = fields.flag("local")?.unwrap_or_default();
    entry.seal_wrap = fields.flag("seal_wrap")?.unwrap_or_default();
    entry.external_entropy_access = fields.flag("external_entropy_access")?.unwrap_or_default();
    entry.options = options;
    let nothing = Map::new();
    let config = Fields::new(fields.map("config")?.unwrap_or(&nothing));
    mount_bounds(&mut entry.config, &config)?;
    apply_common(&mut entry.config, &config)?;
    if table == Table::Auth {
        entry.config.token_type = token_type(&config)?.unwrap_or_else(|| "default-service".to_owned());
    }
    check_bounds(&entry.config)?;
    check_system_bound(&entry.config, system)?;
    Ok(entry)
}

/// The kind by its name, with the options that some names stand for.
fn kind(fields: &Fields<'_>) -> Result<(String, BTreeMap<String, String>), Fault> {
    let kind = fields.text("type")?.filter(|kind| !kind.is_empty());
    let kind = kind.ok_or_else(|| Fault::invalid("backend type must be specified as a string"))?;
    let version = |version: &str| BTreeMap::from([("version".to_owned(), version.to_owned())]);
    Ok(match kind.as_str() {
        "kv-v1" => ("kv".to_owned(), version("1")),
        "kv-v2" => ("kv".to_owned(), version("2")),
        "generic" => ("kv".to_owned(), BTreeMap::new()),
        _ => (kind, BTreeMap::new()),
    })
}

fn check_kind(table: Table, kind: &str, options: &BTreeMap<String, String>) -> Result<(), Fault> {
    match (table, kind) {
        (Table::Auth, "token") => Err(Fault::invalid("token credential backend cannot be instantiated")),
        (Table::Auth, kind) if options.contains_key("version") => {
            Err(Fault::invalid(format!("auth method {kind:?} does not allow setting a version")))
        }
        (Table::Auth, kind) if SINGLE.contains(&kind) => {
            Err(Fault::invalid(format!("plugin not found in the catalog: {kind}")))
        }
        (Table::Secret, kind) if SINGLE.contains(&kind) => {
            Err(Fault::invalid(format!("mount type of {kind:?} is not mountable")))
        }
        _ => Ok(()),
    }
}

/// Without a bound of its own a mount cannot hand out longer than the system does.
fn check_system_bound(config: &MountConfig, system: LeaseBounds) -> Result<(), Fault> {
    let most = system.max_ttl.as_secs();
    if config.max_lease_ttl == 0 && config.default_lease_ttl > most {
        return Err(Fault::invalid(format!(
            "given default lease TTL greater than system max lease TTL of {most}"
        )));
    }
    Ok(())
}

fn mount_bounds(config: &mut MountConfig, fields: &Fields<'_>) -> Result<(), Fault> {
    for (name, word, target) in [
        ("default_lease_ttl", "default", &mut config.default_lease_ttl),
        ("max_lease_ttl", "max", &mut config.max_lease_ttl),
    ] {
        let given = fields.text(name)?.unwrap_or_default();
        let read = ttl(&given)
            .map_err(|why| Fault::invalid(format!("unable to parse {word} TTL of {given}: {why}")))?;
        *target = read.unwrap_or(*target);
    }
    Ok(())
}

/// Seconds of a time to live. The empty text is none; `system` gives the system's back.
///
/// # Errors
/// Not a duration; the text is the real server's.
pub(super) fn ttl(text: &str) -> Result<Option<u64>, String> {
    match text {
        "" => Ok(None),
        "system" => Ok(Some(0)),
        given => match crate::duration::parse(given) {
            Ok(length) => Ok(Some(length.as_secs())),
            Err(_) => Err(format!("time: invalid duration {given:?}")),
        },
    }
}

/// What both `config` at mount time and tuning set, but for the times to live and the kind of tokens.
pub(super) fn apply_common(config: &mut MountConfig, fields: &Fields<'_>) -> Result<(), Fault> {
    set(&mut config.force_no_cache, fields.flag("force_no_cache")?);
    set(&mut config.audit_non_hmac_request_keys, fields.list("audit_non_hmac_request_keys")?);
    set(&mut config.audit_non_hmac_response_keys, fields.list("audit_non_hmac_response_keys")?);
    set(&mut config.passthrough_request_headers, fields.list("passthrough_request_headers")?);
    set(&mut config.allowed_response_headers, fields.list("allowed_response_headers")?);
    if let Some(visibility) = fields.text("listing_visibility")? {
        if !matches!(visibility.as_str(), "" | "hidden" | "unauth") {
            return Err(Fault::invalid(format!("invalid listing_visibility {visibility}")));
        }
        config.listing_visibility = visibility;
    }
    Ok(())
}

/// The kind of tokens an auth method is to give; `None` where nothing was said.
///
/// # Errors
/// There is no such kind.
pub(super) fn token_type(fields: &Fields<'_>) -> Result<Option<String>, Fault> {
    let given = fields.text("token_type")?.filter(|kind| !kind.is_empty());
    match given {
        Some(kind) if !TOKEN_TYPES.contains(&kind.as_str()) => {
            Err(Fault::invalid("invalid value for 'token_type'"))
        }
        known => Ok(known),
    }
}

pub(super) fn set<T>(target: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *target = value;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn new_rows_are_checked() {
        let row =
            |data: Value| new_entry(Table::Secret, "x/", data.as_object().unwrap(), LeaseBounds::default());
        assert_eq!(row(json!({"type": "kv-v2"})).unwrap().options["version"], "2");
        for (data, text) in [
            (json!({}), "backend type must be specified as a string"),
            (json!({"type": "system"}), "mount type of \"system\" is not mountable"),
            (
                json!({"type": "kv", "config": {"default_lease_ttl": "10h", "max_lease_ttl": "1h"}}),
                "given default lease TTL greater than given max lease TTL",
            ),
            (
                json!({"type": "kv", "config": {"default_lease_ttl": "800h"}}),
                "given default lease TTL greater than system max lease TTL of 2764800",
            ),
            (
                json!({"type": "kv", "config": {"max_lease_ttl": "long"}}),
                "unable to parse max TTL of long: time: invalid duration \"long\"",
            ),
        ] {
            assert_eq!(row(data).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_time_to_live_is_kept_given_back_or_set() {
        for (text, seconds) in [("", None), ("system", Some(0)), ("90", Some(90)), ("1h", Some(3600))] {
            assert_eq!(ttl(text), Ok(seconds), "{text}");
        }
        assert_eq!(ttl("soon"), Err("time: invalid duration \"soon\"".to_owned()));
    }
}
