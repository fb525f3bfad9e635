//! `config`: the settings of a mount.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Kv2, given};
use crate::barrier::{StoreError, View};
use crate::duration;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Effect, Field, FieldKind, Method, Operation, Response};

const RECORD: &str = "config";

/// Deletion of versions by age is switched off, whatever keys say.
const DISABLED: i64 = -1;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    /// 0: ten.
    pub(super) max_versions: u32,
    pub(super) cas_required: bool,
    pub(super) metadata_cas_required: bool,
    /// 0: never; [`DISABLED`].
    delete_version_after_secs: i64,
}

pub(super) const FIELDS: &[Field] = &[
    Field::new("max_versions", FieldKind::Int, "How many versions of a key are kept; 0 is ten."),
    Field::new("cas_required", FieldKind::Bool, "Whether every write needs the cas option."),
    Field::new(
        "metadata_cas_required",
        FieldKind::Bool,
        "Whether every change of a key's settings needs metadata_cas.",
    ),
    Field::new(
        "delete_version_after",
        FieldKind::DurationSecs,
        "The age at which versions are deleted; negative: never.",
    ),
];

pub(super) const METHODS: &[Method<Kv2>] =
    &[Method::new(&[Operation::Read], Effect::Read, read), Method::new(super::WRITE, Effect::Write, write)];

// === impl Config ===

impl Config {
    pub(super) fn load(store: &mut View<'_>) -> Result<Self, StoreError> {
        Ok(store.get_record(RECORD)?.unwrap_or_default())
    }

    /// The age at which a version of a key with this setting ends: the smaller of the key's and the mount's.
    pub(super) fn ends_after_secs(&self, key_secs: u64) -> Option<u64> {
        let mount = u64::try_from(self.delete_version_after_secs).ok()?;
        [mount, key_secs].into_iter().filter(|secs| *secs > 0).min()
    }
}

fn read(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let config = Config::load(&mut call.store)?;
    let after = match u64::try_from(config.delete_version_after_secs) {
        Ok(secs) => duration::go_string(Duration::from_secs(secs)),
        Err(_) => "-1s".to_owned(),
    };
    Ok(Response::json(json!({
        "cas_required": config.cas_required,
        "delete_version_after": after,
        "max_versions": config.max_versions,
        "metadata_cas_required": config.metadata_cas_required,
    })))
}

fn write(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let (data, fields) = (&call.request.data, Fields::new(&call.request.data));
    let max_versions = given(data, "max_versions", fields.int("max_versions")?);
    let cas_required = given(data, "cas_required", fields.flag("cas_required")?);
    let metadata_cas_required = given(data, "metadata_cas_required", fields.flag("metadata_cas_required")?);
    let after = given(data, "delete_version_after", fields.signed_seconds("delete_version_after")?);
    let mut config = Config::load(&mut call.store)?;
    config.max_versions = max_versions.map_or(config.max_versions, wrapped);
    config.cas_required = cas_required.unwrap_or(config.cas_required);
    config.metadata_cas_required = metadata_cas_required.unwrap_or(config.metadata_cas_required);
    config.delete_version_after_secs =
        after.map_or(config.delete_version_after_secs, |secs| secs.max(DISABLED));
    call.store.put_record(RECORD, &config)?;
    Ok(Response::empty())
}

/// The server keeps the lower half of the number: -1 is no bound to speak of.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is what the wire shows")]
pub(super) fn wrapped(number: i64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_age_counts_and_the_mount_can_switch_off() {
        for (mount, key, expected) in [
            (0, 0, None),
            (0, 5, Some(5)),
            (5, 0, Some(5)),
            (5, 3, Some(3)),
            (3, 5, Some(3)),
            (DISABLED, 5, None),
            (DISABLED, 0, None),
        ] {
            let config = Config { delete_version_after_secs: mount, ..Config::default() };
            assert_eq!(config.ends_after_secs(key), expected, "{mount} {key}");
        }
    }
}
