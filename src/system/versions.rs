//! `sys/version-history`: which releases have opened this store, and when first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::whole;
use crate::api::version::RELEASED;
use crate::barrier::{StoreError, Transaction};
use crate::logical::Access::Token;
use crate::logical::{Answer, Call, Method, Response, Route, Routes};

const KEY: &str = "core/version-history";

/// By version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionHistory {
    versions: BTreeMap<String, Opened>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Opened {
    timestamp_installed: String,
    /// The day of the release; empty in records of releases that did not note it.
    #[serde(default)]
    commit_date: String,
    previous_version: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct VersionEndpoints {
    routes: Routes<Self>,
}

const ROUTES: &[Route<VersionEndpoints>] = &[Route::new(
    "version-history/?",
    Token,
    &[Method::list(|_, call| list(call))],
    &[],
    "The releases that have run over this store.",
)];

// === impl VersionHistory ===

impl VersionHistory {
    /// Notes that `version` opened the store, the first time it does.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub fn note(tx: &mut Transaction, version: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        let mut history: Self = tx.view("").get_record(KEY)?.unwrap_or_default();
        if history.open(version, now) {
            tx.view("").put_record(KEY, &history)?;
        }
        Ok(())
    }

    fn open(&mut self, version: &str, now: OffsetDateTime) -> bool {
        if self.versions.contains_key(version) {
            return false;
        }
        let newest = self
            .versions
            .iter()
            .max_by(|(_, one), (_, other)| one.timestamp_installed.cmp(&other.timestamp_installed));
        let opened = Opened {
            timestamp_installed: now
                .replace_nanosecond(0)
                .unwrap_or(now)
                .format(&Rfc3339)
                .unwrap_or_default(),
            commit_date: RELEASED.to_owned(),
            previous_version: newest.map(|(version, _)| version.clone()),
        };
        self.versions.insert(version.to_owned(), opened);
        true
    }
}

// === impl VersionEndpoints ===

impl VersionEndpoints {
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }
}

impl Default for VersionEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

fn list(call: &mut Call<'_>) -> Answer {
    let history: VersionHistory = whole(call)?.view("").get_record(KEY)?.unwrap_or_default();
    let infos: Map<String, Value> =
        history.versions.iter().map(|(v, opened)| (v.clone(), json!(opened))).collect();
    let keys: Vec<&String> = history.versions.keys().collect();
    Ok(Response::json(json!({ "key_info": infos, "keys": keys })))
}

impl super::Tabled for VersionEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_noted_once_with_the_one_before() {
        let mut history = VersionHistory::default();
        let start = OffsetDateTime::UNIX_EPOCH;
        assert!(history.open("1.0", start) && !history.open("1.0", start));
        assert!(history.open("2.0", start + time::Duration::HOUR));
        assert!(history.open("1.5", start + time::Duration::DAY));
        assert_eq!(history.versions["2.0"].previous_version.as_deref(), Some("1.0"));
        assert_eq!(history.versions["1.5"].previous_version.as_deref(), Some("2.0"));
        assert_eq!(history.versions["1.0"].timestamp_installed, "1970-01-01T00:00:00Z");
    }
}
