//! What is known of a key besides its data, and the rules of its versions. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::config::Config;
use crate::duration;

/// Versions kept where neither key nor mount says.
const DEFAULT_MAX_VERSIONS: u32 = 10;

/// Of a key. Times in nanoseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) created: i64,
    pub(super) updated: i64,
    /// The newest version's number; 0 before the first.
    pub(super) current: u64,
    /// 0 until the first version was trimmed.
    pub(super) oldest: u64,
    /// 0: the mount's.
    pub(super) max_versions: u32,
    pub(super) cas_required: bool,
    pub(super) metadata_cas_required: bool,
    /// How often the settings of the key were written.
    pub(super) metadata_version: u64,
    /// 0: the mount's.
    pub(super) delete_version_after_secs: u64,
    pub(super) custom: BTreeMap<String, String>,
    /// Invariant: none below `oldest`, none above `current`.
    pub(super) versions: BTreeMap<u64, Version>,
}

/// Of one version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    pub(super) created: i64,
    /// When it is deleted, or was.
    pub(super) deletion: Option<i64>,
    pub(super) destroyed: bool,
}

/// A version on the wire; keys in order.
#[derive(Serialize)]
struct ShownVersion<'m> {
    created_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_metadata: Option<Option<&'m BTreeMap<String, String>>>,
    deletion_time: String,
    destroyed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// A key on the wire; keys in order.
#[derive(Serialize)]
struct ShownMeta<'m> {
    cas_required: bool,
    created_time: String,
    current_metadata_version: u64,
    current_version: u64,
    custom_metadata: Option<&'m BTreeMap<String, String>>,
    delete_version_after: String,
    max_versions: u32,
    metadata_cas_required: bool,
    oldest_version: u64,
    updated_time: String,
    versions: BTreeMap<u64, ShownVersion<'m>>,
}

// === impl Meta ===

impl Meta {
    pub(super) fn new(now: i64) -> Self {
        Self { created: now, updated: now, ..Self::default() }
    }

    /// The version with this number; 0 and less: the newest.
    pub(super) fn version(&self, number: i64) -> Option<(u64, Version)> {
        let number = u64::try_from(number).ok().filter(|number| *number > 0).unwrap_or(self.current);
        self.versions.get(&number).map(|version| (number, *version))
    }

    /// A version made now, with the end the key and the mount set it.
    pub(super) fn next(&self, config: &Config, now: i64) -> Version {
        Version { created: now, deletion: self.end(config, now), destroyed: false }
    }

    /// When a version that begins to live now ends by itself.
    fn end(&self, config: &Config, now: i64) -> Option<i64> {
        let secs = config.ends_after_secs(self.delete_version_after_secs)?;
        Some(now.saturating_add(i64::try_from(secs).unwrap_or(i64::MAX).saturating_mul(1_000_000_000)))
    }

    /// Adds a version and gives the numbers of those that are one too many now. The larger of the key's and the mount's
    /// bound counts.
    pub(super) fn add(&mut self, version: Version, mount_max: u32) -> Vec<u64> {
        self.current += 1;
        self.updated = version.created;
        self.versions.insert(self.current, version);
        let kept = match self.max_versions.max(mount_max) {
            0 => DEFAULT_MAX_VERSIONS,
            bound => bound,
        };
        if self.current - self.oldest < u64::from(kept) {
            return Vec::new();
        }
        self.oldest = self.current + 1 - u64::from(kept);
        let kept = self.versions.split_off(&self.oldest);
        std::mem::replace(&mut self.versions, kept).into_keys().collect()
    }

    /// Marks a version deleted; one that is deleted or destroyed stays as it is.
    pub(super) fn delete(&mut self, number: u64, now: i64) {
        if let Some(version) = self.versions.get_mut(&number).filter(|version| version.is_readable(now)) {
            version.deletion = Some(now);
        }
    }

    /// Takes the mark back: a life as long as a new version's begins. A destroyed version stays as it is.
    pub(super) fn undelete(&mut self, number: u64, config: &Config, now: i64) {
        let end = self.end(config, now);
        if let Some(version) = self.versions.get_mut(&number).filter(|version| !version.destroyed) {
            version.deletion = end;
        }
    }

    /// Whether there was such a version to destroy.
    pub(super) fn destroy(&mut self, number: u64) -> bool {
        let version = self.versions.get_mut(&number);
        version.map(|version| version.destroyed = true).is_some()
    }

    /// The JSON of one version, as beside its data.
    pub(super) fn shown_version(&self, number: u64, version: Version) -> Zeroizing<Vec<u8>> {
        json(&ShownVersion {
            custom_metadata: Some(self.shown_custom()),
            version: Some(number),
            ..ShownVersion::of(version)
        })
    }

    /// The JSON of everything known of the key.
    pub(super) fn shown(&self) -> Zeroizing<Vec<u8>> {
        json(&ShownMeta {
            cas_required: self.cas_required,
            created_time: wire_time(self.created),
            current_metadata_version: self.metadata_version,
            current_version: self.current,
            custom_metadata: self.shown_custom(),
            delete_version_after: duration::go_string(std::time::Duration::from_secs(
                self.delete_version_after_secs,
            )),
            max_versions: self.max_versions,
            metadata_cas_required: self.metadata_cas_required,
            oldest_version: self.oldest,
            updated_time: wire_time(self.updated),
            versions: self
                .versions
                .iter()
                .map(|(number, version)| (*number, ShownVersion::of(*version)))
                .collect(),
        })
    }

    fn shown_custom(&self) -> Option<&BTreeMap<String, String>> {
        (!self.custom.is_empty()).then_some(&self.custom)
    }
}

// === impl Version ===

impl Version {
    pub(super) fn is_readable(&self, now: i64) -> bool {
        !self.destroyed && self.deletion.is_none_or(|end| end > now)
    }
}

impl ShownVersion<'_> {
    fn of(version: Version) -> Self {
        Self {
            created_time: wire_time(version.created),
            custom_metadata: None,
            deletion_time: version.deletion.map(wire_time).unwrap_or_default(),
            destroyed: version.destroyed,
            version: None,
        }
    }
}

fn json<T: Serialize>(shown: &T) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(shown).expect("texts, numbers and maps by text have a JSON form"))
}

/// RFC 3339 with the nanoseconds there are.
fn wire_time(nanos: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos));
    moment.ok().and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(meta: &mut Meta, count: u64, mount_max: u32) -> Vec<u64> {
        (0..count).flat_map(|_| meta.add(Version::default(), mount_max)).collect()
    }

    #[test]
    fn the_larger_bound_counts_and_the_oldest_rises() {
        for (key_max, mount_max, count, oldest, trimmed) in [
            (0, 0, 9, 0, vec![]),
            (0, 0, 10, 1, vec![]),
            (0, 0, 12, 3, vec![1, 2]),
            (2, 3, 5, 3, vec![1, 2]),
            (3, 2, 5, 3, vec![1, 2]),
            (1, 0, 3, 3, vec![1, 2]),
        ] {
            let mut meta = Meta { max_versions: key_max, ..Meta::default() };
            assert_eq!(added(&mut meta, count, mount_max), trimmed, "{key_max} {mount_max} {count}");
            assert_eq!((meta.current, meta.oldest), (count, oldest), "{key_max} {mount_max} {count}");
        }
    }

    #[test]
    fn a_smaller_bound_trims_at_the_next_write() {
        let mut meta = Meta { max_versions: 5, ..Meta::default() };
        added(&mut meta, 5, 0);
        meta.max_versions = 2;
        assert_eq!(added(&mut meta, 1, 0), [1, 2, 3, 4]);
        meta.max_versions = 4;
        assert!(added(&mut meta, 2, 0).is_empty());
        assert_eq!(meta.versions.keys().copied().collect::<Vec<_>>(), [5, 6, 7, 8]);
    }

    #[test]
    fn what_is_destroyed_stays_so() {
        let mut meta = Meta::new(1);
        added(&mut meta, 2, 0);
        meta.delete(1, 5);
        meta.delete(1, 9);
        assert_eq!(meta.versions[&1].deletion, Some(5), "deleted once");
        assert!(meta.destroy(1) && !meta.destroy(7));
        meta.undelete(1, &Config::default(), 9);
        assert_eq!(meta.versions[&1].deletion, Some(5));
        meta.undelete(2, &Config::default(), 9);
        meta.delete(9, 9);
        assert!(meta.versions[&2].is_readable(9) && !meta.versions[&1].is_readable(9));
    }

    #[test]
    fn the_wire_has_the_servers_fields_in_order() {
        let mut meta = Meta::new(1_500_000_000_120_000_000);
        meta.delete_version_after_secs = 3600;
        meta.custom.insert("owner".to_owned(), "ann".to_owned());
        let version = meta.next(&Config::default(), meta.created);
        meta.add(version, 0);
        let text = |bytes: Zeroizing<Vec<u8>>| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text(meta.shown_version(1, version)),
            "{\"created_time\":\"2017-07-14T02:40:00.12Z\",\"custom_metadata\":{\"owner\":\"ann\"},\
             \"deletion_time\":\"2017-07-14T03:40:00.12Z\",\"destroyed\":false,\"version\":1}"
        );
        assert_eq!(
            text(meta.shown()),
            "{\"cas_required\":false,\"created_time\":\"2017-07-14T02:40:00.12Z\",\"current_metadata_version\":0,\
             \"current_version\":1,\"custom_metadata\":{\"owner\":\"ann\"},\"delete_version_after\":\"1h0m0s\",\
             \"max_versions\":0,\"metadata_cas_required\":false,\"oldest_version\":0,\
             \"updated_time\":\"2017-07-14T02:40:00.12Z\",\"versions\":{\"1\":{\"created_time\":\
             \"2017-07-14T02:40:00.12Z\",\"deletion_time\":\"2017-07-14T03:40:00.12Z\",\"destroyed\":false}}}"
        );
    }
}
