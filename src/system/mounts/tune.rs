//! Tuning: what a request changes of a mounted row.

use std::collections::BTreeMap;

use super::entry::{apply_common, set, token_type, ttl};
use super::routes::MOUNT_FIELDS;
use crate::core::mount::{MountConfig, MountEntry, RUNNING_VERSION, Table};
use crate::logical::Fault;
use crate::logical::field::Fields;
use crate::system::lockout_config;

/// What may be tuned of the mounts that every node has.
const TUNED_OF_BUILTINS: &[&str] = &["audit_non_hmac_request_keys", "audit_non_hmac_response_keys"];

/// Changes `entry`; on an error it is as it was.
///
/// # Errors
/// A setting is none, contradicts another, or is not to be changed.
pub(super) fn apply(table: Table, entry: &mut MountEntry, fields: &Fields<'_>) -> Result<(), Fault> {
    check_builtin(entry, fields)?;
    check_plugin_version(entry, fields)?;
    let mut config = entry.config.clone();
    apply_bounds(&mut config, fields)?;
    apply_common(&mut config, fields)?;
    if let Some(kind) = token_type(fields)? {
        check_token_type(table, entry)?;
        config.token_type = kind;
    }
    if let Some(given) = fields.map("user_lockout_config")? {
        config.user_lockout = Some(lockout_config::tuned(config.user_lockout, &entry.kind, given)?);
    }
    let description = fields.text("description")?;
    if let Some(options) = fields.pairs("options")? {
        check_version(entry, &options)?;
        entry.options.extend(options);
    }
    set(&mut entry.description, description);
    entry.config = config;
    Ok(())
}

/// The token method is a builtin, too, but an operator may tune how long tokens live.
fn check_builtin(entry: &MountEntry, fields: &Fields<'_>) -> Result<(), Fault> {
    if !entry.is_builtin() || entry.kind == "token" {
        return Ok(());
    }
    let mut names = MOUNT_FIELDS.iter().map(|field| field.name).filter(|name| fields.has(name));
    match names.find(|name| !TUNED_OF_BUILTINS.contains(name)) {
        Some(name) => Err(Fault::invalid(format!("cannot tune parameter {name} of {}", entry.path))),
        None => Ok(()),
    }
}

/// There is one version of every backend: this one.
fn check_plugin_version(entry: &MountEntry, fields: &Fields<'_>) -> Result<(), Fault> {
    match fields.text("plugin_version")? {
        Some(version) if !version.is_empty() && version != RUNNING_VERSION => {
            Err(Fault::invalid(format!("plugin not found in the catalog: {}, version={version}", entry.kind)))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_token_type(table: Table, entry: &MountEntry) -> Result<(), Fault> {
    match (table, entry.kind.as_str()) {
        (Table::Secret, _) => Err(Fault::invalid("'token_type' can only be modified on auth mounts")),
        (Table::Auth, "token") => {
            Err(Fault::invalid("'token_type' cannot be set for 'token' or 'ns_token' auth mounts"))
        }
        (Table::Auth, _) => Ok(()),
    }
}

fn apply_bounds(config: &mut MountConfig, fields: &Fields<'_>) -> Result<(), Fault> {
    for (name, target) in
        [("default_lease_ttl", &mut config.default_lease_ttl), ("max_lease_ttl", &mut config.max_lease_ttl)]
    {
        let given = fields.text(name)?.unwrap_or_default();
        *target = ttl(&given).map_err(Fault::Invalid)?.unwrap_or(*target);
    }
    let (default, max) = (config.default_lease_ttl, config.max_lease_ttl);
    if max != 0 && default > max {
        return Err(Fault::invalid(format!(
            "backend max lease TTL of {max} would be less than backend default lease TTL of {default}"
        )));
    }
    Ok(())
}

/// A kv mount goes from version 1 to 2, never back.
fn check_version(entry: &MountEntry, options: &BTreeMap<String, String>) -> Result<(), Fault> {
    let Some(wanted) = options.get("version").filter(|_| entry.kind == "kv") else { return Ok(()) };
    let current = entry.options.get("version").map_or("1", String::as_str);
    match (current, wanted.as_str()) {
        ("2", "1") => Err(Fault::invalid("cannot downgrade mount from version 2")),
        (_, "1" | "2") => Ok(()),
        (_, other) => Err(Fault::invalid(format!("invalid version provided: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tuned(entry: &mut MountEntry, data: Value) -> Result<(), String> {
        apply(Table::Secret, entry, &Fields::new(data.as_object().unwrap()))
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn tuning_keeps_bounds_in_order() {
        let mut entry = MountEntry::new(Table::Secret, "x/", "kv");
        tuned(&mut entry, json!({"default_lease_ttl": "2h"})).unwrap();
        let text = "backend max lease TTL of 3600 would be less than backend default lease TTL of 7200";
        assert_eq!(tuned(&mut entry, json!({"max_lease_ttl": "1h"})), Err(text.to_owned()));
        assert_eq!((entry.config.default_lease_ttl, entry.config.max_lease_ttl), (7200, 0));
        tuned(&mut entry, json!({"default_lease_ttl": "system", "max_lease_ttl": "1h"})).unwrap();
        assert_eq!((entry.config.default_lease_ttl, entry.config.max_lease_ttl), (0, 3600));
        tuned(&mut entry, json!({"default_lease_ttl": "", "max_lease_ttl": ""})).unwrap();
        assert_eq!((entry.config.default_lease_ttl, entry.config.max_lease_ttl), (0, 3600));
    }

    #[test]
    fn a_version_goes_up_only() {
        let mut entry = MountEntry::new(Table::Secret, "x/", "kv");
        tuned(&mut entry, json!({"options": {"version": "2"}, "description": "n"})).unwrap();
        assert_eq!((entry.options["version"].as_str(), entry.description.as_str()), ("2", "n"));
        assert!(tuned(&mut entry, json!({"options": {"version": "1"}})).is_err());
    }

    #[test]
    fn what_is_fixed_is_refused() {
        let row = |table, path: &str, kind: &str| (table, MountEntry::new(table, path, kind));
        for ((table, mut entry), data, text) in [
            (
                row(Table::Secret, "sys/", "system"),
                json!({"description": "x"}),
                "cannot tune parameter description of sys/",
            ),
            (
                row(Table::Secret, "kv/", "kv"),
                json!({"token_type": "service"}),
                "'token_type' can only be modified on auth mounts",
            ),
            (
                row(Table::Auth, "token/", "token"),
                json!({"token_type": "service"}),
                "'token_type' cannot be set for 'token' or 'ns_token' auth mounts",
            ),
            (
                row(Table::Secret, "kv/", "kv"),
                json!({"plugin_version": "v9"}),
                "plugin not found in the catalog: kv, version=v9",
            ),
        ] {
            let fault = apply(table, &mut entry, &Fields::new(data.as_object().unwrap())).unwrap_err();
            assert_eq!(fault.to_string(), text);
        }
        let (table, mut entry) = row(Table::Secret, "sys/", "system");
        let data = json!({"audit_non_hmac_request_keys": ["a"]});
        apply(table, &mut entry, &Fields::new(data.as_object().unwrap())).unwrap();
        assert_eq!(entry.config.audit_non_hmac_request_keys, ["a"]);
    }
}
